"""The building blocks of EN 319 102-1 put in order: time stamps first, then the signature.

The newest proof of existence is judged at the present; each proof then moves the time at which what
it covers is judged back to its own (5.6.2.2). So a path that has ended since, or a certificate that
was revoked since, does not undo a signature that is proven to be older.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from cryptography import exceptions, x509

from pki import certificates, errors
from signing_service import trust
from signing_service.validation import (
    cms_signature,
    evidence,
    findings,
    paths,
    policy,
    report,
)


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """What a judgement is made with; nothing else is consulted."""

    evidence: evidence.Evidence
    anchors: trust.TrustAnchors
    policy: policy.ValidationPolicy


@dataclasses.dataclass(frozen=True)
class TimeStampVerdict:
    """A time stamp, and the time that it proves (None: none)."""

    report: report.TimeStampReport
    proven_time: datetime.datetime | None
    missing: tuple[evidence.MissingStatus, ...]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdicts on a document, and which statuses would be needed to say more."""

    signatures: tuple[report.SignatureReport, ...]
    document_time_stamps: tuple[report.TimeStampReport, ...]
    missing: tuple[evidence.MissingStatus, ...]


def judge_document(
    found: findings.FoundDocument, circumstances: Circumstances, at: datetime.datetime
) -> Judgement:
    """Judge every time stamp and signature that was found, at a time."""
    for one in (*found.document_time_stamps, *_own_stamps(found)):
        _take_evidence(one, circumstances.evidence)
    control = at
    document_verdicts: list[tuple[findings.FoundTimeStamp, TimeStampVerdict]] = []
    for stamp in sorted(found.document_time_stamps, key=lambda one: -one.covers_to):
        verdict = judge_time_stamp(stamp, circumstances, control)
        document_verdicts.insert(0, (stamp, verdict))
        if verdict.proven_time is not None:
            control = min(control, verdict.proven_time)
    missing = [need for _, verdict in document_verdicts for need in verdict.missing]
    signatures = []
    for signature in found.signatures:
        covering = [
            verdict
            for stamp, verdict in document_verdicts
            if stamp.covers_to >= signature.ends_at > 0
        ]
        judged, needs = judge_signature(signature, covering, circumstances, at)
        signatures.append(judged)
        missing += needs
    return Judgement(
        tuple(signatures),
        tuple(verdict.report for _, verdict in document_verdicts),
        tuple(dict.fromkeys(missing)),
    )


def judge_time_stamp(
    found: findings.FoundTimeStamp, circumstances: Circumstances, at: datetime.datetime
) -> TimeStampVerdict:
    """Judge a time stamp at the time until which it is known to exist (EN 319 102-1 5.4)."""
    try:
        token = cms_signature.read_token(found.token)
    except errors.InputError as error:
        return _no_proof(found, None, None, report.Finding(error.code, error.message))
    issuer = None if token.certificate is None else _summary_name(token.certificate)
    shown = dataclasses.replace(
        report.TimeStampReport(found.kind, True, token.time, issuer), problem=found.problem
    )
    try:
        relied_on = token.check(found.digest_of)
    except (cms_signature.UnsupportedCMSError, cms_signature.CMSFormatError) as error:
        return _no_proof(found, token, None, report.Finding(error.code, error.message))
    except errors.InputError as error:
        return _no_proof(found, token, False, report.Finding(error.code, error.message))
    if found.problem is not None or token.certificate is None:
        return TimeStampVerdict(shown, None, ())
    problem = _unit_problem(token, relied_on, circumstances.policy, at)
    missing: tuple[evidence.MissingStatus, ...] = ()
    if problem is None:
        verdict = paths.judge(
            token.certificate,
            evidence=circumstances.evidence,
            anchors=circumstances.anchors,
            # An authority's path has to hold when the token was made; a path that has ended
            # by the time the token is judged is told by `_unit_problem`.
            at=token.time,
            role=paths.Role.TIME_STAMPING_UNIT,
            proven=True,
        )
        missing = verdict.missing
        if verdict.sub_indication is not None:
            problem = report.Finding(
                "time-stamp-path", f"{verdict.sub_indication.value}: {verdict.message}"
            )
        elif verdict.later_revoked_at is not None and verdict.later_revoked_at <= at:
            # RFC 3161 4: a revoked unit's tokens stay good only where the reason allows; a
            # compromised key could have made this one afterwards.
            problem = report.Finding(
                "time-stamping-unit-revoked",
                "the certificate of the time-stamping unit, or of its issuer, was revoked",
            )
    shown = dataclasses.replace(shown, problem=problem)
    return TimeStampVerdict(shown, None if problem else token.time, missing)


