"""The application of a zone whose endpoints are all plain ASGI: no web framework is loaded."""

import json
import secrets
from collections.abc import Mapping

from starlette import types as starlette_types


class PlainApplication:
    """Hands each request to the endpoint that the first part of its path names."""

    def __init__(self, endpoints: Mapping[str, starlette_types.ASGIApp]) -> None:
        """Take the endpoints, such as `/ocsp`."""
        self._endpoints = dict(endpoints)

    async def __call__(
        self,
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        """Answer one request; a path that leads nowhere is answered 404."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            found = self._endpoints.get("/" + scope["path"].split("/", 2)[1])
            await (found or _not_found)(scope, receive, send)


async def _live(receive: starlette_types.Receive, send: starlette_types.Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _not_found(
    scope: starlette_types.Scope,
    _receive: starlette_types.Receive,
    send: starlette_types.Send,
) -> None:
    request_id = secrets.token_hex(8)
    problem = {
        "type": "about:blank",
        "title": "http 404",
        "status": 404,
        "code": "http-404",
        "detail": "Not Found",
        "retriable": False,
        "request_id": request_id,
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
