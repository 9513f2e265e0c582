"""Time stamps over HTTP (RFC 3161 3.4)."""

import asyncio
import datetime
import time
from collections.abc import Mapping

import anyio.to_thread
from starlette import types as starlette_types

from pki import clock, der_http, metrics
from pki.keystore import store
from tsa import authority, clock_accuracy, messages

REQUEST_TYPE = "application/timestamp-query"
RESPONSE_TYPE = "application/timestamp-reply"

GRANTED = "granted"
OUTCOMES = (GRANTED, *(one.name for one in messages.PKIFailureInfo))

_HEADERS = ((b"content-type", RESPONSE_TYPE.encode()), (b"cache-control", b"no-store"))


def endpoints(
    issuing: authority.TimeStampAuthority,
    present: clock.Clock,
    error_bound: datetime.timedelta = datetime.timedelta(0),
    figures: metrics.Metrics | None = None,
) -> Mapping[str, starlette_types.ASGIApp]:
    """Return the endpoint of an authority, `/tsa`.

    A rejection is HTTP 200 with a TimeStampResp, as a token is; only another content type is 415.

    Args:
        issuing: Makes the tokens.
        present: Tells the time, or raises where it cannot be vouched for.
        error_bound: How far that time may be off.
        figures: Where requests and their durations are counted.
    """
    # A key in a module may take long or hang: it must not hold up those who only connect.
    at_once = isinstance(issuing.unit.handle, store.DirectKeyHandle)

    figures = figures or metrics.Metrics()
    requests = figures.counter(
        "imza_tsa_requests", "Time-stamp requests by what became of them.", "outcome", OUTCOMES
    )
    durations = figures.histogram(
        "imza_tsa_duration_seconds", "From the whole request to the answer, waiting included."
    )

    async def answer(request: der_http.Request) -> der_http.Reply:
        if request.body is None:
            requests.add(messages.PKIFailureInfo.badDataFormat.name)
            return der_http.Reply(_too_large(), _HEADERS)
        begin = time.perf_counter()
        if error_bound:
            await _wait_for_second(present, error_bound)
        if at_once:
            made = authority.answer(request.body, issuing, present.now)
        else:
            made = await anyio.to_thread.run_sync(
                authority.answer, request.body, issuing, present.now
            )
        requests.add(GRANTED if made.failure is None else made.failure.name)
        durations.observe(time.perf_counter() - begin)
        return der_http.Reply(made.response_der, _HEADERS)

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
