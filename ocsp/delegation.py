"""What lets a responder answer for an issuing CA: both sides of the protocol check it alike."""

from cryptography import x509

from pki import certificates, errors, oids


class ResponderCertificateError(errors.StateError):
    """A responder's certificate does not let it answer for its issuer."""

    code = "ocsp-responder-certificate"


def check_delegation(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check that `issuer` lets the owner of `certificate` answer for it (RFC 6960 4.2.2.2).

    Raises:
        ResponderCertificateError: Issued by another, not for OCSP signing, or without ocsp-nocheck.
        CertificateError: The certificate cannot be read.
    """
    check_purpose(certificate, issuer)
    if not needs_no_check(certificate):
        # RFC 6960 4.2.2.2.1: without it the responder's own status had to be asked elsewhere.
        raise ResponderCertificateError("the responder's certificate has no ocsp-nocheck extension")


def check_purpose(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check who issued a responder's certificate, and for what; not whether it is revoked.

    Raises:
        ResponderCertificateError, CertificateError: As `check_delegation`.
    """
    try:
        certificates.check_issued_by(certificate, issuer)
    except certificates.CertificateSignatureError as error:
        raise ResponderCertificateError(
            f"the responder is not certified by the very issuer it answers for: {error}"
        ) from error
    facts = certificates.read(certificate)
    if oids.OCSP_SIGNING not in facts.extended_key_usage:
        raise ResponderCertificateError("the responder's certificate is not for OCSP signing")
    if certificates.KeyUsage.digitalSignature not in facts.key_usage or facts.is_authority:
        raise ResponderCertificateError(
            "the responder's certificate must be a leaf whose key usage is digitalSignature"
        )


def needs_no_check(certificate: x509.Certificate) -> bool:
    """Whether the issuer says that the responder is trusted for its certificate's whole life."""
    try:
        certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    except x509.ExtensionNotFound:
        return False
    return True