def judge_signature(
    found: findings.FoundSignature,
    covering: Sequence[TimeStampVerdict],
    circumstances: Circumstances,
    at: datetime.datetime,
) -> tuple[report.SignatureReport, list[evidence.MissingStatus]]:
    """Judge one signature (EN 319 102-1 5.3, then with time 5.5 and long term 5.6).

    Args:
        found: The signature.
        covering: Verdicts on the document time stamps that cover it.
        circumstances: Evidence, trust and policy.
        at: The present of this judgement.
    """
    proven = [one.proven_time for one in covering if one.proven_time is not None]
    control = min([*proven, at])
    own = [judge_time_stamp(stamp, circumstances, control) for stamp in found.time_stamps]
    missing = [need for verdict in own for need in verdict.missing]
    proven += [
        verdict.proven_time
        for verdict in own
        if verdict.proven_time is not None
        and verdict.report.kind is not report.TimeStampKind.CONTENT
    ]
    best = min(proven, default=None)
    sub_indication, problem, needs, notes = _verdict(found, best, own, circumstances, at)
    missing += needs
    warnings = list(found.warnings)
    for verdict in (*own, *covering):
        if verdict.report.problem is not None:
            warnings.append(
                report.Finding(
                    verdict.report.problem.code,
                    f"a {verdict.report.kind.value} time stamp proves nothing:"
                    f" {verdict.report.problem.message}",
                )
            )
    indication = report.Indication.TOTAL_PASSED
    if sub_indication is not None:
        indication = (
            report.Indication.TOTAL_FAILED
            if sub_indication in report.FAILURES
            else report.Indication.INDETERMINATE
        )
    facts = None if found.certificate is None else _facts(found.certificate)
    passed = indication is report.Indication.TOTAL_PASSED
    judged = report.SignatureReport(
        identifier=found.identifier,
        format=found.format,
        level=found.level,
        indication=indication,
        sub_indication=sub_indication,
        intact=found.intact,
        signing_certificate=None
        if facts is None
        else report.CertificateSummary(
            subject=facts.subject,
            serial_number=certificates.serial_text(facts.serial_number),
            issuer=facts.issuer,
            sha256=facts.sha256,
        ),
        signed_by=None if facts is None else facts.common_name or facts.name,
        person_code=None if facts is None else facts.person_code,
        organisation=None if facts is None else facts.organisation,
        # Without a trusted list nothing shows that a certificate is qualified (TS 119 615 4.4):
        # what passed is an advanced signature, and of what did not pass nothing is said.
        qualified="AdESig" if passed else None,
        claimed_signing_time=found.claimed_signing_time,
        best_signature_time=best,
        time_stamps=tuple(verdict.report for verdict in (*own, *covering)),
        scope_kind=found.scope_kind,
        scope_names=found.scope_names,
        changes_after_signing=found.changes,
        errors=() if problem is None else (problem,),
        warnings=tuple(warnings),
        info=(*found.info, *notes),
    )
    return judged, missing


def _verdict(
    found: findings.FoundSignature,
    best: datetime.datetime | None,
    own: Sequence[TimeStampVerdict],
    circumstances: Circumstances,
    at: datetime.datetime,
) -> tuple[
    report.SubIndication | None,
    report.Finding | None,
    Sequence[evidence.MissingStatus],
    Sequence[report.Finding],
]:
    """Sub-indication, why, what is missing, and notes; the first rule that is broken decides."""
    if found.failure is not None:
        return (*found.failure, (), ())
    certificate = found.certificate
    if certificate is None:
        return _stop(
            report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "signing-certificate-missing",
            "the signing certificate is not in the document",
        )
    if found.is_bound is False:
        # EN 319 102-1 5.2.3.4: a reference that names another certificate.
        return _stop(
            report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "signing-certificate-mismatch",
            "the signed attributes name another certificate than the one in the signature",
        )
    if not found.intact:
        return _stop(
            report.SubIndication.SIG_CRYPTO_FAILURE, "signature-value", "the signature is broken"
        )
    weakness = circumstances.policy.weakness(_public_key(certificate), found.digest_algorithms)
    if weakness:
        return _stop(
            report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, "weak-algorithm", weakness
        )
    judged_at = at if best is None else best
    path = paths.judge(
        certificate,
        evidence=circumstances.evidence,
        anchors=circumstances.anchors,
        at=judged_at,
        role=paths.Role.SIGNER,
        proven=best is not None,
    )
    if path.sub_indication is not None:
        code = path.sub_indication.value.lower().replace("_", "-")
        finding = report.Finding(code, path.message)
        return path.sub_indication, finding, path.missing, ()
    return _constraints(found, certificate, path, best, own, circumstances, at)


