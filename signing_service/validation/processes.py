"""The processes of EN 319 102-1 one after the other, and how proofs of existence moved their times.

Basic validation (5.3) judges at the present; validation with time (5.5) at the time that signature
time stamps prove; long-term validation (5.6.3) at the earliest time that anything proves. What was
open before may then be decided by past certificate validation (5.6.2.1) and past signature
validation (5.6.2.4). The judges note these values as they go; nothing is worked out afterwards.
"""

import dataclasses
import datetime
import enum

from pki import clock
from signing_service.validation import building_blocks, report


class ProcessKind(enum.Enum):
    """The validation processes, in the order in which they run."""

    BASIC = "basic"
    """5.3: as if nothing proved that the signature is older than the present."""
    WITH_TIME = "with-time"
    """5.5: with the time stamps over the signature that are good by themselves at the present."""
    LONG_TERM = "long-term"
    """5.6.3: with archive and document time stamps and evidence records too."""


class ProofSource(enum.Enum):
    """What proves that something existed."""

    TIME_STAMP = "time-stamp"
    EVIDENCE_RECORD = "evidence-record"


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """What a process or a block ended with.

    Attributes:
        sub_indication: None where it passed.
        problem: Why it did not pass.
    """

    sub_indication: report.SubIndication | None = None
    problem: report.Finding | None = None

    @property
    def indication(self) -> building_blocks.BlockIndication:
        """The indication that goes with the sub-indication."""
        if self.problem is not None and self.sub_indication is None:
            return building_blocks.BlockIndication.INDETERMINATE
        return building_blocks.indication_of(self.sub_indication)

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        return {
            "indication": self.indication.value,
            "sub_indication": None if self.sub_indication is None else self.sub_indication.value,
            "message": None if self.problem is None else self.problem.message,
        }


@dataclasses.dataclass(frozen=True)
class Process:
    """One process and its conclusion.

    Attributes:
        judged_at: As of when path and algorithms were judged.
    """

    kind: ProcessKind
    judged_at: datetime.datetime
    conclusion: Conclusion

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        return {
            "process": self.kind.value,
            "judged_at": clock.time_text(self.judged_at),
            **self.conclusion.to_json(),
        }


@dataclasses.dataclass(frozen=True)
class ProofOfExistence:
    """A proof that an object existed at a time (EN 319 102-1 5.6.2.3).

    Attributes:
        kind: What the time stamp is over; None of an evidence record.
        sha256: Of the time-stamp token, in hex; of an evidence record, that of its first one.
    """

    time: datetime.datetime
    source: ProofSource
    kind: report.TimeStampKind | None
    sha256: str

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        return {
            "time": clock.time_text(self.time),
            "source": self.source.value,
            "kind": None if self.kind is None else self.kind.value,
            "sha256": self.sha256,
        }


@dataclasses.dataclass(frozen=True)
class Known:
    """The present of a judgement, and what proves that an object is older than that."""

    at: datetime.datetime
    proofs: tuple[ProofOfExistence, ...] = ()

    @property
    def control_time(self) -> datetime.datetime:
        """The time that the object is judged at (the control time of 5.6.2.2)."""
        return min([self.at, *(one.time for one in self.proofs)])

    @property
    def proofs_in_order(self) -> tuple[ProofOfExistence, ...]:
        """The proofs, the earliest first, each once."""
        return tuple(sorted(dict.fromkeys(self.proofs), key=lambda one: one.time))

    def with_proofs(self, *found: ProofOfExistence | None) -> "Known":
        """The same, knowing more."""
        more = tuple(one for one in found if one is not None)
        return Known(self.at, (*self.proofs, *more))


OPEN_TO_PROOF = frozenset(
    {
        report.SubIndication.REVOKED_NO_POE,
        report.SubIndication.REVOKED_CA_NO_POE,
        report.SubIndication.OUT_OF_BOUNDS_NO_POE,
        report.SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
        report.SubIndication.REVOCATION_OUT_OF_BOUNDS_NO_POE,
        report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        report.SubIndication.TRY_LATER,
    }
)
"""What a proof of existence may still decide (EN 319 102-1 5.6.3.4); all else is final."""


@dataclasses.dataclass(frozen=True)
class PastValidation:
    """An object that could not be accepted as of the present, judged as of an earlier time.

    Attributes:
        before: What was concluded without the proofs.
        control_time: As of when it was judged (5.6.2.2).
        proofs: Those that lead there, the earliest first.
        certificate: Of past certificate validation (5.6.2.1): the path as of the control time;
            None where something else decided before.
        signature: Of past signature validation (5.6.2.4).
    """

    before: Conclusion
    control_time: datetime.datetime
    proofs: tuple[ProofOfExistence, ...]
    certificate: Conclusion | None
    signature: Conclusion

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        return {
            "before": self.before.to_json(),
            "control_time": clock.time_text(self.control_time),
            "proofs_of_existence": [one.to_json() for one in self.proofs],
            "past_certificate_validation": None
            if self.certificate is None
            else self.certificate.to_json(),
            "past_signature_validation": self.signature.to_json(),
        }


def in_the_past(
    before: Conclusion, known: Known, certificate: Conclusion | None, signature: Conclusion
) -> PastValidation | None:
    """Tell of the judgement as of the control time; None where none was needed or possible."""
    if before.sub_indication not in OPEN_TO_PROOF or not known.proofs:
        return None
    return PastValidation(before, known.control_time, known.proofs_in_order, certificate, signature)
