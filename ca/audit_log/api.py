"""The auditor's routes: entries and anchors, from which an export is written."""

from collections.abc import Callable
from typing import Annotated, Any

import fastapi
from sqlalchemy import orm

from ca.audit_log import anchors, export
from ca.operators import gate as gates
from ca.operators import roles
from pki import audit, clock

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
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the routes; the gate lets in whom each call is for.

    Args:
        sessions: The database.
        anchoring: Where the anchors are; None where none are made.
        gate: Knows the callers.
        present: The clock.
    """
    router = fastapi.APIRouter(prefix="/ra/v1/audit", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.get("/entries")
    def list_entries(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_AUDIT)],
        after: Annotated[int, fastapi.Query(ge=0, le=MAX_NUMBER)] = 0,
    ) -> dict[str, object]:
        with sessions() as session:
            found = audit.entries(session, after=after, limit=PAGE_SIZE)
        return {
            "entries": [export.entry_json(one) for one in found],
            "next": found[-1].number if len(found) == PAGE_SIZE else None,
        }

    @router.get("/anchors")
    def list_anchors(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_AUDIT)],
        after: Annotated[int, fastapi.Query(ge=0, le=MAX_NUMBER)] = 0,
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
    def anchor_now(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_AUDIT)],
    ) -> dict[str, object]:
        if anchoring is None:
            raise anchors.NoAnchoringError("this installation anchors its audit log nowhere")
        anchors.write_next(anchoring, head_reader(sessions), present.now())
        newest = anchors.load_newest(anchoring.folder)
        return {"number": 0 if newest is None else newest.number}

    return router
