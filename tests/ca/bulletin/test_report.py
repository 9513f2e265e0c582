import pytest

from ca.bulletin import report
from ca.bulletin.settings import Category
from pki import months, usage
from tests.ca.bulletin.test_statement import KEYS, counter


@pytest.mark.parametrize(
    ("now", "before", "grown"),
    [(110, 100, "10.0"), (1, 3, "-66.7"), (5, 5, "0.0"), (0, 5, "-100.0"), (5, 0, None),
     (None, 5, None), (5, None, None), (2005, 2000, "0.3")],
)  # fmt: skip
def test_growth_is_in_percent_and_from_nothing_there_is_none(
    now: int | None, before: int | None, grown: str | None
) -> None:
    assert report.growth(now, before) == grown


def test_a_year_before_is_counted_for_the_growth() -> None:
    counted = report.counted_months(months.Range(months.Month(2026, 3), months.Month(2026, 4)))
    assert (str(counted[0]), str(counted[-1]), len(counted)) == ("2025-03", "2026-04", 14)


@pytest.mark.parametrize(
    ("key", "holder", "category"),
    [
        ("aa", usage.Holder.PERSON, Category.CITIZEN),
        ("bb", usage.Holder.REPRESENTATIVE, Category.OFFICIAL),
        ("cc", usage.Holder.REPRESENTATIVE, Category.BUSINESS),
        ("cc", usage.Holder.ORGANISATION, Category.BUSINESS),
        ("aa", usage.Holder.ORGANISATION, Category.BUSINESS),
        ("ee", usage.Holder.PERSON, Category.OTHER),
        ("", usage.Holder.PERSON, Category.OTHER),
    ],
)
def test_the_category_is_that_of_the_issuer(
    key: str, holder: usage.Holder, category: Category
) -> None:
    assert report.category_of(counter(issuer_key=key, holder=holder), KEYS) is category
