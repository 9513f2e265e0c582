"""Every role tries every call of the real CA zone; a call that is added later is tried too."""

import contextlib
import http.client
import http.server
import pathlib
import re
import threading
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import fastapi
import httpx
import pytest
from fastapi import routing

from ca.operators import gate, roles
from imza import config as configs
from imza import installation, sandbox_operators
from imza.wiring import founding, resources, zones
from pki import clock, operator_credentials, outbound, signed_requests, web
from tests.support import servers


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[fastapi.FastAPI, str, Any]]:
    """A CA zone as `imza serve ca` builds it, where it listens, and its operators' file."""
    world = installation.Installation(tmp_path_factory.mktemp("zone") / "w")
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    world.lay_out(installation.Addresses.together(url))
    config = configs.read(world.config_path("ca"))
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        founding.initialise(opened, config)
        sandbox_operators.enrol(opened, config, world.operators_folder, url)
        built = zones.build(opened, "ca", config)
        app = web.application("test", built.routers)
        app.state.routers = built.routers
        with servers.serve(app, port=port):
            yield app, url, world.operators_folder / sandbox_operators.FILE_NAME


def calls(app: fastapi.FastAPI) -> list[tuple[str, str, list[roles.Permission]]]:
    """Method, path and permissions of every route under `/ra/v1`."""
    found = []
    for route in _routes(app.state.routers):
        if route.path.startswith("/ra/v1"):
            asked = [
                one.call.permission
                for one in route.dependant.dependencies
                if isinstance(one.call, gate.RequirePermission)
            ]
            found += [(method, route.path, asked) for method in sorted(route.methods or ())]
    return found


def _routes(routers: Iterable[fastapi.APIRouter]) -> Iterator[routing.APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, routing.APIRoute):
                yield route


@contextlib.contextmanager
def sender(
    file: pathlib.Path, role: roles.Role, url: str | None = None
) -> Iterator[signed_requests.SignedSender]:
    place = operator_credentials.read_place(file, server=url)
    with contextlib.ExitStack() as opened:
        known = operator_credentials.open_credential(
            place.file_of(role), operator_credentials.ask_on(None), opened
        )
        client = opened.enter_context(contextlib.closing(outbound.Client(timeout_s=30)))
        yield signed_requests.SignedSender(
            client, place.server, lambda _: known, clock.SystemClock()
        )


def test_every_call_names_one_permission(zone: tuple[fastapi.FastAPI, str, Any]) -> None:
    found = calls(zone[0])
    described = {
        (method.upper(), path)
        for path, methods in zone[0].openapi()["paths"].items()
        for method in methods
        if path.startswith("/ra/v1")
    }
    # Two ways to list them agree: none is mounted where this test does not look.
    assert {(method, path) for method, path, _ in found} == described
    assert len(found) > 15
    assert not [(method, path) for method, path, asked in found if len(asked) != 1]


@pytest.mark.clause("EN 319 401", "7.2")
@pytest.mark.parametrize("role", list(roles.Role))
def test_a_role_is_let_in_to_its_own_calls_alone(
    zone: tuple[fastapi.FastAPI, str, Any], role: roles.Role
) -> None:
    app, _, file = zone
    tried = {True: 0, False: 0}
    with sender(file, role) as sending:
        for method, path, (permission,) in calls(app):
            reply = sending.send(
                role,
                method,
                re.sub(r"\{[^}]*\}", "0f", path),
                body=b"" if method == "GET" else b"{}",
                content_type=None if method == "GET" else "application/json",
                expect=range(200, 600),
            )
            answer: Any = reply.json()
            refused = reply.status == 403 and answer["code"] == "permission-missing"
            allowed = permission in roles.PERMISSIONS[role]
            assert refused is not allowed, (method, path, reply.status, answer)
            assert reply.status != 401
            tried[allowed] += 1
    assert all(tried.values())


