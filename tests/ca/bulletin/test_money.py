import dataclasses
import datetime
import decimal
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.bulletin import money, settings
from pki import months

D = decimal.Decimal

PRICES = st.decimals(0, 10_000, places=4)


EIGHTEEN = D(18)


def tariff(vat: D = EIGHTEEN, *, included: bool = False) -> settings.Tariff:
    return settings.Tariff(
        datetime.date(2026, 1, 1), "AZN",
        {one: D("1.00") for one in settings.FEE_CATEGORIES}, D("0.01"), vat, included,
    )  # fmt: skip


def test_tax_is_added_or_taken_out_as_the_operator_says() -> None:
    added = money.reckon(3, D("0.10"), tariff())
    assert added == money.Amount(D("0.30"), D("0.05"), D("0.35"))
    within = money.reckon(3, D("0.10"), tariff(included=True))
    assert within == money.Amount(D("0.25"), D("0.05"), D("0.30"))


def test_half_a_hundredth_is_rounded_up() -> None:
    assert money.reckon(1, D("0.005"), tariff(D(0))).net == D("0.01")
    assert money.reckon(1, D("0.0049"), tariff(D(0))).net == D("0.00")


@given(
    st.lists(st.tuples(st.integers(0, 10**12), PRICES), max_size=20),
    st.decimals(0, 100, places=2), st.booleans(),
)  # fmt: skip
def test_net_and_tax_give_gross_in_every_line_and_in_the_total(
    lines: list[tuple[int, D]], vat: D, included: bool
) -> None:
    own = tariff(vat, included=included)
    amounts = [money.reckon(count, price, own) for count, price in lines]
    total = money.total(amounts)
    for one in (*amounts, total):
        assert one.net + one.vat == one.gross
        assert min(one.net, one.vat) >= 0
        assert {one.net.as_tuple().exponent, one.gross.as_tuple().exponent} == {-2}
    assert total.gross == sum((one.gross for one in amounts), D(0))


def test_a_tariff_holds_until_the_next_one() -> None:
    first = tariff()
    second = settings.Tariff(datetime.date(2026, 7, 1), "AZN", first.certificates, D("0.02"), D(18))
    own = settings.Settings((), (second, first))
    assert own.tariff(months.Month(2025, 12)) is None
    assert own.tariff(months.Month(2026, 6)) is first
    assert own.tariff(months.Month(2026, 7)) is second
    assert own.tariff(months.Month(2030, 1)) is second


@pytest.mark.parametrize(
    "change",
    [
        {"valid_from": datetime.date(2026, 1, 2)}, {"currency": "azn"}, {"vat_percent": D(101)},
        {"certificates": {"citizen": D(1)}}, {"certificates": {"owl": D(1)}},
    ],
)  # fmt: skip
def test_a_tariff_that_cannot_be_reckoned_with_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(settings.StatisticsSettingsError):
        dataclasses.replace(tariff(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("double", ["sources", "tariffs"])
def test_doubles_are_refused(double: str) -> None:
    source = settings.Source("mobile", "http://mobile.localhost", pathlib.Path("x"))
    values: dict[str, tuple[object, object]] = {
        "sources": (source, source), "tariffs": (tariff(), tariff()),
    }  # fmt: skip
    with pytest.raises(settings.StatisticsSettingsError):
        settings.Settings(**{double: values[double]})  # type: ignore[arg-type]


@pytest.mark.parametrize(("zone", "url"), [("tsa", "http://x"), ("mobile", "ftp://x")])
def test_a_source_that_cannot_be_asked_is_refused(zone: str, url: str) -> None:
    with pytest.raises(settings.StatisticsSettingsError):
        settings.Source(zone, url, pathlib.Path("x"))
