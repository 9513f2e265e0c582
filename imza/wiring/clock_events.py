"""Changes of the clock's state, written to the zone's audit log beside the work.

The authority stamps while the database is slow or away: what could not be written waits. A worker
is ready before the database layer is even imported.
"""

import contextlib
import datetime
import logging
import queue
import threading
import typing
from collections.abc import Callable

from pki import errors
from tsa import clock_accuracy

if typing.TYPE_CHECKING:
    from sqlalchemy import orm

log = logging.getLogger(__name__)

RETRY_S = 5.0
CLOSE_LIMIT_S = 5.0

MAX_WAITING = 1000
"""Changes that wait for the database; a clock that changes more often is in the log alone."""


class ClockEventsWaitError(errors.StorageError):
    """The audit log cannot be written just now."""

    code = "clock-events-wait"


class ClockEvents:
    """Writes in a thread of its own, in order, again and again until it succeeds."""

    def __init__(
        self,
        open_sessions: "Callable[[], orm.sessionmaker[orm.Session]]",
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        """Begin.

        Args:
            open_sessions: Opens the database; called in the thread, until it succeeds.
            retry_s: How long to wait after a failure.
        """
        self._retry_s = retry_s
        self._open = open_sessions
        self._waiting: queue.Queue[tuple[clock_accuracy.ClockState, datetime.datetime] | None] = (
            queue.Queue(MAX_WAITING)
        )
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock-events", daemon=True)
        self._thread.start()

    def tell(self, state: clock_accuracy.ClockState, at: datetime.datetime) -> None:
        """Take one change."""
        try:
            self._waiting.put_nowait((state, at))
        except queue.Full:
            log.error("clock_event_not_kept waiting=%d", MAX_WAITING)

    def check(self) -> None:
        """Probe whether what was told could be written so far.

        Raises:
            ClockEventsWaitError: Not yet.
        """
        if self._failure is not None:
            raise ClockEventsWaitError(f"the audit log cannot be written: {self._failure}")

    def close(self) -> None:
        """Write what waits, if that takes no longer than a few seconds."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_LIMIT_S)
        self._thread.join(CLOSE_LIMIT_S)
        self._stopping.set()

    def _run(self) -> None:
        sessions: orm.sessionmaker[orm.Session] | None = None
        while (told := self._waiting.get()) is not None:
            while True:
                try:
                    sessions = sessions or self._open()
                    _write(sessions, *told)
                    self._failure = None
                    break
                except Exception as error:
                    # Whatever it is may pass; until then `/readyz` says so.
                    self._failure = (
                        error.message if isinstance(error, errors.ImzaError) else "the database"
                    )
                    log.exception("clock_event_not_written")
                if self._stopping.wait(self._retry_s):
                    return


def _write(
    sessions: "orm.sessionmaker[orm.Session]",
    state: clock_accuracy.ClockState,
    at: datetime.datetime,
) -> None:
    from pki import audit

    event = audit.AuditEvent.CLOCK_TRUSTED if state.trusted else audit.AuditEvent.CLOCK_UNTRUSTED
    with sessions() as session:
        audit.append(session, event, at, actor="clock", details={"reason": state.reason})
        session.commit()
