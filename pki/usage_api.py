"""`/usage/v1/ZONE`: what a zone tells of its counters to who makes the statistics."""

from typing import Annotated

import fastapi
from sqlalchemy import orm

from pki import access, clock, months, usage, web

SCOPE = "statistics"


def routes(
    zone: str,
    sessions: orm.sessionmaker[orm.Session],
    tokens: access.AccessTokens,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the route of a zone; it takes a token with the scope `statistics`."""
    router = fastapi.APIRouter(prefix="/usage/v1", tags=["statistics"])

    @router.get(f"/{zone}", name=f"list_usage_of_{zone}")
    def list_counters(
        caller: Annotated[
            access.Caller, fastapi.Depends(web.require_scope(tokens, present, SCOPE))
        ],
        first: Annotated[str, fastapi.Query(alias="from", max_length=7)],
        last: Annotated[str, fastapi.Query(alias="to", max_length=7)],
    ) -> dict[str, object]:
        period = months.Range(months.Month.parse(first), months.Month.parse(last))
        with sessions() as session:
            found = usage.read(session, zone, period)
        return {"zone": zone, "counters": [usage.as_json(one) for one in found]}

    return router
