"""The one HTTP edge: the application, problem documents (RFC 9457), limits and access.

Errors of the product become problem documents by their family; anything unforeseen becomes a
bare 500 with the request's id, and the rest goes to the log.
"""

import asyncio
import base64
import binascii
import collections
import contextlib
import logging
import secrets
import urllib.parse
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any

import anyio.to_thread
import fastapi
import fastapi_swagger
from fastapi import exceptions as fastapi_exceptions
from fastapi import responses, routing
from starlette import exceptions as starlette_exceptions
from starlette import types as starlette_types

from pki import access, clock, database, errors

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"

MAX_JSON_BYTES = 64 * 2**10
"""Largest JSON body of a `LimitedRoute`."""

MAX_FORM_BYTES = 16 * 2**10
"""Largest token request."""

THREADS = 200
"""Threads for `def` routes: each waits for a peer, a key or the database most of its time."""


class UnsupportedMediaTypeError(errors.InputError):
    """The body is of another content type than the call takes (HTTP 415)."""

    code = "unsupported-media-type"


class UnreadableDocumentError(errors.InputError):
    """The content is well-formed for HTTP but cannot be judged (HTTP 422)."""

    code = "unreadable"


STATUS_BY_FAMILY: tuple[tuple[type[errors.ImzaError], int], ...] = (
    (access.InvalidClientError, 401),
    (access.InvalidTokenError, 401),
    (errors.UnauthenticatedError, 401),
    (errors.LimitError, 413),
    (UnsupportedMediaTypeError, 415),
    (errors.InputError, 422),
    (errors.NotFoundError, 404),
    (errors.StateError, 409),
    (errors.TooSoonError, 429),
    (errors.PolicyError, 403),
    (database.DatabaseError, 503),
    (errors.StorageError, 503),
    (errors.UnavailableError, 503),
    (errors.DeviceError, 502),
    (errors.PeerError, 502),
)


def application(
    title: str,
    routers: Sequence[fastapi.APIRouter],
    endpoints: Mapping[str, starlette_types.ASGIApp] | None = None,
) -> fastapi.FastAPI:
    """Return the ASGI application of one or more zones.

    Args:
        title: Stands in the API's description.
        routers: What the framework answers.
        endpoints: What is answered ahead of it, by the first part of the path, such as `/tsa`.
    """
    app = _Application(
        endpoints if endpoints is not None else {},
        title=title,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=_with_threads,
    )
    # The pages at /docs come from this server; the framework's own load scripts from elsewhere.
    fastapi_swagger.patch_fastapi(app, redirect_from_root_to_docs=False)
    for router in routers:
        app.include_router(router)
    app.add_middleware(_RequestIds)
    app.add_exception_handler(errors.ImzaError, _on_imza_error)
    app.add_exception_handler(fastapi_exceptions.RequestValidationError, _on_validation_error)
    app.add_exception_handler(starlette_exceptions.HTTPException, _on_http_error)
    return app


