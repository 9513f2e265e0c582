"""Certification paths for what this service makes: from a certificate up to a known root.

The authorities are known in advance, from the settings; nothing is fetched. A signature to be
made deserves a strict rule: one that judges the documents of others is in `validation`.
"""

import dataclasses
import datetime
from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pki import certificates, errors

MAX_PATH = 6
"""Longest path, signing certificate and root included; ours have three."""

_PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)


class UntrustedCertificateError(errors.PolicyError):
    """No path leads from the certificate to a root that is trusted here."""

    code = "certificate-untrusted"


@dataclasses.dataclass(frozen=True)
class Authorities:
    """The roots that are trusted, and the authorities below them that are known."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()

    def path(
        self,
        certificate: x509.Certificate,
        at: datetime.datetime,
        *,
        besides: Iterable[x509.Certificate] = (),
    ) -> tuple[x509.Certificate, ...]:
        """Return the certification path: the certificate first, a trusted root last.

        Args:
            certificate: Where the path begins; its own purpose is not judged here.
            at: Every certificate of the path must be valid then (RFC 5280 6.1.3).
            besides: More authorities that may stand in the path, such as a token carries.

        Raises:
            UntrustedCertificateError: There is none.
        """
        candidates = (*self.roots, *self.intermediates, *besides)
        found = self._climb((certificate,), candidates, at)
        if found is None:
            raise UntrustedCertificateError(
                "expected a certificate that one of the trusted authorities issued and that is"
                " valid now"
            )
        return found

    def _climb(
        self,
        path: tuple[x509.Certificate, ...],
        candidates: tuple[x509.Certificate, ...],
        at: datetime.datetime,
    ) -> tuple[x509.Certificate, ...] | None:
        last = path[-1]
        if not _is_current(last, at):
            return None
        if last in self.roots:
            return path
        if len(path) == MAX_PATH:
            return None
        for issuer in candidates:
            if issuer not in path and _may_issue(issuer, last, len(path) - 1):
                found = self._climb((*path, issuer), candidates, at)
                if found is not None:
                    return found
        return None


def _is_current(certificate: x509.Certificate, at: datetime.datetime) -> bool:
    return (
        certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
        # RFC 5280 4.2: an unknown critical extension makes a certificate unusable.
        and all(
            extension.oid in _PROCESSED
            for extension in certificate.extensions
            if extension.critical
        )
    )


def _may_issue(issuer: x509.Certificate, certificate: x509.Certificate, below: int) -> bool:
    """Tell whether one certificate issued another, with `below` authorities under it."""
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificates.check_issued_by(certificate, issuer)
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (certificates.CertificateSignatureError, x509.ExtensionNotFound):
        return False
    length = constraints.path_length
    return usage.key_cert_sign and constraints.ca and (length is None or below <= length)
