"""The one HTTP client against servers on loopback that answer well and badly."""

import contextlib
import pathlib
import socket
import threading
import time
from collections.abc import Iterator

import fastapi
import pytest
from fastapi import responses

from pki import errors, outbound
from tests.support import bad_servers, servers


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


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(bad_servers.drip(HEAD + b"x" * 200), id="head"),
        pytest.param(bad_servers.drip(b"x" * 200), id="no HTTP at all"),
        pytest.param(bad_servers.hang, id="nothing"),
    ],
)
def test_a_server_that_drips_octets_is_left_when_the_whole_time_is_over(
    client: outbound.Client, talk: bad_servers.Conversation
) -> None:
    """Each octet comes well within the time for one; only a limit on the whole ends this."""
    with bad_servers.serve(talk) as server:
        start = time.monotonic()
        with pytest.raises(outbound.PeerUnavailableError, match="no answer in time"):
            client.send("GET", server.url, timeout_s=5, total_s=0.5)
        assert time.monotonic() - start < 1.5


def test_a_body_that_drips_is_left_when_the_whole_time_is_over(client: outbound.Client) -> None:
    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        connection.sendall(HEAD)
        bad_servers.drip(b"x" * 200)(connection, stopping)

    with bad_servers.serve(talk) as server:
        start = time.monotonic()
        with pytest.raises(outbound.PeerUnavailableError, match="no answer in time"):
            client.send("GET", server.url, timeout_s=5, total_s=0.5)
        assert time.monotonic() - start < 1.5


def test_a_slow_server_within_the_time_is_heard_out(client: outbound.Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with bad_servers.serve(bad_servers.drip(head + b"ok", 0.005)) as server:
        assert client.send("GET", server.url, total_s=5).body == b"ok"


def test_an_answer_without_an_end_is_not_read_to_the_end(client: outbound.Client) -> None:
    with (
        bad_servers.serve(bad_servers.flood) as server,
        pytest.raises(outbound.PeerAnswerError, match="at most 1000 bytes"),
    ):
        client.send("GET", server.url)


def test_an_answer_that_breaks_off_is_no_answer(client: outbound.Client) -> None:
    with (
        bad_servers.serve(bad_servers.break_off) as server,
        pytest.raises(outbound.PeerUnavailableError, match="RemoteProtocolError"),
    ):
        client.send("GET", server.url)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(client: outbound.Client, status: str) -> None:
    with bad_servers.serve(bad_servers.answer(b"here")) as other:
        talk = bad_servers.answer(b"", status=status, headers=f"Location: {other.url}\r\n")
        with (
            bad_servers.serve(talk) as server,
            pytest.raises(outbound.PeerAnswerError, match="got 30"),
        ):
            client.send("POST", server.url, body=b"x")
        assert other.connections == 0


def test_a_connection_is_kept_for_the_next_request(client: outbound.Client) -> None:
    with bad_servers.serve(bad_servers.answer(b"ok")) as server:
        for _ in range(5):
            assert client.send("POST", server.url, body=b"x").body == b"ok"
        assert (server.connections, server.requests) == (1, 5)


def test_no_cookie_comes_back_and_no_compression_is_asked_for(client: outbound.Client) -> None:
    seen: list[bytes] = []

    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        bad_servers.answer(b"ok", headers="Set-Cookie: a=b\r\n")(connection, stopping)
        seen.append(bad_servers.read_request(connection))
        bad_servers.answer(b"ok")(connection, stopping)

    with bad_servers.serve(talk) as server:
        client.send("GET", server.url)
        client.send("GET", server.url)
    assert seen
    assert b"cookie" not in seen[0].lower()
    assert b"accept-encoding" not in seen[0].lower()
