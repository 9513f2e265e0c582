"""What each building block of EN 319 102-1 concluded, and by which rules, told one by one.

The judges note each rule as they go through it; nothing here is worked out afterwards.
"""

import dataclasses
import datetime
import enum

from pki import clock
from signing_service.validation import report


class BlockIndication(enum.Enum):
    """What a building block ends with (EN 319 102-1 5.1.3); a signature's are `TOTAL-…`."""

    PASSED = "PASSED"
    INDETERMINATE = "INDETERMINATE"
    FAILED = "FAILED"


def indication_of(sub_indication: report.SubIndication | None) -> BlockIndication:
    """The indication that a sub-indication goes with; none goes with a block that passed."""
    if sub_indication is None:
        return BlockIndication.PASSED
    failed = sub_indication in report.FAILURES
    return BlockIndication.FAILED if failed else BlockIndication.INDETERMINATE


class BlockKind(enum.Enum):
    """The blocks, by the standard's short names where it has them."""

    FORMAT_CHECKING = "FC"
    """5.2.2."""
    CERTIFICATE_IDENTIFICATION = "ISC"
    """5.2.3."""
    CONTEXT = "VCI"
    """5.2.4."""
    CRYPTOGRAPHIC_VERIFICATION = "CV"
    """5.2.7."""
    CERTIFICATE_VALIDATION = "XCV"
    """5.2.6."""
    ACCEPTANCE = "SAV"
    """5.2.8."""
    TIME_STAMP = "TST"
    """5.4, once for each time stamp."""
    WITH_TIME = "TIME"
    """5.5: what time stamps say of the signature."""
    EXISTENCE = "POE"
    """5.6.2.3: since when the signature is proven to exist; path and algorithms are judged then."""
    QUALIFICATION = "QUAL"
    """TS 119 615, which is no part of EN 319 102-1."""


class Rule(enum.Enum):
    """The rules (validation constraints), each with the block that it belongs to."""

    FORMAT = "format", BlockKind.FORMAT_CHECKING
    CERTIFICATE_PRESENT = "signing-certificate-present", BlockKind.CERTIFICATE_IDENTIFICATION
    CERTIFICATE_NAMED = "signing-certificate-named", BlockKind.CERTIFICATE_IDENTIFICATION
    POLICY = "validation-policy", BlockKind.CONTEXT
    DATA_PRESENT = "signed-data-present", BlockKind.CRYPTOGRAPHIC_VERIFICATION
    ALGORITHMS_KNOWN = "algorithms-known", BlockKind.CRYPTOGRAPHIC_VERIFICATION
    DIGESTS = "digests-match", BlockKind.CRYPTOGRAPHIC_VERIFICATION
    VALUE = "signature-value", BlockKind.CRYPTOGRAPHIC_VERIFICATION
    PATH_FOUND = "path-found", BlockKind.CERTIFICATE_VALIDATION
    PATH_CONSTRAINTS = "path-constraints", BlockKind.CERTIFICATE_VALIDATION
    PATH_ALGORITHMS = "path-algorithms", BlockKind.CERTIFICATE_VALIDATION
    NOT_REVOKED = "not-revoked", BlockKind.CERTIFICATE_VALIDATION
    VALIDITY_PERIOD = "validity-period", BlockKind.CERTIFICATE_VALIDATION
    STATUS_KNOWN = "status-known", BlockKind.CERTIFICATE_VALIDATION
    KEY_USAGE = "key-usage", BlockKind.CERTIFICATE_VALIDATION
    ALGORITHMS = "algorithms-reliable", BlockKind.ACCEPTANCE
    TRANSFORMS = "transforms-known", BlockKind.ACCEPTANCE
    CERTIFICATE_SIGNED = "signing-certificate-signed", BlockKind.ACCEPTANCE
    CHANGES = "changes-after-signing", BlockKind.ACCEPTANCE
    SCOPE = "covers-document", BlockKind.ACCEPTANCE
    STAMP_INTACT = "time-stamp-intact", BlockKind.TIME_STAMP
    STAMP_PROVES = "time-stamp-proves", BlockKind.TIME_STAMP
    STAMP_ORDER = "time-stamp-order", BlockKind.WITH_TIME
    CLAIMED_TIME = "claimed-signing-time", BlockKind.WITH_TIME
    STAMP_DEMANDED = "time-stamp-demanded", BlockKind.WITH_TIME
    PAST_PROOF = "existence-proven", BlockKind.EXISTENCE
    QUALIFICATION = "qualification-determined", BlockKind.QUALIFICATION
    QUALIFIED_DEMANDED = "qualified-demanded", BlockKind.QUALIFICATION

    def __init__(self, code: str, block: BlockKind) -> None:
        """Take what a member is made of."""
        self.code = code
        self.block = block


