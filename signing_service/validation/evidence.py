"""Certificates and revocation data at hand, and what they say about one certificate's status."""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from cryptography import exceptions, x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp as x509_ocsp

from pki import certificates, errors
from signing_service import crl_scope
from signing_service.validation.certificates import response_signatures
from signing_service.validation.cms import foreign_keys

MAX_ITEMS = 500
"""Certificates, responses or CRLs taken from one document; real ones have a few dozen."""

ARCHIVE_CUTOFF = x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")
"""RFC 6960 4.4.4: the responder keeps the status of expired certificates."""
EXPIRED_ON_CRL = x509.ObjectIdentifier("2.5.29.60")
"""X.509 9.5.2.8: the CRL keeps expired certificates."""

DOCUMENT, FETCHED = "document", "fetched"
"""Where evidence is from."""

Item = TypeVar("Item")

ALLOWED_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"})
"""In signatures of list issuers, as `cryptography` names them (TS 119 312)."""
MIN_RSA_BITS, MIN_ECDSA_BITS = 2048, 256
"""Of the keys of responders: an old one that was broken since would answer for today."""
PRODUCED_TOLERANCE = datetime.timedelta(minutes=5)
"""How far the clock that dates a statement may be ahead of the one that dates the response."""
HOLD = "certificateHold"
_PLANNED = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})
"""Reasons that leave a key uncompromised, so that what it signed before stays good."""

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


@dataclasses.dataclass(frozen=True)
class MissingStatus:
    """A certificate whose status would be needed; both in DER, so that it can cross processes."""

    certificate_der: bytes
    issuer_der: bytes


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
        source_sha256: Of the response or the list, in hex.
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


