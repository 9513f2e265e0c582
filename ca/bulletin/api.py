"""`/ra/v1/statistics`: what auditors and administrators read of certificates and their use."""

from collections.abc import Sequence
from typing import Annotated, Any

import fastapi
from sqlalchemy import orm

from ca.bulletin import issued, report, settings, sources, statement
from ca.operators import gate as gates
from ca.operators import roles
from pki import clock, months, usage


def routes(
    sessions: orm.sessionmaker[orm.Session],
    own: settings.Settings,
    asks_of: Sequence[sources.Ask],
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the routes; the gate lets in whom each call is for.

    Args:
        sessions: The database.
        own: What things cost.
        asks_of: Ask each zone for its counters.
        gate: Knows the callers.
        present: The clock.
    """
    router = fastapi.APIRouter(prefix="/ra/v1/statistics", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.get("")
    def show_statistics(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_STATISTICS)],
        first: Annotated[str | None, fastapi.Query(alias="from", max_length=7)] = None,
        last: Annotated[str | None, fastapi.Query(alias="to", max_length=7)] = None,
    ) -> dict[str, object]:
        at = present.now()
        end = months.Month.of(at) if last is None else months.Month.parse(last)
        begin = end.later(-11) if first is None else months.Month.parse(first)
        period = months.Range(begin, end)
        counted = report.counted_months(period)
        with sessions() as session:
            certificates = issued.count(session, counted, at)
            categories = issued.categories_by_key(session)
        # Asked with the database's session closed: a zone may take its time.
        answers = _ask(months.Month(counted[0].year, counted[0].number), end)
        made = report.Statistics(
            period,
            at,
            certificates,
            report.uses_of(answers, categories),
            tuple(one.zone for one in answers),
            {one.zone: one.code for one in answers if one.code is not None},
        )
        return report.as_json(made, own.tariff)

    @router.get("/usage")
    def show_usage(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_STATISTICS)],
        month: Annotated[str, fastapi.Query(max_length=7)],
        relying_party: Annotated[
            str, fastapi.Query(min_length=1, max_length=usage.MAX_RELYING_PARTY)
        ],
    ) -> dict[str, object]:
        wanted = months.Month.parse(month)
        with sessions() as session:
            categories = issued.categories_by_key(session)
        answers = _ask(wanted, wanted)
        return statement.as_json(statement.draw_up(own, answers, categories, wanted, relying_party))

    def _ask(first: months.Month, last: months.Month) -> tuple[sources.Answer, ...]:
        # A zone takes a range of so many months at once.
        found: dict[str, sources.Answer] = {}
        while first <= last:
            part = months.Range(first, min(last, first.later(months.MAX_MONTHS - 1)))
            for one in sources.ask_all(asks_of, part):
                before = found.get(one.zone, sources.Answer(one.zone))
                found[one.zone] = sources.Answer(
                    one.zone, (*before.counters, *one.counters), before.code or one.code
                )
            first = part.last.later(1)
        return tuple(found.values())

    return router
