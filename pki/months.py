"""Calendar months in UTC, as statistics and tariffs count them."""

import dataclasses
import datetime
import re
from collections.abc import Iterator

from pki import clock, errors

MAX_MONTHS = 120
"""The longest range that is asked for at once."""

_TEXT = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


class MonthError(errors.InputError):
    """No month, or a range that is turned round or too long."""

    code = "month-refused"


@dataclasses.dataclass(frozen=True, order=True)
class Month:
    """A month of a year, such as `2026-10`."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """Read a month.

        Raises:
            MonthError: Anything but a year after 2000, a hyphen and a number from 01 to 12.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise MonthError(f"expected a month such as 2026-10, got {text[:20]!r}")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, at: datetime.datetime) -> "Month":
        """The month of a time, in UTC."""
        utc = clock.require_utc(at)
        return cls(utc.year, utc.month)

    def __str__(self) -> str:
        """As it is written: `2026-10`."""
        return f"{self.year:04}-{self.number:02}"

    @property
    def start(self) -> datetime.datetime:
        """Its first moment."""
        return datetime.datetime(self.year, self.number, 1, tzinfo=datetime.UTC)

    @property
    def end(self) -> datetime.datetime:
        """The first moment after it."""
        return self.later(1).start

    def later(self, months: int) -> "Month":
        """The month so many months later, or earlier for a negative number."""
        count = self.year * 12 + self.number - 1 + months
        return Month(count // 12, count % 12 + 1)


@dataclasses.dataclass(frozen=True)
class Range:
    """Months from one to another, both included."""

    first: Month
    last: Month

    def __post_init__(self) -> None:
        """Refuse a range that is turned round, or longer than `MAX_MONTHS`."""
        length = self.last.year * 12 + self.last.number - self.first.year * 12 - self.first.number
        if not 0 <= length < MAX_MONTHS:
            raise MonthError(
                f"expected months in their order, {MAX_MONTHS} at most,"
                f" got {self.first} to {self.last}"
            )

    def __iter__(self) -> Iterator[Month]:
        """Every month, the first one first."""
        month = self.first
        while month <= self.last:
            yield month
            month = month.later(1)
