"""The delegated responder: the certificate and key that answer for one issuing CA."""

import dataclasses
import datetime
import functools
from collections.abc import Callable

from cryptography import x509

from ocsp import cert_id, delegation, response_template
from pki import algorithms
from pki.keystore import store


@dataclasses.dataclass(frozen=True, eq=False)
class ResponderKey:
    """A responder's certificate and the key that belongs to it; equal to itself alone."""

    certificate: x509.Certificate
    handle: store.KeyHandle

    def is_valid_at(self, at: datetime.datetime) -> bool:
        """Whether the certificate's period holds `at`."""
        begins, ends = self.period
        return begins <= at <= ends

    @functools.cached_property
    def period(self) -> tuple[datetime.datetime, datetime.datetime]:
        """The certificate's notBefore and notAfter."""
        return self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc

    @functools.cached_property
    def kind(self) -> algorithms.KeyKind:
        """The key's kind."""
        return algorithms.key_kind(self.handle.public_key)

    @functools.cached_property
    def sign(self) -> Callable[[bytes], bytes]:
        """Hashes and signs data; the value is as X.509 carries it. Raises `DeviceError`."""
        return store.encoded_signer(self.handle, self.kind.hash_algorithm)

    @property
    def signs_at_once(self) -> bool:
        """Whether the key is in memory; a module may take long, or hang."""
        return isinstance(self.handle, store.DirectKeyHandle)


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

    @functools.cached_property
    def newest_first(self) -> tuple[ResponderKey, ...]:
        """The keys in the order in which they are to be used; of two alike the one listed last."""
        return tuple(sorted(reversed(self.keys), key=lambda key: key.period, reverse=True))

    @functools.cached_property
    def templates(self) -> dict[ResponderKey, response_template.ResponseTemplate]:
        """What each key's answers are made from."""
        # EN 319 411-2: status is kept since the CA began, beyond expiry.
        cutoff = self.certificate.not_valid_before_utc
        return {
            key: response_template.ResponseTemplate(key.certificate, key.kind, cutoff)
            for key in self.keys
        }
