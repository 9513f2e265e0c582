"""Strangers' certificates, read as leniently as is safe, and who issued them."""

from cryptography import exceptions, x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pki import certificates
from signing_service.validation.cms import foreign_keys

FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    exceptions.UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for certificates, lists and responses that it cannot read."""


def read_certificate(der: bytes) -> x509.Certificate:
    """Read a stranger's certificate; its extensions and its key may be odd.

    Raises:
        CertificateError: Not a certificate.
    """
    if len(der) > certificates.MAX_CERTIFICATE_BYTES:
        raise certificates.CertificateError("expected a certificate, got something far larger")
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.subject.rfc4514_string()
        certificate.issuer.rfc4514_string()
    except FAULTS as error:
        raise certificates.CertificateError(
            f"expected a certificate, got something else ({type(error).__name__})"
        ) from error
    return certificate


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether names and signature say that one certificate issued another."""
    try:
        if foreign_keys.oddity(issuer) is None:
            certificate.verify_directly_issued_by(issuer)
            return True
        # The library cannot read the key, which here is RSA, written in a way of its own.
        key = foreign_keys.of_certificate(issuer)
        scheme = certificate.signature_algorithm_parameters
        hasher = certificate.signature_hash_algorithm
        if (
            certificate.issuer != issuer.subject
            or hasher is None
            or not isinstance(key, rsa.RSAPublicKey)
            or not isinstance(scheme, padding.PKCS1v15 | padding.PSS)
        ):
            return False
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, scheme, hasher)
    except (*FAULTS, exceptions.InvalidSignature):
        return False
    return True
