"""The building blocks of EN 319 102-1 put in order: time stamps first, then the signature.

The newest proof of existence is judged at the present; each proof then moves the time at which what
it covers is judged back to its own (5.6.2.2). So a path that has ended since, or a certificate that
was revoked since, does not undo a signature that is proven to be older.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from cryptography import x509

from pki import certificates
from signing_service.validation import (
    evidence,
    findings,
    foreign_keys,
    judged_certificate,
    paths,
    policy,
    qualification,
    report,
    time_stamps,
)
from signing_service.validation.evidence_records import proofs

_OTHER_PURPOSES = frozenset(
    one.dotted_string
    for one in (
        x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,
        x509.oid.ExtendedKeyUsageOID.CODE_SIGNING,
        x509.oid.ExtendedKeyUsageOID.TIME_STAMPING,
        x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING,
    )
)
"""Purposes of machines; a certificate with no other one is no person's or organisation's."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdicts on a document, and which statuses would be needed to say more.

    Attributes:
        lone_time_stamps: Those that belong to no signature.
        evidence_records: Those of the document, then those that signatures carry.
    """

    signatures: tuple[report.SignatureReport, ...]
    lone_time_stamps: tuple[report.TimeStampReport, ...]
    evidence_records: tuple[report.EvidenceRecordReport, ...]
    missing: tuple[evidence.MissingStatus, ...]


def judge_document(
    found: findings.FoundDocument,
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> Judgement:
    """Judge every time stamp and signature that was found, at a time."""
    all_records = _records(found)
    sealing = [stamp for record in all_records for stamp in record.stamps]
    for one in (*found.document_time_stamps, *_own_stamps(found), *sealing):
        time_stamps.take_evidence(one, circumstances.evidence)
    records = proofs.judge_all(all_records, circumstances, at)
    verdicts = _judge_document_stamps(found.document_time_stamps, records, circumstances, at)
    missing = [need for record in records for need in record.missing]
    missing += [need for _, verdict in verdicts for need in verdict.missing]
    signatures = []
    lone = [stamp for stamp, _ in verdicts]
    for signature in found.signatures:
        covering = [
            (stamp, verdict) for stamp, verdict in verdicts if _covers_signature(stamp, signature)
        ]
        judged, needs = judge_signature(
            signature,
            [verdict for _, verdict in covering],
            [record for record in records if _is_about(record.found, signature)],
            circumstances,
            at,
        )
        signatures.append(judged)
        missing += needs
        lone = [stamp for stamp in lone if not any(stamp is one for one, _ in covering)]
    if found.signatures and not any(stamp.file for stamp in lone):
        # A document time stamp of a PDF is in the report of what it was meant for.
        lone = []
    return Judgement(
        tuple(signatures),
        tuple(
            dataclasses.replace(verdict.report, scope=tuple(sorted(stamp.covers)))
            for stamp, verdict in verdicts
            if any(stamp is one for one in lone)
        ),
        tuple(record.report for record in records),
        tuple(dict.fromkeys(missing)),
    )


def _judge_document_stamps(
    stamps: Sequence[findings.FoundTimeStamp],
    records: Sequence[proofs.RecordVerdict],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> list[tuple[findings.FoundTimeStamp, time_stamps.TimeStampVerdict]]:
    """Judge the time stamps over a document, each at the time until which another proof has it."""
    verdicts: list[tuple[findings.FoundTimeStamp, time_stamps.TimeStampVerdict]] = []
    for stamp in sorted(stamps, key=lambda one: (-one.covers_to, _reversed(one))):
        control = min(
            [
                at,
                *(
                    verdict.proven_time
                    for other, verdict in verdicts
                    if verdict.proven_time is not None
                    and (stamp.file in other.covers or other.covers_to > stamp.covers_to)
                ),
                *(
                    record.proven_time
                    for record in records
                    if record.proven_time is not None
                    and (record.found.is_over_document or stamp.file in record.found.covers)
                ),
            ]
        )
        verdicts.insert(0, (stamp, time_stamps.judge(stamp, circumstances, control)))
    return verdicts


def _reversed(stamp: findings.FoundTimeStamp) -> datetime.timedelta:
    """Sorts the newest first."""
    latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return latest - time_stamps.stated_time(stamp)


def _covers_signature(stamp: findings.FoundTimeStamp, signature: findings.FoundSignature) -> bool:
    return stamp.covers_to >= signature.ends_at > 0 or signature.file in stamp.covers


def _is_about(record: findings.FoundEvidenceRecord, signature: findings.FoundSignature) -> bool:
    """Whether a signature existed at a record's time; told by what it is, and never by its name."""
    return (
        record.is_over_document
        or signature.file in record.covers
        or any(one is record for one in signature.evidence_records)
    )


