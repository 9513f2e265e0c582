"""What both key stores do alike."""

import threading
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import algorithms, errors, signature
from pki.algorithms import HashAlgorithm, KeyKind
from pki.keystore import file_store, passphrase, pkcs11_store, store
from tests.support import softhsm

Reopen = Callable[[], store.KeyStore]


@pytest.fixture(scope="module", params=["file", pytest.param("pkcs11", marks=pytest.mark.peer)])
def reopen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reopen]:
    """A function that opens the same store each time; the one before must be closed."""
    folder = tmp_path_factory.mktemp("store")
    if request.param == "file":
        secret = passphrase.Passphrase("a passphrase for tests")
        yield lambda: file_store.FileKeyStore(folder, secret, kdf_rounds=1000)
        return
    module = softhsm.module_path()
    with pytest.MonkeyPatch.context() as patch:
        softhsm.make_folder(folder, patch)
        softhsm.make_token("both")
        softhsm.start_afresh(module)
        pin = passphrase.Passphrase(softhsm.PIN)
        yield lambda: pkcs11_store.Pkcs11KeyStore(module, "both", pin)


@pytest.fixture
def keys(reopen: Reopen) -> Iterator[store.KeyStore]:
    opened = reopen()
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_generated_key_signs_and_its_value_verifies(keys: store.KeyStore, kind: KeyKind) -> None:
    handle = keys.generate(f"signs-{kind.value}", kind)
    assert algorithms.key_kind(handle.public_key) is kind
    for hash_algorithm in HashAlgorithm:
        representation = signature.represent(b"a contract", hash_algorithm)
        value = handle.sign(representation)
        assert value.algorithm is kind.signature_algorithm
        signature.check_value(handle.public_key, representation, value)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_key_is_the_same_after_the_store_was_reopened(reopen: Reopen, kind: KeyKind) -> None:
    first = reopen()
    public_key = first.generate(f"stays-{kind.value}", kind).public_key
    first.close()
    second = reopen()
    handle = second.open_key(f"stays-{kind.value}")
    assert handle.public_key == public_key
    assert handle.label == f"stays-{kind.value}"
    representation = signature.represent(b"x", kind.hash_algorithm)
    signature.check_value(public_key, representation, handle.sign(representation))
    second.close()


def test_an_ecdsa_value_is_raw_and_of_fixed_length(keys: store.KeyStore) -> None:
    handle = keys.generate("raw", KeyKind.P384)
    for number in range(40):
        representation = signature.represent(bytes([number]), HashAlgorithm.SHA384)
        assert len(handle.sign(representation).value) == 96


def test_a_value_over_other_data_does_not_verify(keys: store.KeyStore) -> None:
    handle = keys.generate("other-data", KeyKind.P256)
    value = handle.sign(signature.represent(b"one", HashAlgorithm.SHA256))
    with pytest.raises(signature.SignatureValueError):
        signature.check_value(
            handle.public_key, signature.represent(b"two", HashAlgorithm.SHA256), value
        )


def test_a_key_is_never_overwritten(keys: store.KeyStore) -> None:
    public_key = keys.generate("once", KeyKind.P256).public_key
    with pytest.raises(store.KeyExistsError):
        keys.generate("once", KeyKind.P256)
    assert keys.open_key("once").public_key == public_key


def test_an_unknown_label_is_not_found(keys: store.KeyStore) -> None:
    with pytest.raises(store.KeyNotFoundError):
        keys.open_key("nobody")


def test_labels_are_listed_in_order(reopen: Reopen) -> None:
    opened = reopen()
    opened.generate("zz-last", KeyKind.P256)
    opened.generate("00-first", KeyKind.P256)
    labels = opened.labels()
    assert list(labels) == sorted(labels)
    assert {"zz-last", "00-first"} <= set(labels)
    opened.close()


def test_a_closed_store_signs_no_more(reopen: Reopen) -> None:
    opened = reopen()
    handle = opened.generate("closes", KeyKind.P256)
    opened.close()
    with pytest.raises(errors.StateError):
        handle.sign(signature.represent(b"x", HashAlgorithm.SHA256))
    with pytest.raises(errors.StateError):
        opened.open_key("closes")
    with pytest.raises(errors.StateError):
        opened.labels()


def test_many_threads_share_one_handle(keys: store.KeyStore) -> None:
    handle = keys.generate("shared", KeyKind.P256)
    representation = signature.represent(b"x", HashAlgorithm.SHA256)
    values: list[signature.SignatureValue] = []

    def sign() -> None:
        for _ in range(50):
            values.append(handle.sign(representation))

    threads = [threading.Thread(target=sign) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(values) == 400
    for value in values:
        signature.check_value(handle.public_key, representation, value)


def test_neither_store_nor_handle_shows_a_secret(keys: store.KeyStore) -> None:
    handle = keys.generate("quiet", KeyKind.P256)
    shown = repr(handle) + repr(keys)
    assert "a passphrase for tests" not in shown
    assert softhsm.PIN not in shown


def test_public_keys_are_of_the_types_that_certificates_are_made_of(keys: store.KeyStore) -> None:
    assert isinstance(keys.generate("type-ec", KeyKind.P256).public_key, ec.EllipticCurvePublicKey)
    assert isinstance(keys.generate("type-rsa", KeyKind.RSA3072).public_key, rsa.RSAPublicKey)
