import base64
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import errors
from pki.algorithms import KeyKind
from pki.keystore import file_store, passphrase, store

SECRET = passphrase.Passphrase("a passphrase for tests")


def _open(folder: Path, secret: passphrase.Passphrase = SECRET) -> file_store.FileKeyStore:
    return file_store.FileKeyStore(folder, secret, kdf_rounds=1000)


def test_a_key_file_is_encrypted_and_private_to_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    _open(folder).generate("ca", KeyKind.P256)
    path = folder / "ca.key"
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.iterdir()] == ["ca.key"]


def test_the_default_number_of_kdf_rounds_is_high(tmp_path: Path) -> None:
    file_store.FileKeyStore(tmp_path, SECRET).generate("ca", KeyKind.P256)
    # 600,000 as a DER INTEGER, where PBKDF2's parameters hold it.
    body = (tmp_path / "ca.key").read_text().splitlines()[1:-1]
    assert bytes.fromhex("02030927c0") in base64.b64decode("".join(body))


def test_another_passphrase_does_not_open_a_key(tmp_path: Path) -> None:
    _open(tmp_path).generate("ca", KeyKind.P256)
    with pytest.raises(file_store.KeyFileError) as caught:
        _open(tmp_path, passphrase.Passphrase("another one")).open_key("ca")
    assert "another one" not in str(caught.value)


@pytest.mark.parametrize("label", ["", "../ca", "a/b", ".hidden", "a\0b", "x" * 65, "ə"])
def test_a_label_cannot_leave_the_folder(tmp_path: Path, label: str) -> None:
    with pytest.raises(errors.InputError):
        _open(tmp_path).open_key(label)
    with pytest.raises(errors.InputError):
        _open(tmp_path).generate(label, KeyKind.P256)


def test_a_key_without_encryption_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "plain.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(file_store.KeyFileError):
        _open(tmp_path).open_key("plain")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "ed.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(SECRET.reveal().encode()),
        )
    )
    with pytest.raises(errors.ImzaError):
        _open(tmp_path).open_key("ed")


def test_two_makers_of_one_label_get_one_key(tmp_path: Path) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            _open(tmp_path).generate("race", KeyKind.P256)
            outcomes.append("made")
        except store.KeyExistsError:
            outcomes.append("exists")

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["exists"] * 5 + ["made"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    _open(folder).generate("ca", KeyKind.P256)
    return folder


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_key_file_raises_only_our_error(made: Path, position: int, byte: int) -> None:
    content = bytearray((made / "ca.key").read_bytes())
    content[position % len(content)] = byte
    (made / "damaged.key").write_bytes(bytes(content))
    try:
        _open(made).open_key("damaged")
    except errors.ImzaError:
        return
    # What opens all the same must be the key that was written.
    assert _open(made).open_key("damaged").public_key == _open(made).open_key("ca").public_key
