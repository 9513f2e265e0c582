"""Who a client of a service is: its credentials file, and the access tokens it gets for them."""

import base64
import dataclasses
import json
import pathlib
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from pki import errors, outbound

MAX_FILE_BYTES = 2**20
"""A sandbox.json with a hundred people has some twenty kilobytes."""

RENEW_BEFORE_S = 30.0
"""A token that ends sooner than this is not used any more: the request takes its time too."""

MAX_LIFE_S = 86_400.0
"""No token is kept longer than a day, whatever the service says of it."""

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,8192}=*", re.ASCII)
"""What may stand in a header (RFC 6750 2.1, `b64token`)."""

_OAUTH_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)


class CredentialsError(errors.InputError):
    """The credentials file is not what was expected."""

    code = "wrong-credentials-file"


class ClientRefusedError(errors.AccessError):
    """The service gives this client no access token."""

    code = "client-refused"


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Who calls which service, and whom to trust for its TLS.

    Attributes:
        base_url: The service's address, without a slash at its end.
        tls_ca_pem: The authorities of its TLS certificate; None: the machine's own.
    """

    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    base_url: str
    tls_ca_pem: pathlib.Path | None = None


def read_credentials(path: pathlib.Path, name: str, *, server: str | None = None) -> Credentials:
    """Read a credentials file.

    Args:
        path: An object with `client_id` and `client_secret`, or a whole sandbox.json.
        name: Which object of a sandbox.json: `api_client` or `registration_client`.
        server: The service's address; None takes the `base_url` of the file.

    Raises:
        CredentialsError: Unreadable, or without the client; what the file holds is not told.
    """
    content = _read_object(path)
    found = content.get(name, content)
    if not isinstance(found, dict):
        raise CredentialsError(f"{path}: expected an object {name}")
    base_url = server or content.get("base_url")
    if not isinstance(base_url, str):
        raise CredentialsError(f"{path}: has no base_url: name the server")
    return Credentials(
        _text(path, found, "client_id"),
        _text(path, found, "client_secret"),
        base_url.rstrip("/"),
        _tls_authorities(path, content) if base_url.startswith("https:") else None,
    )


class TokenSource:
    """Sends requests with a bearer token, which it fetches when one is needed.

    Safe to use from several threads.
    """

    def __init__(
        self,
        client: outbound.Client,
        credentials: Credentials,
        *,
        scope: str | None = None,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetch nothing yet.

        Args:
            client: Sends the requests; whoever made it closes it.
            credentials: Who calls.
            scope: What tokens are asked for; None: all that the client may have.
            elapsed_s: A stopwatch; the time of day does not matter to a token's life.
        """
        self._client = client
        self._credentials = credentials
        self._scope = scope
        self._elapsed_s = elapsed_s
        self._lock = threading.Lock()
        self._kept: str | None = None
        self._kept_until = 0.0

    def token(self) -> str:
        """A token that is good for some time yet.

        Raises:
            ClientRefusedError: The service does not accept the client or the scope.
            PeerError: The service did not answer, or not as RFC 6749 says.
        """
        with self._lock:
            if self._kept is None or self._elapsed_s() >= self._kept_until:
                # The token's life began before its answer came.
                asked = self._elapsed_s()
                self._kept, life_s = self._fetch()
                self._kept_until = asked + life_s - RENEW_BEFORE_S
            return self._kept

    def send(self, method: str, url: str, **as_client: Any) -> outbound.Reply:
        """Send a request as `outbound.Client.send` does, with a token.

        A token that the service does not know any more (401) is replaced once: a request that was
        answered so was not carried out (RFC 6750 3.1).

        Raises:
            ClientRefusedError: As `token`.
            PeerError: As `outbound.Client.send`.
        """
        token = self.token()
        try:
            return self._send(method, url, token, **as_client)
        except outbound.PeerAnswerError as error:
            if error.reply is None or error.reply.status != 401:
                raise
        self._forget(token)
        return self._send(method, url, self.token(), **as_client)

    def _send(self, method: str, url: str, token: str, **as_client: Any) -> outbound.Reply:
        headers = {**(as_client.pop("headers", None) or {}), "Authorization": f"Bearer {token}"}
        return self._client.send(method, url, headers=headers, **as_client)

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._kept == token:
                self._kept = None

    def _fetch(self) -> tuple[str, float]:
        """Get a token by client credentials (RFC 6749 4.4) and how many seconds it lives."""
        form = {"grant_type": "client_credentials"}
        if self._scope is not None:
            form["scope"] = self._scope
        try:
            answer = self._client.send(
                "POST",
                f"{self._credentials.base_url}/oauth2/token",
                body=urllib.parse.urlencode(form).encode("ascii"),
                content_type="application/x-www-form-urlencoded",
                accept="application/json",
                headers={"Authorization": f"Basic {_basic(self._credentials)}"},
            ).json()
        except outbound.PeerAnswerError as error:
            if error.reply is not None and error.reply.status in {400, 401, 403}:
                raise ClientRefusedError(
                    "the service does not accept this client_id, client_secret or scope"
                    f" ({_oauth_error(error.reply)})"
                ) from error
            raise
        if not isinstance(answer, dict) or str(answer.get("token_type")).lower() != "bearer":
            raise outbound.PeerAnswerError("/oauth2/token: expected a token of type Bearer")
        token, life_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise outbound.PeerAnswerError("/oauth2/token: expected an access_token")
        # RFC 6749 5.1: the life may be left out; the token is then kept until it is refused.
        if not isinstance(life_s, int):
            return token, MAX_LIFE_S
        return token, float(min(life_s, MAX_LIFE_S))


def _read_object(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_FILE_BYTES))
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        # The cause is left out: it holds the file's content.
        raise CredentialsError(f"{path}: expected JSON") from None
    if not isinstance(content, dict):
        raise CredentialsError(f"{path}: expected a JSON object")
    return content


def _text(path: pathlib.Path, found: Mapping[str, Any], field: str) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not value:
        raise CredentialsError(f"{path}: expected client_id and client_secret")
    return value


def _tls_authorities(path: pathlib.Path, content: Mapping[str, Any]) -> pathlib.Path | None:
    value = content.get("tls_ca_pem")
    if value is None:
        return None
    if not isinstance(value, str):
        raise CredentialsError(f"{path}: expected the path of a file as tls_ca_pem")
    return pathlib.Path(value)


def _basic(credentials: Credentials) -> str:
    # RFC 6749 2.3.1: both parts are form-encoded before they are joined.
    pair = (credentials.client_id, credentials.client_secret)
    return base64.b64encode(":".join(map(_form_encoded, pair)).encode("ascii")).decode("ascii")


def _form_encoded(text: str) -> str:
    # A lone surrogate, which JSON can hold, is no text of any client.
    return urllib.parse.quote_plus(text, errors="replace")


def _oauth_error(reply: outbound.Reply) -> str:
    """The error's name of RFC 6749 5.2; nothing else of the answer is repeated."""
    try:
        answer = reply.json()
    except outbound.PeerAnswerError:
        return f"HTTP {reply.status}"
    name = answer.get("error") if isinstance(answer, dict) else None
    known = isinstance(name, str) and _OAUTH_ERROR.fullmatch(name)
    return str(name) if known else f"HTTP {reply.status}"
