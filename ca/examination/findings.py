"""What an examination found: each finding, and the report that holds them."""

import collections
import dataclasses
import datetime
import enum
from collections.abc import Callable

MAX_KEPT = 200
"""Findings of one check that are kept whole; the others are counted."""


class Severity(enum.Enum):
    """`ERROR`: what is stored is not what must be. `WARNING`: somebody should look."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be.

    Attributes:
        check: The check that found it, such as `certificate-digest`.
        about: A serial number, a CRL's number, a label; never a name of a person.
        message: What was expected and what is there.
        severity: How bad.
    """

    check: str
    about: str
    message: str
    severity: Severity = Severity.ERROR


@dataclasses.dataclass
class Report:
    """Everything that one examination found; it stays small whatever is wrong."""

    begun_at: datetime.datetime
    examined: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    counts: collections.Counter[tuple[str, Severity]] = dataclasses.field(
        default_factory=collections.Counter
    )
    findings: list[Finding] = dataclasses.field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it where there are not too many of its check."""
        key = finding.check, finding.severity
        self.counts[key] += 1
        if self.counts[key] <= MAX_KEPT:
            self.findings.append(finding)

    def total(self, severity: Severity) -> int:
        """How many findings there are of a severity."""
        return sum(count for (_, one), count in self.counts.items() if one is severity)


Tell = Callable[[str, int], None]
"""Hears what is examined and how many of it were."""
