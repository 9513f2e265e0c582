import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.disclosure import languages

AVAILABLE = ("az", "ka", "en")


@pytest.mark.clause("RFC 9110", "12.5.4")
@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("az", "az"),
        ("ka-GE, ka;q=0.9, en;q=0.8", "ka"),
        ("ru, en;q=0.3, az;q=0.5", "az"),
        ("AZ-Latn-AZ", "az"),
        ("ru-RU, ru", "en"),
        ("", "en"),
        ("*", "az"),
        ("en;q=0, *;q=0.5", "az"),
        ("ka;q=0", "en"),
        ("az;q=x, ka;q=0.1", "ka"),
        ("az;q=7, ka;q=0.1", "ka"),
        ("az;q=nan, ka;q=0.1", "ka"),
    ],
)
def test_the_preferred_language_is_chosen(header: str, chosen: str) -> None:
    assert languages.preferred(header, AVAILABLE, "en") == chosen


@given(st.text(max_size=300))
def test_any_header_chooses_a_language_that_there_is(header: str) -> None:
    assert languages.preferred(header, AVAILABLE, "en") in AVAILABLE
