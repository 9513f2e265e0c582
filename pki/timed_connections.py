"""Connections whose every step ends by the deadline of the request that they are used for.

A limit on each reading alone does not help against a peer that sends an octet now and then.
"""

import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

WRITTEN_AT_ONCE = 64 * 2**10
"""How much is written before the time left is looked at again."""


class Deadline(threading.local):
    """Until when the request of this thread may take; a connection serves one at a time."""

    ends_at = float("inf")

    def set(self, seconds: float) -> None:
        """Begin a request that may take so long."""
        self.ends_at = time.monotonic() + seconds

    def limit(self, timeout: float | None) -> float:
        """Return the time left for one step, at most `timeout`.

        Raises:
            httpcore.TimeoutException: There is none.
        """
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("the time for the whole exchange is over")
        return left if timeout is None else min(left, timeout)


class TimedBackend(httpcore.NetworkBackend):
    """Opens connections that keep a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        """Take the deadline, which each request sets anew."""
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect; resolving the name has the resolver's own limit."""
        limit = self._deadline.limit(timeout)
        stream = self._inner.connect_tcp(host, port, limit, local_address, socket_options)
        return _TimedStream(stream, self._deadline)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITTEN_AT_ONCE):
            part = buffer[start : start + WRITTEN_AT_ONCE]
            self._inner.write(part, self._deadline.limit(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = self._deadline.limit(timeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, limit)
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
