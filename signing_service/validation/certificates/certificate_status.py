"""What one OCSP response or one CRL says about a certificate (RFC 6960 4.2, RFC 5280 5, 6.3)."""

import dataclasses
import datetime
import hashlib
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp

from signing_service import crl_scope
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import foreign_keys

ARCHIVE_CUTOFF = x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")
"""RFC 6960 4.4.4: the responder keeps the status of expired certificates."""
EXPIRED_ON_CRL = x509.ObjectIdentifier("2.5.29.60")
"""X.509 9.5.2.8: the CRL keeps expired certificates."""
ALLOWED_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
"""In signatures of list issuers, as `cryptography` names them (TS 119 312)."""
PRODUCED_TOLERANCE = datetime.timedelta(minutes=5)
"""How far the clock that dates a statement may be ahead of the one that dates the response."""
HOLD = "certificateHold"
_PLANNED = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})
"""Reasons that leave a key uncompromised, so that what it signed before stays good."""


@dataclasses.dataclass(frozen=True)
class Status:
    """What one genuine OCSP response or CRL says about one certificate.

    Attributes:
        this_update: The time of the statement.
        next_update: When newer information will be there at the latest.
        revoked_at: None for a certificate that is good.
        reason: RFC 5280's name of the reason.
        covers_expired: The source keeps stating the status after a certificate expired.
        invalid_since: From when on the certificate was doubtful (RFC 5280 5.3.2), or None.
        source: `OCSP` or `CRL`.
        source_sha256: Of the response or the list, in hex; the holder of all evidence knows it.
        produced_at: When the response was signed; None of a list.
    """

    this_update: datetime.datetime
    next_update: datetime.datetime | None
    revoked_at: datetime.datetime | None
    reason: str | None
    covers_expired: bool
    invalid_since: datetime.datetime | None = None
    source: str = ""
    source_sha256: str = ""
    produced_at: datetime.datetime | None = None

    @property
    def is_planned(self) -> bool:
        """Revoked for a reason that says that the key was not compromised."""
        return self.reason in _PLANNED

    def is_in_force(self, at: datetime.datetime) -> bool:
        """Whether this statement is made at or after a time, or still holds then."""
        return self.this_update >= at or (self.next_update is not None and at <= self.next_update)


def answers(response: x509_ocsp.OCSPResponse) -> list[x509_ocsp.OCSPSingleResponse]:
    """Give the answers in a response; none where they cannot be read."""
    try:
        return list(response.responses)
    except foreign_certificates.FAULTS:
        return []


def names_issuer(single: x509_ocsp.OCSPSingleResponse, certificate: x509.Certificate) -> bool:
    """Whether an answer is about a certificate of this one's issuer, by the hash of its name."""
    try:
        name = certificate.issuer.public_bytes()
        hashed = hashlib.new(single.hash_algorithm.name, name, usedforsecurity=False).digest()
        return single.issuer_name_hash == hashed
    except foreign_certificates.FAULTS:
        return False


def answers_about(
    response: x509_ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> list[x509_ocsp.OCSPSingleResponse]:
    """What a response says about one certificate of one issuer."""
    try:
        return [
            one
            for one in response.responses
            if one.serial_number == certificate.serial_number and _is_about(one, issuer)
        ]
    except foreign_certificates.FAULTS:
        return []


def _extensions_of(
    response: x509_ocsp.OCSPResponse,
) -> list[x509.Extension[x509.ExtensionType]]:
    """The extensions of the only answer in a response; of several it is not told whose they are."""
    try:
        if len(list(response.responses)) != 1:
            return []
        return [*response.single_extensions, *response.extensions]
    except foreign_certificates.FAULTS:
        return []


def _status_of_single(
    single: x509_ocsp.OCSPSingleResponse,
    extensions: Iterable[x509.Extension[x509.ExtensionType]],
) -> Status | None:
    try:
        if single.certificate_status is x509_ocsp.OCSPCertStatus.UNKNOWN:
            return None
        reason = single.revocation_reason
        return Status(
            this_update=single.this_update_utc,
            next_update=single.next_update_utc,
            revoked_at=single.revocation_time_utc,
            reason=None if reason is None else reason.value,
            covers_expired=any(one.oid == ARCHIVE_CUTOFF for one in extensions),
            invalid_since=_invalidity_date(extensions),
        )
    except foreign_certificates.FAULTS:
        return None


def _is_about(single: x509_ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    """Whether a CertID names the issuer, by the hashes of its name and of its key bits."""
    name = single.hash_algorithm.name
    key_hash = hashlib.new(name, foreign_keys.key_bits(issuer), usedforsecurity=False).digest()
    subject = issuer.subject.public_bytes()
    return bool(
        single.issuer_key_hash == key_hash
        and single.issuer_name_hash == hashlib.new(name, subject, usedforsecurity=False).digest()
    )


def of_response(
    response: x509_ocsp.OCSPResponse, about: Sequence[x509_ocsp.OCSPSingleResponse]
) -> list[Status]:
    """What a response says in some of its answers, whoever signed it."""
    extensions = _extensions_of(response)
    return [
        dataclasses.replace(status, source="OCSP", produced_at=response.produced_at_utc)
        for single in about
        if (status := _status_of_single(single, extensions)) is not None
        # RFC 6960 2.4: nobody signs at one time what was correct at a later one.
        and status.this_update <= response.produced_at_utc + PRODUCED_TOLERANCE
    ]


def of_list(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate
) -> list[Status]:
    """What a complete CRL of the issuer says (RFC 5280 6.3.3)."""
    try:
        hasher = crl.signature_hash_algorithm
        if (
            crl.issuer != issuer.subject
            or hasher is None
            or hasher.name not in ALLOWED_HASHES
            or not _may_sign_lists(issuer)
            or not crl_scope.speaks_of(crl, certificate)
            or not crl.is_signature_valid(foreign_keys.of_certificate(issuer))  # type: ignore[arg-type]
        ):
            return []
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        reason = None
        extensions = [] if entry is None else list(entry.extensions)
        for one in extensions:
            if isinstance(one.value, x509.CRLReason):
                reason = one.value.reason.value
        return [
            Status(
                this_update=crl.last_update_utc,
                next_update=crl.next_update_utc,
                revoked_at=None if entry is None else entry.revocation_date_utc,
                reason=reason,
                covers_expired=any(one.oid == EXPIRED_ON_CRL for one in crl.extensions),
                invalid_since=_invalidity_date(extensions),
                source="CRL",
            )
        ]
    except foreign_certificates.FAULTS:
        return []


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    """RFC 5280 6.3.3 (f): a key usage, where there is one, has to allow it."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _invalidity_date(
    extensions: Iterable[x509.Extension[x509.ExtensionType]],
) -> datetime.datetime | None:
    for one in extensions:
        if isinstance(one.value, x509.InvalidityDate):
            return one.value.invalidity_date_utc
    return None
