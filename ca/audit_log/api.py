"""The auditor's routes: entries and anchors, from which an export is written."""

from collections.abc import Callable
from typing import Annotated

import fastapi
from sqlalchemy import orm

from ca.audit_log import anchors, export
from pki import access, audit, clock, web

SCOPE = "register"

PAGE_SIZE = 1000
ANCHOR_PAGE_SIZE = 200
"""A token has a few kilobytes."""
MAX_NUMBER = 2**62


def head_reader(sessions: orm.sessionmaker[orm.Session]) -> Callable[[], tuple[int, str]]:
    """Return what reads the log's head: the number of entries and the hash of the last."""

    def read() -> tuple[int, str]:
        with sessions() as session:
            found = audit.head(session)
        return found.number, found.hash

    return read


def routes(
    sessions: orm.sessionmaker[orm.Session],
    anchoring: anchors.Anchoring | None,
    tokens: access.AccessTokens,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the routes; every call needs a token with the scope `register`.

    Args:
        sessions: The database.
        anchoring: Where the anchors are; None where none are made.
        tokens: Knows the callers.
        present: The clock.
    """
    router = fastapi.APIRouter(prefix="/ra/v1/audit", tags=["registration"])
    caller_type = Annotated[
        access.Caller, fastapi.Depends(web.require_scope(tokens, present, SCOPE))
    ]

    @router.get("/entries")
    def list_entries(
        caller: caller_type, after: Annotated[int, fastapi.Query(ge=0, le=MAX_NUMBER)] = 0
    ) -> dict[str, object]:
        with sessions() as session:
            found = audit.entries(session, after=after, limit=PAGE_SIZE)
        return {
            "entries": [export.entry_json(one) for one in found],
            "next": found[-1].number if len(found) == PAGE_SIZE else None,
        }

    @router.get("/anchors")
    def list_anchors(
        caller: caller_type, after: Annotated[int, fastapi.Query(ge=0, le=MAX_NUMBER)] = 0
    ) -> dict[str, object]:
        found = (
            ()
            if anchoring is None
            else anchors.load(anchoring.folder, after=after, limit=ANCHOR_PAGE_SIZE)
        )
        return {
            "anchors": [anchors.as_json(one) for one in found],
            "next": found[-1].number if len(found) == ANCHOR_PAGE_SIZE else None,
        }

    @router.post("/anchors", status_code=201)
    def anchor_now(caller: caller_type) -> dict[str, object]:
        if anchoring is None:
            raise anchors.NoAnchoringError("this installation anchors its audit log nowhere")
        anchors.write_next(anchoring, head_reader(sessions), present.now())
        newest = anchors.load_newest(anchoring.folder)
        return {"number": 0 if newest is None else newest.number}

    return router
