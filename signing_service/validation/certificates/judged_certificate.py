"""A stranger's certificate, of which some parts may not be readable."""

from cryptography import x509

from pki import certificates, errors


def facts(certificate: x509.Certificate) -> certificates.CertificateFacts | None:
    """What it says, or None where a part cannot be read."""
    try:
        return certificates.read(certificate)
    except errors.InputError:
        return None


def name(certificate: x509.Certificate) -> str:
    """What to call its subject."""
    read = facts(certificate)
    return "" if read is None else read.common_name or read.name
