import base64
import json
import re
from collections.abc import Iterator

import fastapi
import pytest

from pki import access, access_settings, clock, database, errors, outbound, web
from tests.support import servers

SECRET = access.new_secret()


@pytest.fixture
def base_url(tmp_path) -> Iterator[str]:
    engine = database.connect(f"sqlite:///{tmp_path}/web.sqlite")
    database.Base.metadata.create_all(engine)
    tokens = access.AccessTokens(
        access_settings.Settings(
            clients=(access_settings.ApiClient("p:1", access.hash_secret(SECRET), ("sign",)),)
        ),
        database.session_factory(engine),
    )
    present = clock.SystemClock()
    router = fastapi.APIRouter()

    @router.get("/raise/{family}")
    def raise_error(family: str) -> None:
        raise {"state": errors.StateError, "tampered": errors.TamperedError}.get(
            family, RuntimeError
        )("the sentence")

    @router.post("/der")
    async def read(request: fastapi.Request) -> dict[str, int]:
        return {"size": len(await web.read_body(request, limit=10, content_type="a/b"))}

    @router.get(
        "/closed", dependencies=[fastapi.Depends(web.require_scope(tokens, present, "sign"))]
    )
    def closed(number: int = 0) -> dict[str, bool]:
        return {"in": True}

    app = web.application("test", [router, web.token_routes(tokens, present)])
    with servers.serve(app) as url:
        yield url
    engine.dispose()


@pytest.fixture
def client() -> Iterator[outbound.Client]:
    client = outbound.Client()
    yield client
    client.close()


def problem(caught: pytest.ExceptionInfo[outbound.PeerAnswerError]) -> dict[str, object]:
    reply = caught.value.reply
    assert reply is not None
    assert reply.content_type == web.PROBLEM_TYPE
    found = json.loads(reply.body)
    assert found["status"] == reply.status
    assert found["request_id"] == reply.headers["x-request-id"]
    return found


@pytest.mark.clause("RFC 9457", "3")
def test_an_error_of_ours_becomes_a_problem_document(
    base_url: str, client: outbound.Client
) -> None:
    with pytest.raises(outbound.PeerAnswerError) as caught:
        client.send("GET", f"{base_url}/raise/state")
    found = problem(caught)
    assert (found["status"], found["code"], found["detail"]) == (409, "wrong-state", "the sentence")


def test_what_nobody_foresaw_becomes_a_bare_500(base_url: str, client: outbound.Client) -> None:
    with pytest.raises(outbound.PeerAnswerError) as caught:
        client.send("GET", f"{base_url}/raise/unforeseen")
    found = problem(caught)
    assert (found["status"], found["code"]) == (500, "internal")
    assert "sentence" not in str(found)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"x" * 11, "a/b", 413), (b"x", "c/d", 415), (b"x" * 10, "a/b; charset=x", 200)],
)
def test_bodies_are_read_under_a_limit_and_a_type(
    base_url: str, client: outbound.Client, body: bytes, content_type: str, status: int
) -> None:
    reply = client.send(
        "POST",
        f"{base_url}/der",
        body=body,
        content_type=content_type,
        expect=(200, 413, 415),
    )
    assert reply.status == status


@pytest.mark.clause("RFC 6749", "2.3.1")
def test_a_client_may_send_its_credentials_either_way(
    base_url: str, client: outbound.Client
) -> None:
    form = f"grant_type=client_credentials&client_id=p%3A1&client_secret={SECRET}"
    basic = base64.b64encode(f"p%3A1:{SECRET}".encode()).decode()
    for body, headers in (
        (form, {}),
        ("grant_type=client_credentials", {"Authorization": f"Basic {basic}"}),
    ):
        reply = client.send(
            "POST",
            f"{base_url}/oauth2/token",
            body=body.encode(),
            content_type="application/x-www-form-urlencoded",
            headers=headers,
        )
        token = reply.json()
        assert token["token_type"] == "Bearer"
        assert reply.headers["cache-control"] == "no-store"
        opened = client.send(
            "GET",
            f"{base_url}/closed",
            headers={"Authorization": f"Bearer {token['access_token']}"},
        )
        assert opened.json() == {"in": True}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"grant_type=password", 400, "unsupported_grant_type"),
        (b"grant_type=client_credentials&client_id=x", 401, "invalid_client"),
        (
            f"grant_type=client_credentials&client_id=p:1&client_secret={SECRET}&scope=all".encode(),
            400,
            "invalid_scope",
        ),
    ],
    ids=["grant type", "client", "scope"],
)
@pytest.mark.clause("RFC 6749", "5.2")
def test_token_errors_are_those_of_the_standard(
    base_url: str, client: outbound.Client, body: bytes, status: int, error: str
) -> None:
    reply = client.send(
        "POST",
        f"{base_url}/oauth2/token",
        body=body,
        content_type="application/x-www-form-urlencoded",
        expect=(status,),
    )
    assert reply.json()["error"] == error


@pytest.mark.clause("RFC 6750", "3.1")
def test_without_a_token_a_call_is_401_and_says_so(base_url: str, client: outbound.Client) -> None:
    with pytest.raises(outbound.PeerAnswerError) as caught:
        client.send("GET", f"{base_url}/closed")
    assert problem(caught)["status"] == 401
    assert caught.value.reply.headers["www-authenticate"].startswith("Bearer")


def test_a_peer_that_is_down_is_retriable(client: outbound.Client) -> None:
    with pytest.raises(outbound.PeerUnavailableError) as caught:
        client.send("GET", f"http://127.0.0.1:{servers.free_port()}/")
    assert caught.value.retriable


@pytest.mark.filterwarnings(
    "ignore:open_binary is deprecated:DeprecationWarning"
)  # fastapi-swagger
def test_documentation_pages_load_nothing_from_elsewhere(
    base_url: str, client: outbound.Client
) -> None:
    page = client.send("GET", f"{base_url}/docs").body.decode()
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert addresses
    for address in addresses:
        assert address.startswith(base_url)
        client.send("GET", address)


def test_an_answer_over_the_limit_is_refused(base_url: str) -> None:
    client = outbound.Client(max_bytes=10)
    with pytest.raises(outbound.PeerAnswerError, match="at most 10 bytes"):
        client.send("GET", f"{base_url}/openapi.json")
    client.close()