def judge_signature(
    found: findings.FoundSignature,
    covering: Sequence[time_stamps.TimeStampVerdict],
    records: Sequence[proofs.RecordVerdict],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> tuple[report.SignatureReport, list[evidence.MissingStatus]]:
    """Judge one signature (EN 319 102-1 5.3, then with time 5.5 and long term 5.6).

    Args:
        found: The signature.
        covering: Verdicts on the document time stamps that cover it.
        records: Verdicts on the evidence records over it.
        circumstances: Evidence, trust and policy.
        at: The present of this judgement.
    """
    proven = [one.proven_time for one in covering if one.proven_time is not None]
    proven += [one.proven_time for one in records if one.proven_time is not None]
    control = min([*proven, at])
    own = _judge_own(found.time_stamps, circumstances, control)
    missing = [need for verdict in own for need in verdict.missing]
    proven += [
        verdict.proven_time
        for verdict in own
        if verdict.proven_time is not None
        and verdict.report.kind is not report.TimeStampKind.CONTENT
    ]
    best = min(proven, default=None)
    outcome = _verdict(found, best, own, circumstances, at)
    sub_indication = outcome.sub_indication
    missing += outcome.missing
    warnings = list(found.warnings)
    warnings += [told for one in records if (told := proofs.warning(one)) is not None]
    oddity = None if found.certificate is None else foreign_keys.oddity(found.certificate)
    if oddity is not None:
        warnings.append(report.Finding("certificate-key-encoding", oddity))
    for verdict in (*own, *covering):
        if circumstances.asked_at is None and verdict.rests_on_old_statuses:
            warnings.append(
                report.Finding(
                    "time-stamp-status-old",
                    f"whether the unit of a {verdict.report.kind.value} time stamp is still good"
                    " was not asked: only older statements about it are at hand",
                )
            )
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
    facts = None if found.certificate is None else judged_certificate.facts(found.certificate)
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
        signed_by=None if facts is None else facts.name,
        person_code=None if facts is None else facts.person_code,
        organisation=None if facts is None else facts.organisation,
        qualified=outcome.qualified,
        claimed_signing_time=found.claimed_signing_time,
        best_signature_time=best,
        time_stamps=tuple(verdict.report for verdict in (*own, *covering)),
        scope_kind=found.scope_kind,
        scope_names=found.scope_names,
        changes_after_signing=found.changes,
        errors=() if outcome.problem is None else (outcome.problem,),
        warnings=tuple(warnings),
        info=(*found.info, *outcome.notes),
    )
    return judged, missing


def _judge_own(
    stamps: Sequence[findings.FoundTimeStamp],
    circumstances: policy.Circumstances,
    control: datetime.datetime,
) -> list[time_stamps.TimeStampVerdict]:
    """Judge a signature's own time stamps, those over the whole signature from the newest back.

    Each archive time stamp proves that what it covers existed at its time, the older time stamps
    among it (EN 319 102-1 5.6.2.2).
    """
    verdicts: dict[int, time_stamps.TimeStampVerdict] = {}
    archive = [
        (time_stamps.stated_time(stamp), place)
        for place, stamp in enumerate(stamps)
        if stamp.kind is report.TimeStampKind.ARCHIVE
    ]
    for _, place in sorted(archive, reverse=True):
        verdicts[place] = time_stamps.judge(stamps[place], circumstances, control)
        proven = verdicts[place].proven_time
        if proven is not None:
            control = min(control, proven)
    for place, stamp in enumerate(stamps):
        if place not in verdicts:
            verdicts[place] = time_stamps.judge(stamp, circumstances, control)
    return [verdicts[place] for place in range(len(stamps))]


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """The first rule that is broken, or what a signature that breaks none is.

    Attributes:
        missing: Statuses that would be needed to say more.
        qualified: None of a signature that did not pass: of it nothing is said.
    """

    sub_indication: report.SubIndication | None = None
    problem: report.Finding | None = None
    missing: Sequence[evidence.MissingStatus] = ()
    notes: tuple[report.Finding, ...] = ()
    qualified: str | None = None


