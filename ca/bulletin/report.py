"""The statistics of some months: certificates, signatures and authentications, growth, fees."""

import dataclasses
import datetime
import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence

from ca.bulletin import issued, money, settings, sources
from ca.bulletin.issued import Purpose
from ca.bulletin.settings import Category
from pki import clock, months, usage

GROWTH_BACK = 12
"""A year before the first month is counted too, for the growth on the year before."""


@dataclasses.dataclass(frozen=True)
class UseCount:
    """How often was signed or authenticated in a month."""

    month: months.Month
    category: Category
    channel: usage.Channel
    operation: usage.Operation
    count: int


@dataclasses.dataclass(frozen=True)
class Statistics:
    """What the bulletin prints.

    Attributes:
        certificates: From a year before the first month on.
        uses: Likewise. Phones are counted by the gateway and cards by the signing service, so
            that a signature by phone through the service is counted once.
        missing: Zones that did not answer, with why.
        asked: Zones that were asked.
    """

    period: months.Range
    at: datetime.datetime
    certificates: tuple[issued.IssuedCount, ...]
    uses: tuple[UseCount, ...]
    asked: tuple[str, ...]
    missing: Mapping[str, str]


def category_of(counter: usage.Counter, categories: Mapping[str, Category]) -> Category:
    """Whom a counter counts: by who issued the certificate, which no name in it can change."""
    category = categories.get(counter.issuer_key, Category.OTHER)
    if category is Category.CITIZEN and counter.holder is not usage.Holder.PERSON:
        return Category.BUSINESS
    return category


def counted_months(period: months.Range) -> tuple[months.Month, ...]:
    """The months that are needed for a period and its growth."""
    return tuple(period.first.later(number) for number in range(-GROWTH_BACK, len(tuple(period))))


def uses_of(
    answers: Iterable[sources.Answer], categories: Mapping[str, Category]
) -> tuple[UseCount, ...]:
    """Sum the counters of every zone by month, category, channel and operation."""
    sums: dict[tuple[months.Month, Category, usage.Channel, usage.Operation], int] = {}
    for answer in answers:
        for one in answer.counters:
            counted_elsewhere = one.zone == "signing" and one.channel is usage.Channel.PHONE
            if not counted_elsewhere:
                key = (one.month, category_of(one, categories), one.channel, one.operation)
                sums[key] = sums.get(key, 0) + one.count
    return tuple(
        UseCount(*key, count)
        for key, count in sorted(
            sums.items(), key=lambda item: (item[0][0], *(part.value for part in item[0][1:]))
        )
    )


def growth(now: int | None, before: int | None) -> str | None:
    """By how many percent a figure grew, with one digit after the point; None from nothing."""
    if now is None or not before:
        return None
    change = decimal.Decimal(now - before) * 100 / decimal.Decimal(before)
    return str(change.quantize(decimal.Decimal("0.1"), rounding=decimal.ROUND_HALF_UP))


def as_json(
    made: Statistics, tariff: Callable[[months.Month], settings.Tariff | None]
) -> dict[str, object]:
    """The statistics as the API tells them."""
    shown = set(made.period)
    return {
        "from": str(made.period.first),
        "to": str(made.period.last),
        "at": clock.time_text(made.at),
        "certificates": [
            {
                "month": str(one.month),
                "category": one.category.value,
                "purpose": one.purpose.value,
                "issued": one.issued,
                "valid": one.valid,
            }
            for one in made.certificates
            if one.month in shown
        ],
        "uses": [
            {
                "month": str(one.month),
                "category": one.category.value,
                "channel": one.channel.value,
                "operation": one.operation.value,
                "count": one.count,
            }
            for one in made.uses
            if one.month in shown
        ],
        "totals": [_totals(made, month) for month in made.period],
        "fees": [fee for month in made.period for fee in _fees(made, month, tariff(month))],
        "sources": [
            {"zone": zone, "answered": zone not in made.missing, "code": made.missing.get(zone)}
            for zone in made.asked
        ],
    }


def _totals(made: Statistics, month: months.Month) -> dict[str, object]:
    """Each total of a month beside its growth on the month and on the year before."""
    figures: dict[str, Callable[[months.Month], int | None]] = {
        "issued": lambda one: sum(c.issued for c in made.certificates if c.month == one),
        "valid": lambda one: sum(c.valid for c in made.certificates if c.month == one),
        **{
            f"{operation.value}s_by_{channel.value}": _uses(made, channel, operation)
            for operation in usage.Operation
            for channel in usage.Channel
            if (channel, operation) != (usage.Channel.CARD, usage.Operation.AUTHENTICATION)
        },
    }
    return {
        "month": str(month),
        **{
            name: {
                "count": figure(month),
                "on_month": growth(figure(month), figure(month.later(-1))),
                "on_year": growth(figure(month), figure(month.later(-12))),
            }
            for name, figure in figures.items()
        },
    }


def _uses(
    made: Statistics, channel: usage.Channel, operation: usage.Operation
) -> Callable[[months.Month], int | None]:
    zone = "mobile" if channel is usage.Channel.PHONE else "signing"

    def figure(month: months.Month) -> int | None:
        # Not known is not zero.
        if zone not in made.asked or zone in made.missing:
            return None
        return sum(
            one.count
            for one in made.uses
            if (one.month, one.channel, one.operation) == (month, channel, operation)
        )

    return figure


def _fees(
    made: Statistics, month: months.Month, tariff: settings.Tariff | None
) -> Sequence[dict[str, object]]:
    """What the certificates of a month cost, by category."""
    if tariff is None:
        return ()
    found: list[dict[str, object]] = []
    for category, price in sorted(tariff.certificates.items()):
        count = sum(
            one.issued
            for one in made.certificates
            if one.month == month
            and one.category.value == category
            and one.purpose in (Purpose.SIGNATURE, Purpose.SEAL)
        )
        amount = money.reckon(count, price, tariff)
        found.append(
            {
                "month": str(month),
                "category": category,
                "count": count,
                "unit_price": str(price),
                "net": str(amount.net),
                "vat_percent": str(tariff.vat_percent),
                "vat": str(amount.vat),
                "gross": str(amount.gross),
                "currency": tariff.currency,
            }
        )
    return found
