"""The OCSP responder: kept responses and signed ones, over HTTP and in process.

The server runs in a process of its own, with uvicorn as `imza serve` runs it, and beside it on
another port of the same process stands a bare ASGI handler that always says the same. `wrk` asks
both in turns; it shares the machine's cores with them. The responder of OpenSSL is asked by a
client that opens a connection for each request, and so is ours.
"""

import contextlib
import dataclasses
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette import types as starlette_types

from benchmarks import certomancer, row
from imza import http_server
from ocsp import api, cert_id, messages, preproduced, responder, responder_key
from pki import clock, status, web
from pki.keystore import file_store
from tests.support import hierarchy as hierarchy_support
from tests.support import servers

ROUNDS = 5
LOAD_S = 2
SLICE_S = 0.2
SLICES = 15
CONNECTIONS = 32
KEPT_TARGET, SIGNED_TARGET, IN_PROCESS_TARGET = 0.85, 0.35, 0.8
OPENSSL_TARGET = 1.0
CERTOMANCER_TARGET = 60
AHEAD = 10_000
AHEAD_TARGET = 0.44

SERIAL = 2**126 + 12345
GOOD = status.CertificateStatus()


class World:
    """An issuing CA whose responder's key is in memory, and one good certificate."""

    def __init__(self) -> None:
        """Make the keys."""
        self.at = clock.whole_seconds(clock.SystemClock().now())
        self.hierarchy = hierarchy_support.make_hierarchy(self.at)
        self.holder = self.hierarchy.ocsp_responder()
        key = self.holder.key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key
        issuer = responder_key.StatusIssuer(
            "citizen",
            self.hierarchy.issuing.certificate,
            (
                responder_key.ResponderKey(
                    self.holder.certificate, file_store.FileKeyHandle("ocsp-citizen", key)
                ),
            ),
        )
        statuses = {("citizen", SERIAL): GOOD}
        self.responder = responder.Responder(
            (issuer,), lambda name, serial: statuses.get((name, serial))
        )

    def request(self, nonce: bytes | None = None) -> bytes:
        """A question about the good certificate, with SHA-1 as most clients send it."""
        asked = cert_id.name_certificate(
            self.hierarchy.issuing.certificate, SERIAL, cert_id.CertIDHash.SHA1
        )
        return messages.build_request(messages.OCSPRequest((asked,), nonce))


def rows() -> Iterator[row.Row]:
    """Measure signing in process, then everything over HTTP."""
    world = World()
    yield _in_process(world)
    yield _ahead_of_need(world)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name, serving() as server:
        folder = pathlib.Path(name)
        yield from _over_http(folder, server)
        yield _beside_certomancer(folder, server)
        yield _beside_openssl(folder, world, server)


def _in_process(world: World) -> row.Row:
    request = world.request(b"n" * 32)
    data = b"x" * 400
    algorithm = ec.ECDSA(hashes.SHA256())
    at = clock.SystemClock()

    def answer() -> None:
        world.responder.answer(request, at.now())

    ours, raw = _interleaved(answer, lambda: world.key.sign(data, algorithm))
    return _row(
        "OCSP, signed on demand, in process, P-256", "raw signing", ours, raw, IN_PROCESS_TARGET
    )


