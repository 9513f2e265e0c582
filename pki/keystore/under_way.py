"""Which processes use an authority's keys at this moment, told by locks on two files.

Whoever issues holds a shared lock from before its intents are recorded until their end is. A
process that starts waits for the exclusive one: what is open then was left by a process that is
no more, since the kernel takes the locks of a process with it, however it ends. The second file is
a gate that whoever waits closes, so that others who issue cannot keep it waiting for ever.
"""

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator

from pki import errors

ALONE_LIMIT_S = 15.0
"""How long a start waits: a key that hangs is given up before (`time_limit.ANSWER_LIMIT_S`)."""

GATE_LIMIT_S = 60.0
"""How long who issues waits for a start: as long as that may wait, and for what it then does."""

_PAUSE_S = 0.005
_FILE_MODE = 0o600


class UnderWayError(errors.StorageError):
    """Another process starts at this moment, or the files of the locks cannot be opened."""

    code = "issuance-held-up"


class UnderWay:
    """The locks beside one signature log, for all processes that write it on this machine."""

    def __init__(self, log: pathlib.Path) -> None:
        """Name the files after the log."""
        self._work = log.with_name(f"{log.name}.under-way")
        self._gate = log.with_name(f"{log.name}.gate")

    @contextlib.contextmanager
    def issuing(self) -> Iterator[None]:
        """Be known to work on intents.

        Raises:
            UnderWayError: A process that starts keeps everybody waiting; nothing was signed.
        """
        with contextlib.ExitStack() as held:
            with _Lock(self._gate) as gate:
                if not gate.take(fcntl.LOCK_SH, GATE_LIMIT_S):
                    raise UnderWayError(
                        "another process of this authority is starting: nothing was signed"
                    )
                # Nobody holds it exclusively while the gate is open.
                held.enter_context(_Lock(self._work)).take(fcntl.LOCK_SH, GATE_LIMIT_S)
            yield

    @contextlib.contextmanager
    def alone(self, limit_s: float = ALONE_LIMIT_S) -> Iterator[bool]:
        """Wait until nobody issues and let nobody begin; gives False where somebody went on.

        Raises:
            UnderWayError: The files cannot be opened.
        """
        with _Lock(self._gate) as gate, _Lock(self._work) as work:
            yield gate.take(fcntl.LOCK_EX, limit_s) and work.take(fcntl.LOCK_EX, limit_s)


class _Lock:
    """A file that is open; closing it gives the lock back."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def __enter__(self) -> "_Lock":
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise UnderWayError(
                f"the lock {self._path} cannot be opened ({error.strerror}): nothing was signed"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def take(self, kind: int, limit_s: float) -> bool:
        """Take it; False where others held it for all of the time."""
        end = time.monotonic() + limit_s
        while True:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return False
                time.sleep(_PAUSE_S)
            else:
                return True