def test_nobody_is_let_in_without_a_signature(zone: tuple[fastapi.FastAPI, str, Any]) -> None:
    app, url, _ = zone
    with httpx.Client(base_url=url, trust_env=False) as client:
        for method, path, _ in calls(app):
            address = re.sub(r"\{[^}]*\}", "0f", path)
            answer = client.request(method, address, json=None if method == "GET" else {})
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.json()["code"] == "signature-refused"
            assert answer.headers["www-authenticate"].startswith("Signature ")


def test_what_is_altered_or_repeated_on_the_way_is_refused(
    zone: tuple[fastapi.FastAPI, str, Any],
) -> None:
    _, url, file = zone
    path = "/ra/v1/certificates?person_code=%C6%8F%2F+x"
    with (
        proxied(url) as (through, seen),
        sender(file, roles.Role.RA_OFFICER, through) as sending,
    ):
        sending.send(roles.Role.RA_OFFICER, "GET", path)
    (good,) = seen
    with httpx.Client(base_url=url, trust_env=False) as client:
        for method, address, body in (
            ("GET", "/ra/v1/certificates?person_code=%C6%8F%2F+x", b""),
            ("GET", "/ra/v1/certificates", b""),
            ("GET", "/ra/v1/certificates?person_code=%C6%8F/+x", b""),
            ("GET", "/ra/v1/certificates/?person_code=%C6%8F%2F+x", b""),
            ("GET", "/ra/v1/%63ertificates?person_code=%C6%8F%2F+x", b""),
            ("POST", "/ra/v1/certificates/0f/hold", b""),
            ("GET", "/ra/v1/certificates?person_code=%C6%8F%2F+x", b"{}"),
        ):
            headers = {
                name: value
                for name, value in good.items()
                if name.lower() not in ("host", "content-length")
            }
            answer = client.request(method, address, content=body, headers=headers)
            assert answer.status_code in (401, 307), (address, answer.text)
            if answer.status_code == 401:
                expected = "request-replayed" if (address, body) == (path, b"") else None
                assert expected in (None, answer.json()["code"])


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Hands requests on under another Host, with headers of its own and in another order."""

    upstream = ""
    seen: ClassVar[list[dict[str, str]]]

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {
            name.title(): value
            for name, value in reversed(self.headers.items())
            if name.lower() not in ("host", "connection", "content-length")
        }
        headers |= {
            "Host": "internal.example:1",
            "X-Forwarded-For": "192.0.2.1",
            "X-Forwarded-Proto": "https",
            "Forwarded": "host=ca.example.com;proto=https",
            "Via": "1.1 proxy",
        }
        self.seen.append(headers)
        connection = http.client.HTTPConnection(self.upstream)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = _hand_on

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def proxied(url: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A proxy's address, and the headers of what it handed on."""
    seen: list[dict[str, str]] = []
    upstream = urllib.parse.urlsplit(url).netloc
    handler = type("Handler", (_Proxy,), {"upstream": upstream, "seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}", seen
        finally:
            proxy.shutdown()
            thread.join()


@pytest.mark.clause("RFC 9421", "2.2")
def test_a_proxy_that_keeps_the_path_may_change_the_host(
    zone: tuple[fastapi.FastAPI, str, Any],
) -> None:
    _, url, file = zone
    role = roles.Role.CA_ADMINISTRATOR
    with proxied(url) as (through, _), sender(file, role, through) as sending:
        listed: Any = sending.send(role, "GET", "/ra/v1/operators").json()
        assert len(listed["operators"]) == len(sandbox_operators.OPERATORS)
        made: Any = sending.send(
            role, "POST", "/ra/v1/crls/citizen", body=b"{}", content_type="application/json"
        ).json()
        assert made["issuer"] == "citizen"


def test_the_description_of_the_api_tells_how_to_sign(
    zone: tuple[fastapi.FastAPI, str, Any],
) -> None:
    described = zone[0].openapi()
    scheme = described["components"]["securitySchemes"]["operator"]
    assert (scheme["in"], scheme["name"]) == ("header", "Signature")
    assert "RFC 9421" in scheme["description"]
    for path, methods in described["paths"].items():
        for one in methods.values():
            assert (one.get("security") == [{"operator": []}]) is path.startswith("/ra/v1")
