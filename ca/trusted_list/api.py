"""The list's routes: `/tl/NAME.xml` for the world, `/ra/v1/trusted-lists` for the administrator."""

import hashlib
from typing import Annotated, Any

import fastapi
from fastapi import responses
from sqlalchemy import orm

from ca.operators import gate as gates
from ca.operators import roles
from ca.trusted_list import enveloped, publication
from ca.trusted_list import scheme as schemes
from pki import clock


def routes(
    publisher: publication.Publisher, gate: gates.Gate, present: clock.Clock
) -> fastapi.APIRouter:
    """Return the administrator's routes; the gate lets in whom each call is for."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"])

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/trusted-lists")
    def publish(
        caller: Annotated[roles.Operator, asks(roles.Permission.PUBLISH)],
    ) -> dict[str, object]:
        return _described(publisher, publisher.publish(present.now(), actor=caller.actor))

    @router.get("/trusted-lists")
    def show(
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_CERTIFICATES)],
    ) -> dict[str, object]:
        scheme = schemes.of(publisher.authorities.settings)
        with publisher.sessions() as session:
            found = [publication.find_newest(session, one.name) for one in scheme.variants]
        return _described(publisher, tuple(one for one in found if one is not None))

    return router


def public_routes(
    sessions: orm.sessionmaker[orm.Session], present: clock.Clock
) -> fastapi.APIRouter:
    """Return what the list's distribution points name (TS 119 612 5.3.16, 6.1)."""
    router = fastapi.APIRouter(tags=["trusted list"])

    @router.get("/tl/{name}.xml")
    def fetch_list(name: str) -> fastapi.Response:
        with sessions() as session:
            published = publication.newest(session, name)
        left = int((published.next_update - present.now()).total_seconds())
        # A cache must not hold a list long after a status has changed.
        return responses.Response(
            published.list_xml,
            media_type=enveloped.MIME_TYPE,
            headers={"Cache-Control": f"public, max-age={max(0, min(left, 300))}"},
        )

    return router


def _described(
    publisher: publication.Publisher, published: tuple[publication.PublishedList, ...]
) -> dict[str, object]:
    scheme = schemes.of(publisher.authorities.settings)
    urls = {one.name: scheme.url(one) for one in scheme.variants}
    return {
        "trusted_lists": [
            {
                "name": one.name,
                "url": urls[one.name],
                "sequence_number": one.sequence_number,
                "issued_at": clock.time_text(one.issued_at),
                "next_update": clock.time_text(one.next_update),
                "sha256": hashlib.sha256(one.list_xml).hexdigest(),
            }
            for one in published
        ]
    }
