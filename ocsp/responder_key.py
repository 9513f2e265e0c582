"""The delegated responder: the certificate and key that answer for one issuing CA."""

import dataclasses
import datetime
import functools

from cryptography import x509

from ocsp import cert_id, delegation
from pki import errors
from pki.keystore import store


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
            raise delegation.ResponderCertificateError(f"the issuer {self.name!r} has no responder")
        for key in self.keys:
            delegation.check_delegation(key.certificate, self.certificate)
            if key.handle.public_key != key.certificate.public_key():
                raise delegation.ResponderCertificateError(
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
