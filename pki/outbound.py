"""The one HTTP client: time limits, size limits and content types are checked here."""

import dataclasses
import json
import pathlib
import ssl
from collections.abc import Collection, Mapping

import httpx

from pki import errors

DEFAULT_MAX_BYTES = 10 * 2**20
"""Largest answer that is read unless the caller says otherwise."""

ERROR_MAX_BYTES = 64 * 2**10
"""How much of an unexpected answer is kept to explain it."""


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
        if self.reply is None or not 400 <= self.reply.status < 500:
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
    """Sends requests over kept connections; safe to use from several threads."""

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
        self._http = httpx.Client(
            timeout=timeout_s, verify=context, trust_env=False, follow_redirects=False
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
            timeout_s: How long to wait, instead of the client's own limit.
            expect: The statuses that are an answer; every other one raises.
            expect_type: The content type that is an answer, without parameters.

        Raises:
            InputError: No http or https address.
            PeerUnavailableError: No connection, or no answer in time.
            PeerAnswerError: Another status or type, or more bytes than the limit.
        """
        sent = dict(headers or {})
        if content_type is not None:
            sent["Content-Type"] = content_type
        if accept is not None:
            sent["Accept"] = accept
        where = f"{method} {url.partition('?')[0]}"
        try:
            with self._http.stream(
                method,
                url,
                content=body,
                headers=sent,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
            ) as response:
                expected = response.status_code in expect
                reply = self._read(response, self._max_bytes if expected else ERROR_MAX_BYTES)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise errors.InputError("expected an http or https address") from error
        except httpx.TimeoutException as error:
            raise PeerUnavailableError(f"{where}: no answer in time") from error
        except httpx.HTTPError as error:
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
        self._http.close()

    def _read(self, response: httpx.Response, limit: int) -> Reply:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit:
                if response.is_success:
                    raise PeerAnswerError(f"expected an answer of at most {limit} bytes, got more")
                break
        return Reply(
            status=response.status_code,
            content_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
            headers=dict(response.headers),
            body=bytes(body[:limit]),
        )


def _one_line(value: object, limit: int) -> str:
    """A peer's text, of which nothing moves a terminal's cursor or floods it."""
    return "".join(one for one in str(value or "unknown")[:limit] if one.isprintable())
