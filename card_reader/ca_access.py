"""How a personalisation station reaches the CA: credentials from a file, tokens when needed."""

import contextlib
import json
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping

from pki import errors, outbound, registration

_MAX_FILE_SIZE = 2**20


class StationCredentialsError(errors.InputError):
    """The credentials file is not what was expected."""

    code = "wrong-credentials-file"


class StationRefusedError(errors.AccessError):
    """The CA zone gives this station no access token."""

    code = "station-refused"


@contextlib.contextmanager
def registration_client(
    server: str | None, credentials: pathlib.Path
) -> Iterator[registration.RegistrationClient]:
    """Open a client of the registration API.

    Args:
        server: Base address of the CA zone; None takes the one in the file.
        credentials: A client object (`client_id`, `client_secret`), or a sandbox.json with
            a `registration_client`.

    Raises:
        StationCredentialsError: Unreadable, or without these fields.
    """
    content = _read(credentials)
    found = content.get("registration_client", content)
    base_url = server or content.get("base_url")
    if not isinstance(found, dict) or not isinstance(base_url, str):
        raise StationCredentialsError(
            f"expected a client object or a sandbox.json in {credentials}, and a --server"
        )
    try:
        secrets = {name: str(found[name]) for name in ("client_id", "client_secret")}
    except KeyError as error:
        raise StationCredentialsError(f"expected {error} in {credentials}") from error
    trust = content.get("tls_ca_pem") if base_url.startswith("https:") else None
    client = outbound.Client(trust_pem=pathlib.Path(str(trust)) if trust else None)
    try:
        yield registration.RegistrationClient(
            client, base_url, lambda: _token(client, base_url, secrets)
        )
    finally:
        client.close()


def _read(path: pathlib.Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_FILE_SIZE))
    except OSError as error:
        raise StationCredentialsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StationCredentialsError(f"expected JSON in {path}") from error
    if not isinstance(content, dict):
        raise StationCredentialsError(f"expected a JSON object in {path}")
    return content


def _token(client: outbound.Client, base_url: str, secrets: Mapping[str, str]) -> str:
    """Get a token by client credentials (RFC 6749 4.4)."""
    form = {"grant_type": "client_credentials", "scope": "register", **secrets}
    try:
        answer = client.send(
            "POST",
            f"{base_url.rstrip('/')}/oauth2/token",
            body=urllib.parse.urlencode(form).encode(),
            content_type="application/x-www-form-urlencoded",
            accept="application/json",
        ).json()
    except outbound.PeerAnswerError as error:
        if error.reply is not None and error.reply.status in (400, 401, 403):
            raise StationRefusedError(
                "the CA does not accept this station's client_id, client_secret or scope"
            ) from error
        raise
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise outbound.PeerAnswerError("expected an access_token from the CA")
    return token
