"""What a time stamp proves (EN 319 102-1 5.4, RFC 3161, RFC 5816)."""

import dataclasses
import datetime
import hashlib

from cryptography import x509

from pki import errors, originals
from signing_service.validation import evidence, findings, policy, report
from signing_service.validation.certificates import judged_certificate, paths
from signing_service.validation.cms import cms_signature, foreign_keys, time_stamp_tokens


@dataclasses.dataclass(frozen=True)
class TimeStampVerdict:
    """A time stamp, and the time that it proves (None: none)."""

    report: report.TimeStampReport
    proven_time: datetime.datetime | None
    missing: tuple[evidence.MissingStatus, ...]

    @property
    def rests_on_old_statuses(self) -> bool:
        """It proves a time by statuses that are older than the time it is judged at."""
        return self.proven_time is not None and bool(self.missing)


def judge(
    found: findings.FoundTimeStamp,
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> TimeStampVerdict:
    """Judge a time stamp at the time until which it is known to exist (EN 319 102-1 5.4)."""
    verdict = _judge(found, circumstances, at)
    shown = dataclasses.replace(verdict.report, sha256=hashlib.sha256(found.token).hexdigest())
    return dataclasses.replace(verdict, report=shown)


def _judge(
    found: findings.FoundTimeStamp,
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> TimeStampVerdict:
    try:
        token = time_stamp_tokens.read_token(found.token)
    except errors.InputError as error:
        return _no_proof(found, None, None, report.Finding(error.code, error.message))
    if token.certificate is None:
        # RFC 3161 2.4.1: whoever asks without certReq gets a token without certificates, and they
        # lie elsewhere in the document.
        elsewhere = (
            *circumstances.evidence.certificates.values(),
            *circumstances.anchors.certificates,
        )
        token = dataclasses.replace(token, certificate=token.message.certificate_among(elsewhere))
    issuer = None if token.certificate is None else judged_certificate.name(token.certificate)
    shown = dataclasses.replace(
        report.TimeStampReport(found.kind, True, token.time, issuer), problem=found.problem
    )
    try:
        relied_on = token.check(found.digest_of)
    except (
        cms_signature.UnsupportedCMSError,
        cms_signature.CMSFormatError,
        originals.OriginalMissingError,
    ) as error:
        return _no_proof(found, token, None, report.Finding(error.code, error.message))
    except errors.InputError as error:
        return _no_proof(found, token, False, report.Finding(error.code, error.message))
    if found.is_broken:
        shown = dataclasses.replace(shown, intact=False)
    if found.problem is not None or token.certificate is None:
        return TimeStampVerdict(shown, None, ())
    problem = _unit_problem(token, relied_on, circumstances.policy, at)
    missing: tuple[evidence.MissingStatus, ...] = ()
    if problem is None:
        verdict = paths.judge(
            token.certificate,
            evidence=circumstances.evidence,
            anchors=circumstances.anchors,
            # Valid when the token says that it was made, and known to be good for as long as
            # somebody else could still have written it (EN 319 102-1 5.6.2.2, freshness).
            at=token.time,
            until=at,
            asked_at=circumstances.asked_at,
            role=paths.Role.TIME_STAMPING_UNIT,
            proven=True,
            rules=circumstances.policy,
        )
        missing = verdict.missing
        if verdict.sub_indication is not None:
            problem = report.Finding(
                "time-stamp-path", f"{verdict.sub_indication.value}: {verdict.message}"
            )
    shown = dataclasses.replace(shown, problem=problem)
    return TimeStampVerdict(shown, None if problem else token.time, missing)


def _unit_problem(
    token: time_stamp_tokens.Token,
    relied_on: frozenset[str],
    rules: policy.ValidationPolicy,
    at: datetime.datetime,
) -> report.Finding | None:
    """What keeps a token from proving a time, apart from its path (RFC 3161 2.3, RFC 5816)."""
    certificate = token.certificate
    if certificate is None:
        return report.Finding("time-stamp-certificate", "the token holds no certificate")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        is_unit = usage.critical and list(usage.value) == [
            x509.oid.ExtendedKeyUsageOID.TIME_STAMPING
        ]
    except evidence.FAULTS:
        is_unit = False
    if not is_unit:
        return report.Finding(
            "time-stamp-certificate", "the certificate is not for time-stamping alone"
        )
    if not token.message.binding(certificate).matches:
        return report.Finding("time-stamp-binding", "the token does not name its certificate")
    weakness = rules.weakness(foreign_keys.of_certificate(certificate), relied_on, at)
    if weakness:
        return report.Finding("time-stamp-weak", weakness)
    if token.time > at + rules.clock_skew:
        return report.Finding("time-stamp-future", "the time stamp is from the future")
    if at > certificate.not_valid_after_utc:
        # EN 319 102-1 5.6.2.1: only a later time stamp would show that it existed before.
        return report.Finding(
            "time-stamp-expired",
            "the unit's certificate has ended and no later time stamp covers this one",
        )
    return None


def _no_proof(
    found: findings.FoundTimeStamp,
    token: time_stamp_tokens.Token | None,
    intact: bool | None,
    problem: report.Finding,
) -> TimeStampVerdict:
    certificate = None if token is None else token.certificate
    shown = report.TimeStampReport(
        found.kind,
        intact,
        None if token is None else token.time,
        None if certificate is None else judged_certificate.name(certificate),
        problem,
    )
    return TimeStampVerdict(shown, None, ())


def stated_time(found: findings.FoundTimeStamp) -> datetime.datetime:
    """What a token says, unchecked; the beginning of time for one that cannot be read."""
    try:
        return time_stamp_tokens.read_token(found.token).time
    except errors.InputError:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)


def take_evidence(found: findings.FoundTimeStamp, known: evidence.Evidence) -> None:
    """Certificates and statuses inside a token are evidence like any other."""
    try:
        message = cms_signature.Message(found.token)
    except errors.InputError:
        # Judged, and told, when the token's turn comes.
        return
    known.add(
        certificates_der=message.certificates_der,
        ocsp_responses=message.ocsp_responses,
        crls=message.crls,
    )