@dataclasses.dataclass(frozen=True)
class Constraint:
    """One rule that was gone through.

    Attributes:
        is_applied: False of a rule that the policy does not have.
        sub_indication: What breaking it means; None where it is kept.
        problem: Why it is broken.
        parameter: What it was asked with: a name, a time, a list of hash functions.
    """

    rule: Rule
    is_applied: bool = True
    sub_indication: report.SubIndication | None = None
    problem: report.Finding | None = None
    parameter: str | None = None

    @property
    def indication(self) -> BlockIndication | None:
        """None of a rule that was not applied."""
        if not self.is_applied:
            return None
        if self.problem is not None and self.sub_indication is None:
            return BlockIndication.INDETERMINATE
        return indication_of(self.sub_indication)

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        indication = self.indication
        return {
            "id": self.rule.code,
            "status": "applied" if self.is_applied else "disabled",
            "indication": None if indication is None else indication.value,
            "sub_indication": None if self.sub_indication is None else self.sub_indication.value,
            "parameter": self.parameter,
            "message": None if self.problem is None else self.problem.message,
        }


@dataclasses.dataclass(frozen=True)
class Block:
    """A block with its rules, in the order in which they were gone through.

    Attributes:
        judged_at: As of when; None where time makes no difference.
        about: Which time stamp, by its kind and what it says of the time.
        is_complete: False where another block decided before its last rule.
    """

    kind: BlockKind
    constraints: tuple[Constraint, ...]
    judged_at: datetime.datetime | None = None
    about: str | None = None
    is_complete: bool = True

    @property
    def indication(self) -> BlockIndication:
        """The worst of its rules."""
        found = {one.indication for one in self.constraints}
        for one in (BlockIndication.FAILED, BlockIndication.INDETERMINATE):
            if one in found:
                return one
        return BlockIndication.PASSED

    @property
    def sub_indication(self) -> report.SubIndication | None:
        """Of the rule that decided."""
        return next(
            (
                one.sub_indication
                for one in self.constraints
                if one.indication is self.indication and one.sub_indication is not None
            ),
            None,
        )

    def to_json(self) -> dict[str, object]:
        """As the detailed report has it."""
        reason = self.sub_indication
        return {
            "block": self.kind.value,
            "about": self.about,
            "complete": self.is_complete,
            "indication": self.indication.value,
            "sub_indication": None if reason is None else reason.value,
            "judged_at": None if self.judged_at is None else clock.time_text(self.judged_at),
            "constraints": [one.to_json() for one in self.constraints],
        }


class Course:
    """Notes the rules that one signature goes through."""

    def __init__(self) -> None:
        """Begin with none."""
        self._noted: list[Constraint] = []

    def keep(self, *rules: Rule, parameter: str | None = None) -> None:
        """Note rules that are kept."""
        self._noted += [Constraint(one, parameter=parameter) for one in rules]

    def leave_out(self, rule: Rule) -> None:
        """Note a rule that the policy does not have."""
        self._noted.append(Constraint(rule, is_applied=False))

    def stop(
        self,
        rule: Rule,
        sub_indication: report.SubIndication,
        problem: report.Finding,
        parameter: str | None = None,
    ) -> None:
        """Note a rule that is broken."""
        self._noted.append(
            Constraint(rule, sub_indication=sub_indication, problem=problem, parameter=parameter)
        )

    def _completed(self, kind: BlockKind) -> bool:
        """Algorithms are looked at before the path, and the rest of acceptance after it."""
        if kind is not BlockKind.ACCEPTANCE:
            return True
        last = self._noted[-1].rule
        return last.block is kind or any(one.rule is Rule.SCOPE for one in self._noted)

    def blocks(
        self, judged_at: datetime.datetime, stamps: tuple[report.TimeStampReport, ...]
    ) -> tuple[Block, ...]:
        """Return the blocks that were reached, in the order of `BlockKind`.

        Args:
            judged_at: As of when the path and the algorithms were judged.
            stamps: The verdicts on the signature's time stamps.
        """
        timed = {BlockKind.CERTIFICATE_VALIDATION, BlockKind.ACCEPTANCE, BlockKind.EXISTENCE}
        found = []
        for kind in BlockKind:
            if kind is BlockKind.TIME_STAMP:
                found += [_of_stamp(one) for one in stamps]
                continue
            noted = tuple(one for one in self._noted if one.rule.block is kind)
            if noted:
                at = judged_at if kind in timed else None
                found.append(Block(kind, noted, at, is_complete=self._completed(kind)))
        return tuple(found)


def _of_stamp(stamp: report.TimeStampReport) -> Block:
    """The block of a time stamp (EN 319 102-1 5.4), by the verdict on it."""
    told = "" if stamp.time is None else f" {clock.time_text(stamp.time)}"
    if stamp.intact:
        constraints = [Constraint(Rule.STAMP_INTACT)]
        constraints.append(
            Constraint(
                Rule.STAMP_PROVES, sub_indication=stamp.sub_indication, problem=stamp.problem
            )
        )
    else:
        constraints = [
            Constraint(
                Rule.STAMP_INTACT,
                sub_indication=stamp.sub_indication,
                problem=stamp.problem or report.Finding("time-stamp", "it could not be judged"),
            )
        ]
    return Block(
        BlockKind.TIME_STAMP,
        tuple(constraints),
        stamp.judged_at,
        about=f"{stamp.kind.value}{told}",
    )
