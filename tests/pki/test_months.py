import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import months

MONTHS = st.builds(months.Month, st.integers(2000, 2099), st.integers(1, 12))


@given(MONTHS)
def test_a_month_is_read_as_it_is_written(month: months.Month) -> None:
    assert months.Month.parse(str(month)) == month
    assert months.Month.of(month.start) == month
    assert months.Month.of(month.end - datetime.timedelta(microseconds=1)) == month
    assert month.end == month.later(1).start
    assert month.later(-12).later(12) == month


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "1999-01", "2026-01-01", "", "٢٠٢٦-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(months.MonthError, match="expected a month"):
        months.Month.parse(text)


def test_a_month_ends_in_utc_wherever_the_clock_stands() -> None:
    baku = datetime.timezone(datetime.timedelta(hours=4))
    at = datetime.datetime(2026, 11, 1, 3, 59, tzinfo=baku)
    assert str(months.Month.of(at)) == "2026-10"


@given(MONTHS, st.integers(0, months.MAX_MONTHS - 1))
def test_a_range_holds_every_month_once(first: months.Month, count: int) -> None:
    found = list(months.Range(first, first.later(count)))
    assert len(found) == count + 1
    assert found == sorted(set(found))


@pytest.mark.parametrize("later", [-1, months.MAX_MONTHS])
def test_a_range_turned_round_or_too_long_is_refused(later: int) -> None:
    first = months.Month(2026, 5)
    with pytest.raises(months.MonthError):
        months.Range(first, first.later(later))
