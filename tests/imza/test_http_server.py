import contextlib
import pathlib
import socket

import fastapi
import pytest

from imza import http_server, tls_certificate
from pki import clock, outbound, web


def _app() -> fastapi.FastAPI:
    router = fastapi.APIRouter()

    @router.get("/scheme")
    def scheme(request: fastapi.Request) -> dict[str, str]:
        return {"scheme": request.url.scheme}

    return web.application("test", [router])


def _scheme(url: str, trust: pathlib.Path | None = None) -> object:
    with contextlib.closing(outbound.Client(trust_pem=trust)) as client:
        return client.send("GET", f"{url}/scheme").json()


def test_both_ports_serve_the_same_application(tmp_path: pathlib.Path) -> None:
    trust = tmp_path / "ca.pem"
    files = tls_certificate.make(tmp_path / "tls", trust, clock.SystemClock().now())
    plain, tls = (http_server.listen("127.0.0.1", 0) for _ in range(2))
    ports = plain.getsockname()[1], tls.getsockname()[1]
    server = http_server.HttpServer(_app(), plain, tls=tls, tls_files=files)
    server.start()
    try:
        assert _scheme(f"http://127.0.0.1:{ports[0]}") == {"scheme": "http"}
        assert _scheme(f"https://localhost:{ports[1]}", trust) == {"scheme": "https"}
        with pytest.raises(outbound.PeerUnavailableError):
            _scheme(f"https://localhost:{ports[1]}")
    finally:
        server.stop()
    for port in ports:
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(http_server.PortTakenError, match=f"port {port} .*another port"):
            http_server.listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(http_server.PortTakenError):
        http_server.listen("192.0.2.1", 0)
