"""Certificates and revocation data at hand, and what they say about one certificate's status."""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp

from pki import certificates, errors
from signing_service import crl_scope
from signing_service.validation.certificates import (
    certificate_status,
    foreign_certificates,
    response_signatures,
)

MAX_ITEMS = 500
"""Certificates, responses or CRLs taken from one document; real ones have a few dozen."""

DOCUMENT, FETCHED = "document", "fetched"
"""Where evidence is from."""

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class MissingStatus:
    """A certificate whose status would be needed; both in DER, so that it can cross processes.

    Attributes:
        is_doubted: A statement is at hand, and its authority may know a newer one.
    """

    certificate_der: bytes
    issuer_der: bytes
    is_doubted: bool = False


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
        self._statuses: dict[
            tuple[x509.Certificate, x509.Certificate], tuple[certificate_status.Status, ...]
        ] = {}
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
            _take(self.certificates, der, foreign_certificates.read_certificate)
            self._note(der, origin)
        for der in ocsp_responses:
            _take(self._responses, der, _read_response)
            self._note(der, origin)
            response = self._responses.get(der)
            if response is not None:
                for certificate in response_signatures.sent_along(response):
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
            certificate_status.names_issuer(single, certificate)
            for response in self._responses.values()
            for single in certificate_status.answers(response)
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
            except foreign_certificates.FAULTS:
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
            if one.subject == certificate.issuer
            and foreign_certificates.is_issued_by(certificate, one)
        ]

    def statuses(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[certificate_status.Status, ...]:
        """Everything genuine that is said about a certificate; found out once for each."""
        known = self._statuses.get((certificate, issuer))
        if known is None:
            known = self._statuses[certificate, issuer] = self._find_statuses(certificate, issuer)
        return known

    def _find_statuses(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[certificate_status.Status, ...]:
        found: list[certificate_status.Status] = []
        for der, response in self._responses.items():
            answers = certificate_status.answers_about(response, certificate, issuer)
            if answers and self._is_genuine(response, issuer):
                found += _from(der, certificate_status.of_response(response, answers))
        for der, crl in self._crls.items():
            found += _from(der, certificate_status.of_list(crl, certificate, issuer))
        return tuple(found)

    def _is_genuine(self, response: x509_ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
        """Whether the issuer, or a responder that it certified for this, signed the response."""
        if response_signatures.verifies(issuer, response):
            return True
        known = (*response_signatures.sent_along(response), *self.certificates.values())
        return any(
            response_signatures.is_responder(one, issuer, response)
            and not self._is_revoked(one, issuer, response.produced_at_utc)
            for one in dict.fromkeys(known)
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
            for status in certificate_status.of_list(crl, responder, issuer)
        )


def _from(
    der: bytes, found: Iterable[certificate_status.Status]
) -> list[certificate_status.Status]:
    """What a response or a list says, with the digest of it."""
    digest = hashlib.sha256(der).hexdigest()
    return [dataclasses.replace(one, source_sha256=digest) for one in found]


def _take(items: dict[bytes, Item], der: bytes, read: Callable[[bytes], Item]) -> None:
    if len(items) >= MAX_ITEMS:
        raise errors.LimitError(f"expected at most {MAX_ITEMS} pieces of validation data of a kind")
    try:
        items[der] = read(der)
    except (*foreign_certificates.FAULTS, errors.InputError):
        # Not readable means not used: a status that is then missing is reported as missing.
        return


def _read_response(der: bytes) -> x509_ocsp.OCSPResponse:
    response = x509_ocsp.load_der_ocsp_response(der)
    if response.response_status is not x509_ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError("expected a successful OCSP response")
    return response


def _read_crl(der: bytes) -> x509.CertificateRevocationList:
    crl = x509.load_der_x509_crl(der)
    # Some parts are read only when they are asked for, and may be malformed then.
    crl.issuer.public_bytes()
    if not crl_scope.is_complete_list(crl):
        raise ValueError("expected a complete CRL")
    return crl
