"""Credentials files, and tokens from an authorisation server on loopback."""

import base64
import contextlib
import dataclasses
import json
import pathlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import fastapi
import hypothesis
import pytest
from fastapi import responses
from hypothesis import strategies as st

from pki import credentials, errors, outbound
from tests.support import servers

CLIENT = {"client_id": "TEST portal", "client_secret": "TEST s:cr&t+ə"}


def write(path: pathlib.Path, value: object) -> pathlib.Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_a_client_object_is_read_with_the_server_named_beside_it(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "client.json", CLIENT)
    known = credentials.read_credentials(path, "api_client", server="http://127.0.0.1:1/")
    assert known == credentials.Credentials(**CLIENT, base_url="http://127.0.0.1:1")


def test_a_sandbox_file_names_its_clients_and_its_server(tmp_path: pathlib.Path) -> None:
    path = write(
        tmp_path / "sandbox.json",
        {
            "base_url": "http://127.0.0.1:8080",
            "tls_ca_pem": "/w/tls-ca.pem",
            "api_client": CLIENT,
            "registration_client": {**CLIENT, "client_id": "office"},
        },
    )
    assert credentials.read_credentials(path, "registration_client").client_id == "office"
    plain = credentials.read_credentials(path, "api_client")
    assert (plain.client_id, plain.base_url) == ("TEST portal", "http://127.0.0.1:8080")
    assert plain.tls_ca_pem is None
    over_tls = credentials.read_credentials(path, "api_client", server="https://localhost:8443")
    assert over_tls.tls_ca_pem == pathlib.Path("/w/tls-ca.pem")


def test_a_client_that_a_sandbox_does_not_have_is_not_made_up(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "sandbox.json", {"base_url": "http://x", "registration_client": None})
    for name in ("registration_client", "api_client"):
        with pytest.raises(credentials.CredentialsError):
            credentials.read_credentials(path, name)


