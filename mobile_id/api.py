"""Mobile-ID REST: what relying parties call. Errors have the protocol's own form.

Waiting routes are coroutines: while a relying party waits, neither a thread nor a database
connection is held.
"""

import datetime
import functools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import fastapi
from fastapi import responses

from mobile_id import gateway, results, schemas, waiting
from pki import clock, errors, web

log = logging.getLogger(__name__)

VERSION = "Version: 5.3.0. Built: 21.11.2026 12:00"
"""The version of the protocol that is spoken, in the published form (Mobile-ID REST 3.4)."""

MAX_BODY = 16 * 2**10
"""Largest request: its fields need less than two kilobytes."""

LISTS = "/imza/signature-list"
"""Our extension: several documents under one confirmation. The protocol has no such call."""

DEFAULT_WAIT_MS = 10_000
MIN_WAIT_MS = 1_000
MAX_WAIT_MS = 120_000
"""Bounds of a long poll; other values are silently moved into them (Mobile-ID REST 3.3.4)."""

WINDOW_MARGIN_S = 0.05
"""Timers may fire a little early; the answer window must really be over then."""

DATABASE_CALLS_AT_ONCE = 16
"""As many as the connection pool serves; further ones wait in the event loop."""

EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

STATUS_BY_FAMILY: tuple[tuple[type[errors.ImzaError], int, str | None], ...] = (
    (errors.AccessError, 401, "Failed to authorize user"),
    (gateway.SessionNotFoundError, 404, "SessionID not found"),
    (errors.LimitError, 413, None),
    (web.UnsupportedMediaTypeError, 415, None),
    (errors.InputError, 400, None),
)
"""Families, their statuses and, where the protocol fixes it, the text."""

Handler = Callable[[fastapi.Request], Awaitable[dict[str, object]]]


def routes(
    mobile_gateway: gateway.Gateway, notices: waiting.Notices, present: clock.Clock
) -> fastapi.APIRouter:
    """Return the routes; the caller mounts them at `/mid-api`."""
    router = fastapi.APIRouter(tags=["mobile-id"])
    limiter = anyio.CapacityLimiter(DATABASE_CALLS_AT_ONCE)

    async def in_thread(function: Callable[..., Any], *arguments: object) -> Any:
        return await anyio.to_thread.run_sync(
            functools.partial(function, *arguments), limiter=limiter
        )

    async def find_certificate(request: fastapi.Request) -> dict[str, object]:
        body = await web.read_body(request, limit=MAX_BODY, content_type="application/json")
        asked = schemas.parse_certificate_request(body, mobile_gateway.config.countries)
        mobile_gateway.authorise(asked.party.uuid, asked.party.name, _address(request))
        answer = await in_thread(mobile_gateway.certificate, asked.who, present.now())
        return schemas.certificate_answer(answer)

    async def start(
        request: fastapi.Request, operation: results.Operation, *, of_list: bool = False
    ) -> dict[str, object]:
        body = await web.read_body(request, limit=MAX_BODY, content_type="application/json")
        countries = mobile_gateway.config.countries
        asked = (
            schemas.parse_list_request(body, countries)
            if of_list
            else schemas.parse_start_request(body, operation, countries)
        )
        party, name = mobile_gateway.authorise(
            asked.party.uuid, asked.party.name, _address(request)
        )
        session_id = await in_thread(
            mobile_gateway.request_signature, party, name, asked.request, present.now()
        )
        return schemas.session_started(session_id)

    async def status(
        request: fastapi.Request, operation: results.Operation, *, of_list: bool = False
    ) -> dict[str, object]:
        session_id = request.path_params["session_id"]
        wait_s = _wait_ms(request.query_params.get("timeoutMs")) / 1000
        origin = _address(request)

        async def read() -> gateway.SessionStatus:
            found: gateway.SessionStatus = await in_thread(
                functools.partial(mobile_gateway.session_status, of_list=of_list),
                session_id,
                operation,
                origin,
                present.now(),
            )
            return found

        def show(found: gateway.SessionStatus | None) -> dict[str, object]:
            if of_list:
                return schemas.list_status(found)
            return schemas.session_status(found, operation)

        with notices.wait_for(gateway.session_topic(session_id)) as wait:
            found = await read()
            if found.result is not None:
                return show(found)
            # The answer window may close before the caller's patience ends.
            window_s = (found.answer_by - present.now()).total_seconds() + WINDOW_MARGIN_S
            woken = await wait.woken(max(0.0, min(wait_s, window_s)))
        if woken is waiting.Woken.DISPLACED or (
            woken is waiting.Woken.TIMED_OUT and wait_s < window_s
        ):
            return show(None)
        return show(await read())

    def mount(path: str, method: str, handler: Handler) -> None:
        router.add_api_route(path, _answering(handler, present), methods=[method])
        refuse_others(path, method)

    def refuse_others(path: str, method: str) -> None:
        allowed = f"{method}, OPTIONS"

        async def other(request: fastapi.Request) -> fastapi.Response:
            if request.method == "OPTIONS":
                return responses.Response(status_code=200, headers={"Allow": allowed})
            return _error(405, "Method Not Allowed", present.now(), {"Allow": allowed})

        others = [one for one in EVERY_METHOD if one != method]
        router.add_api_route(path, other, methods=others, include_in_schema=False)

    mount("/certificate", "POST", find_certificate)
    for operation in results.Operation:
        mount(f"/{operation.value}", "POST", functools.partial(start, operation=operation))
        mount(f"/{operation.value}/session", "GET", _session_id_missing)
        mount(f"/{operation.value}/session/", "GET", _session_id_missing)
        mount(
            f"/{operation.value}/session/{{session_id}}",
            "GET",
            functools.partial(status, operation=operation),
        )

    signing = results.Operation.SIGNATURE
    mount(LISTS, "POST", functools.partial(start, operation=signing, of_list=True))
    mount(
        f"{LISTS}/session/{{session_id}}",
        "GET",
        functools.partial(status, operation=signing, of_list=True),
    )

    @router.get("/version", response_class=responses.PlainTextResponse)
    async def version() -> str:
        return VERSION

    refuse_others("/version", "GET")
    return router