def _ahead_of_need(world: World) -> row.Row:
    """A file of responses beside so many signatures: a million in a minute is 0.44 of those."""
    algorithm = ec.ECDSA(hashes.SHA256())
    data = b"x" * 400
    (issuer,) = world.responder.issuers
    ours, raw = [], []
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        path = preproduced.path_of(pathlib.Path(name), issuer.name)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            certificates = ((2**120 + one * 2**90, GOOD) for one in range(AHEAD))
            preproduced.produce(
                path, issuer, issuer.keys[0], certificates, world.at, responder.DEFAULT_VALIDITY
            )
            ours.append(AHEAD / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in range(AHEAD):
                world.key.sign(data, algorithm)
            raw.append(AHEAD / (time.perf_counter() - start))
    return _row("OCSP, signed ahead of need, P-256", "raw signing", ours, raw, AHEAD_TARGET)


def _interleaved(*operations: Callable[[], object]) -> tuple[list[float], ...]:
    """How often a second each can be done, in slices that take turns."""
    rates: tuple[list[float], ...] = tuple([] for _ in operations)
    for _ in range(SLICES):
        for operation, found in zip(operations, rates, strict=True):
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < SLICE_S:
                for _ in range(20):
                    operation()
                count += 20
            found.append(count / elapsed)
    return rates


def _row(
    subject: str, peer: str, ours: Sequence[float], theirs: Sequence[float], target: float
) -> row.Row:
    # Of pairs that ran one after the other: the machine's other work hits both or neither.
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    return row.Row(
        subject,
        peer,
        f"{statistics.median(ours):.0f}/s",
        f"{statistics.median(theirs):.0f}/s",
        ratio,
        f">= {target}",
        ratio >= target,
    )


@dataclasses.dataclass(frozen=True)
class Server:
    """Our responder and the constant response: their ports, and requests that ours answers."""

    port: int
    constant_port: int
    request: bytes
    with_nonce: bytes


def _over_http(folder: pathlib.Path, server: Server) -> Iterator[row.Row]:
    cases = {
        "constant": _script(folder, "constant", server.request),
        "kept": _script(folder, "kept", server.request),
        "signed": _script(folder, "signed", server.with_nonce),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, script in cases.items():
            port = server.constant_port if name == "constant" else server.port
            found[name].append(_load(f"http://127.0.0.1:{port}/ocsp", script))
    peer = "a constant response on the same server"
    yield _row("OCSP, kept response, HTTP", peer, found["kept"], found["constant"], KEPT_TARGET)
    yield _row(
        "OCSP, signed on demand, HTTP, P-256",
        peer,
        found["signed"],
        found["constant"],
        SIGNED_TARGET,
    )


def _script(folder: pathlib.Path, name: str, request: bytes) -> pathlib.Path:
    body = "".join(f"\\{octet:03d}" for octet in request)
    path = folder / f"{name}.lua"
    path.write_text(
        f'wrk.method = "POST"\nwrk.body = "{body}"\n'
        f'wrk.headers["Content-Type"] = "{api.REQUEST_TYPE}"\n'
    )
    return path


def _load(url: str, script: pathlib.Path) -> float:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LOAD_S}s", "-s", str(script), url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Non-2xx" not in done.stdout, done.stdout
    match = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    assert match is not None, done.stdout
    return float(match[1])


def _beside_certomancer(folder: pathlib.Path, server: Server) -> row.Row:
    ours, theirs = [], []
    with certomancer.animated(folder / "certomancer") as peer:
        asked = cert_id.name_certificate(peer.issuer, certomancer.SERIAL, cert_id.CertIDHash.SHA1)
        request = messages.build_request(messages.OCSPRequest((asked,), None))
        theirs_script = _script(folder, "theirs", request)
        script = _script(folder, "ours", server.request)
        for _ in range(ROUNDS):
            ours.append(_load(f"http://127.0.0.1:{server.port}/ocsp", script))
            theirs.append(_load(peer.ocsp_url, theirs_script))
    return _row("OCSP, kept response, HTTP", "certomancer", ours, theirs, CERTOMANCER_TARGET)


def _beside_openssl(folder: pathlib.Path, world: World, server: Server) -> row.Row:
    """Both are asked over a new connection each time: openssl stops where one is left idle."""
    with _openssl(folder, world) as theirs:

        def ask(where: int, request: bytes) -> None:
            with socket.create_connection(("127.0.0.1", where), timeout=10) as connection:
                connection.sendall(
                    b"POST /ocsp HTTP/1.0\r\nHost: localhost\r\nContent-Type: %s\r\n"
                    b"Content-Length: %d\r\n\r\n%s"
                    % (api.REQUEST_TYPE.encode(), len(request), request)
                )
                reply = b""
                while part := connection.recv(65536):
                    reply += part
            assert b" 200 OK" in reply[:20], reply[:100]

        ours, openssl = _interleaved(
            lambda: ask(server.port, server.request), lambda: ask(theirs, world.request())
        )
    return _row(
        "OCSP, kept response, a connection for each request",
        "openssl ocsp, which signs each time",
        ours,
        openssl,
        OPENSSL_TARGET,
    )


@contextlib.contextmanager
def _openssl(folder: pathlib.Path, world: World) -> Iterator[int]:
    (folder / "index.txt").write_text(f"V\t291231235959Z\t\t{SERIAL:X}\tunknown\t/CN=TEST\n")
    (folder / "issuer.pem").write_bytes(world.hierarchy.issuing.pem)
    (folder / "responder.pem").write_bytes(world.holder.pem)
    (folder / "responder.key").write_bytes(
        world.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    port = servers.free_port()
    process = subprocess.Popen(
        [
            *("openssl", "ocsp", "-port", str(port), "-index", "index.txt", "-CA", "issuer.pem"),
            *("-rsigner", "responder.pem", "-rkey", "responder.key", "-nmin", "30"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        while "waiting for OCSP client" not in process.stdout.readline():
            if process.poll() is not None:
                raise RuntimeError("openssl ocsp did not start")
        # What it goes on to say is read, or it would wait for room in the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield port
    finally:
        process.kill()
        process.wait(30)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A process with our responder on one port and the constant response on another."""
    ports = servers.free_port(), servers.free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ocsp", *map(str, ports)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        request, with_nonce = map(bytes.fromhex, process.stdout.readline().split())
        for one in (request, with_nonce):
            reply = httpx.post(
                f"http://127.0.0.1:{ports[0]}/ocsp",
                content=one,
                headers={"Content-Type": api.REQUEST_TYPE},
                trust_env=False,
            )
            why, _ = messages.parse_response(reply.content)
            assert why is messages.ResponseStatus.successful
        yield Server(*ports, request, with_nonce)
    finally:
        process.terminate()
        process.wait(30)


class _Constant:
    """A bare ASGI handler that reads the request and always says the same."""

    def __init__(self, content: bytes) -> None:
        self._headers = [
            (b"content-type", api.RESPONSE_TYPE.encode()),
            (b"content-length", str(len(content)).encode()),
        ]
        self._content = content

    async def __call__(
        self,
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        message = await receive()
        if scope["type"] == "lifespan":
            while message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                message = await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._content})


def _serve(*ports: int) -> None:
    world = World()
    content = world.responder.answer(world.request(), world.at).response_der
    ours = web.application("bench", [], api.endpoints(world.responder, clock.SystemClock()))

    apps = ours, _Constant(content)
    running = [
        http_server.HttpServer(app, http_server.listen("127.0.0.1", port))
        for app, port in zip(apps, ports, strict=True)
    ]
    for one in running:
        one.start()
    print(world.request().hex(), world.request(b"n" * 32).hex(), flush=True)
    for one in running:
        one.wait()


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
