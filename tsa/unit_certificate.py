"""What a time-stamping unit's certificate must be (RFC 3161 2.3, EN 319 421 7.6.3)."""

from cryptography import x509

from pki import certificates, errors, oids


class UnitCertificateError(errors.InputError):
    """A certificate that is not fit for time-stamping alone."""

    code = "time-stamping-unit-certificate"


def check_purpose(certificate: x509.Certificate) -> None:
    """Check that a certificate is for time-stamping and nothing else.

    Raises:
        UnitCertificateError: The extended key usage is missing, not critical or names anything
            besides timeStamping; or the key usage allows more than signatures.
        CertificateError: The certificate cannot be read.
    """
    facts = certificates.read(certificate)
    if facts.extended_key_usage != (oids.TIME_STAMPING,):
        raise UnitCertificateError(
            "expected a certificate whose one extended key usage is timeStamping"
        )
    extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not extension.critical:
        # RFC 3161 2.3: this extension MUST be critical.
        raise UnitCertificateError("the extended key usage timeStamping is not critical")
    allowed = {certificates.KeyUsage.digitalSignature, certificates.KeyUsage.nonRepudiation}
    if not facts.key_usage or facts.key_usage - allowed or facts.is_authority:
        raise UnitCertificateError("expected a key usage of digitalSignature or nonRepudiation")
