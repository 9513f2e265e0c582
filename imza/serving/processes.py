"""Several worker processes behind one port: started, watched, replaced, stopped (`imza serve`).

The parent opens the ports and then only watches: it serves nothing, opens no database and no key,
so that there is little in it to fail. A worker that dies is replaced; on SIGHUP each worker is
replaced by one that has read everything anew, and goes only when the new one is ready. The port
stays open all the while: what arrives in between waits in its queue.
"""

import contextlib
import ctypes
import dataclasses
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from imza.serving import service_manager
from pki import errors

log = logging.getLogger(__name__)

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 20.0
SHORTEST_LIFE_S = 1.0
"""A worker that died sooner is replaced after a pause, each time a longer one."""

LONGEST_PAUSE_S = 10.0

_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1


class WorkerStartError(errors.DeviceError):
    """A worker ended before it was ready; it has said why on standard error."""

    code = "worker-not-started"


@dataclasses.dataclass(frozen=True)
class Role:
    """What one worker does.

    Attributes:
        name: For the log.
        run: Does the work until SIGTERM and returns the exit code; calls its argument once, when
            it is ready.
    """

    name: str
    run: Callable[[Callable[[], None]], int]


@dataclasses.dataclass
class _Worker:
    role: Role
    pid: int
    ready: int
    """The reading end of a pipe on which the worker says that it is ready."""
    started_at: float
    retiring: bool = False
    failures: int = 0


class Workers:
    """The worker processes of one zone. Use it from the main thread, before any other starts."""

    def __init__(self, roles: Sequence[Role], leave: Callable[[Callable[[], int]], int]) -> None:
        """Take the roles, one process each.

        Args:
            roles: What the workers do.
            leave: Runs a function in a worker and turns what it raises into an exit code.
        """
        self._roles = tuple(roles)
        self._leave = leave
        self._workers: list[_Worker] = []
        self._due: list[tuple[float, Role, int]] = []

    def run(self, when_ready: Callable[[], None]) -> int:
        """Serve until SIGTERM or SIGINT; return 0.

        Args:
            when_ready: Called once, when every worker is ready.

        Raises:
            WorkerStartError: A worker did not get ready at the first start.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            for role in self._roles:
                self._workers.append(self._fork(role))
            for worker in self._workers:
                if not self._await_ready(worker):
                    raise WorkerStartError(
                        f"expected the worker {worker.role.name} to get ready, but it ended or"
                        f" took longer than {READY_LIMIT_S:.0f} s"
                    )
            when_ready()
            service_manager.notify("READY=1")
            self._watch()
            return 0
        finally:
            service_manager.notify("STOPPING=1")
            self._stop_all()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> None:
        while True:
            came = signal.sigtimedwait(_WATCHED, self._next_pause())
            if came is not None and came.si_signo in (signal.SIGTERM, signal.SIGINT):
                return
            if came is not None and came.si_signo == signal.SIGHUP:
                service_manager.notify(
                    "RELOADING=1\nMONOTONIC_USEC=" + str(time.monotonic_ns() // 1000)
                )
                self._replace_all()
                service_manager.notify("READY=1")
            self._bury()
            self._start_due()

    def _next_pause(self) -> float:
        if not self._due:
            return 1.0
        return min(max(min(due for due, _, _ in self._due) - time.monotonic(), 0.01), 1.0)

    def _replace_all(self) -> None:
        """Replace the workers one after the other; one whose successor fails stays."""
        for worker in [one for one in self._workers if not one.retiring]:
            successor = self._fork(worker.role)
            if not self._await_ready(successor):
                log.error("worker_not_replaced role=%s", worker.role.name)
                self._kill(successor)
                continue
            self._workers.append(successor)
            worker.retiring = True
            os.kill(worker.pid, signal.SIGTERM)
            log.info("worker_replaced role=%s pid=%d", worker.role.name, successor.pid)

    def _bury(self) -> None:
        for worker in list(self._workers):
            pid, state = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._workers.remove(worker)
            os.close(worker.ready)
            if worker.retiring:
                continue
            lived = time.monotonic() - worker.started_at
            failures = worker.failures + 1 if lived < SHORTEST_LIFE_S else 0
            pause = min(0.1 * 2**failures, LONGEST_PAUSE_S) if failures else 0.0
            log.error(
                "worker_died role=%s pid=%d code=%d pause=%.1f",
                worker.role.name,
                pid,
                os.waitstatus_to_exitcode(state),
                pause,
            )
            self._due.append((time.monotonic() + pause, worker.role, failures))

    def _start_due(self) -> None:
        now = time.monotonic()
        for one in [one for one in self._due if one[0] <= now]:
            self._due.remove(one)
            worker = self._fork(one[1])
            worker.failures = one[2]
            self._workers.append(worker)

    def _fork(self, role: Role) -> _Worker:
        reading, writing = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(writing)
            return _Worker(role, pid, reading, time.monotonic())
        # From here on this is the worker. Whatever happens it must not return into the parent's
        # frames, whose clean-up is the parent's.
        code = 70
        try:
            os.close(reading)
            for worker in self._workers:
                os.close(worker.ready)
            _die_with(parent)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, set())

            def say_ready() -> None:
                os.write(writing, b"1")
                os.close(writing)

            code = self._leave(lambda: role.run(say_ready))
        finally:
            os._exit(code)

    def _await_ready(self, worker: _Worker) -> bool:
        """Whether the worker said that it is ready, within the limit."""
        readable, _, _ = select.select([worker.ready], [], [], READY_LIMIT_S)
        return bool(readable) and os.read(worker.ready, 1) == b"1"

    def _kill(self, worker: _Worker) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        os.waitpid(worker.pid, 0)
        os.close(worker.ready)

    def _stop_all(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while self._workers and time.monotonic() < deadline:
            for worker in list(self._workers):
                if os.waitpid(worker.pid, os.WNOHANG)[0]:
                    os.close(worker.ready)
                    self._workers.remove(worker)
            time.sleep(0.02)
        for worker in self._workers:
            log.error("worker_killed role=%s pid=%d", worker.role.name, worker.pid)
            self._kill(worker)
        self._workers.clear()


def _die_with(parent: int) -> None:
    """Let the kernel stop this worker when the parent ends, even by SIGKILL."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
