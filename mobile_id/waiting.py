"""Waiting for a change without holding a thread or a database connection.

A wait is one future in the event loop, so that one process holds ten thousand of them. Whoever
changes a transaction announces it, from any thread. Where several processes share the database,
`follow` lets each of them see what the others changed.
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable, Iterable

import anyio.to_thread

log = logging.getLogger(__name__)


class Woken(enum.Enum):
    """Why a wait ended."""

    CHANGED = "changed"
    DISPLACED = "displaced"
    TIMED_OUT = "timed out"


class Wait:
    """One wait for one topic; leave the `with` block and it is forgotten."""

    def __init__(self, waits: "dict[str, Wait]", topic: str) -> None:
        """Wait for a topic; an earlier wait for it is displaced at once."""
        self._waits = waits
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[Woken] = self._loop.create_future()

    def __enter__(self) -> "Wait":
        """Register, before the state is read: a change after that reading is not missed."""
        displaced = self._waits.get(self._topic)
        self._waits[self._topic] = self
        if displaced is not None:
            displaced.wake(Woken.DISPLACED)
        return self

    def __exit__(self, *_: object) -> None:
        """Forget this wait unless another one took its place."""
        if self._waits.get(self._topic) is self:
            del self._waits[self._topic]

    async def woken(self, seconds: float) -> Woken:
        """Wait for a change, for `seconds` at most."""
        timer = self._loop.call_later(seconds, self.wake, Woken.TIMED_OUT)
        try:
            return await self._woken
        finally:
            timer.cancel()

    def again(self) -> None:
        """Be ready for the next change; call it before the state is read again."""
        self._woken = self._loop.create_future()
        if self._waits.get(self._topic) is not self:
            self._woken.set_result(Woken.DISPLACED)

    def wake(self, why: Woken) -> None:
        """End the wait; in the loop's own thread."""
        if not self._woken.done():
            self._woken.set_result(why)

    def wake_from_thread(self) -> None:
        """End the wait from any thread."""
        # A loop that has stopped meanwhile has nobody waiting in it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.wake, Woken.CHANGED)


class Notices:
    """Who waits for which topic in this process."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waits: dict[str, Wait] = {}
        self._changed_topics: Callable[[], Iterable[str]] | None = None
        self._every_s = 0.0
        self._following: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waits)

    def wait_for(self, topic: str) -> Wait:
        """Return a wait to enter with `with`; call it in the event loop."""
        if self._changed_topics is not None and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow(self._changed_topics))
        return Wait(self._waits, topic)

    def announce(self, topic: str) -> None:
        """Tell whoever waits for a topic, from any thread; call it after the commit."""
        waiting = self._waits.get(topic)
        if waiting is not None:
            waiting.wake_from_thread()

    def follow(self, changed_topics: Callable[[], Iterable[str]], every_s: float = 0.25) -> None:
        """Announce also what other processes change: one query for all waits together.

        Args:
            changed_topics: Reads the topics that changed in the last seconds.
            every_s: How often it is asked while anybody waits.
        """
        self._changed_topics = changed_topics
        self._every_s = every_s

    async def _follow(self, changed_topics: Callable[[], Iterable[str]]) -> None:
        await asyncio.sleep(self._every_s)
        while self._waits:
            try:
                topics = await anyio.to_thread.run_sync(lambda: tuple(changed_topics()))
            # Whatever the database's driver raises, those who wait go on waiting: their own
            # reading reports it.
            except Exception:
                log.exception("following_changes_failed")
                topics = ()
            for topic in topics:
                self.announce(topic)
            await asyncio.sleep(self._every_s)
