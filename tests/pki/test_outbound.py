"""The one HTTP client against servers on loopback that answer well and badly."""

import contextlib
import pathlib
from collections.abc import Iterator

import fastapi
import pytest
from fastapi import responses

from pki import errors, outbound
from tests.support import servers


@pytest.fixture
def client() -> Iterator[outbound.Client]:
    with contextlib.closing(outbound.Client(max_bytes=1000)) as made:
        yield made


def answering(response: fastapi.Response) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/")
    def answer() -> fastapi.Response:
        return response

    return app


def refused(client: outbound.Client, response: fastapi.Response) -> outbound.PeerAnswerError:
    with (
        servers.serve(answering(response)) as url,
        pytest.raises(outbound.PeerAnswerError) as raised,
    ):
        client.send("GET", f"{url}/")
    return raised.value


@pytest.mark.clause("RFC 9457", "3")
def test_a_refusal_is_told_in_the_peers_own_words(client: outbound.Client) -> None:
    problem = {"code": "wrong-state", "title": "wrong state", "detail": "expected another state"}
    error = refused(client, responses.JSONResponse(problem, 409))
    assert error.problem() == outbound.Problem("wrong-state", "expected another state")
    assert not error.retriable


def test_a_peers_words_cannot_move_the_cursor_or_flood_the_screen(
    client: outbound.Client,
) -> None:
    said = {"code": "x\r\n\x1b[2J", "detail": "\x07" + "a" * 800}
    problem = refused(client, responses.JSONResponse(said, 400)).problem()
    assert problem == outbound.Problem("x[2J", "a" * 499)


@pytest.mark.parametrize(
    "response",
    [
        responses.JSONResponse({"code": "x", "detail": "x"}, 500),
        responses.JSONResponse(["x"], 400),
        responses.PlainTextResponse("no", 400),
        responses.Response(b"[" * 60_000, 400),
    ],
)
def test_what_is_no_problem_document_of_a_refusal_is_a_failed_peer(
    client: outbound.Client, response: fastapi.Response
) -> None:
    assert refused(client, response).problem() is None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_peer_that_cannot_answer_now_may_be_asked_again(
    client: outbound.Client, status: int
) -> None:
    assert refused(client, responses.Response(b"", status)).retriable


def test_an_answer_over_the_limit_is_not_read(client: outbound.Client) -> None:
    error = refused(client, responses.Response(b"x" * 1001))
    assert "at most 1000 bytes" in error.message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 900])
def test_an_answer_that_is_no_json_is_a_failed_peer(client: outbound.Client, body: bytes) -> None:
    with servers.serve(answering(responses.Response(body))) as url:
        reply = client.send("GET", f"{url}/")
    with pytest.raises(outbound.PeerAnswerError):
        reply.json()


def test_another_type_than_expected_is_a_failed_peer(client: outbound.Client) -> None:
    with (
        servers.serve(answering(responses.PlainTextResponse("x"))) as url,
        pytest.raises(outbound.PeerAnswerError, match="got text/plain"),
    ):
        client.send("GET", f"{url}/", expect_type="application/ocsp-response")


def test_nobody_there_may_be_there_later(client: outbound.Client) -> None:
    with pytest.raises(outbound.PeerUnavailableError) as raised:
        client.send("GET", f"http://127.0.0.1:{servers.free_port()}/?secret=x")
    assert raised.value.retriable
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("url", ["http://a:b/", "http://\x00/", "ftp://127.0.0.1/", "127.0.0.1"])
def test_an_address_that_is_none_is_an_input_error(client: outbound.Client, url: str) -> None:
    with pytest.raises(errors.InputError):
        client.send("GET", url)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_trust_in_a_file_without_certificates_is_an_input_error(
    tmp_path: pathlib.Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.InputError, match="expected PEM certificates"):
        outbound.Client(trust_pem=path)
