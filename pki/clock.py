"""The time of day as a value that is handed in; no other module reads the clock."""

import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present time."""

    def now(self) -> datetime.datetime:
        """Return the present time, aware and in UTC, with microseconds."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime.datetime:
        """Return the machine's time in UTC."""
        return datetime.datetime.now(datetime.UTC)  # noqa: TID251 - the one place that reads it


class FixedClock:
    """A clock that stands still until it is moved, for tests and replays."""

    def __init__(self, at: datetime.datetime) -> None:
        """Start at an aware time."""
        self._at = require_utc(at)

    def now(self) -> datetime.datetime:
        """Return the time that was set."""
        return self._at

    def move(self, by: datetime.timedelta) -> None:
        """Move the clock forwards or backwards."""
        self._at += by


def require_utc(at: datetime.datetime) -> datetime.datetime:
    """Return `at` in UTC; a time without a zone is a programming error and raises ValueError."""
    if at.tzinfo is None:
        raise ValueError("expected a time with a zone, got one without")
    return at.astimezone(datetime.UTC)


def time_text(at: datetime.datetime) -> str:
    """A time as RFC 3339 writes it, in UTC and whole seconds: 2026-01-31T12:00:00Z."""
    return f"{require_utc(at).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def whole_seconds(at: datetime.datetime) -> datetime.datetime:
    """Cut the fraction of a second off, as X.509 times have none (RFC 5280 4.1.2.5)."""
    return require_utc(at).replace(microsecond=0)
