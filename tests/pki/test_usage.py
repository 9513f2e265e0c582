import concurrent.futures
import datetime
from typing import Any

import pytest
import sqlalchemy

from pki import database, errors, months, usage
from tests.support import hierarchy as hierarchy_support

YEAR = months.Range(months.Month(2026, 1), months.Month(2026, 12))
OCTOBER = datetime.datetime(2026, 10, 31, 23, 59, 59, tzinfo=datetime.UTC)


def _count(
    session: Any, chain: hierarchy_support.Hierarchy, at: datetime.datetime = OCTOBER,
    zone: str = "signing",
) -> None:  # fmt: skip
    usage.count(
        session, zone, usage.Channel.CARD, usage.Operation.SIGNATURE,
        chain.signer().certificate, "portal", at,
    )  # fmt: skip


def test_uses_are_counted_by_month_and_zone_and_by_no_person(
    engine: sqlalchemy.Engine, hierarchy: hierarchy_support.Hierarchy
) -> None:
    sessions = database.session_factory(engine)
    with sessions() as session:
        _count(session, hierarchy)
        _count(session, hierarchy)
        _count(session, hierarchy, OCTOBER + datetime.timedelta(seconds=1))
        _count(session, hierarchy, zone="mobile")
        session.commit()
        found = usage.read(session, "signing", YEAR)
        assert [(str(one.month), one.count) for one in found] == [("2026-10", 2), ("2026-11", 1)]
        assert [one.count for one in usage.read(session, "mobile", YEAR)] == [1]
        later = months.Range(months.Month(2026, 11), months.Month(2026, 12))
        assert [one.count for one in usage.read(session, "signing", later)] == [1]
        rows = session.execute(sqlalchemy.text("SELECT * FROM usage_counters")).all()
    certificate = hierarchy.signer().certificate
    for attribute in certificate.subject:
        if len(str(attribute.value)) > 2:
            assert str(attribute.value) not in str(rows)


def test_what_is_rolled_back_was_not_counted(
    engine: sqlalchemy.Engine, hierarchy: hierarchy_support.Hierarchy
) -> None:
    sessions = database.session_factory(engine)
    with sessions() as session:
        _count(session, hierarchy)
        session.rollback()
        assert usage.read(session, "signing", YEAR) == ()


def test_many_at_once_lose_no_count(
    engine: sqlalchemy.Engine, hierarchy: hierarchy_support.Hierarchy
) -> None:
    sessions = database.session_factory(engine)

    def work(_: int) -> None:
        with sessions() as session:
            _count(session, hierarchy)
            session.commit()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    with sessions() as session:
        assert [one.count for one in usage.read(session, "signing", YEAR)] == [40]


def test_a_counter_survives_its_way_over_the_wire(
    engine: sqlalchemy.Engine, hierarchy: hierarchy_support.Hierarchy
) -> None:
    with database.session_factory(engine)() as session:
        _count(session, hierarchy)
        (one,) = usage.read(session, "signing", YEAR)
    assert usage.from_json("signing", usage.as_json(one)) == one


@pytest.mark.parametrize(
    "change",
    [
        {"count": -1}, {"count": True}, {"count": 1.0}, {"count": "1"}, {"count": 2**63},
        {"month": "2026-99"}, {"channel": "owl"}, {"operation": []}, {"holder": None},
    ],
)  # fmt: skip
def test_an_answer_that_is_no_counter_is_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "month": "2026-10", "channel": "card", "operation": "signature", "issuer_key": "00",
        "holder": "person", "relying_party": "portal", "count": 1,
    }  # fmt: skip
    usage.from_json("signing", good)
    for wrong in ({**good, **change}, {k: v for k, v in good.items() if k not in change}, "x"):
        with pytest.raises(errors.PeerError):
            usage.from_json("signing", wrong)
