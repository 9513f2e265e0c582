"""The building blocks of EN 319 102-1 put in order: time stamps first, then the signature.

The newest proof of existence is judged at the present; each proof then moves the time at which what
it covers is judged back to its own (5.6.2.2). So a path that has ended since, or a certificate that
was revoked since, does not undo a signature that is proven to be older.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from pki import certificates
from signing_service.validation import (
    building_blocks,
    evidence,
    findings,
    policy,
    processes,
    report,
    signature_rules,
    time_stamps,
)
from signing_service.validation.certificates import judged_certificate
from signing_service.validation.cms import foreign_keys
from signing_service.validation.evidence_records import proofs


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
        known = processes.Known(at).with_proofs(
            *(
                verdict.proof
                for other, verdict in verdicts
                if stamp.file in other.covers or other.covers_to > stamp.covers_to
            ),
            *(
                record.proof
                for record in records
                if record.found.is_over_document or stamp.file in record.found.covers
            ),
        )
        verdicts.insert(0, (stamp, time_stamps.judge(stamp, circumstances, known)))
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
    carried = [one for one in records if one.found.covered_tokens is not None]
    known = processes.Known(at).with_proofs(
        *(one.proof for one in covering),
        *(one.proof for one in records if one.found.covered_tokens is None),
    )
    enclosing = _judge_own(found.enclosing_stamps, circumstances, known)
    known = known.with_proofs(*(one.proof for one in enclosing))
    covering = (*covering, *enclosing)
    own = _judge_own(found.time_stamps, circumstances, known, carried)
    known = known.with_proofs(*(one.proof for one in carried))
    missing = [need for verdict in (*own, *enclosing) for need in verdict.missing]
    known = known.with_proofs(
        *(one.proof for one in own if one.report.kind is not report.TimeStampKind.CONTENT)
    )
    best = known.control_time if known.proofs else None
    outcome = signature_rules.judge(found, best, own, circumstances, at)
    stamps = tuple(verdict.report for verdict in (*own, *covering))
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
    course = outcome.course.blocks(known.control_time, stamps)
    basic, with_time = _earlier_processes(found, best, own, outcome, circumstances, at)
    long_term = outcome.conclusion
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
        time_stamps=stamps,
        scope_kind=found.scope_kind,
        scope_names=found.scope_names,
        changes_after_signing=found.changes,
        errors=() if outcome.problem is None else (outcome.problem,),
        warnings=tuple(warnings),
        info=(*found.info, *outcome.notes),
        building_blocks=course,
        processes=(
            basic,
            with_time,
            processes.Process(processes.ProcessKind.LONG_TERM, known.control_time, long_term),
        ),
        proofs_of_existence=known.proofs_in_order,
        past_validation=processes.in_the_past(
            with_time.conclusion, known, _path_conclusion(course), long_term
        ),
        certificate_path=tuple(certificates.sha256(one) for one in outcome.path),
        counter_signature_of=found.counter_signature_of,
    )
    return judged, missing


def _earlier_processes(
    found: findings.FoundSignature,
    best: datetime.datetime | None,
    own: Sequence[time_stamps.TimeStampVerdict],
    outcome: signature_rules.Outcome,
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> tuple[processes.Process, processes.Process]:
    """Basic validation and validation with time, as they end by themselves (5.3, 5.5).

    Judged anew only where proofs make a difference: of most signatures they end alike.
    """
    basic = outcome
    if best is not None or own:
        basic = signature_rules.judge(found, None, (), circumstances, at)
    good = [one for one in own if one.is_good_at_present]
    proven = min(
        (
            one.proven_time
            for one in good
            if one.proven_time is not None and one.report.kind is report.TimeStampKind.SIGNATURE
        ),
        default=None,
    )
    with_time = basic
    if proven is not None and proven == best and len(good) == len(own):
        with_time = outcome
    elif good:
        with_time = signature_rules.judge(found, proven, good, circumstances, at)
    return (
        processes.Process(processes.ProcessKind.BASIC, at, basic.conclusion),
        processes.Process(
            processes.ProcessKind.WITH_TIME,
            at if proven is None else proven,
            with_time.conclusion,
        ),
    )


def _path_conclusion(told: Sequence[building_blocks.Block]) -> processes.Conclusion | None:
    """What the block of the certification path ended with; None where it was not reached."""
    path = building_blocks.BlockKind.CERTIFICATE_VALIDATION
    for block in told:
        if block.kind is path:
            problem = next((one.problem for one in block.constraints if one.problem), None)
            return processes.Conclusion(block.sub_indication, problem)
    return None


def _judge_own(
    stamps: Sequence[findings.FoundTimeStamp],
    circumstances: policy.Circumstances,
    known: processes.Known,
    carried: Sequence[proofs.RecordVerdict] = (),
) -> list[time_stamps.TimeStampVerdict]:
    """Judge a signature's own time stamps, those over the whole signature from the newest back.

    Each archive time stamp proves that what it covers existed at its time, the older time stamps
    among it (EN 319 102-1 5.6.2.3). One that was put beside it later borrows nothing of that: with
    the key of a unit that has ended anybody writes a token with any time in it.

    Args:
        stamps: Those of one signature.
        circumstances: Evidence, trust and policy.
        known: What proves all of them.
        carried: Verdicts on the evidence records that the signature carries.
    """
    found = [(one.proof, one.found.covered_tokens or frozenset()) for one in carried]

    def known_of(stamp: findings.FoundTimeStamp) -> processes.Known:
        # A content time stamp is signed, and as old as the signature is.
        signed = stamp.kind is report.TimeStampKind.CONTENT
        return known.with_proofs(
            *(proof for proof, tokens in found if signed or stamp.token in tokens)
        )

    verdicts: dict[int, time_stamps.TimeStampVerdict] = {}
    archive = [
        (time_stamps.stated_time(stamp), place)
        for place, stamp in enumerate(stamps)
        if stamp.kind is report.TimeStampKind.ARCHIVE
    ]
    for _, place in sorted(archive, reverse=True):
        stamp = stamps[place]
        verdicts[place] = time_stamps.judge(stamp, circumstances, known_of(stamp))
        if verdicts[place].proof is not None:
            found.append((verdicts[place].proof, stamp.covered_tokens()))
    for place, stamp in enumerate(stamps):
        if place not in verdicts:
            verdicts[place] = time_stamps.judge(stamp, circumstances, known_of(stamp))
    return [verdicts[place] for place in range(len(stamps))]


def _records(found: findings.FoundDocument) -> list[findings.FoundEvidenceRecord]:
    """All evidence records, each once: signers of one CMS carry the same one."""
    carried = [record for one in found.signatures for record in one.evidence_records]
    return list({id(one): one for one in (*found.evidence_records, *carried)}.values())


def _own_stamps(found: findings.FoundDocument) -> list[findings.FoundTimeStamp]:
    return [stamp for signature in found.signatures for stamp in signature.time_stamps]
