"""One ASGI application on a plain port and, where wanted, a TLS port, in one event loop."""

import asyncio
import contextlib
import dataclasses
import pathlib
import socket
import threading
from typing import Any

import uvicorn
import uvloop

from pki import errors

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5

DRAIN_S = 0.3
"""How long a connection without a request stays open at the end: its request may be on the way."""

BACKLOG = 1024


class PortTakenError(errors.DeviceError):
    """Another program listens on the port."""

    code = "port-taken"


@dataclasses.dataclass(frozen=True)
class TlsFiles:
    """A certificate with its chain, and its private key, in PEM."""

    certificate: pathlib.Path
    key: pathlib.Path


def listen(host: str, port: int) -> socket.socket:
    """Bind a port; 0 takes a free one.

    Raises:
        PortTakenError: Somebody else has it.
    """
    # The protocol is named because asyncio turns the delay of small writes off only then.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"expected the port {port} to be free, but it cannot be used ({error.strerror}):"
            " stop the other program or choose another port"
        ) from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


class _DrainingServer(uvicorn.Server):
    """Ends without losing what has just connected.

    uvicorn closes every connection that has no request under way, those too whose first request
    is still on its way. Here they have a while to ask; the answer tells them to go elsewhere.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let connections finish, then do as uvicorn does."""
        for server in self.servers:
            server.close()
        self.server_state.default_headers.append((b"connection", b"close"))
        if self.server_state.connections:
            await asyncio.sleep(DRAIN_S)
        await super().shutdown(sockets)


class HttpServer:
    """Serves in a thread of its own, so that whoever starts it can go on."""

    def __init__(
        self,
        app: Any,
        plain: socket.socket,
        *,
        tls: socket.socket | None = None,
        tls_files: TlsFiles | None = None,
        stop_limit_s: int = STOP_LIMIT_S,
    ) -> None:
        """Take listening sockets, already bound; requests under way get a while at the end."""
        self._stop_limit_s = stop_limit_s
        self._pairs = [(self._configure(app, lifespan="on"), plain)]
        if tls is not None and tls_files is not None:
            # The application's lifespan runs once; both ports share it, and its event loop.
            self._pairs.append((self._configure(app, lifespan="off", tls=tls_files), tls))
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._failure: BaseException | None = None

    def _configure(self, app: Any, *, lifespan: Any, tls: TlsFiles | None = None) -> uvicorn.Server:
        return _DrainingServer(
            uvicorn.Config(
                app,
                lifespan=lifespan,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=self._stop_limit_s,
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=str(tls.key) if tls else None,
            )
        )

    def start(self) -> None:
        """Return when every port answers."""
        self._thread.start()
        limit = threading.Event()
        for _ in range(int(START_LIMIT_S / 0.01)):
            if all(server.started for server, _ in self._pairs):
                return
            if not self._thread.is_alive():
                break
            limit.wait(0.01)
        raise errors.DeviceError("the HTTP server did not start") from self._failure

    def stop(self) -> None:
        """Finish the requests under way, within a few seconds, and close the ports."""
        for server, _ in self._pairs:
            server.should_exit = True
        self._thread.join(self._stop_limit_s + 2)

    def wait(self) -> None:
        """Return when the server has stopped."""
        self._thread.join()

    def _run(self) -> None:
        async def serve() -> None:
            await asyncio.gather(
                *(server.serve(sockets=[listener]) for server, listener in self._pairs)
            )

        try:
            # Half again as many requests as asyncio's own loop answers.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except BaseException as error:
            self._failure = error
            raise
        finally:
            for _, listener in self._pairs:
                with contextlib.suppress(OSError):
                    listener.close()
