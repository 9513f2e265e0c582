"""An organisation's seal whose key is in SoftHSM 2, certified by the authority of a test."""

import contextlib
import pathlib
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from pki import access, algorithms, certificate_requests
from pki.keystore import passphrase, pkcs11_store
from signing_service import settings
from signing_service.signing import sealing
from tests.support import hierarchy, softhsm

TOKEN = "TEST seals"
NAME = "ministry"
PORTAL = access.Caller("portal", frozenset({"seal"}))


@contextlib.contextmanager
def in_module(
    module: pathlib.Path, folder: pathlib.Path, authorities: hierarchy.Hierarchy
) -> Iterator[sealing.Seals]:
    """Make a key in the token and its certificate; the seals open the token themselves."""
    opened: list[pkcs11_store.Pkcs11KeyStore] = []

    def open_keys() -> pkcs11_store.Pkcs11KeyStore:
        pin = passphrase.Passphrase(softhsm.PIN)
        opened.append(pkcs11_store.Pkcs11KeyStore(module, TOKEN, pin))
        return opened[-1]

    key = open_keys().generate("seal-ministry", algorithms.KeyKind.P256)
    path = folder / "seal.pem"
    path.write_bytes(_certify(certificate_requests.build(key), authorities))
    configured = [settings.SealSettings(NAME, path, "seal-ministry", (PORTAL.client_id,))]
    try:
        yield sealing.Seals(configured, open_keys)
    finally:
        for one in opened:
            one.close()


def _certify(csr_der: bytes, authorities: hierarchy.Hierarchy) -> bytes:
    """A certificate as a person's is, for the key of a request and in an organisation's name."""
    model, issuer = authorities.signer().certificate, authorities.issuing
    public_key = x509.load_der_x509_csr(csr_der).public_key()
    name = [
        (NameOID.COUNTRY_NAME, "AZ"),
        (NameOID.ORGANIZATION_NAME, "TEST Nazirlik"),
        (NameOID.ORGANIZATION_IDENTIFIER, "NTRAZ-9900000011"),
        (NameOID.COMMON_NAME, "TEST Nazirlik"),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, text) for oid, text in name]))
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
    )
    for one in model.extensions:
        if not isinstance(one.value, x509.SubjectKeyIdentifier):
            builder = builder.add_extension(one.value, one.critical)
    made = builder.sign(issuer.key, issuer.certificate.signature_hash_algorithm or hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)
