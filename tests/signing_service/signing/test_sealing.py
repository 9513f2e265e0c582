"""Which seal a client gets, and what happens while its key or its certificate is away."""

import datetime
import pathlib
from collections.abc import Callable

import pytest

from pki import access, algorithms, errors, settings, signature
from pki.keystore import file_store, passphrase, store
from signing_service import settings as signing_settings
from signing_service.signing import sealing
from tests.support import hierarchy as hierarchy_support

PORTAL = access.Caller("portal", frozenset({"seal"}))
REPRESENTATION = signature.represent(b"a contract", algorithms.HashAlgorithm.SHA256)


@pytest.fixture
def organisation(at: datetime.datetime) -> hierarchy_support.Holder:
    return hierarchy_support.make_hierarchy(at).signer("MINISTRY")


@pytest.fixture
def keys() -> hierarchy_support.MemoryKeyStore:
    return hierarchy_support.MemoryKeyStore()


@pytest.fixture
def certificate(tmp_path: pathlib.Path, organisation: hierarchy_support.Holder) -> pathlib.Path:
    path = tmp_path / "seal.pem"
    path.write_bytes(organisation.pem)
    return path


def make(
    certificate: pathlib.Path, open_keys: Callable[[], store.KeyStore], *names: str
) -> sealing.Seals:
    return sealing.Seals(
        [
            signing_settings.SealSettings(name, certificate, "seal-key", ("portal",))
            for name in names or ("ministry",)
        ],
        open_keys,
    )


def refused(seals: sealing.Seals, caplog: pytest.LogCaptureFixture) -> str:
    """The seal is away, retriably; what the log says of the reason."""
    caplog.clear()
    with pytest.raises(sealing.SealUnavailableError) as caught:
        seals.choose("ministry", PORTAL)
    assert caught.value.retriable
    assert isinstance(caught.value, errors.DeviceError)
    (record,) = caplog.records
    return record.getMessage()


def test_two_seals_of_one_name_are_refused(
    certificate: pathlib.Path, keys: hierarchy_support.MemoryKeyStore
) -> None:
    with pytest.raises(settings.SettingsError, match="'a' twice"):
        make(certificate, lambda: keys, "a", "b", "a")


def test_client_is_judged_before_the_key_is_touched(certificate: pathlib.Path) -> None:
    def never() -> store.KeyStore:
        raise AssertionError("opened")

    seals = make(certificate, never)
    with pytest.raises(access.InsufficientScopeError):
        seals.choose("ministry", access.Caller("portal", frozenset({"sign"})))
    for caller, name in ((access.Caller("other", frozenset({"seal"})), "ministry"), (PORTAL, "x")):
        with pytest.raises(sealing.SealNotAllowedError) as caught:
            seals.choose(name, caller)
        assert "ministry" not in caught.value.message


def test_key_store_that_does_not_open_is_tried_again_at_the_next_use(
    certificate: pathlib.Path,
    keys: hierarchy_support.MemoryKeyStore,
    organisation: hierarchy_support.Holder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keys.put("seal-key", organisation.handle)
    asked: list[bool] = []

    def open_keys() -> store.KeyStore:
        asked.append(True)
        if len(asked) < 3:
            raise errors.DeviceError("the token is away")
        return keys

    seals = make(certificate, open_keys)
    for _ in range(2):
        assert "the token is away" in refused(seals, caplog)
    for _ in range(2):
        value = seals.choose("ministry", PORTAL).sign(REPRESENTATION)
        signature.check_value(organisation.key.public_key(), REPRESENTATION, value)
    assert len(asked) == 3


def test_key_file_that_is_missing_or_comes_later_needs_no_restart(
    tmp_path: pathlib.Path, certificate: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = file_store.FileKeyStore(
        tmp_path / "keys", passphrase.Passphrase("a passphrase for tests"), kdf_rounds=1000
    )
    seals = make(certificate, lambda: files)
    assert "key-not-found" in refused(seals, caplog)
    files.generate("seal-key", algorithms.KeyKind.P256)
    # The certificate names another key: nothing is ever signed with this one.
    assert "seal-key-mismatch" in refused(seals, caplog)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_certificate_that_cannot_be_read_makes_the_seal_unavailable(
    certificate: pathlib.Path,
    keys: hierarchy_support.MemoryKeyStore,
    organisation: hierarchy_support.Holder,
    content: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    keys.put("seal-key", organisation.handle)
    seals = make(certificate, lambda: keys)
    if content is None:
        certificate.unlink()
    else:
        certificate.write_bytes(content)
    assert "expected a certificate in PEM" in refused(seals, caplog)
    certificate.write_bytes(organisation.pem)
    assert seals.choose("ministry", PORTAL).certificate == organisation.certificate


def test_renewed_certificate_is_used_without_a_restart(
    at: datetime.datetime,
    certificate: pathlib.Path,
    keys: hierarchy_support.MemoryKeyStore,
) -> None:
    authorities = hierarchy_support.make_hierarchy(at)
    old, new = authorities.signer("OLD"), authorities.signer("NEW")
    keys.put("seal-key", old.handle)
    certificate.write_bytes(old.pem)
    seals = make(certificate, lambda: keys)
    assert seals.choose("ministry", PORTAL).certificate == old.certificate
    keys.put("seal-key", new.handle)
    certificate.write_bytes(new.pem)
    assert seals.choose("ministry", PORTAL).certificate == new.certificate


def test_key_that_fails_while_it_signs_makes_the_seal_unavailable(
    tmp_path: pathlib.Path, at: datetime.datetime
) -> None:
    files = file_store.FileKeyStore(
        tmp_path / "keys", passphrase.Passphrase("a passphrase for tests"), kdf_rounds=1000
    )
    key = files.generate("seal-key", algorithms.KeyKind.P256)
    certificate = hierarchy_support.make_hierarchy(at).signer().certificate
    seal = sealing.Seal("ministry", certificate, key)
    files.close()
    with pytest.raises(sealing.SealUnavailableError):
        seal.sign(REPRESENTATION)