def _verdict(
    found: findings.FoundSignature,
    best: datetime.datetime | None,
    own: Sequence[time_stamps.TimeStampVerdict],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> _Outcome:
    """Go through the rules; the first that is broken decides."""
    if found.failure is not None:
        return _Outcome(*found.failure)
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
    judged_at = at if best is None else best
    weakness = circumstances.policy.weakness(
        foreign_keys.of_certificate(certificate), found.digest_algorithms, judged_at
    )
    if weakness:
        # EN 319 102-1 5.2.8: an earlier proof of existence could help only where there is none.
        return _stop(
            report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            if best is None
            else report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE,
            "weak-algorithm",
            weakness,
        )
    path = paths.judge(
        certificate,
        evidence=circumstances.evidence,
        anchors=circumstances.anchors,
        at=judged_at,
        role=paths.Role.SIGNER,
        proven=best is not None,
        rules=circumstances.policy,
    )
    if path.sub_indication is not None:
        sub_indication = _sharpen(path, certificate, own)
        code = sub_indication.value.lower().replace("_", "-")
        return _Outcome(sub_indication, report.Finding(code, path.message), path.missing)
    return _constraints(found, certificate, path, best, own, circumstances, at)


def _constraints(
    found: findings.FoundSignature,
    certificate: x509.Certificate,
    path: paths.PathVerdict,
    best: datetime.datetime | None,
    own: Sequence[time_stamps.TimeStampVerdict],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> _Outcome:
    """What is asked of a signature whose certificate is good (EN 319 102-1 5.2.8, 5.5.4)."""
    misuse = _misuse(certificate)
    if misuse is not None:
        return _stop(report.SubIndication.CHAIN_CONSTRAINTS_FAILURE, "key-usage", misuse)
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
    if path.invalid_since is not None:
        # Told and not judged: a revocation has no effect back in time (910/2014 28(4)).
        notes.append(
            report.Finding(
                "invalidity-date",
                "the issuer says that the key of a certificate of the path may have been in other"
                f" hands since {path.invalid_since:%Y-%m-%dT%H:%M:%SZ}, before the signature",
            )
        )
    verdict = qualification.judge(
        path.path, circumstances.anchors.services, at if best is None else best
    )
    if verdict.note is not None:
        notes.append(verdict.note)
    demanded = circumstances.policy.require_qualified
    if demanded and verdict.value not in demanded:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "not-qualified-enough",
            f"the policy demands {' or '.join(demanded)}, and this is {verdict.value}"
            + (f": {verdict.note.message}" if verdict.note else ""),
        )
    if circumstances.policy.require_time_stamp and best is None:
        return _stop(
            report.SubIndication.SIG_CONSTRAINTS_FAILURE,
            "time-stamp-demanded",
            "the policy demands a time stamp that proves when the signature was there",
        )
    return _Outcome(notes=tuple(notes), qualified=verdict.value)


def _sharpen(
    path: paths.PathVerdict,
    certificate: x509.Certificate,
    own: Sequence[time_stamps.TimeStampVerdict],
) -> report.SubIndication:
    """Say for certain what the path leaves open, where a content time stamp shows when.

    What a signature covers existed before the signature: a proven time of it is the earliest time
    at which the signature can have been made (EN 319 102-1 5.5.4).
    """
    made_after = max(
        (
            one.proven_time
            for one in own
            if one.report.kind is report.TimeStampKind.CONTENT and one.proven_time is not None
        ),
        default=None,
    )
    found = path.sub_indication or report.SubIndication.TRY_LATER
    if made_after is None:
        return found
    if path.revoked_at is not None and path.revoked_at <= made_after:
        return report.SubIndication.REVOKED
    out_of_bounds = (
        report.SubIndication.OUT_OF_BOUNDS_NO_POE,
        report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
    )
    if found in out_of_bounds and certificate.not_valid_after_utc < made_after:
        return report.SubIndication.EXPIRED
    return found


def _misuse(certificate: x509.Certificate) -> str | None:
    """Say why a certificate is not for signing documents, or None (EN 319 412-2 4.3.2).

    A key that logs its owner in signs whatever a server sends: such a signature shows no will.
    """
    facts = judged_certificate.facts(certificate)
    if facts is None:
        return "what the certificate is for cannot be read"
    if not facts.is_for_signing:
        return "the certificate does not allow its key to sign documents (nonRepudiation)"
    purposes = set(facts.extended_key_usage)
    if purposes and purposes <= _OTHER_PURPOSES:
        return "the certificate is for another purpose than signing documents"
    return None


def _stop(sub_indication: report.SubIndication, code: str, message: str) -> _Outcome:
    return _Outcome(sub_indication, report.Finding(code, message))


def _records(found: findings.FoundDocument) -> list[findings.FoundEvidenceRecord]:
    """All evidence records, each once: signers of one CMS carry the same one."""
    carried = [record for one in found.signatures for record in one.evidence_records]
    return list({id(one): one for one in (*found.evidence_records, *carried)}.values())


def _own_stamps(found: findings.FoundDocument) -> list[findings.FoundTimeStamp]:
    return [stamp for signature in found.signatures for stamp in signature.time_stamps]
