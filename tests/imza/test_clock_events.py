import datetime
import pathlib
import subprocess
import sys
import time
from contextlib import closing

import pytest
import sqlalchemy
from sqlalchemy import orm

from imza.wiring import clock_events
from pki import audit, database
from tsa.clock_accuracy import ClockState

AT = datetime.datetime(2026, 11, 22, 12, 0, 0, tzinfo=datetime.UTC)
HEAVY = ("fastapi", "sqlalchemy", "pyhanko", "pydantic")


def _sessions(path: pathlib.Path) -> orm.sessionmaker[orm.Session]:
    engine = database.connect(f"sqlite:///{path}")
    database.Base.metadata.create_all(engine)
    return database.session_factory(engine)


def _events(sessions: orm.sessionmaker[orm.Session]) -> list[str]:
    with sessions() as session:
        return [
            str(one)
            for one in session.scalars(
                sqlalchemy.select(audit.EntryRow.event).order_by(audit.EntryRow.number)
            )
        ]


def test_changes_are_written_in_their_order_before_the_end(tmp_path: pathlib.Path) -> None:
    sessions = _sessions(tmp_path / "x.sqlite")
    with closing(clock_events.ClockEvents(lambda: sessions)) as events:
        for reason in (None, "a step", None):
            events.tell(ClockState(reason), AT)
    events.check()
    assert _events(sessions) == ["clock.trusted", "clock.untrusted", "clock.trusted"]


def test_a_database_that_is_away_holds_up_nobody_and_what_was_told_waits_for_it(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "x.sqlite"
    tries = []

    def come_back() -> orm.sessionmaker[orm.Session]:
        tries.append(1)
        if len(tries) < 3:
            raise sqlalchemy.exc.OperationalError("connect", {}, Exception("away"))
        return _sessions(path)

    with closing(clock_events.ClockEvents(come_back, retry_s=0.05)) as events:
        start = time.monotonic()
        events.tell(ClockState("a step"), AT)
        assert time.monotonic() - start < 0.05
        with pytest.raises(clock_events.ClockEventsWaitError):
            _until_it_fails(events)
    events.check()
    assert _events(_sessions(path)) == ["clock.untrusted"]


def _until_it_fails(events: clock_events.ClockEvents) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        events.check()
        time.sleep(0.001)


def test_a_time_stamping_worker_needs_neither_web_framework_nor_database_layer() -> None:
    program = (
        "import sys, imza.wiring.tsa_zone, imza.serving.zone_process;"
        f"print([one for one in {HEAVY!r} if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