def test_a_file_that_is_missing_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(credentials.CredentialsError, match="No such file"):
        credentials.read_credentials(tmp_path / "none.json", "api_client")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"client_id": "a"}', b"\xff", b"[" * 100_000, b'{"client_id": 1}'],
)
def test_a_file_of_another_kind_is_an_input_error(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(credentials.CredentialsError):
        credentials.read_credentials(tmp_path / "file", "api_client", server="http://x")


@hypothesis.given(st.data())
def test_a_mutated_file_is_an_input_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(json.dumps({"base_url": "http://x", "api_client": CLIENT}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("mutated") / "file"
    path.write_bytes(bytes(content))
    with contextlib.suppress(errors.InputError):
        credentials.read_credentials(path, "api_client")


def test_the_secret_stands_in_no_text(tmp_path: pathlib.Path) -> None:
    secret = secrets.token_hex(16)
    path = write(tmp_path / "file", {"client_id": "a", "client_secret": secret})
    known = credentials.read_credentials(path, "api_client", server="http://x")
    assert secret not in repr(known)
    with contextlib.closing(outbound.Client()) as client:
        assert secret not in repr(credentials.TokenSource(client, known))
    path.write_text(f'{{"client_id": "a", "client_secret": "{secret}"')
    with pytest.raises(credentials.CredentialsError) as raised:
        credentials.read_credentials(path, "api_client", server="http://x")
    seen: BaseException | None = raised.value
    while seen is not None:
        assert secret not in repr(vars(seen))
        assert secret not in repr(seen)
        seen = seen.__cause__


@dataclasses.dataclass
class Service:
    """Gives numbered tokens, and lets in only those that it still knows."""

    life_s: object = 60
    issued: int = 0
    known: set[str] = dataclasses.field(default_factory=set)
    scopes: list[str] = dataclasses.field(default_factory=list)
    answered: int = 0
    headers: list[str] = dataclasses.field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] = dict

    def application(self) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.post("/oauth2/token")
        async def token(request: fastapi.Request) -> fastapi.Response:
            self.headers.append(request.headers["authorization"])
            self.scopes.append((await request.body()).decode())
            self.issued += 1
            value = f"token-{self.issued}"
            self.known.add(value)
            content = {"access_token": value, "token_type": "bearer", "expires_in": self.life_s}
            return responses.JSONResponse(self.answer(content))

        @app.post("/calls")
        def call(request: fastapi.Request) -> fastapi.Response:
            token = request.headers["authorization"].removeprefix("Bearer ")
            if token not in self.known:
                return responses.JSONResponse({}, 401)
            self.answered += 1
            return responses.JSONResponse({"token": token, "kept": request.headers["x-kept"]})

        return app


@dataclasses.dataclass
class Stopwatch:
    elapsed_s: float = 1000.0

    def __call__(self) -> float:
        return self.elapsed_s


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def served(service: Service) -> Iterator[tuple[outbound.Client, credentials.Credentials]]:
    with (
        servers.serve(service.application()) as url,
        contextlib.closing(outbound.Client()) as client,
    ):
        yield client, credentials.Credentials(**CLIENT, base_url=url)


@pytest.mark.clause("RFC 6749", "2.3.1")
def test_the_client_shows_itself_form_encoded_in_a_header(
    service: Service, served: tuple[outbound.Client, credentials.Credentials]
) -> None:
    credentials.TokenSource(*served, scope="register").token()
    shown = base64.b64decode(service.headers[0].removeprefix("Basic "))
    assert shown == b"TEST+portal:TEST+s%3Acr%26t%2B%C9%99"
    assert service.scopes == ["grant_type=client_credentials&scope=register"]


def test_a_token_is_kept_until_shortly_before_its_end(
    service: Service, served: tuple[outbound.Client, credentials.Credentials]
) -> None:
    watch = Stopwatch()
    source = credentials.TokenSource(*served, elapsed_s=watch)
    assert service.issued == 0
    assert source.token() == source.token() == "token-1"
    watch.elapsed_s += 60 - credentials.RENEW_BEFORE_S - 1
    assert source.token() == "token-1"
    watch.elapsed_s += 1
    assert source.token() == "token-2"


@pytest.mark.parametrize("life_s", [None, "60", 10**400])
def test_a_life_that_is_not_told_or_endless_is_a_day(
    service: Service, served: tuple[outbound.Client, credentials.Credentials], life_s: object
) -> None:
    service.life_s = life_s
    watch = Stopwatch()
    source = credentials.TokenSource(*served, elapsed_s=watch)
    assert source.token() == "token-1"
    watch.elapsed_s += 3600
    assert source.token() == "token-1"
    watch.elapsed_s += credentials.MAX_LIFE_S
    assert source.token() == "token-2"


def test_a_token_that_is_not_known_any_more_is_replaced_once(
    service: Service, served: tuple[outbound.Client, credentials.Credentials]
) -> None:
    source = credentials.TokenSource(*served)
    url = f"{served[1].base_url}/calls"
    sent = {"body": b"{}", "headers": {"X-Kept": "yes"}}
    assert source.send("POST", url, **sent).json() == {"token": "token-1", "kept": "yes"}
    service.known.clear()
    assert source.send("POST", url, **sent).json() == {"token": "token-2", "kept": "yes"}
    assert (service.issued, service.answered) == (2, 2)


def test_a_service_that_refuses_its_own_tokens_is_not_asked_for_ever(
    service: Service, served: tuple[outbound.Client, credentials.Credentials]
) -> None:
    service.answer = lambda content: {**content, "access_token": "never-known"}
    with pytest.raises(outbound.PeerAnswerError) as raised:
        credentials.TokenSource(*served).send("POST", f"{served[1].base_url}/calls", body=b"")
    assert raised.value.reply is not None
    assert raised.value.reply.status == 401
    assert service.issued == 2


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"access_token": "x"},
        {"access_token": "x", "token_type": "mac"},
        {"access_token": 5, "token_type": "Bearer"},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": "a\r\nX-Evil: 1", "token_type": "Bearer"},
        {"access_token": "ə", "token_type": "Bearer"},
    ],
)
def test_an_answer_without_a_bearer_token_is_a_failed_peer(
    service: Service,
    served: tuple[outbound.Client, credentials.Credentials],
    answer: object,
) -> None:
    service.answer = lambda _: answer
    with pytest.raises(outbound.PeerAnswerError):
        credentials.TokenSource(*served).token()


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (401, {"error": "invalid_client"}, "invalid_client"),
        (400, {"error": "invalid_scope"}, "invalid_scope"),
        (403, {"error": "\x1b[2J"}, "HTTP 403"),
        (401, [], "HTTP 401"),
    ],
)
def test_a_client_that_is_refused_is_told_why_but_not_its_secret(
    status: int, body: object, shown: str
) -> None:
    app = fastapi.FastAPI()

    @app.post("/oauth2/token")
    def token() -> fastapi.Response:
        return responses.JSONResponse(body, status)

    with servers.serve(app) as url, contextlib.closing(outbound.Client()) as client:
        source = credentials.TokenSource(client, credentials.Credentials(**CLIENT, base_url=url))
        with pytest.raises(credentials.ClientRefusedError) as raised:
            source.token()
    assert shown in raised.value.message
    assert CLIENT["client_secret"] not in raised.value.message


@pytest.mark.parametrize("status", [429, 500])
def test_a_service_that_cannot_answer_now_may_be_asked_again(status: int) -> None:
    app = fastapi.FastAPI()

    @app.post("/oauth2/token")
    def token() -> fastapi.Response:
        return responses.JSONResponse({}, status)

    with servers.serve(app) as url, contextlib.closing(outbound.Client()) as client:
        source = credentials.TokenSource(client, credentials.Credentials(**CLIENT, base_url=url))
        with pytest.raises(outbound.PeerAnswerError) as raised:
            source.token()
    assert raised.value.retriable
