"""What a time stamp proves (EN 319 102-1 5.4, RFC 3161, RFC 5816)."""

import dataclasses
import datetime
import hashlib

from cryptography import x509

from pki import errors, originals
from signing_service.validation import evidence, findings, policy, processes, report
from signing_service.validation.certificates import foreign_certificates, judged_certificate, paths
from signing_service.validation.cms import cms_signature, foreign_keys, time_stamp_tokens

_PATH = "time-stamp-path"
"""The code of what is wrong with the path of a unit's certificate."""


@dataclasses.dataclass(frozen=True)
class TimeStampVerdict:
    """A time stamp, and the time that it proves (None: none).

    Attributes:
        present: What it is worth as of the present, without what proves that it is older.
    """

    report: report.TimeStampReport
    proven_time: datetime.datetime | None
    missing: tuple[evidence.MissingStatus, ...]
    present: processes.Conclusion

    @property
    def rests_on_old_statuses(self) -> bool:
        """It proves a time by statuses that are older than the time it is judged at."""
        return self.proven_time is not None and bool(self.missing)

    @property
    def proof(self) -> processes.ProofOfExistence | None:
        """The proof that it is for what it covers (EN 319 102-1 5.6.2.3)."""
        if self.proven_time is None:
            return None
        return processes.ProofOfExistence(
            self.proven_time,
            processes.ProofSource.TIME_STAMP,
            self.report.kind,
            self.report.sha256 or "",
        )

    @property
    def is_good_at_present(self) -> bool:
        """It proves its time with no later proof around it."""
        return self.proven_time is not None and self.present.problem is None


def judge(
    found: findings.FoundTimeStamp,
    circumstances: policy.Circumstances,
    known: processes.Known,
) -> TimeStampVerdict:
    """Judge a time stamp as of the present, and where that leaves it open, in the past.

    The control time is the earliest at which it is proven to have existed: its certificate and
    algorithms are judged as of then (EN 319 102-1 5.4, 5.6.3.4 with 5.6.2.4).
    """
    verdict = _judge(found, circumstances, known)
    shown = dataclasses.replace(verdict.report, sha256=hashlib.sha256(found.token).hexdigest())
    return dataclasses.replace(verdict, report=shown)


def _judge(
    found: findings.FoundTimeStamp,
    circumstances: policy.Circumstances,
    known: processes.Known,
) -> TimeStampVerdict:
    try:
        token = time_stamp_tokens.read_token(found.token)
    except errors.InputError as error:
        return _no_proof(found, None, None, report.SubIndication.FORMAT_FAILURE, error)
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
    except cms_signature.UnsupportedCMSError as error:
        weak = report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        return _no_proof(found, token, None, weak, error)
    except cms_signature.CMSFormatError as error:
        return _no_proof(found, token, None, report.SubIndication.FORMAT_FAILURE, error)
    except originals.OriginalMissingError as error:
        return _no_proof(found, token, None, report.SubIndication.SIGNED_DATA_NOT_FOUND, error)
    except cms_signature.DigestMismatchError as error:
        return _no_proof(found, token, False, report.SubIndication.HASH_FAILURE, error)
    except errors.InputError as error:
        return _no_proof(found, token, False, report.SubIndication.SIG_CRYPTO_FAILURE, error)
    if found.problem is not None:
        reason = report.SubIndication.SIG_CONSTRAINTS_FAILURE
        if found.is_broken:
            reason = report.SubIndication.HASH_FAILURE
            shown = dataclasses.replace(shown, intact=False)
        shown = dataclasses.replace(shown, sub_indication=reason)
        return TimeStampVerdict(shown, None, (), processes.Conclusion(reason, found.problem))
    concluded, missing = _worth(token, relied_on, circumstances, known.control_time)
    present = concluded
    if known.control_time < known.at:
        present, _ = _worth(token, relied_on, circumstances, known.at)
    by_path = concluded.problem is None or concluded.problem.code == _PATH
    shown = dataclasses.replace(
        shown,
        problem=concluded.problem,
        sub_indication=concluded.sub_indication,
        judged_at=known.control_time,
        proofs_of_existence=known.proofs_in_order,
        past_validation=processes.in_the_past(
            present, known, concluded if by_path else None, concluded
        ),
    )
    proven = None if concluded.problem else token.time
    return TimeStampVerdict(shown, proven, missing, present)


def _worth(
    token: time_stamp_tokens.Token,
    relied_on: frozenset[str],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> tuple[processes.Conclusion, tuple[evidence.MissingStatus, ...]]:
    """What the token of an intact time stamp is worth at a time, and which statuses are missing."""
    unfit = _unit_problem(token, relied_on, circumstances.policy, at)
    if unfit is not None or token.certificate is None:
        return unfit or _NO_CERTIFICATE, ()
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
    found = verdict.sub_indication
    if found is None:
        return processes.Conclusion(), verdict.missing
    problem = report.Finding(_PATH, f"{found.value}: {verdict.message}")
    return processes.Conclusion(found, problem), verdict.missing


_NO_CERTIFICATE = processes.Conclusion(
    report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
    report.Finding("time-stamp-certificate", "the token holds no certificate"),
)


def _unit_problem(
    token: time_stamp_tokens.Token,
    relied_on: frozenset[str],
    rules: policy.ValidationPolicy,
    at: datetime.datetime,
) -> processes.Conclusion | None:
    """What keeps a token from proving a time, apart from its path (RFC 3161 2.3, RFC 5816)."""
    certificate = token.certificate
    if certificate is None:
        return _NO_CERTIFICATE
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        is_unit = usage.critical and list(usage.value) == [
            x509.oid.ExtendedKeyUsageOID.TIME_STAMPING
        ]
    except foreign_certificates.FAULTS:
        is_unit = False
    if not is_unit:
        return _conclusion(
            report.SubIndication.CHAIN_CONSTRAINTS_FAILURE,
            "time-stamp-certificate",
            "the certificate is not for time-stamping alone",
        )
    if not token.message.binding(certificate).matches:
        return _conclusion(
            report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "time-stamp-binding",
            "the token does not name its certificate",
        )
    weakness = rules.weakness(foreign_keys.of_certificate(certificate), relied_on, at)
    if weakness:
        return _conclusion(
            report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, "time-stamp-weak", weakness
        )
    if token.time > at + rules.clock_skew:
        return _conclusion(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "time-stamp-future",
            "the time stamp is from the future",
        )
    if at > certificate.not_valid_after_utc:
        # EN 319 102-1 5.6.2.1: only a later time stamp would show that it existed before.
        return _conclusion(
            report.SubIndication.OUT_OF_BOUNDS_NO_POE,
            "time-stamp-expired",
            "the unit's certificate has ended and no later time stamp covers this one",
        )
    return None


def _conclusion(
    sub_indication: report.SubIndication, code: str, message: str
) -> processes.Conclusion:
    return processes.Conclusion(sub_indication, report.Finding(code, message))


def _no_proof(
    found: findings.FoundTimeStamp,
    token: time_stamp_tokens.Token | None,
    intact: bool | None,
    sub_indication: report.SubIndication,
    error: errors.InputError,
) -> TimeStampVerdict:
    certificate = None if token is None else token.certificate
    concluded = _conclusion(sub_indication, error.code, error.message)
    shown = report.TimeStampReport(
        found.kind,
        intact,
        None if token is None else token.time,
        None if certificate is None else judged_certificate.name(certificate),
        concluded.problem,
        sub_indication=sub_indication,
    )
    return TimeStampVerdict(shown, None, (), concluded)


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
