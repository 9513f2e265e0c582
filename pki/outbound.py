"""The one HTTP client: time limits, size limits and content types are checked here."""

import contextlib
import dataclasses
import json
import pathlib
import ssl
from collections.abc import Collection, Mapping

import httpcore

from pki import errors, timed_connections

DEFAULT_MAX_BYTES = 10 * 2**20
"""Largest answer that is read unless the caller says otherwise."""

ERROR_MAX_BYTES = 64 * 2**10
"""How much of an unexpected answer is kept to explain it."""

MIN_TOTAL_S = 60.0
"""How long a whole exchange may take at least, where the caller says nothing else."""

MAX_CONNECTIONS, MAX_KEPT, KEPT_FOR_S = 100, 20, 30.0
"""Of one client; a kept connection saves the next request two round trips or more."""


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a peer answered."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes = dataclasses.field(repr=False)

    def json(self) -> object:
        """The body as JSON, or `PeerAnswerError`."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise PeerAnswerError(
                f"expected JSON, got {self.content_type or 'no content type'}", reply=self
            ) from error


@dataclasses.dataclass(frozen=True)
class Problem:
    """Why a peer refused, in its own words (RFC 9457): a stable code and a sentence."""

    code: str
    detail: str


class PeerUnavailableError(errors.PeerError):
    """No connection, or no answer in time."""

    code = "peer-unavailable"


class PeerAnswerError(errors.PeerError):
    """An answer of another status, type or size than expected.

    Attributes:
        reply: The answer where one was read.
    """

    code = "peer-answer"
    retriable = False

    def __init__(self, message: str, *, reply: Reply | None = None) -> None:
        """Keep the message and the answer; an answer of 5xx or 429 may be better later."""
        super().__init__(
            message, retriable=reply is not None and (reply.status >= 500 or reply.status == 429)
        )
        self.reply = reply

    def problem(self) -> Problem | None:
        """What the peer says where it refused (4xx) with a problem document; else None."""
        return self._problem(range(400, 500))

    def failure(self) -> Problem | None:
        """What the peer says where it failed (5xx) with a problem document; else None."""
        return self._problem(range(500, 600))

    def _problem(self, statuses: range) -> Problem | None:
        if self.reply is None or self.reply.status not in statuses:
            return None
        try:
            said = self.reply.json()
        except PeerAnswerError:
            return None
        if not isinstance(said, dict):
            return None
        detail = said.get("detail") or said.get("title")
        return Problem(_one_line(said.get("code"), 100), _one_line(detail, 500))


class Client:
    """Sends requests over kept connections; safe to use from several threads.

    No redirect is followed, no cookie kept and no compressed answer asked for.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        max_bytes: int = DEFAULT_MAX_BYTES,
        trust_pem: pathlib.Path | None = None,
    ) -> None:
        """Set limits and, where peers have certificates of a private CA, whom to trust.

        Environment proxies are not used: where a request goes is decided by the settings.

        Raises:
            InputError: `trust_pem` is not a file with certificates.
        """
        context = ssl.create_default_context()
        if trust_pem is not None:
            try:
                context.load_verify_locations(cafile=trust_pem)
            except OSError as error:  # of which SSLError is one
                raise errors.InputError(f"expected PEM certificates in {trust_pem}") from error
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._deadline = timed_connections.Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_KEPT,
            keepalive_expiry=KEPT_FOR_S,
            network_backend=timed_connections.TimedBackend(self._deadline),
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        content_type: str | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        total_s: float | None = None,
        max_bytes: int | None = None,
        expect: Collection[int] = (200,),
        expect_type: str | None = None,
    ) -> Reply:
        """Send one request and return the answer.

        Args:
            method: The HTTP method.
            url: Where to; never holds a secret.
            body: What to send.
            content_type: The type of `body`.
            accept: The type asked for.
            headers: Any others.
            timeout_s: How long the peer may be silent, instead of the client's own limit.
            total_s: How long the whole exchange may take; else twice that, a minute at least.
            max_bytes: The largest answer that is read, instead of the client's own limit.
            expect: The statuses that are an answer; every other one raises.
            expect_type: The content type that is an answer, without parameters.

        Raises:
            InputError: No http or https address.
            PeerUnavailableError: No connection, or no answer in time.
            PeerAnswerError: Another status or type, or more bytes than the limit.
        """
        sent = {"User-Agent": "imza", "Accept": accept or "*/*", **(headers or {})}
        if content_type is not None:
            sent["Content-Type"] = content_type
        where = f"{method} {url.partition('?')[0]}"
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        limit = self._max_bytes if max_bytes is None else max_bytes
        whole_s = max(2 * wait_s, MIN_TOTAL_S) if total_s is None else total_s
        self._deadline.set(whole_s)
        try:
            with self._open(method, url, sent, body, min(wait_s, whole_s)) as response:
                expected = response.status in expect
                reply = self._read(response, limit if expected else ERROR_MAX_BYTES, expected)
        except httpcore.TimeoutException as error:
            raise PeerUnavailableError(f"{where}: no answer in time") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise PeerUnavailableError(f"{where}: {type(error).__name__}") from error
        if not expected:
            raise PeerAnswerError(
                f"{where}: expected status {' or '.join(map(str, sorted(expect)))},"
                f" got {reply.status}",
                reply=reply,
            )
        if expect_type is not None and reply.content_type != expect_type:
            raise PeerAnswerError(
                f"{where}: expected {expect_type}, got {reply.content_type or 'no content type'}",
                reply=reply,
            )
        return reply

    def send_json(
        self,
        method: str,
        url: str,
        value: object,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        expect: Collection[int] = (200,),
    ) -> Reply:
        """Send a JSON body; raises as `send` does."""
        return self.send(
            method,
            url,
            body=json.dumps(value).encode(),
            content_type="application/json",
            accept="application/json",
            headers=headers,
            timeout_s=timeout_s,
            expect=expect,
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        wait_s: float,
    ) -> contextlib.AbstractContextManager[httpcore.Response]:
        # Only who sends something needs it; it takes its time to load.
        import httpx

        try:
            parsed = httpx.URL(url)
            if parsed.scheme not in {"http", "https"} or not parsed.host:
                raise errors.InputError("expected an http or https address")
            encoded = [(name.encode("ascii"), text.encode()) for name, text in headers.items()]
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise errors.InputError("expected an http or https address") from error
        return self._pool.stream(
            method,
            httpcore.URL(
                scheme=parsed.raw_scheme,
                host=parsed.raw_host,
                port=parsed.port,
                target=parsed.raw_path,
            ),
            headers=[(b"Host", parsed.netloc), *encoded],
            content=body if body is not None or method in {"GET", "HEAD"} else b"",
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), wait_s)},
        )

    def _read(self, response: httpcore.Response, limit: int, expected: bool) -> Reply:
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > limit:
                if expected:
                    raise PeerAnswerError(f"expected an answer of at most {limit} bytes, got more")
                break
        headers: dict[str, str] = {}
        for name, value in response.headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return Reply(
            status=response.status,
            content_type=headers.get("content-type", "").partition(";")[0].strip().lower(),
            headers=headers,
            body=bytes(body[:limit]),
        )


def _one_line(value: object, limit: int) -> str:
    """A peer's text, of which nothing moves a terminal's cursor or floods it."""
    return "".join(one for one in str(value or "unknown")[:limit] if one.isprintable())
