"""Time stamps over HTTP (RFC 3161 3.4)."""

import datetime
import time
from typing import Annotated

import fastapi

from pki import clock, errors, web
from tsa import authority, messages

REQUEST_TYPE = "application/timestamp-query"
RESPONSE_TYPE = "application/timestamp-reply"


def routes(
    issuing: authority.TimeStampAuthority,
    present: clock.Clock,
    error_bound: datetime.timedelta = datetime.timedelta(0),
) -> fastapi.APIRouter:
    """Return the route of an authority.

    A rejection is HTTP 200 with a TimeStampResp, as a token is; only another content type is 415.

    Args:
        issuing: Makes the tokens.
        present: Tells the time, or raises where it cannot be vouched for.
        error_bound: How far that time may be off.
    """

    def now() -> datetime.datetime:
        at = present.now()
        if pause := authority.pause_before(at, error_bound):
            time.sleep(pause.total_seconds())
            at = present.now()
        return at

    router = fastapi.APIRouter(tags=["tsa"])

    @router.post("/tsa", response_class=fastapi.Response)
    def answer(body: Annotated[bytes | None, fastapi.Depends(_read_body)]) -> fastapi.Response:
        if body is None:
            content = messages.build_rejection(
                messages.PKIFailureInfo.badDataFormat, "the request is too large"
            )
        else:
            content = authority.respond(body, issuing, now)
        return fastapi.Response(
            content, media_type=RESPONSE_TYPE, headers={"Cache-Control": "no-store"}
        )

    return router


async def _read_body(request: fastapi.Request) -> bytes | None:
    try:
        return await web.read_body(
            request, limit=messages.MAX_REQUEST_BYTES, content_type=REQUEST_TYPE
        )
    except errors.LimitError:
        return None