def _constraints(
    found: findings.FoundSignature,
    certificate: x509.Certificate,
    path: paths.PathVerdict,
    best: datetime.datetime | None,
    own: Sequence[TimeStampVerdict],
    circumstances: Circumstances,
    at: datetime.datetime,
) -> tuple[
    report.SubIndication | None,
    report.Finding | None,
    Sequence[evidence.MissingStatus],
    Sequence[report.Finding],
]:
    """What is asked of a signature whose certificate is good (EN 319 102-1 5.2.8, 5.5.4)."""
    usage = _facts(certificate)
    signs = {certificates.KeyUsage.nonRepudiation, certificates.KeyUsage.digitalSignature}
    if usage is not None and usage.key_usage and not usage.key_usage & signs:
        return _stop(
            report.SubIndication.CHAIN_CONSTRAINTS_FAILURE,
            "key-usage",
            "the certificate does not allow its key to sign documents",
        )
    if found.is_bound is None:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "signing-certificate-attribute",
            "the signature does not say by which certificate it was made",
        )
    if found.changes is report.Changes.UNDEFINED:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "changed-after-signing",
            "the document was changed after this signature in a way a signer would not expect",
        )
    if found.scope_kind is report.ScopeKind.NONE:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "nothing-covered",
            "the signature covers nothing that the document shows",
        )
    early = [
        one.proven_time
        for one in own
        if one.report.kind is report.TimeStampKind.CONTENT and one.proven_time is not None
    ]
    if best is not None and any(one > best for one in early):
        return _stop(
            report.SubIndication.TIMESTAMP_ORDER_FAILURE,
            "time-stamp-order",
            "a time stamp over the content is later than one over the signature",
        )
    notes = []
    limit = (at if best is None else best) + circumstances.policy.claimed_time_skew
    if found.claimed_signing_time is not None and found.claimed_signing_time > limit:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "claimed-signing-time",
            "the claimed signing time is later than the signature is proven to be",
        )
    if path.later_revoked_at is not None:
        notes.append(
            report.Finding(
                "revoked-later",
                f"a certificate of the path was revoked at"
                f" {path.later_revoked_at:%Y-%m-%dT%H:%M:%SZ}; a time"
                " stamp proves that the signature came before",
            )
        )
    notes.append(
        report.Finding(
            "no-trusted-list",
            "whether the certificate is qualified was not judged: no trusted list",
        )
    )
    return None, None, (), notes


def _stop(
    sub_indication: report.SubIndication, code: str, message: str
) -> tuple[report.SubIndication, report.Finding, tuple[()], tuple[()]]:
    return sub_indication, report.Finding(code, message), (), ()


def _unit_problem(
    token: cms_signature.Token,
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
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        is_unit = False
    if not is_unit:
        return report.Finding(
            "time-stamp-certificate", "the certificate is not for time-stamping alone"
        )
    if not token.message.binding(certificate).matches:
        return report.Finding("time-stamp-binding", "the token does not name its certificate")
    weakness = rules.weakness(_public_key(certificate), relied_on)
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
    token: cms_signature.Token | None,
    intact: bool | None,
    problem: report.Finding,
) -> TimeStampVerdict:
    certificate = None if token is None else token.certificate
    shown = report.TimeStampReport(
        found.kind,
        intact,
        None if token is None else token.time,
        None if certificate is None else _summary_name(certificate),
        problem,
    )
    return TimeStampVerdict(shown, None, ())


def _take_evidence(found: findings.FoundTimeStamp, known: evidence.Evidence) -> None:
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


def _own_stamps(found: findings.FoundDocument) -> list[findings.FoundTimeStamp]:
    return [stamp for signature in found.signatures for stamp in signature.time_stamps]


def _facts(certificate: x509.Certificate) -> certificates.CertificateFacts | None:
    try:
        return certificates.read(certificate)
    except errors.InputError:
        return None


def _public_key(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, exceptions.UnsupportedAlgorithm):
        return None


def _summary_name(certificate: x509.Certificate) -> str:
    facts = _facts(certificate)
    return "" if facts is None else facts.common_name or facts.name
