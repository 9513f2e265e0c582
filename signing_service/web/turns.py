"""Whose turn it is: a few documents of each client are judged at a time, and its others wait.

A hostile document takes all the time that it is given. Without turns, a client with some hundred of
them would hold every worker, and every thread that waits for one, while all others wait.
"""

import contextlib
from collections.abc import AsyncIterator

import anyio

from pki import errors

AT_ONCE = 4
"""Judged at a time, of one client; there are two workers."""
ON_DISK = 16
"""Received at a time, of one client: each may have hundreds of megabytes."""
MOST = 200
"""Of one client, with those of which nothing was read yet."""


class TooManyAtOnceError(errors.TooSoonError):
    """The client has more documents waiting than are let in."""

    code = "too-many-at-once"


class _Line:
    """The documents of one client."""

    def __init__(self, at_once: int, on_disk: int) -> None:
        self.turn = anyio.Semaphore(at_once)
        self.places = anyio.Semaphore(on_disk)
        self.present = 0


class Turns:
    """Lets documents in, some of each client; belongs to one event loop."""

    def __init__(self, at_once: int = AT_ONCE, on_disk: int = ON_DISK, most: int = MOST) -> None:
        """Take how many of one client are judged, are received, and may come at a time."""
        self._at_once, self._on_disk, self._most = at_once, on_disk, most
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def place(self, client_id: str) -> AsyncIterator[anyio.Semaphore]:
        """Wait until a document of a client may be received; gives its turn, to be waited for too.

        Raises:
            TooManyAtOnceError: Too many of the client wait already.
        """
        line = self._lines.get(client_id)
        if line is None:
            line = self._lines[client_id] = _Line(self._at_once, self._on_disk)
        if line.present >= self._most:
            raise TooManyAtOnceError(
                f"expected at most {self._most} documents of one client at a time: try again later"
            )
        line.present += 1
        try:
            async with line.places:
                yield line.turn
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[client_id]
