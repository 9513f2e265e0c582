"""A client of the signing REST API, as any portal would write it."""

import dataclasses
import json
import pathlib
import secrets
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from pki import errors, outbound

WAIT_S = 30
"""How long one question for a session's state may wait at the server."""

MAX_DOCUMENT_BYTES = 512 * 2**20


class CredentialsError(errors.InputError):
    """The credentials file is not what was expected."""

    code = "wrong-credentials-file"


class RefusedError(errors.PolicyError):
    """The service refused; the code and the sentence are the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the service's own code."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Who calls, and whom to trust for TLS."""

    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    base_url: str | None = None
    tls_ca_pem: pathlib.Path | None = None


def read_credentials(path: pathlib.Path, *, client: str = "api_client") -> Credentials:
    """Read a credentials file: one `api_client` object, or a whole sandbox.json.

    Raises:
        CredentialsError: Unreadable, or without the client.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CredentialsError(f"{path}: expected JSON") from error
    found = content.get(client, content) if isinstance(content, dict) else None
    if not isinstance(found, dict) or not {"client_id", "client_secret"} <= set(found):
        raise CredentialsError(f"{path}: expected an object with client_id and client_secret")
    tls = content.get("tls_ca_pem")
    return Credentials(
        str(found["client_id"]),
        str(found["client_secret"]),
        content.get("base_url"),
        pathlib.Path(tls) if tls else None,
    )


class SigningApi:
    """The calls of `/api/v1` that signing and validating need."""

    def __init__(self, server: str, credentials: Credentials) -> None:
        """Take the server's base address."""
        self._server = server.rstrip("/")
        self._credentials = credentials
        self._client = outbound.Client(
            timeout_s=120.0, max_bytes=MAX_DOCUMENT_BYTES, trust_pem=credentials.tls_ca_pem
        )
        self._token: str | None = None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def open_session(
        self, document: pathlib.Path, parameters: Mapping[str, object]
    ) -> dict[str, Any]:
        """Open a signing session for one document."""
        boundary = secrets.token_hex(16)
        body = b"".join(_multipart(boundary, document, parameters))
        return self._call(
            "POST",
            "/api/v1/signing-sessions",
            body=body,
            content_type=f"multipart/form-data; boundary={boundary}",
            expect=(201,),
        )

    def deliver_value(self, session_id: str, value: Mapping[str, str]) -> dict[str, Any]:
        """Hand in the signature value that a card made."""
        return self._call(
            "POST",
            f"/api/v1/signing-sessions/{session_id}/signature-value",
            body=json.dumps(value).encode(),
            content_type="application/json",
            expect=(200,),
        )

    def state(self, session_id: str, *, wait_s: int = WAIT_S) -> dict[str, Any]:
        """The session's state, as soon as it changes or the time is over."""
        return self._call(
            "GET", f"/api/v1/signing-sessions/{session_id}?wait={wait_s}", expect=(200,)
        )

    def cancel(self, session_id: str) -> dict[str, Any]:
        """End a session that will not be finished."""
        return self._call(
            "POST", f"/api/v1/signing-sessions/{session_id}/cancel", body=b"", expect=(200,)
        )

    def document(self, session_id: str) -> bytes:
        """The signed document."""
        return self._send(
            "GET", f"/api/v1/signing-sessions/{session_id}/document", expect=(200,)
        ).body

    def _call(self, method: str, path: str, **sending: Any) -> dict[str, Any]:
        answer = self._send(method, path, **sending).json()
        if not isinstance(answer, dict):
            raise outbound.PeerAnswerError(f"{path}: expected a JSON object")
        return answer

    def _send(self, method: str, path: str, **sending: Any) -> outbound.Reply:
        try:
            return self._client.send(
                method,
                self._server + path,
                headers={"Authorization": f"Bearer {self._bearer()}"},
                **sending,
            )
        except outbound.PeerAnswerError as error:
            raise _as_refusal(error) from error

    def _bearer(self) -> str:
        if self._token is None:
            form = urllib.parse.urlencode(
                {
                    "grant_type": "client_credentials",
                    "client_id": self._credentials.client_id,
                    "client_secret": self._credentials.client_secret,
                }
            )
            try:
                answer = self._client.send(
                    "POST",
                    f"{self._server}/oauth2/token",
                    body=form.encode(),
                    content_type="application/x-www-form-urlencoded",
                ).json()
            except outbound.PeerAnswerError as error:
                raise _as_refusal(error) from error
            if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
                raise outbound.PeerAnswerError("/oauth2/token: expected an access_token")
            self._token = answer["access_token"]
        return self._token


def _as_refusal(error: outbound.PeerAnswerError) -> errors.ImzaError:
    """A problem document of status 4xx is a refusal in the service's own words."""
    reply = error.reply
    if reply is None or not 400 <= reply.status < 500:
        return error
    try:
        problem = json.loads(reply.body)
        return RefusedError(
            str(problem.get("code") or problem["error"]),
            str(problem.get("detail") or problem["error_description"]),
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return error


def _multipart(
    boundary: str, document: pathlib.Path, parameters: Mapping[str, object]
) -> Iterable[bytes]:
    """The body of RFC 7578, with the file's name in UTF-8."""
    name = document.name.replace('"', "%22").replace("\r", "").replace("\n", "")
    line = f"--{boundary}\r\nContent-Disposition: form-data; name="
    yield f'{line}"parameters"\r\nContent-Type: application/json\r\n\r\n'.encode()
    yield json.dumps(parameters).encode()
    yield (
        f'\r\n{line}"document"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode()
    yield document.read_bytes()
    yield f"\r\n--{boundary}--\r\n".encode()
