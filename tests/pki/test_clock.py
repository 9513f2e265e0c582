import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import clock

BAKU = datetime.timezone(datetime.timedelta(hours=4))


@pytest.mark.clause("RFC 3339", "5.6")
def test_a_time_is_written_in_utc_and_whole_seconds() -> None:
    at = datetime.datetime(2026, 1, 31, 16, 0, 0, 999_999, tzinfo=BAKU)
    assert clock.time_text(at) == "2026-01-31T12:00:00Z"
    assert clock.time_text(datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)) == (
        "0001-01-01T00:00:00Z"
    )


@given(at=st.datetimes(timezones=st.just(datetime.UTC)))
def test_what_is_written_is_read_back(at: datetime.datetime) -> None:
    read = datetime.datetime.fromisoformat(clock.time_text(at))
    assert read == clock.whole_seconds(at)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        clock.time_text(datetime.datetime(2026, 1, 31, 12))  # noqa: DTZ001


def test_a_fixed_clock_moves_only_when_it_is_told() -> None:
    at = datetime.datetime(2026, 1, 31, 16, tzinfo=BAKU)
    present = clock.FixedClock(at)
    assert present.now() == present.now() == at
    assert present.now().tzinfo is datetime.UTC
    present.move(datetime.timedelta(seconds=-5))
    assert present.now() == at - datetime.timedelta(seconds=5)


def test_the_machines_clock_is_in_utc() -> None:
    assert clock.SystemClock().now().tzinfo is datetime.UTC
