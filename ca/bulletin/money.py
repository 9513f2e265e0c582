"""Amounts: decimal from end to end, rounded to the hundredth, where net and tax give gross."""

import dataclasses
import decimal
from collections.abc import Iterable

from ca.bulletin import settings

CENT = decimal.Decimal("0.01")

_CONTEXT = decimal.Context(prec=40, rounding=decimal.ROUND_HALF_UP)


@dataclasses.dataclass(frozen=True)
class Amount:
    """What is due: without tax, the tax, and both together."""

    net: decimal.Decimal
    vat: decimal.Decimal
    gross: decimal.Decimal


ZERO = Amount(decimal.Decimal("0.00"), decimal.Decimal("0.00"), decimal.Decimal("0.00"))


def reckon(count: int, unit_price: decimal.Decimal, tariff: settings.Tariff) -> Amount:
    """Return what so many things cost; each of the three is rounded so that two give the third."""
    rate = _CONTEXT.divide(tariff.vat_percent, decimal.Decimal(100))
    price = _round(_CONTEXT.multiply(decimal.Decimal(count), unit_price))
    if tariff.prices_include_vat:
        net = _round(_CONTEXT.divide(price, 1 + rate))
        return Amount(net, price - net, price)
    vat = _round(_CONTEXT.multiply(price, rate))
    return Amount(price, vat, price + vat)


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum: of the rounded lines, so that it is what a reader adds up."""
    found = ZERO
    for one in amounts:
        found = Amount(found.net + one.net, found.vat + one.vat, found.gross + one.gross)
    return found


def _round(value: decimal.Decimal) -> decimal.Decimal:
    return value.quantize(CENT, context=_CONTEXT)
