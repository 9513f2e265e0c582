"""Status requests over HTTP, by POST and GET (RFC 6960 appendix A, RFC 5019 6)."""

import base64
import binascii
import hashlib
from email import utils as email_utils
from typing import Annotated

import fastapi

from ocsp import messages, responder
from pki import clock, errors, web

REQUEST_TYPE = "application/ocsp-request"
RESPONSE_TYPE = "application/ocsp-response"


def routes(answering: responder.Responder, present: clock.Clock) -> fastapi.APIRouter:
    """Return the routes of a responder.

    Every answer to a status request is HTTP 200 with an OCSP response; what is wrong stands in
    its status.
    """
    router = fastapi.APIRouter(tags=["ocsp"])

    @router.post("/ocsp", response_class=fastapi.Response)
    def answer_post(body: Annotated[bytes | None, fastapi.Depends(_read_post)]) -> fastapi.Response:
        if body is None:
            return _error(messages.ResponseStatus.malformedRequest)
        return _render(responder.respond(body, answering, present.now()), cacheable=False)

    @router.get("/ocsp/{encoded:path}", response_class=fastapi.Response)
    def answer_get(encoded: str) -> fastapi.Response:
        body = _decode_get(encoded)
        if body is None:
            return _error(messages.ResponseStatus.malformedRequest)
        return _render(responder.respond(body, answering, present.now()), cacheable=True)

    return router


async def _read_post(request: fastapi.Request) -> bytes | None:
    try:
        return await web.read_body(
            request, limit=messages.MAX_REQUEST_BYTES, content_type=REQUEST_TYPE
        )
    except errors.LimitError:
        return None


def _decode_get(encoded: str) -> bytes | None:
    """Read the path of a GET: base64, whose URL encoding the server has taken off already."""
    if len(encoded) > 2 * messages.MAX_REQUEST_BYTES:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def _error(why: messages.ResponseStatus) -> fastapi.Response:
    return _render(responder.Answer(messages.build_error(why), why), cacheable=False)


def _render(answer: responder.Answer, *, cacheable: bool) -> fastapi.Response:
    response = fastapi.Response(answer.response_der, media_type=RESPONSE_TYPE)
    if not cacheable or answer.next_update is None or answer.produced_at is None:
        # RFC 5019 6.2 and RFC 9654: an error, or what answers a nonce, is for nobody else.
        response.headers["Cache-Control"] = "no-store"
        return response
    lifetime = int((answer.next_update - answer.produced_at).total_seconds())
    # RFC 5019 6.2: max-age ends before nextUpdate does.
    response.headers["Cache-Control"] = (
        f"max-age={max(lifetime - 1, 0)}, public, no-transform, must-revalidate"
    )
    response.headers["ETag"] = f'"{hashlib.sha256(answer.response_der).hexdigest()}"'
    response.headers["Last-Modified"] = email_utils.format_datetime(answer.produced_at, usegmt=True)
    response.headers["Expires"] = email_utils.format_datetime(answer.next_update, usegmt=True)
    return response
