import contextlib
import json
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest

from pki import der_http, web
from tests.support import servers

LIMIT = 100


async def echo(request: der_http.Request) -> der_http.Reply:
    """Tell what came."""
    if request.body == b"fault":
        raise RuntimeError("secret detail")
    told = {
        "method": request.method,
        "path": request.path,
        "size": None if request.body is None else len(request.body),
    }
    return der_http.Reply(json.dumps(told).encode(), ((b"content-type", b"application/json"),))


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    endpoint = der_http.endpoint(
        echo,
        request_type="application/x-query",
        limit=LIMIT,
        methods=frozenset({"GET", "HEAD", "POST"}),
    )
    other = der_http.endpoint(
        echo, request_type="application/x-query", limit=LIMIT, methods=frozenset({"POST"})
    )
    app = web.application("test", [], {"/echo": endpoint, "/other": other})
    with servers.serve(app) as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, trust_env=False) as made:
        yield made


def post(client: httpx.Client, content: bytes, kind: str = "application/x-query") -> httpx.Response:
    return client.post("/echo", content=content, headers={"Content-Type": kind})


def test_a_body_is_handed_over_and_every_answer_has_an_id(client: httpx.Client) -> None:
    replies = [post(client, b"x" * size) for size in (0, 1, LIMIT)]
    assert [one.json()["size"] for one in replies] == [0, 1, LIMIT]
    assert len({one.headers["x-request-id"] for one in replies}) == 3


@pytest.mark.parametrize("size", [LIMIT + 1, 2**20])
def test_a_body_beyond_the_limit_is_not_handed_over(client: httpx.Client, size: int) -> None:
    assert post(client, b"x" * size).json()["size"] is None


def test_a_body_in_pieces_is_one_body(base_url: str, client: httpx.Client) -> None:
    pieces = (b"x" * 30 for _ in range(3))
    reply = client.post("/echo", content=pieces, headers={"Content-Type": "application/x-query"})
    assert reply.json()["size"] == 90


def test_parameters_of_the_content_type_are_no_part_of_it(client: httpx.Client) -> None:
    assert post(client, b"x", "Application/X-Query; charset=x").status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-querying"])
def test_another_content_type_is_refused(client: httpx.Client, kind: str) -> None:
    reply = post(client, b"x", kind)
    assert reply.status_code == 415
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "unsupported-media-type"
    assert kind in reply.json()["detail"]


def test_another_method_is_refused_and_told_which_fit(client: httpx.Client) -> None:
    reply = client.get("/other")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert "x-request-id" in reply.headers


@pytest.mark.parametrize(
    ("address", "path"),
    [("/echo", ""), ("/echo/", ""), ("/echo/MEIw%2BQ%3D%3D", "MEIw+Q=="), ("/echo/a/b", "a/b")],
)
def test_the_rest_of_the_path_is_handed_over(client: httpx.Client, address: str, path: str) -> None:
    told = client.get(address).json()
    assert (told["method"], told["path"]) == ("GET", path)


def test_a_head_request_gets_the_headers_alone(client: httpx.Client) -> None:
    reply = client.head("/echo/x")
    assert reply.content == b""
    assert int(reply.headers["content-length"]) == len(client.get("/echo/x").content) + 1


def test_a_fault_is_a_bare_500(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        reply = post(client, b"fault")
    assert reply.status_code == 500
    assert b"secret detail" not in reply.content
    assert reply.json()["retriable"] is True
    assert "request_failed" in caplog.text


def test_other_paths_are_the_frameworks(client: httpx.Client) -> None:
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/echoes").status_code == 404


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(
    base_url: str, client: httpx.Client
) -> None:
    port = int(base_url.rpartition(":")[2])
    with contextlib.closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-query\r\n"
            b"Content-Length: 50\r\n\r\nxxx"
        )
    assert post(client, b"x").status_code == 200
