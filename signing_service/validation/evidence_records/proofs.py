"""What time an evidence record proves (RFC 4998 5.3, RFC 6283 4.3; EN 319 102-1 5.6.3.4 step 1)."""

import dataclasses
import datetime
from collections.abc import Sequence

from signing_service.validation import (
    evidence,
    findings,
    policy,
    processes,
    report,
    time_stamps,
)


@dataclasses.dataclass(frozen=True)
class RecordVerdict:
    """A record, and the time at which what it covers is proven to have existed (None: none)."""

    found: findings.FoundEvidenceRecord
    report: report.EvidenceRecordReport
    proven_time: datetime.datetime | None
    missing: tuple[evidence.MissingStatus, ...]

    @property
    def proof(self) -> processes.ProofOfExistence | None:
        """The proof that it is for what it covers (EN 319 102-1 5.6.2.3)."""
        if self.proven_time is None:
            return None
        return processes.ProofOfExistence(
            self.proven_time,
            processes.ProofSource.EVIDENCE_RECORD,
            None,
            self.report.time_stamps[0].sha256 or "",
        )


def judge_all(
    records: Sequence[findings.FoundEvidenceRecord],
    circumstances: policy.Circumstances,
    at: datetime.datetime,
) -> list[RecordVerdict]:
    """Judge records, in their order; one over another's file proves when that one existed."""
    verdicts: dict[int, RecordVerdict] = {}
    newest_first = sorted(
        range(len(records)), key=lambda place: _last_time(records[place]), reverse=True
    )
    for place in newest_first:
        record = records[place]
        known = processes.Known(at).with_proofs(
            *(one.proof for one in verdicts.values() if record.file in one.found.covers)
        )
        verdicts[place] = judge(record, circumstances, known)
    return [verdicts[place] for place in range(len(records))]


def judge(
    record: findings.FoundEvidenceRecord,
    circumstances: policy.Circumstances,
    known: processes.Known,
) -> RecordVerdict:
    """Judge the time stamps of a record, each at the time until which the next one proves it.

    RFC 4998 5.3 step 2: each is valid at the time of the next one, the last one now, and their
    hashes could be relied on then. One that fails leaves nothing proven.
    """
    missing: list[evidence.MissingStatus] = []
    stamps: list[report.TimeStampReport] = []
    proven = None
    for stamp in reversed(record.stamps):
        verdict = time_stamps.judge(stamp, circumstances, known)
        missing += verdict.missing
        stamps.insert(0, verdict.report)
        proven = verdict.proven_time
        if proven is None:
            told = "" if verdict.report.problem is None else f": {verdict.report.problem.message}"
            problem = report.Finding(
                "evidence-record-time-stamp",
                f"a time stamp of the evidence record proves no time{told}"[:300],
            )
            shown = dataclasses.replace(record.report, problem=problem, time_stamps=tuple(stamps))
            return RecordVerdict(record, shown, None, tuple(missing))
        known = known.with_proofs(verdict.proof)
    shown = dataclasses.replace(record.report, time_stamps=tuple(stamps))
    return RecordVerdict(record, shown, proven if record.report.intact else None, tuple(missing))


def warning(verdict: RecordVerdict) -> report.Finding | None:
    """What a signature is told of a record over it that proves nothing."""
    problem = verdict.report.problem
    if problem is None:
        return None
    return report.Finding(problem.code, f"an evidence record proves nothing: {problem.message}")


def _last_time(record: findings.FoundEvidenceRecord) -> datetime.datetime:
    """What the newest time stamp of a record says, unchecked."""
    earliest = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return max(map(time_stamps.stated_time, record.stamps), default=earliest)
