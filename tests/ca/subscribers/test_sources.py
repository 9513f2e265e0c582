"""An address that misses waits, longer each time; no other one does, and nobody for good."""

import datetime
import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.subscribers import settings as subscriber_settings
from ca.subscribers import sources

SETTINGS = subscriber_settings.Settings(password_tries=3)
AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)


@pytest.fixture
def known() -> sources.Sources:
    return sources.Sources(SETTINGS)


def _miss(known: sources.Sources, source: str, at: datetime.datetime) -> datetime.datetime:
    """Miss as soon as the source may; return when that was."""
    while True:
        try:
            known.begin(source, at)
        except sources.WaitError:
            at += SECOND
            continue
        return at


def test_the_first_misses_cost_nothing_and_the_next_ones_double(known: sources.Sources) -> None:
    at, times = AT, []
    for _ in range(16):
        at = _miss(known, "192.0.2.1", at)
        times.append(at)
    waits = [(after - before) // SECOND for before, after in itertools.pairwise(times)]
    assert waits[:6] == [0, 0, 1, 2, 4, 8]
    assert waits[-4:] == [512, 900, 900, 900]


def test_one_that_misses_keeps_no_other_waiting(known: sources.Sources) -> None:
    for _ in range(5):
        _miss(known, "192.0.2.1", AT)
    with pytest.raises(sources.WaitError, match=r"wait . s, or call"):
        known.begin("192.0.2.1", AT)
    assert known.begin("192.0.2.2", AT) is False
    assert known.begin("192.0.2.2", AT) is True


def test_what_was_forgiven_or_is_long_ago_is_forgotten(known: sources.Sources) -> None:
    for _ in range(3):
        known.begin("192.0.2.1", AT)
    known.forgive("192.0.2.1")
    known.forgive("192.0.2.9")
    assert known.begin("192.0.2.1", AT) is False
    for _ in range(2):
        known.begin("192.0.2.1", AT)
    later = AT + SETTINGS.password_delay + SECOND
    assert known.begin("192.0.2.1", later) is False


def test_many_tries_at_once_get_no_more_of_them(known: sources.Sources) -> None:
    told: list[bool] = []
    gate = threading.Barrier(20)

    def attempt() -> None:
        gate.wait()
        try:
            known.begin("192.0.2.1", AT)
            told.append(True)
        except sources.WaitError:
            told.append(False)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert told.count(True) == SETTINGS.password_tries


def test_only_so_many_addresses_are_remembered(known: sources.Sources) -> None:
    for number in range(sources.MAX_SOURCES + 1):
        known.begin(str(number), AT)
    assert known.begin("0", AT) is False
    assert known.begin(str(sources.MAX_SOURCES), AT) is True


def test_a_sandbox_makes_nobody_wait() -> None:
    known = sources.Sources(subscriber_settings.Settings(password_tries=0))
    assert not any(known.begin("192.0.2.1", AT) for _ in range(50))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::9", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::5", "2001:db8:0:2::/64"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_a_network_of_one_owner_is_one_source(host: str | None, name: str) -> None:
    assert sources.name_of(host) == name


@given(st.integers(0, 2**40))
def test_no_wait_is_for_good(misses: int) -> None:
    wait = sources.progressive_wait(misses, SETTINGS)
    assert datetime.timedelta(0) <= wait <= SETTINGS.password_delay
    assert sources.progressive_wait(misses + 1, SETTINGS) >= wait
