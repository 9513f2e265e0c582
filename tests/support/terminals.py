"""A command at a terminal, as a person sees and types it."""

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Iterator

from tests.support import world as worlds


@contextlib.contextmanager
def at_terminal(world: worlds.World, *arguments: str) -> Iterator["Terminal"]:
    """A person at a terminal; what is not shown there, a person does not see."""
    child, descriptor = pty.fork()
    if child == 0:
        os.execve(worlds.IMZA[0], [*worlds.IMZA, *arguments], world.environment)  # noqa: S606
    try:
        yield Terminal(child, descriptor)
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(descriptor)


class Terminal:
    """What stands on the terminal, and fingers."""

    def __init__(self, child: int, descriptor: int) -> None:
        self._child = child
        self._descriptor = descriptor
        self.shown = ""
        self._read_up_to = 0

    def wait_for(self, text: str, limit_s: float = 60) -> None:
        """Read until a text appears after what was waited for before."""
        deadline = time.monotonic() + limit_s
        while (found := self.shown.find(text, self._read_up_to)) < 0:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), f"ended before {text!r}: {self.shown}"
        self._read_up_to = found + len(text)

    def type(self, text: str) -> None:
        # The prompt turns the echo off a moment before it is shown.
        os.write(self._descriptor, f"{text}\n".encode())

    def exit_code(self) -> int:
        while self._read():
            pass
        _, status = os.waitpid(self._child, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 60)
        assert ready, self.shown
        try:
            read = os.read(self._descriptor, 4096)
        except OSError:  # Linux's word for: the other side is closed.
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)
