"""Whose turn it is: a few documents of each client are judged at a time, and its others wait.

A hostile document takes all the time that it is given. Without turns, a client with some hundred of
them would hold every worker, and every thread that waits for one, while all others wait.
"""

import contextlib
import dataclasses
from collections.abc import AsyncIterator

import anyio

from pki import errors

AT_ONCE = 4
"""Of one client; there are two workers."""
MOST = 200
"""Of one client, with those that wait: their documents are on the disk."""


class TooManyAtOnceError(errors.TooSoonError):
    """The client has more documents waiting than are let in."""

    code = "too-many-at-once"


@dataclasses.dataclass
class _Line:
    """The documents of one client."""

    gate: anyio.Semaphore
    present: int = 0


class Turns:
    """Lets documents in, some of each client; belongs to one event loop."""

    def __init__(self, at_once: int = AT_ONCE, most: int = MOST) -> None:
        """Take how many of one client are let in at a time, and how many may wait with them."""
        self._at_once = at_once
        self._most = most
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def of(self, client_id: str) -> AsyncIterator[None]:
        """Wait for a client's turn, and keep it as long as the block lasts.

        Raises:
            TooManyAtOnceError: Too many of the client wait already.
        """
        line = self._lines.get(client_id)
        if line is None:
            line = self._lines[client_id] = _Line(anyio.Semaphore(self._at_once))
        if line.present >= self._most:
            raise TooManyAtOnceError(
                f"expected at most {self._most} documents of one client at a time: try again later"
            )
        line.present += 1
        try:
            async with line.gate:
                yield
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[client_id]
