"""The lists' routes: `/crl/…` for the world, `/ra/v1/crls` for the administrator."""

import datetime
import email.utils
from typing import Annotated, Any

import fastapi
from fastapi import responses
from sqlalchemy import orm

from ca import hierarchy
from ca.crls import addresses, partitions, publication, published, schedule
from ca.operators import gate as gates
from ca.operators import roles
from pki import clock

MEDIA_TYPE = "application/pkix-crl"
"""RFC 5280 4.2.1.13, RFC 2585 4.2."""

CACHED_S = 60
"""How long a cache may keep a list: a new one must be seen well within the hour that EN 319 411-1
6.2.4 gives."""


def routes(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
    present: clock.Clock,
) -> fastapi.APIRouter:
    """Return the administrator's routes; the gate lets in whom each call is for."""
    router = fastapi.APIRouter(prefix="/ra/v1", tags=["registration"])
    settings = authorities.settings

    def asks(permission: roles.Permission) -> Any:
        return fastapi.Depends(gate.requires(permission))

    @router.post("/crls/{name}")
    def publish_crl(
        name: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.PUBLISH)],
        delta: bool = False,
    ) -> dict[str, object]:
        issuing = authorities.named(name)
        at, actor = present.now(), caller.actor
        if not delta:
            return _described(
                schedule.publish_all(sessions, issuing, settings, at, actor=actor), authorities
            )
        with sessions() as session:
            scopes = partitions.scopes(session, name)
        made = [
            publication.publish(
                sessions, issuing, settings, at,
                actor=actor, partition=one.partition, delta=True,
            )
            for one in scopes
        ]  # fmt: skip
        return _described(tuple(made), authorities)

    @router.get("/crls/{name}")
    def show_crls(
        name: str,
        caller: Annotated[roles.Operator, asks(roles.Permission.READ_CERTIFICATES)],
    ) -> dict[str, object]:
        _check_name(name)
        with sessions() as session:
            found = [
                published.find_newest(session, scope, delta=delta)
                for scope in partitions.scopes(session, name)
                for delta in (False, True)
            ]
        lists = tuple(one for one in found if one is not None)
        if not lists:
            raise published.CRLNotFoundError("no authority of this name has published a CRL")
        return _described(lists, authorities)

    return router


def public_routes(
    sessions: orm.sessionmaker[orm.Session], present: clock.Clock
) -> fastapi.APIRouter:
    """Return what distribution points name (RFC 5280 4.2.1.13, 4.2.1.15)."""
    router = fastapi.APIRouter(tags=["certificates"])

    @router.head("/crl/{name}.crl")
    @router.get("/crl/{name}.crl")
    def fetch_crl(name: str, request: fastapi.Request) -> fastapi.Response:
        return _answer(sessions, present, request, addresses.Scope(name), delta=False)

    @router.head("/crl/{name}/{file}")
    @router.get("/crl/{name}/{file}")
    def fetch_crl_of_partition(name: str, file: str, request: fastapi.Request) -> fastapi.Response:
        found = addresses.parse_file(name, file)
        if found is None:
            raise _not_found()
        scope, delta = found
        return _answer(sessions, present, request, scope, delta=delta)

    return router


def _answer(
    sessions: orm.sessionmaker[orm.Session],
    present: clock.Clock,
    request: fastapi.Request,
    scope: addresses.Scope,
    *,
    delta: bool,
) -> fastapi.Response:
    _check_name(scope.issuer_name)
    with sessions() as session:
        found = published.newest(session, scope, delta=delta)
        dated = published.is_first_of_its_second(session, found)
    headers = {
        "ETag": f'"{found.sha256}"',
        "Cache-Control": _cache_control(found.next_update - present.now()),
    }
    if dated:
        headers["Last-Modified"] = email.utils.format_datetime(found.this_update, usegmt=True)
    if _is_known(request, found.sha256, found.this_update if dated else None):
        return fastapi.Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(found.size)
    if request.method == "HEAD":
        return fastapi.Response(headers=headers, media_type=MEDIA_TYPE)
    return responses.StreamingResponse(
        published.pieces(sessions, found), headers=headers, media_type=MEDIA_TYPE
    )


def _check_name(name: str) -> None:
    if not addresses.is_name(name):
        raise _not_found()


def _not_found() -> published.CRLNotFoundError:
    return published.CRLNotFoundError("no CRL of this name is published")


def _cache_control(left: datetime.timedelta) -> str:
    seconds = max(0, int(left.total_seconds()))
    kept = min(seconds, CACHED_S)
    # Should this server be away, a list that has not ended is better than none (RFC 5861 4).
    return f"public, max-age={kept}, stale-if-error={seconds - kept}"


def _is_known(request: fastapi.Request, sha256: str, modified: datetime.datetime | None) -> bool:
    """Whether the client has this very list (RFC 9110 13.1.2, 13.1.3).

    If-Modified-Since counts only where there is no If-None-Match.
    """
    tags = request.headers.get("if-none-match")
    if tags is not None:
        named = {one.strip().removeprefix("W/") for one in tags.split(",")}
        return f'"{sha256}"' in named or "*" in named
    since = request.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        known = email.utils.parsedate_to_datetime(since)
    except ValueError:
        return False
    if known.tzinfo is None:
        known = known.replace(tzinfo=datetime.UTC)
    return modified <= known


def _described(
    lists: tuple[published.PublishedCRL, ...], authorities: hierarchy.Hierarchy
) -> dict[str, object]:
    """What was published: of the first list at the top, of each in `lists`."""
    shown = [_shown(one, authorities) for one in lists]
    return {**shown[0], "lists": shown}


def _shown(one: published.PublishedCRL, authorities: hierarchy.Hierarchy) -> dict[str, object]:
    scope = one.scope
    return {
        "issuer": one.issuer_name,
        "number": one.number,
        "this_update": clock.time_text(one.this_update),
        "next_update": clock.time_text(one.next_update),
        "partition": scope.partition,
        "base_number": one.base_number,
        "entries": one.entries,
        "size": one.size,
        "sha256": one.sha256,
        "url": authorities.settings.crl_url(scope.issuer_name, scope.partition, delta=one.is_delta),
    }
