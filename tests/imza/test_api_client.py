"""The client of `/api/v1` against a server that answers by the contract, on a real wire."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from fastapi import responses

from imza import api_client
from pki import credentials, errors, outbound
from tests.support import servers

SECRET = "s3cr3t &=é"

ODD_NAMES = (
    "contract.pdf",
    "müqavilə ə.pdf",
    'with "quotes".pdf',
    "semi;colon=1.pdf",
    "percent%22.pdf",
    "back\\slash.pdf",
    "ხელშეკრულება.pdf",
)


class Service:
    """Writes down what arrives, and answers what it was told to."""

    def __init__(self) -> None:
        self.uploads: list[tuple[str | None, bytes, Any]] = []
        self.tokens = 0
        self.answer: fastapi.Response | None = None
        self.app = fastapi.FastAPI()
        self.app.post("/oauth2/token")(self._token)
        self.app.post("/api/v1/signing-sessions")(self._open)
        self.app.get("/api/v1/signing-sessions/{name}")(self._state)

    def _token(self, request: fastapi.Request) -> Any:
        self.tokens += 1
        return {"access_token": f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 3600}

    async def _open(self, request: fastapi.Request) -> Any:
        if self.answer is not None:
            return self.answer
        async with request.form() as form:
            document = form["document"]
            assert not isinstance(document, str)
            told = form["parameters"]
            text = told if isinstance(told, str) else (await told.read()).decode()
            self.uploads.append((document.filename, await document.read(), json.loads(text)))
        return responses.JSONResponse({"id": "1", "state": "awaiting_value"}, 201)

    def _state(self, name: str) -> Any:
        return self.answer


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def api(service: Service) -> Iterator[api_client.SigningApi]:
    with servers.serve(service.app) as url:
        client = api_client.SigningApi(credentials.Credentials("portal", SECRET, url))
        yield client
        client.close()


@pytest.mark.clause("RFC 7578", "4.2")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_document_arrives_whole_whatever_its_name(
    api: api_client.SigningApi, service: Service, tmp_path: pathlib.Path, name: str
) -> None:
    content = b"\r\n--b\r\n\x00\xff" * 1000
    (tmp_path / name).write_bytes(content)
    opened = api.open_session([tmp_path / name], {"format": "PAdES", "place": "Bakı"})
    assert opened == {"id": "1", "state": "awaiting_value"}
    ((arrived, got, parameters),) = service.uploads
    assert got == content
    assert parameters == {"format": "PAdES", "place": "Bakı"}
    assert arrived is not None
    # RFC 7578 4.2 leaves quotes to the sender: browsers and we write them in percent.
    assert arrived.replace("%22", '"') == name.replace("%22", '"')


def test_a_problem_document_is_a_refusal_in_the_services_own_words(
    api: api_client.SigningApi, service: Service
) -> None:
    service.answer = responses.JSONResponse(
        {"status": 409, "code": "session-expired", "detail": "nobody signed in time"},
        409,
        media_type="application/problem+json",
    )
    with pytest.raises(api_client.RefusedError) as refused:
        api.state("1")
    assert refused.value.code == "session-expired"
    assert refused.value.message == "nobody signed in time"
    assert isinstance(refused.value, errors.PolicyError)


@pytest.mark.parametrize(
    "answer",
    [
        responses.PlainTextResponse("no", 404),
        responses.JSONResponse(["no"], 404, media_type="application/problem+json"),
        responses.JSONResponse(["a list"], 200),
        responses.PlainTextResponse("{", 200),
    ],
)
def test_an_answer_that_is_none_of_the_contracts_is_the_peers_fault(
    api: api_client.SigningApi, service: Service, answer: fastapi.Response
) -> None:
    service.answer = answer
    with pytest.raises(errors.PeerError):
        api.state("1")


def test_a_token_that_is_refused_is_fetched_anew_once(
    api: api_client.SigningApi, service: Service
) -> None:
    service.answer = responses.JSONResponse(
        {"status": 401, "code": "invalid-token", "detail": "expired"},
        401,
        media_type="application/problem+json",
    )
    with pytest.raises((api_client.RefusedError, outbound.PeerAnswerError)):
        api.state("1")
    assert service.tokens == 2


def test_a_service_that_is_away_may_be_tried_again() -> None:
    url = f"http://127.0.0.1:{servers.free_port()}"
    client = api_client.SigningApi(credentials.Credentials("portal", SECRET, url))
    with pytest.raises(outbound.PeerUnavailableError) as failed:
        client.state("1")
    client.close()
    assert failed.value.retriable
    assert SECRET not in repr(failed.value)
