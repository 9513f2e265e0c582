"""HTTP servers on loopback that misbehave, octet by octet."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

DRIP_PAUSE_S = 0.05

Conversation = Callable[[socket.socket, threading.Event], None]
"""What a server does with one connection; ends early once the event is set."""


class BadServer:
    """Counts its connections and requests.

    Attributes:
        url: Its address.
        connections: How many were made.
        requests: How many were read.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self.connections = 0
        self.requests = 0


@contextlib.contextmanager
def serve(talk: Conversation) -> Iterator[BadServer]:
    """Serve each connection with `talk`, in a thread of its own."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        server = BadServer(listener)

        def converse(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while not stopping.is_set() and read_request(connection):
                    server.requests += 1
                    talk(connection, stopping)

        def accept() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    connection = listener.accept()[0]
                    connection.settimeout(5)
                    server.connections += 1
                    connections.append(connection)
                    thread = threading.Thread(target=converse, args=(connection,), daemon=True)
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            stopping.set()
            accepting.join(5)
            for connection in connections:
                # Who reads from a client that keeps its connection is woken.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(6)


def read_request(connection: socket.socket) -> bytes:
    """Read one whole request; nothing where the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    size = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    while len(body) < size:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(
    body: bytes,
    content_type: str = "application/octet-stream",
    *,
    status: str = "200 OK",
    headers: str = "",
) -> Conversation:
    """Answer each request with this."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    def talk(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(head.encode("latin-1") + body)

    return talk


def drip(data: bytes, pause_s: float = DRIP_PAUSE_S) -> Conversation:
    """Send octets one by one with a pause before each, so that no single wait is long."""

    def talk(connection: socket.socket, stopping: threading.Event) -> None:
        for octet in data:
            if stopping.wait(pause_s):
                return
            connection.sendall(bytes((octet,)))

    return talk


def hang(connection: socket.socket, stopping: threading.Event) -> None:
    """Never answer."""
    stopping.wait(30)


def flood(connection: socket.socket, stopping: threading.Event) -> None:
    """Answer without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nConnection: close\r\n\r\n")
    while not stopping.is_set():
        connection.sendall(b"x" * 65536)


def break_off(connection: socket.socket, stopping: threading.Event) -> None:
    """Promise more than comes."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.shutdown(socket.SHUT_RDWR)
