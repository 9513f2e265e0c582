"""A seal whose key is in SoftHSM 2: it signs, is away, and comes back without a restart."""

import datetime
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pki import access, algorithms, certificate_requests, signature
from pki.keystore import passphrase, pkcs11_store
from signing_service import sealing, settings
from tests.support import hierarchy, softhsm

pytestmark = pytest.mark.peer

TOKEN = "TEST seals"
PORTAL = access.Caller("portal", frozenset({"seal"}))
REPRESENTATION = signature.represent(b"a contract", algorithms.HashAlgorithm.SHA256)


@pytest.fixture
def module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    path = softhsm.module_path()
    softhsm.make_folder(tmp_path / "softhsm", monkeypatch)
    softhsm.make_token(TOKEN)
    softhsm.start_afresh(path)
    return path


@pytest.fixture
def seals(
    module: pathlib.Path, tmp_path: pathlib.Path, at: datetime.datetime
) -> Iterator[sealing.Seals]:
    opened: list[pkcs11_store.Pkcs11KeyStore] = []

    def open_keys() -> pkcs11_store.Pkcs11KeyStore:
        opened.append(
            pkcs11_store.Pkcs11KeyStore(module, TOKEN, passphrase.Passphrase(softhsm.PIN))
        )
        return opened[-1]

    maker = open_keys()
    key = maker.generate("seal-ministry", algorithms.KeyKind.P256)
    path = tmp_path / "seal.pem"
    path.write_bytes(_certify(certificate_requests.build(key), at))
    yield sealing.Seals(
        [settings.SealSettings("ministry", path, "seal-ministry", ("portal",))], open_keys
    )
    for one in opened:
        one.close()


# python-pkcs11 cannot end a search whose session is gone, and says so on standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_seal_of_a_module_that_is_gone_is_unavailable_and_signs_again_when_it_is_back(
    seals: sealing.Seals, module: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def sign() -> None:
        seal = seals.choose("ministry", PORTAL)
        value = seal.sign(REPRESENTATION)
        signature.check_value(seal.certificate.public_key(), REPRESENTATION, value)

    sign()
    tokens, away = tmp_path / "softhsm" / "tokens", tmp_path / "away"
    shutil.move(tokens, away)
    tokens.mkdir()
    softhsm.start_afresh(module)
    for _ in range(2):
        with pytest.raises(sealing.SealUnavailableError) as caught:
            sign()
        assert caught.value.retriable
        assert TOKEN not in caught.value.message
    tokens.rmdir()
    shutil.move(away, tokens)
    softhsm.start_afresh(module)
    sign()


def _certify(csr_der: bytes, at: datetime.datetime) -> bytes:
    """A certificate of a TEST authority for the key of a request."""
    issuer = hierarchy.make_hierarchy(at).issuing
    public_key = x509.load_der_x509_csr(csr_der).public_key()
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - day)
        .not_valid_after(at + day)
        .sign(issuer.key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
