"""The delegated responder: the certificate and key that answer for one issuing CA."""

import dataclasses
import datetime
import functools

from cryptography import x509

from ocsp import cert_id
from pki import certificates, errors, oids
from pki.keystore import store


class ResponderCertificateError(errors.StateError):
    """A responder's certificate does not let it answer for its issuer."""

    code = "ocsp-responder-certificate"


class NoResponderKeyError(errors.StateError):
    """No responder's certificate of the issuer is valid now."""

    code = "ocsp-no-valid-responder"


@dataclasses.dataclass(frozen=True)
class ResponderKey:
    """A responder's certificate and the key that belongs to it."""

    certificate: x509.Certificate
    handle: store.KeyHandle

    def is_valid_at(self, at: datetime.datetime) -> bool:
        """Whether the certificate's period holds `at`."""
        return self.certificate.not_valid_before_utc <= at <= self.certificate.not_valid_after_utc


@dataclasses.dataclass(frozen=True)
class StatusIssuer:
    """An issuing CA and the keys that may answer for it, several while they rotate.

    Attributes:
        name: What the registry calls the issuer.
        certificate: The issuer's.
        keys: At least one; each certified by the issuer itself (RFC 6960 4.2.2.2).
    """

    name: str
    certificate: x509.Certificate
    keys: tuple[ResponderKey, ...]

    def __post_init__(self) -> None:
        """Refuse a key that relying parties would refuse.

        Raises:
            ResponderCertificateError: No key, another issuer, another key than the
                certificate's, or not made for status responses.
        """
        if not self.keys:
            raise ResponderCertificateError(f"the issuer {self.name!r} has no responder")
        for key in self.keys:
            check_delegation(key.certificate, self.certificate)
            if key.handle.public_key != key.certificate.public_key():
                raise ResponderCertificateError(
                    f"the key {key.handle.label!r} is not that of the responder's certificate"
                )

    @functools.cached_property
    def identities(self) -> frozenset[cert_id.IssuerID]:
        """The issuer as requests may name it."""
        return frozenset(cert_id.issuer_id(self.certificate, one) for one in cert_id.CertIDHash)

    def key_at(self, at: datetime.datetime) -> ResponderKey:
        """Return the newest key whose certificate is valid.

        Raises:
            NoResponderKeyError: None is: answering would mislead whoever does not check.
        """
        valid = [key for key in self.keys if key.is_valid_at(at)]
        if not valid:
            raise NoResponderKeyError(
                f"no responder's certificate of the issuer {self.name!r} is valid now:"
                " certify a new one"
            )
        return max(valid, key=lambda key: key.certificate.not_valid_before_utc)


def check_delegation(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Check that `issuer` lets the owner of `certificate` answer for it (RFC 6960 4.2.2.2).

    Raises:
        ResponderCertificateError: Issued by another, or not for OCSP signing.
        CertificateError: The certificate cannot be read.
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
    try:
        certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    except x509.ExtensionNotFound as error:
        # RFC 6960 4.2.2.2.1: without it the responder's own status had to be asked elsewhere.
        raise ResponderCertificateError(
            "the responder's certificate has no ocsp-nocheck extension"
        ) from error
