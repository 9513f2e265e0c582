"""Figures of several processes, read by the parser of the Prometheus project."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser

from pki import errors, metrics
from tests.support import servers


def _read(figures: metrics.Metrics) -> dict[str, Metric]:
    text = figures.write().decode()
    return {one.name: one for one in parser.text_string_to_metric_families(text)}


def _declare(board: metrics.Board) -> tuple[metrics.Metrics, metrics.Counter, metrics.Histogram]:
    figures = metrics.Metrics(board)
    counter = figures.counter("imza_x_requests", "Requests.", "outcome", ("good", "bad"))
    return figures, counter, figures.histogram("imza_x_seconds", "How long.", (0.1, 1.0))


def _value(figures: metrics.Metrics, name: str, /, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in _read(figures).values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found


def test_counters_histograms_and_gauges_are_read_by_the_parser_of_others() -> None:
    figures, counter, histogram = _declare(metrics.Board())
    figures.gauge("imza_x_age_seconds", 'An "age"\nand more\\.', lambda: {"": 2.5})
    figures.gauge("imza_x_end", "By name.", lambda: {'a"b\\c\n': 1}, "name")
    for outcome in ("good", "good", "bad"):
        counter.add(outcome)
    for seconds in (0.05, 0.1, 0.5, 7):
        histogram.observe(seconds)
    families = _read(figures)
    assert [one.type for one in families.values()] == ["counter", "histogram", "gauge", "gauge"]
    assert families["imza_x_age_seconds"].unit == "seconds"
    assert _value(figures, "imza_x_requests_total", outcome="good") == 2
    assert _value(figures, "imza_x_requests_total", outcome="bad") == 1
    assert _value(figures, "imza_x_seconds_bucket", le="0.1") == 2
    assert _value(figures, "imza_x_seconds_bucket", le="1.0") == 3
    assert _value(figures, "imza_x_seconds_bucket", le="+Inf") == 4
    assert _value(figures, "imza_x_seconds_count") == 4
    assert _value(figures, "imza_x_seconds_sum") == pytest.approx(7.65)
    assert _value(figures, "imza_x_end", name='a"b\\c\n') == 1


def test_a_gauge_that_cannot_be_read_has_no_number_and_spoils_no_other() -> None:
    figures, counter, _ = _declare(metrics.Board())

    def fail() -> dict[str, float]:
        raise errors.PeerError("away")

    figures.gauge("imza_x_gone", "Away.", fail)
    counter.add("good")
    assert _read(figures)["imza_x_gone"].samples == []
    assert _value(figures, "imza_x_requests_total", outcome="good") == 1


Begun = Callable[[Callable[[], None]], int]


@pytest.fixture
def fork() -> Iterator[Begun]:
    """Run a function in a process that then waits to be killed."""
    children: list[int] = []

    def begin(work: Callable[[], None]) -> int:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                work()
                os.write(writing, b"1")
                signal.pause()
            finally:
                os._exit(code)
        os.close(writing)
        children.append(pid)
        assert os.read(reading, 1) == b"1"
        os.close(reading)
        return pid

    yield begin
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_figures_are_those_of_all_workers_and_outlive_each_of_them(fork: Begun) -> None:
    board = metrics.Board(3)

    def work() -> None:
        _, counter, histogram = _declare(board)
        for _ in range(1000):
            counter.add("good")
            histogram.observe(0.5)

    figures, counter, _ = _declare(board)
    counter.add("good")
    first = fork(work)
    fork(work)
    assert _value(figures, "imza_x_requests_total", outcome="good") == 2001
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert _value(figures, "imza_x_requests_total", outcome="good") == 2001
    # The next worker goes on in the part of the one that died.
    fork(work)
    assert _value(figures, "imza_x_requests_total", outcome="good") == 3001
    assert _value(figures, "imza_x_seconds_count") == 3000


def test_more_processes_than_parts_are_refused(fork: Begun) -> None:
    board = metrics.Board(1)
    fork(lambda: board.claim() and None)
    with pytest.raises(metrics.NoPartError):
        board.claim()


def test_a_metric_is_declared_once_and_all_fit_into_a_part() -> None:
    figures, _, _ = _declare(metrics.Board())
    with pytest.raises(errors.InputError):
        figures.counter("imza_x_requests", "Again.")
    with pytest.raises(metrics.NoPartError):
        figures.counter("imza_y", "Many.", "n", [str(one) for one in range(metrics.PART_VALUES)])


def test_the_endpoint_names_the_format() -> None:
    import httpx

    from imza.serving import plain_application

    figures, counter, _ = _declare(metrics.Board())
    counter.add("bad")
    with servers.serve(plain_application.PlainApplication(figures.endpoints())) as url:
        reply = httpx.get(f"{url}/metrics", trust_env=False)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.content == figures.write()