class Evidence:
    """Certificates, OCSP responses and CRLs from a document and from elsewhere."""

    def __init__(
        self,
        *,
        certificates_der: Iterable[bytes] = (),
        ocsp_responses: Iterable[bytes] = (),
        crls: Iterable[bytes] = (),
    ) -> None:
        """Read what can be read; what cannot proves nothing and is left out."""
        self.certificates: dict[bytes, x509.Certificate] = {}
        self._responses: dict[bytes, x509_ocsp.OCSPResponse] = {}
        self._crls: dict[bytes, x509.CertificateRevocationList] = {}
        self._origins: dict[bytes, set[str]] = {}
        self._statuses: dict[tuple[x509.Certificate, x509.Certificate], tuple[Status, ...]] = {}
        self.add(certificates_der=certificates_der, ocsp_responses=ocsp_responses, crls=crls)

    def add(
        self,
        *,
        certificates_der: Iterable[bytes] = (),
        ocsp_responses: Iterable[bytes] = (),
        crls: Iterable[bytes] = (),
    ) -> None:
        """Take more of what the document carries; refuses more than `MAX_ITEMS` of a kind."""
        self._add(DOCUMENT, certificates_der, ocsp_responses, crls)

    def add_fetched(
        self,
        *,
        certificates_der: Iterable[bytes] = (),
        ocsp_responses: Iterable[bytes] = (),
        crls: Iterable[bytes] = (),
    ) -> None:
        """Take what was fetched for the document; refuses as `add`."""
        self._add(FETCHED, certificates_der, ocsp_responses, crls)

    def _add(
        self,
        origin: str,
        certificates_der: Iterable[bytes],
        ocsp_responses: Iterable[bytes],
        crls: Iterable[bytes],
    ) -> None:
        self._statuses.clear()
        for der in certificates_der:
            _take(self.certificates, der, read_certificate)
            self._note(der, origin)
        for der in ocsp_responses:
            _take(self._responses, der, _read_response)
            self._note(der, origin)
            response = self._responses.get(der)
            if response is not None:
                for certificate in _sent_along(response):
                    sent_der = certificates.to_der(certificate)
                    self.certificates.setdefault(sent_der, certificate)
                    self._note(sent_der, origin)
        for der in crls:
            _take(self._crls, der, _read_crl)
            self._note(der, origin)

    def _note(self, der: bytes, origin: str) -> None:
        self._origins.setdefault(der, set()).add(origin)

    def origins_of(self, der: bytes) -> frozenset[str]:
        """Where a certificate, response or list is from: `DOCUMENT`, `FETCHED`."""
        return frozenset(self._origins.get(der, ()))

    @property
    def ocsp_responses(self) -> Mapping[bytes, x509_ocsp.OCSPResponse]:
        """The responses that can be read, by their DER."""
        return self._responses

    @property
    def crls(self) -> Mapping[bytes, x509.CertificateRevocationList]:
        """The complete lists that can be read, by their DER."""
        return self._crls

    def add_all(self, other: "Evidence") -> None:
        """Take everything that another one has."""
        self.add(
            certificates_der=other.certificates,
            ocsp_responses=other._responses,
            crls=other._crls,
        )

    @property
    def has_revocation_data(self) -> bool:
        """Whether there is any OCSP response or CRL."""
        return bool(self._responses or self._crls)

    def mentions(self, certificate: x509.Certificate) -> bool:
        """Whether there is an OCSP response about it, or a CRL of its issuer's name."""
        return any(
            _names_issuer(single, certificate)
            for response in self._responses.values()
            for single in _singles(response)
            if single.serial_number == certificate.serial_number
        ) or any(crl.issuer == certificate.issuer for crl in self._crls.values())

    def nonces(self) -> list[bytes]:
        """What the responses answer to (RFC 9654)."""
        found = []
        for response in self._responses.values():
            try:
                found += [
                    one.value.nonce
                    for one in response.extensions
                    if isinstance(one.value, x509.OCSPNonce)
                ]
            except FAULTS:
                # A response with extensions that cannot be read answers to nobody.
                continue
        return found

    def issuers_of(
        self, certificate: x509.Certificate, more: Iterable[x509.Certificate]
    ) -> list[x509.Certificate]:
        """Certificates whose name and key made a certificate, those of `more` first."""
        candidates = [*more, *self.certificates.values()]
        return [
            one
            for one in dict.fromkeys(candidates)
            if one.subject == certificate.issuer and is_issued_by(certificate, one)
        ]

    def statuses(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[Status, ...]:
        """Everything genuine that is said about a certificate; found out once for each."""
        known = self._statuses.get((certificate, issuer))
        if known is None:
            known = self._statuses[certificate, issuer] = self._find_statuses(certificate, issuer)
        return known

    def _find_statuses(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[Status, ...]:
        found: list[Status] = []
        for der, response in self._responses.items():
            singles = _singles_about(response, certificate, issuer)
            if singles and self._is_genuine(response, issuer):
                extensions = _extensions_of(response)
                found += [
                    dataclasses.replace(
                        status,
                        source="OCSP",
                        source_sha256=hashlib.sha256(der).hexdigest(),
                        produced_at=response.produced_at_utc,
                    )
                    for single in singles
                    if (status := _status_of_single(single, extensions)) is not None
                    # RFC 6960 2.4: nobody signs at one time what was correct at a later one.
                    and status.this_update <= response.produced_at_utc + PRODUCED_TOLERANCE
                ]
        for der, crl in self._crls.items():
            found += [
                dataclasses.replace(
                    status, source="CRL", source_sha256=hashlib.sha256(der).hexdigest()
                )
                for status in _status_by_crl(crl, certificate, issuer)
            ]
        return tuple(found)

    def _is_genuine(self, response: x509_ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
        """Whether the issuer, or a responder that it certified for this, signed the response."""
        if response_signatures.verifies(issuer, response):
            return True
        # RFC 6960 4.2.2.2: certified for this by the very issuer it answers for, and by no other.
        return any(
            responder.issuer == issuer.subject
            and _may_answer(responder)
            and responder.not_valid_before_utc
            <= response.produced_at_utc
            <= responder.not_valid_after_utc
            and is_issued_by(responder, issuer)
            and _has_strong_key(responder)
            and response_signatures.verifies(responder, response)
            and not self._is_revoked(responder, issuer, response.produced_at_utc)
            for responder in dict.fromkeys((*_sent_along(response), *self.certificates.values()))
        )

    def _is_revoked(
        self, responder: x509.Certificate, issuer: x509.Certificate, at: datetime.datetime
    ) -> bool:
        """Whether the issuer's own list revokes a responder, so that its word counts no more.

        With a compromised key `producedAt` is whatever the thief writes. A responder with
        ocsp-nocheck need not be asked about (RFC 6960 4.2.2.2.1), yet what is known is used.
        """
        return any(
            status.revoked_at is not None and (status.revoked_at <= at or not status.is_planned)
            for crl in self._crls.values()
            for status in _status_by_crl(crl, responder, issuer)
        )


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


def _take(items: dict[bytes, Item], der: bytes, read: Callable[[bytes], Item]) -> None:
    if len(items) >= MAX_ITEMS:
        raise errors.LimitError(f"expected at most {MAX_ITEMS} pieces of validation data of a kind")
    try:
        items[der] = read(der)
    except (*FAULTS, errors.InputError):
        # Not readable means not used: a status that is then missing is reported as missing.
        return


def _read_response(der: bytes) -> x509_ocsp.OCSPResponse:
    response = x509_ocsp.load_der_ocsp_response(der)
    if response.response_status is not x509_ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError("expected a successful OCSP response")
    return response


def _singles(response: x509_ocsp.OCSPResponse) -> list[x509_ocsp.OCSPSingleResponse]:
    try:
        return list(response.responses)
    except FAULTS:
        return []


def _names_issuer(single: x509_ocsp.OCSPSingleResponse, certificate: x509.Certificate) -> bool:
    """Whether an answer is about a certificate of this one's issuer, by the hash of its name."""
    try:
        name = certificate.issuer.public_bytes()
        hashed = hashlib.new(single.hash_algorithm.name, name, usedforsecurity=False).digest()
        return single.issuer_name_hash == hashed
    except FAULTS:
        return False


def _read_crl(der: bytes) -> x509.CertificateRevocationList:
    crl = x509.load_der_x509_crl(der)
    # Some parts are read only when they are asked for, and may be malformed then.
    crl.issuer.public_bytes()
    if not crl_scope.is_complete_list(crl):
        raise ValueError("expected a complete CRL")
    return crl


def _sent_along(response: x509_ocsp.OCSPResponse) -> list[x509.Certificate]:
    """The certificates in a response, where they and their keys can be read."""
    try:
        return [
            read_certificate(certificates.to_der(one)) for one in response.certificates[:MAX_ITEMS]
        ]
    except (*FAULTS, errors.InputError):
        return []


def _singles_about(
    response: x509_ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> list[x509_ocsp.OCSPSingleResponse]:
    """What a response says about one certificate of one issuer."""
    try:
        return [
            one
            for one in response.responses
            if one.serial_number == certificate.serial_number and _is_about(one, issuer)
        ]
    except FAULTS:
        return []


def _extensions_of(
    response: x509_ocsp.OCSPResponse,
) -> list[x509.Extension[x509.ExtensionType]]:
    """The extensions of the only answer in a response; of several it is not told whose they are."""
    try:
        if len(list(response.responses)) != 1:
            return []
        return [*response.single_extensions, *response.extensions]
    except FAULTS:
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
    except FAULTS:
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


def _may_answer(responder: x509.Certificate) -> bool:
    try:
        usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except FAULTS:
        return False
    return x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _has_strong_key(responder: x509.Certificate) -> bool:
    """TS 119 312 8; the keys of issuers are judged with the path."""
    key = foreign_keys.of_certificate(responder)
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= MIN_ECDSA_BITS


def _status_by_crl(
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
            )
        ]
    except FAULTS:
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
