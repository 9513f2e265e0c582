"""One certificate judged by itself: its path, its status, what it is for, whether it is qualified.

The blocks are those that judge a signer's certificate (EN 319 102-1 5.2.6) and TS 119 615; there is
no signature, so nothing is asked of one. Runs in a worker process: the certificate is a stranger's.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from cryptography import x509

from pki import certificates, clock
from signing_service import trust
from signing_service.validation import evidence, policy, process, report
from signing_service.validation.certificates import (
    certificate_report,
    certificate_status,
    certificate_uses,
    foreign_certificates,
    paths,
    qualification,
)
from signing_service.validation.cms import foreign_keys

MAX_INTERMEDIATES = 20
"""Issuers that come with a certificate; a path has three or four."""

_PEM = b"-----BEGIN"


@dataclasses.dataclass(frozen=True)
class CertificateOutcome:
    """A report, and what would have to be fetched to say more."""

    report: certificate_report.CertificateReport
    missing: tuple[evidence.MissingStatus, ...]


def judge(
    certificate: bytes,
    *,
    intermediates: Sequence[bytes],
    trust: trust.TrustAnchors,
    at: datetime.datetime,
    rules: policy.ValidationPolicy = policy.DEFAULT,
    fetched: process.FetchedEvidence | None = None,
) -> CertificateOutcome:
    """Judge a certificate with what is at hand.

    Args:
        certificate: DER or PEM.
        intermediates: More certificates that a path may lead over, in DER or PEM.
        trust: Where paths may end, and the services of the trusted lists.
        at: The time judged.
        rules: Which algorithms may be relied on.
        fetched: Statuses that were missing before.

    Raises:
        CertificateError: The certificate, or one of the intermediates, cannot be read.
    """
    at = clock.require_utc(at)
    judged = read(certificate)
    facts = certificates.read(judged)
    known = evidence.Evidence(
        certificates_der=[certificates.to_der(read(one)) for one in intermediates]
    )
    asked_at = None
    if fetched is not None:
        known.add(
            certificates_der=fetched.certificates,
            ocsp_responses=fetched.ocsp_responses,
            crls=fetched.crls,
        )
        asked_at = fetched.asked_at or at
    verdict = paths.judge(
        judged,
        evidence=known,
        anchors=trust,
        at=at,
        role=paths.Role.SIGNER,
        proven=False,
        asked_at=asked_at,
        rules=rules,
    )
    qualified = qualification.judge_certificate(verdict.path or (judged,), trust.services, at)
    weakness = rules.weakness(foreign_keys.of_certificate(judged), frozenset(), at)
    if verdict.sub_indication is None and weakness is not None:
        verdict = dataclasses.replace(
            verdict,
            sub_indication=report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
            message=weakness,
        )
    shown = certificate_report.CertificateReport(
        certificate=_describe(judged),
        holder=facts.name,
        person_code=facts.person_code,
        organisation=facts.organisation,
        validated_at=at,
        policy=rules.name,
        sub_indication=verdict.sub_indication,
        problem=_problem(verdict, judged, at),
        path=tuple(
            certificate_report.PathMember(
                _describe(one),
                one in trust,
                None
                if one in trust
                else _status(one, known.statuses(one, verdict.path[depth + 1]), at),
            )
            for depth, one in enumerate(verdict.path)
        ),
        uses=certificate_uses.uses(facts),
        key_usage=tuple(sorted(one.name for one in facts.key_usage)),
        extended_key_usage=facts.extended_key_usage,
        policies=facts.policies,
        statements=facts.qualified,
        qualification=qualified,
        revoked_later_at=verdict.later_revoked_at,
    )
    return CertificateOutcome(shown, verdict.missing)


def read(data: bytes) -> x509.Certificate:
    """Read one certificate in DER or PEM (RFC 7468).

    Raises:
        CertificateError: Neither, or several, or a key that is not known here.
    """
    if not data.lstrip().startswith(_PEM):
        return foreign_certificates.read_certificate(data)
    if len(data) > 2 * certificates.MAX_CERTIFICATE_BYTES:
        raise certificates.CertificateError("expected a certificate, got something far larger")
    try:
        found = x509.load_pem_x509_certificates(data)
    except foreign_certificates.FAULTS as error:
        raise certificates.CertificateError(
            f"expected a certificate in PEM, got something else ({type(error).__name__})"
        ) from error
    if len(found) != 1:
        raise certificates.CertificateError(
            f"expected one certificate in PEM, got {len(found)}: the others are intermediates"
        )
    return foreign_certificates.read_certificate(certificates.to_der(found[0]))


def _describe(certificate: x509.Certificate) -> certificate_report.DescribedCertificate:
    return certificate_report.DescribedCertificate(
        subject=certificates.name_text(certificate.subject),
        issuer=certificates.name_text(certificate.issuer),
        serial_number=certificates.serial_text(certificate.serial_number),
        sha256=certificates.sha256(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _status(
    certificate: x509.Certificate,
    statuses: Sequence[certificate_status.Status],
    at: datetime.datetime,
) -> certificate_report.CertificateStatus:
    """The status at a time: a revocation that counts then, else the newest good word, or unknown.

    A source may forget a certificate once it has expired (RFC 6960 4.4.4): its word is then none.
    """
    revoked = paths.revocation(statuses)
    if revoked is not None and revoked.revoked_at is not None and revoked.revoked_at <= at:
        return certificate_report.CertificateStatus(certificate_report.StatusWord.REVOKED, revoked)
    good = [
        one
        for one in statuses
        if one.is_in_force(at)
        and (one.covers_expired or one.this_update <= certificate.not_valid_after_utc)
    ]
    if not good:
        return certificate_report.CertificateStatus(certificate_report.StatusWord.UNKNOWN, None)
    newest = max(good, key=lambda one: one.this_update)
    return certificate_report.CertificateStatus(certificate_report.StatusWord.GOOD, newest)


def _problem(
    verdict: paths.PathVerdict, certificate: x509.Certificate, at: datetime.datetime
) -> report.Finding | None:
    """Why the certificate did not pass, in words that speak of no signature."""
    reason = verdict.sub_indication
    if reason is None:
        return None
    message = verdict.message
    if reason is report.SubIndication.REVOKED_NO_POE:
        message = "the certificate is revoked"
        if verdict.revoked_at is not None:
            message = f"the certificate was revoked at {clock.time_text(verdict.revoked_at)}"
    elif reason is report.SubIndication.REVOKED_CA_NO_POE:
        message = "the certificate of an issuer in the path is revoked"
    elif reason in (
        report.SubIndication.OUT_OF_BOUNDS_NO_POE,
        report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
    ):
        message = "a certificate of the path is not valid at the time that is asked about"
        if at > certificate.not_valid_after_utc:
            message = f"the certificate ended at {clock.time_text(certificate.not_valid_after_utc)}"
        elif at < certificate.not_valid_before_utc:
            message = (
                f"the certificate begins at {clock.time_text(certificate.not_valid_before_utc)}"
            )
    return report.Finding(reason.value.lower().replace("_", "-"), message)
