"""DER protocols over HTTP (OCSP, time stamps) as plain ASGI, ahead of the web framework.

One endpoint reads a body of bounded size and type, hands the bytes to a function and sends what
that returns: a quarter of the framework's time for a request. What is wrong with the HTTP around
the message becomes a problem document, as everywhere else.
"""

import itertools
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

from starlette import types as starlette_types

log = logging.getLogger(__name__)

PROBLEM_TYPE = b"application/problem+json"

Header = tuple[bytes, bytes]


class Request(NamedTuple):
    """What a handler gets; a tuple and no dataclass, as one is made for every request.

    Attributes:
        method: `GET`, `HEAD` or `POST`.
        path: Of a GET or HEAD what follows the endpoint's own path, URL encoding taken off, without
            the slash; of a POST the whole.
        body: Of a POST; None where it was larger than the limit.
        headers: Names in lower case.
    """

    method: str
    path: str
    body: bytes | None
    headers: Sequence[Header]


class Reply(NamedTuple):
    """What a handler returns; its length and the request's id are added."""

    body: bytes
    headers: tuple[Header, ...]
    status: int = 200


Handler = Callable[[Request], Awaitable[Reply]]


def endpoint(
    handler: Handler, *, request_type: str, limit: int, methods: frozenset[str]
) -> starlette_types.ASGIApp:
    """Return the ASGI application of one endpoint.

    Args:
        handler: Answers; it must not block, and raises only what is our own fault.
        request_type: The content type of a POST; another is answered 415.
        limit: The largest body in bytes.
        methods: Others are answered 405.
    """
    wanted = request_type.encode("ascii")
    usual = b"content-type", wanted
    allowed = ", ".join(sorted(methods))
    request_ids = _request_ids()

    async def answer(
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        method: str = scope["method"]
        headers = scope["headers"]
        if method not in methods:
            reply = _problem(405, "method-not-allowed", f"Expected {allowed}, got {method}.")
            reply = reply._replace(headers=(*reply.headers, (b"allow", allowed.encode())))
        elif (
            method == "POST"
            # Nearly everybody writes it so; the search for others takes ten times as long.
            and usual not in headers
            and (sent := _content_type(headers)) != wanted
        ):
            got = sent.decode("latin-1") or "none"
            sentence = f"Expected {request_type}, got {got}."
            reply = _problem(415, "unsupported-media-type", sentence)
        else:
            body: bytes | None = b""
            path: str = scope["path"]
            if method == "POST":
                message = await receive()
                body = message.get("body", b"")
                if message.get("more_body", False) or len(body) > limit:
                    body = await _read_rest(receive, body, limit)
            else:
                path = path.partition("/")[2].partition("/")[2]
            try:
                reply = await handler(Request(method, path, body, headers))
            except Exception:
                log.exception("request_failed path=%s", scope["path"].split("/")[1])
                reply = _problem(500, "internal", "The service failed.", retriable=True)
        await _send(send, reply, next(request_ids), with_body=method != "HEAD")

    return answer


async def _read_rest(
    receive: starlette_types.Receive, beginning: bytes, limit: int
) -> bytes | None:
    """Read the rest of a body, keeping nothing beyond the limit; None if it went beyond."""
    if len(beginning) > limit:
        return None
    parts, size = [beginning], len(beginning)
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(parts)


def _content_type(headers: Sequence[Header]) -> bytes:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""


def _problem(status: int, code: str, sentence: str, *, retriable: bool = False) -> Reply:
    content = {
        "type": "about:blank",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": sentence,
        "retriable": retriable,
    }
    return Reply(json.dumps(content).encode(), ((b"content-type", PROBLEM_TYPE),), status)


def _request_ids() -> Iterator[bytes]:
    """Give each request of an endpoint an id: random for the process, and a number."""
    process = secrets.token_hex(8).encode()
    for number in itertools.count():
        yield b"%s%08x" % (process, number)


async def _send(
    send: starlette_types.Send, reply: Reply, request_id: bytes, *, with_body: bool
) -> None:
    headers = [
        *reply.headers,
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
