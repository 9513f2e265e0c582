"""A stranger's certificate, of which some parts may not be readable."""

from cryptography import exceptions, x509

from pki import certificates, errors


def facts(certificate: x509.Certificate) -> certificates.CertificateFacts | None:
    """What it says, or None where a part cannot be read."""
    try:
        return certificates.read(certificate)
    except errors.InputError:
        return None


def public_key(certificate: x509.Certificate) -> object:
    """Its key, or None where it is of a kind that is not known."""
    try:
        return certificate.public_key()
    except (ValueError, exceptions.UnsupportedAlgorithm):
        return None


def name(certificate: x509.Certificate) -> str:
    """What to call its subject."""
    read = facts(certificate)
    return "" if read is None else read.common_name or read.name
