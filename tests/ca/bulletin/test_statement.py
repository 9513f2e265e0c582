import csv
import datetime
import decimal
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.bulletin import report, settings, sources, statement
from ca.bulletin.settings import Category
from pki import months, usage

D = decimal.Decimal
OCTOBER = months.Month(2026, 10)
KEYS = {"aa": Category.CITIZEN, "bb": Category.OFFICIAL, "cc": Category.BUSINESS}

OWN = settings.Settings(
    (),
    (
        settings.Tariff(
            datetime.date(2026, 1, 1), "AZN",
            {one: D("1.00") for one in settings.FEE_CATEGORIES}, D("0.033"), D(18),
        ),
    ),
)  # fmt: skip


def counter(zone: str = "mobile", **changes: object) -> usage.Counter:
    values: dict[str, object] = {
        "month": OCTOBER, "channel": usage.Channel.PHONE, "operation": usage.Operation.SIGNATURE,
        "issuer_key": "aa", "holder": usage.Holder.PERSON, "relying_party": "portal", "count": 1,
        **changes,
    }  # fmt: skip
    return usage.Counter(zone, **values)  # type: ignore[arg-type]


COUNTERS = st.builds(
    usage.Counter,
    st.just("mobile"),
    st.builds(months.Month, st.just(2026), st.integers(9, 11)),
    st.sampled_from(usage.Channel),
    st.sampled_from(usage.Operation),
    st.sampled_from(["aa", "bb", "cc", "dd", ""]),
    st.sampled_from(usage.Holder),
    st.sampled_from(["portal", "bank"]),
    st.integers(0, 10**9),
)


def _rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@given(st.lists(COUNTERS, max_size=30))
def test_the_rows_of_a_statement_add_up_to_its_total_and_to_what_was_counted(
    counted: list[usage.Counter],
) -> None:
    answers = [sources.Answer("mobile", tuple(counted))]
    made = statement.draw_up(OWN, answers, KEYS, OCTOBER, "portal")
    told = json.loads(json.dumps(statement.as_json(made)))
    *lines, total = _rows(statement.write_csv(told))
    for column in ("net", "vat", "gross"):
        assert sum((D(one[column]) for one in lines), D(0)) == D(total[column])
    assert sum(int(one["count"]) for one in lines) == int(total["count"])
    mine = [one for one in counted if one.month == OCTOBER and one.relying_party == "portal"]
    assert int(total["count"]) == sum(one.count for one in mine)
    for line in lines:
        exact = int(line["count"]) * D(line["unit_price"])
        assert abs(D(line["net"]) - exact) <= D("0.005")
        assert D(line["net"]) + D(line["vat"]) == D(line["gross"])


@given(st.lists(COUNTERS, max_size=30))
def test_every_use_of_a_phone_is_in_the_statistics_and_in_one_statement(
    counted: list[usage.Counter],
) -> None:
    answers = [sources.Answer("mobile", tuple(counted))]
    uses = report.uses_of(answers, KEYS)
    assert sum(one.count for one in uses) == sum(one.count for one in counted)
    of_october = sum(one.count for one in uses if one.month == OCTOBER)
    statements = [
        statement.draw_up(OWN, answers, KEYS, OCTOBER, party) for party in ("portal", "bank")
    ]
    assert of_october == sum(line.count for one in statements for line in one.lines)


def test_a_card_costs_nothing_and_a_phone_its_price() -> None:
    answers = [
        sources.Answer("signing", (counter("signing", channel=usage.Channel.CARD, count=7),)),
        sources.Answer("mobile", (counter(count=100),)),
    ]
    made = statement.draw_up(OWN, answers, KEYS, OCTOBER, "portal")
    assert [(one.channel.value, one.amount.net) for one in made.lines] == [
        ("phone", D("3.30")), ("card", D("0.00")),
    ]  # fmt: skip
    assert made.total.gross == D("3.89")


def test_a_signature_by_phone_through_the_service_is_counted_once_in_the_statistics() -> None:
    answers = [
        sources.Answer("signing", (counter("signing", count=5),)),
        sources.Answer("mobile", (counter(count=5, relying_party="TEST imza"),)),
    ]
    assert [one.count for one in report.uses_of(answers, KEYS)] == [5]


def test_a_statement_without_a_tariff_or_without_a_zones_answer_is_not_drawn_up() -> None:
    with pytest.raises(statement.NoTariffError):
        statement.draw_up(OWN, [], KEYS, months.Month(2025, 12), "portal")
    with pytest.raises(statement.IncompleteError):
        statement.draw_up(OWN, [], KEYS, OCTOBER, "portal")
    silent = [sources.Answer("mobile", code="peer-unavailable")]
    with pytest.raises(statement.IncompleteError, match="mobile"):
        statement.draw_up(OWN, silent, KEYS, OCTOBER, "portal")


@pytest.mark.parametrize(
    "name",
    ["=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "\uff1d1"],
)  # fmt: skip
def test_a_name_that_is_a_formula_is_text_in_the_csv(name: str) -> None:
    answers = [sources.Answer("mobile", (counter(relying_party=name),))]
    made = statement.draw_up(OWN, answers, KEYS, OCTOBER, name)
    for row in _rows(statement.write_csv(statement.as_json(made))):
        assert row["relying_party"] == f"'{name}"
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


@given(st.text(min_size=1, max_size=50).filter(lambda text: "\x00" not in text))
def test_any_name_comes_back_out_of_the_csv(name: str) -> None:
    made = statement.draw_up(
        OWN, [sources.Answer("mobile", (counter(relying_party=name),))], KEYS, OCTOBER, name
    )
    if any(0xD800 <= ord(one) <= 0xDFFF for one in name):
        return
    line, total = _rows(statement.write_csv(statement.as_json(made)))
    assert line["relying_party"] in (name, f"'{name}")
    assert not line["relying_party"].startswith(("=", "+", "-", "@"))
    assert list(line) == list(statement.COLUMNS)
    assert total["operation"] == "total"
