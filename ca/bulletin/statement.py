"""A relying party's usage statement for a month, and its form as CSV (RFC 4180)."""

import csv
import dataclasses
import decimal
import io
from collections.abc import Iterable, Mapping, Sequence

from ca.bulletin import money, settings, sources
from ca.bulletin.report import category_of
from ca.bulletin.settings import Category
from pki import errors, months, usage

COLUMNS = (
    "month",
    "relying_party",
    "zone",
    "channel",
    "operation",
    "category",
    "count",
    "unit_price",
    "net",
    "vat_percent",
    "vat",
    "gross",
    "currency",
)

TOTAL = "total"

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet would run as a formula."""


class NoTariffError(errors.StateError):
    """No tariff holds in the month."""

    code = "statistics-no-tariff"


class IncompleteError(errors.StateError):
    """A zone did not answer, so that a statement would be wrong."""

    code = "statistics-incomplete"
    retriable = True


@dataclasses.dataclass(frozen=True)
class Line:
    """What one kind of use costs."""

    zone: str
    channel: usage.Channel
    operation: usage.Operation
    category: Category
    count: int
    unit_price: decimal.Decimal
    amount: money.Amount


@dataclasses.dataclass(frozen=True)
class UsageStatement:
    """All that a relying party used in a month."""

    month: months.Month
    relying_party: str
    tariff: settings.Tariff
    lines: tuple[Line, ...]

    @property
    def total(self) -> money.Amount:
        """The sum of the lines."""
        return money.total(one.amount for one in self.lines)


def draw_up(
    own: settings.Settings,
    answers: Sequence[sources.Answer],
    categories: Mapping[str, Category],
    month: months.Month,
    relying_party: str,
) -> UsageStatement:
    """Return a statement; a relying party that used nothing gets one without lines.

    A transaction on a phone is priced; a signature with a card costs nothing.

    Raises:
        NoTariffError: None holds in the month.
        IncompleteError: A zone did not answer, or none is asked.
    """
    tariff = own.tariff(month)
    if tariff is None:
        raise NoTariffError(f"no tariff holds in {month}: add one to [[statistics.tariffs]]")
    if not answers:
        raise IncompleteError("no zone is asked for its counters: set [[statistics.sources]]")
    if missing := [one.zone for one in answers if one.code is not None]:
        raise IncompleteError(f"the zone {missing[0]} did not answer: try again later")
    counts: dict[tuple[str, usage.Channel, usage.Operation, Category], int] = {}
    for counter in (one for answer in answers for one in answer.counters):
        if counter.relying_party == relying_party and counter.month == month:
            key = (
                counter.zone,
                counter.channel,
                counter.operation,
                category_of(counter, categories),
            )
            counts[key] = counts.get(key, 0) + counter.count
    lines = []
    for key in sorted(counts, key=lambda one: (one[0], *(part.value for part in one[1:]))):
        zone, channel, operation, category = key
        price = tariff.mobile_transaction if channel is usage.Channel.PHONE else decimal.Decimal(0)
        amount = money.reckon(counts[key], price, tariff)
        lines.append(Line(zone, channel, operation, category, counts[key], price, amount))
    return UsageStatement(month, relying_party, tariff, tuple(lines))


def as_json(made: UsageStatement) -> dict[str, object]:
    """A statement as the API tells it; amounts are text, so that no reader rounds them."""
    return {
        "month": str(made.month),
        "relying_party": made.relying_party,
        "currency": made.tariff.currency,
        "vat_percent": str(made.tariff.vat_percent),
        "lines": [
            {
                "zone": one.zone,
                "channel": one.channel.value,
                "operation": one.operation.value,
                "category": one.category.value,
                "count": one.count,
                "unit_price": str(one.unit_price),
                **_amount(one.amount),
            }
            for one in made.lines
        ],
        "total": {"count": sum(one.count for one in made.lines), **_amount(made.total)},
    }


def write_csv(told: Mapping[str, object]) -> bytes:
    """Write a statement, as the API told it, as CSV in UTF-8 with the columns `COLUMNS`.

    The last row, with `total` as its operation, is the sum of the others. A text that a
    spreadsheet would take for a formula gets an apostrophe before it.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    common = {name: told[name] for name in ("month", "relying_party", "currency", "vat_percent")}
    lines, total = told["lines"], told["total"]
    if not isinstance(lines, list) or not isinstance(total, Mapping):
        raise errors.PeerError("expected lines and a total in the CA's answer")
    for line in (*lines, {**total, "operation": TOTAL}):
        values = {**common, **line}
        writer.writerow(_cells(values.get(name, "") for name in COLUMNS))
    return written.getvalue().encode()


def _cells(values: Iterable[object]) -> list[str]:
    return [safe_cell(str(one)) for one in values]


def safe_cell(text: str) -> str:
    """A text that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _amount(one: money.Amount) -> dict[str, str]:
    return {"net": str(one.net), "vat": str(one.vat), "gross": str(one.gross)}