@contextlib.asynccontextmanager
async def _with_threads(_app: fastapi.FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


class _Application(fastapi.FastAPI):
    """Hands the requests of some paths to applications of their own, before anything else."""

    def __init__(self, endpoints: Mapping[str, starlette_types.ASGIApp], **settings: Any) -> None:
        super().__init__(**settings)
        self._endpoints = endpoints

    async def __call__(
        self,
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            found = self._endpoints.get(path) or self._endpoints.get("/" + path.split("/", 2)[1])
            if found is not None:
                await found(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


class _RequestIds:
    """Gives every request an id, and turns what nobody foresaw into a bare 500."""

    def __init__(self, app: starlette_types.ASGIApp) -> None:
        self._app = app

    async def __call__(
        self,
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_identified(message: starlette_types.Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_identified)
        except asyncio.CancelledError:
            # The server stops and does not wait for long polls: their callers ask again.
            if not started:
                request = fastapi.Request(scope)
                response = _problem(
                    request, 503, "stopping", "The service restarts: ask again.", retriable=True
                )
                await response(scope, receive, send_identified)
        except Exception:
            log.exception("request_failed id=%s", request_id)
            if started:
                raise
            request = fastapi.Request(scope)
            response = _problem(request, 500, "internal", "The service failed.", retriable=True)
            await response(scope, receive, send_identified)


async def read_body(request: fastapi.Request, *, limit: int, content_type: str | None) -> bytes:
    """Read a request's body under a limit; reading it again gives it again.

    Raises:
        UnsupportedMediaTypeError: Another content type than `content_type`.
        LimitError: More than `limit` bytes.
    """
    if content_type is not None:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != content_type:
            raise UnsupportedMediaTypeError(f"expected {content_type}, got {sent or 'none'}")
    kept: bytes | None = getattr(request.state, "body", None)
    if kept is None:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise errors.LimitError(f"expected a body of at most {limit} bytes, got more")
        # Whoever checks a signature over the body and whoever takes it apart both need it.
        kept = request.state.body = bytes(body)
    if len(kept) > limit:
        raise errors.LimitError(f"expected a body of at most {limit} bytes, got more")
    return kept


class LimitedRoute(routing.APIRoute):
    """Reads at most `MAX_JSON_BYTES`; the framework alone would read a body of any size."""

    def get_route_handler(
        self,
    ) -> Callable[[fastapi.Request], Coroutine[Any, Any, fastapi.Response]]:
        """Return what answers a request, once its body is read under the limit."""
        handle = super().get_route_handler()

        async def handle_limited(request: fastapi.Request) -> fastapi.Response:
            body = await read_body(request, limit=MAX_JSON_BYTES, content_type=None)

            async def replay() -> dict[str, object]:
                return {"type": "http.request", "body": body, "more_body": False}

            return await handle(fastapi.Request(request.scope, replay))

        return handle_limited


def bearer_token(request: fastapi.Request) -> str | None:
    """The bearer token of a request, if it carries one (RFC 6750 2.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def require_scope(
    tokens: access.AccessTokens, present: clock.Clock, scope: str
) -> Callable[[fastapi.Request], access.Caller]:
    """Return a dependency that lets a request in only with a token for `scope`."""

    def check(request: fastapi.Request) -> access.Caller:
        return tokens.check(bearer_token(request), scope, present.now())

    return check


def token_routes(tokens: access.AccessTokens, present: clock.Clock) -> fastapi.APIRouter:
    """Return `POST /oauth2/token`: client credentials for a bearer token (RFC 6749 4.4)."""
    router = fastapi.APIRouter(tags=["access"])

    async def read_form(request: fastapi.Request) -> dict[str, str]:
        body = await read_body(
            request, limit=MAX_FORM_BYTES, content_type="application/x-www-form-urlencoded"
        )
        try:
            pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
        except ValueError as error:
            raise errors.InputError("expected a form of at most 20 fields in UTF-8") from error
        counts = collections.Counter(name for name, _ in pairs)
        if repeated := [name for name, count in counts.items() if count > 1]:
            raise errors.InputError(f"expected each parameter once, got {repeated[0]!r} again")
        return dict(pairs)

    @router.post("/oauth2/token")
    def issue_token(
        request: fastapi.Request, form: Annotated[dict[str, str], fastapi.Depends(read_form)]
    ) -> fastapi.Response:
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "expected client_credentials")
        basic = _basic_credentials(request)
        client_id, client_secret = basic or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        scopes = tuple(form["scope"].split()) if form.get("scope") else None
        try:
            token = tokens.issue(client_id, client_secret, scopes, present.now())
        except access.InvalidClientError as error:
            return _oauth_error(401, "invalid_client", error.message)
        except access.InvalidScopeError as error:
            return _oauth_error(400, "invalid_scope", error.message)
        return responses.JSONResponse(
            {
                "access_token": token.value,
                "token_type": "Bearer",
                "expires_in": token.expires_in_s,
                "scope": " ".join(token.scopes),
            },
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )

    return router


def _basic_credentials(request: fastapi.Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ("", "")
    # RFC 6749 2.3.1: both are form-encoded before they are joined.
    return urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)


def _oauth_error(status: int, code: str, description: str) -> fastapi.Response:
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="imza"'
    return responses.JSONResponse(
        {"error": code, "error_description": description}, status, headers=headers
    )


def _status_of(error: errors.ImzaError) -> int:
    for family, status in STATUS_BY_FAMILY:
        if isinstance(error, family):
            return status
    return 500


async def _on_imza_error(request: fastapi.Request, error: Exception) -> fastapi.Response:
    assert isinstance(error, errors.ImzaError)  # noqa: S101 - registered for this type alone
    status = _status_of(error)
    if status >= 500:
        log.warning("request_refused code=%s status=%d", error.code, status)
    # An error about one field of a request names it.
    field = getattr(error, "field", None)
    named = [{"field": str(field), "message": error.message}] if field is not None else []
    response = _problem(
        request, status, error.code, error.message, retriable=error.retriable, problems=named
    )
    if status == 401:
        scheme = getattr(error, "challenge", "Bearer")
        response.headers["WWW-Authenticate"] = f'{scheme} error="{error.code.replace("-", "_")}"'
    return response


async def _on_validation_error(request: fastapi.Request, error: Exception) -> fastapi.Response:
    assert isinstance(error, fastapi_exceptions.RequestValidationError)  # noqa: S101
    found = [
        {"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]}
        for one in error.errors()
    ]
    detail = f"{found[0]['field']}: {found[0]['message']}" if found else "malformed request"
    return _problem(request, 422, "invalid-input", detail, retriable=False, problems=found)


async def _on_http_error(request: fastapi.Request, error: Exception) -> fastapi.Response:
    assert isinstance(error, starlette_exceptions.HTTPException)  # noqa: S101
    response = _problem(
        request, error.status_code, f"http-{error.status_code}", str(error.detail), retriable=False
    )
    response.headers.update(error.headers or {})
    return response


def _problem(
    request: fastapi.Request,
    status: int,
    code: str,
    detail: str,
    *,
    retriable: bool,
    problems: Sequence[dict[str, str]] = (),
) -> fastapi.Response:
    body: dict[str, object] = {
        "type": "about:blank",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "retriable": retriable,
        "request_id": getattr(request.state, "request_id", None),
    }
    if problems:
        body["errors"] = list(problems)
    return responses.JSONResponse(body, status, media_type=PROBLEM_TYPE)
