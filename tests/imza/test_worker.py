import datetime
import logging
import threading

import pytest

from imza import worker
from imza.wiring.zone import Job
from pki import clock, errors

START = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)


class Diary:
    """Jobs that write down when they ran."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, datetime.datetime]] = []

    def job(self, name: str, seconds: int, failure: Exception | None = None) -> Job:
        def run(at: datetime.datetime) -> None:
            self.entries.append((name, at))
            if failure is not None:
                raise failure

        return Job(name, datetime.timedelta(seconds=seconds), run)

    def names(self) -> list[str]:
        return [name for name, _ in self.entries]


def test_a_job_runs_after_each_interval_and_is_told_the_time() -> None:
    diary, present = Diary(), clock.FixedClock(START)
    duties = worker.Worker([diary.job("often", 2), diary.job("seldom", 5)], present)
    ran = []
    for _ in range(6):
        ran.append(duties.run_due())
        present.move(SECOND)
    assert ran == [0, 0, 1, 0, 1, 1]
    assert diary.names() == ["often", "often", "seldom"]
    assert diary.entries[0] == ("often", START + 2 * SECOND)


def test_a_late_worker_runs_a_job_once_and_not_once_for_each_interval_missed() -> None:
    diary, present = Diary(), clock.FixedClock(START)
    duties = worker.Worker([diary.job("often", 2)], present)
    present.move(datetime.timedelta(hours=1))
    assert duties.run_due() == 1
    assert duties.run_due() == 0


@pytest.mark.parametrize(
    "failure", [errors.PeerError("the authority is away"), ZeroDivisionError("a fault")]
)
def test_a_failing_job_does_not_stop_the_others_and_is_tried_again(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    diary, present = Diary(), clock.FixedClock(START)
    duties = worker.Worker([diary.job("bad", 1, failure), diary.job("good", 1)], present)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            present.move(SECOND)
            assert duties.run_due() == 2
    assert diary.names() == ["bad", "good", "bad", "good"]
    assert [record.getMessage().split()[:2] for record in caplog.records] == [
        ["job_failed", "name=bad"]
    ] * 2


def test_stopping_waits_for_the_job_under_way_and_begins_no_other() -> None:
    began, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    def slow(_: datetime.datetime) -> None:
        began.set()
        assert may_end.wait(10)
        ended.append("slow")

    jobs = [
        Job("slow", datetime.timedelta(0), slow),
        Job("next", datetime.timedelta(0), lambda _: ended.append("next")),
    ]
    duties = worker.Worker(jobs, clock.FixedClock(START))
    duties.start()
    assert began.wait(10)
    stopping = threading.Thread(target=duties.stop)
    stopping.start()
    stopping.join(0.05)
    assert stopping.is_alive()
    may_end.set()
    stopping.join(10)
    assert ended == ["slow"]
