"""A real HTTP server on loopback around an ASGI application."""

import contextlib
import pathlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

START_LIMIT_S = 60.0
"""A loaded machine takes seconds; only a failure waits it out."""

PORTS = 12_000
PORT_TRIES = 200


@contextlib.contextmanager
def serve(app: Any, *, port: int = 0) -> Iterator[str]:
    """Run `app` on a free port and give its base address, such as `http://127.0.0.1:40123`."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="test-server", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + START_LIMIT_S
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("the test server did not start")
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(START_LIMIT_S)
            assert not thread.is_alive(), "the test server did not stop"


def free_port() -> int:
    """A port that nothing listens on, and that nobody else is given while this process lives.

    The kernel hands out its own range to whoever connects or listens on port 0, so that a port
    of it may be gone before a program that was told it has started: this one lies below.
    """
    below = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(PORT_TRIES):
        port = random.randrange(max(1024, below - PORTS), below)  # noqa: S311 - not a secret
        reservation = socket.socket(socket.AF_UNIX)
        try:
            # An abstract name is one process's alone and goes with it.
            reservation.bind(f"\0imza-test-port-{port}")
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            reservation.close()
            continue
        reservation.detach()
        return port
    raise RuntimeError(f"no free port among the {PORTS} below {below}")


def answers(port: int) -> bool:
    """Whether something on this machine listens on a port."""
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex(("127.0.0.1", port)) == 0
