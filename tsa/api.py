"""Time stamps over HTTP (RFC 3161 3.4)."""

import asyncio
import datetime
import functools
from collections.abc import Callable, Mapping

import anyio.to_thread
from starlette import types as starlette_types

from pki import clock, der_http
from pki.keystore import store
from tsa import authority, clock_accuracy, messages

REQUEST_TYPE = "application/timestamp-query"
RESPONSE_TYPE = "application/timestamp-reply"

_HEADERS = ((b"content-type", RESPONSE_TYPE.encode()), (b"cache-control", b"no-store"))


def endpoints(
    issuing: authority.TimeStampAuthority,
    present: clock.Clock,
    error_bound: datetime.timedelta = datetime.timedelta(0),
) -> Mapping[str, starlette_types.ASGIApp]:
    """Return the endpoint of an authority, `/tsa`.

    A rejection is HTTP 200 with a TimeStampResp, as a token is; only another content type is 415.

    Args:
        issuing: Makes the tokens.
        present: Tells the time, or raises where it cannot be vouched for.
        error_bound: How far that time may be off.
    """
    # A key in a module may take long or hang: it must not hold up those who only connect.
    at_once = isinstance(issuing.unit.handle, store.DirectKeyHandle)

    async def answer(request: der_http.Request) -> der_http.Reply:
        if request.body is None:
            return der_http.Reply(_too_large(), _HEADERS)
        if error_bound:
            await _wait_for_second(present, error_bound)
        respond: Callable[[], bytes] = functools.partial(
            authority.respond, request.body, issuing, present.now
        )
        content = respond() if at_once else await anyio.to_thread.run_sync(respond)
        return der_http.Reply(content, _HEADERS)

    endpoint = der_http.endpoint(
        answer,
        request_type=REQUEST_TYPE,
        limit=messages.MAX_REQUEST_BYTES,
        methods=frozenset({"POST"}),
    )
    return {"/tsa": endpoint}


async def _wait_for_second(present: clock.Clock, error_bound: datetime.timedelta) -> None:
    try:
        pause = authority.pause_before(present.now(), error_bound)
    except clock_accuracy.TimeNotAvailableError:
        # The authority asks again, and answers with what it is told.
        return
    if pause:
        await asyncio.sleep(pause.total_seconds())


def _too_large() -> bytes:
    return messages.build_rejection(
        messages.PKIFailureInfo.badDataFormat, "the request is too large"
    )