async def _session_id_missing(_request: fastapi.Request) -> dict[str, object]:
    raise schemas.MobileIdRequestError("Required sessionId is missing")


def _answering(
    handler: Handler, present: clock.Clock
) -> Callable[[fastapi.Request], Awaitable[fastapi.Response]]:
    """Answer with JSON in the protocol's form, whatever happens."""

    async def answer(request: fastapi.Request) -> fastapi.Response:
        try:
            value = await handler(request)
        except errors.ImzaError as error:
            for family, status, text in STATUS_BY_FAMILY:
                if isinstance(error, family):
                    return _error(status, text or error.message, present.now())
            return _internal(error, present.now())
        # Nothing but this protocol's own form leaves its routes: clients read `error`.
        except Exception as error:  # noqa: BLE001
            return _internal(error, present.now())
        # A started session is the one answer without them (Mobile-ID REST 3.2.5).
        if "sessionID" not in value:
            value = schemas.stamped(value, _trace_id(), present.now())
        return responses.JSONResponse(value, headers={"Cache-Control": "no-store"})

    return answer


def _internal(error: Exception, at: datetime.datetime) -> fastapi.Response:
    trace_id = _trace_id()
    log.error("mobile_id_failed trace=%s", trace_id, exc_info=error)
    return _error(500, "Internal error", at, trace_id=trace_id)


def _error(
    status: int,
    text: str,
    at: datetime.datetime,
    headers: dict[str, str] | None = None,
    trace_id: str | None = None,
) -> fastapi.Response:
    value = schemas.stamped({"error": text}, trace_id or _trace_id(), at)
    return responses.JSONResponse(value, status, headers=headers)


def _trace_id() -> str:
    return secrets.token_hex(8)


def _address(request: fastapi.Request) -> str | None:
    return request.client.host if request.client else None


def _wait_ms(text: str | None) -> int:
    if text is None or not text:
        return DEFAULT_WAIT_MS
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 12):
        raise schemas.MobileIdRequestError("timeoutMs must be an integer")
    return max(MIN_WAIT_MS, min(MAX_WAIT_MS, int(text)))
