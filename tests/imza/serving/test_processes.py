import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

LIMIT_S = 30

SCRIPT = """
import logging, os, pathlib, signal, sys, time
from imza import cli
from imza.serving import processes

folder = pathlib.Path(sys.argv[1])
logging.basicConfig(level=logging.INFO)

def role(name):
    def run(say_ready):
        stopping = []
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
        if (folder / f"refuse-{name}").exists():
            from pki import errors
            raise errors.StateError("expected this, got that")
        (folder / f"{name}-{os.getpid()}").touch()
        say_ready()
        while not stopping:
            time.sleep(0.01)
        (folder / f"ended-{name}-{os.getpid()}").touch()
        return 0
    return processes.Role(name, run)

workers = processes.Workers([role("one"), role("two")], cli.leave)
sys.exit(cli.leave(lambda: workers.run(lambda: (folder / "ready").touch())))
"""


class Parent:
    """The script, its folder, and what it wrote there."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(folder)], stdout=output, stderr=output
            )

    def pids(self, name: str) -> list[int]:
        """The workers of a role that ever were, the first started first."""
        found = sorted(self.folder.glob(f"{name}-*"), key=lambda one: one.stat().st_mtime_ns)
        return [int(one.name.partition("-")[2]) for one in found]

    def await_that(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def ended(self, name: str, pid: int) -> bool:
        return (self.folder / f"ended-{name}-{pid}").exists()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "w"
    made.mkdir()
    return made


@pytest.fixture
def parent(folder: pathlib.Path) -> Iterator[Parent]:
    made = Parent(folder)
    made.await_that(lambda: (folder / "ready").exists())
    yield made
    made.process.kill()
    made.process.wait()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_workers_end_in_good_order_when_the_parent_is_asked_to(parent: Parent) -> None:
    (one,), (two,) = parent.pids("one"), parent.pids("two")
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(LIMIT_S) == 0
    assert parent.ended("one", one)
    assert parent.ended("two", two)


def test_a_worker_that_was_killed_is_replaced(parent: Parent) -> None:
    (first,) = parent.pids("one")
    os.kill(first, signal.SIGKILL)
    parent.await_that(lambda: len(parent.pids("one")) == 2)
    assert len(parent.pids("two")) == 1
    assert "worker_died role=one" in parent.log.read_text()
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(LIMIT_S) == 0
    assert parent.ended("one", parent.pids("one")[1])


def test_a_hang_up_replaces_each_worker_once_its_successor_is_ready(parent: Parent) -> None:
    (one,), (two,) = parent.pids("one"), parent.pids("two")
    parent.process.send_signal(signal.SIGHUP)
    parent.await_that(lambda: parent.ended("one", one) and parent.ended("two", two))
    assert [len(parent.pids(name)) for name in ("one", "two")] == [2, 2]
    assert all(lives(parent.pids(name)[1]) for name in ("one", "two"))
    # What retired is not replaced again.
    time.sleep(0.3)
    assert [len(parent.pids(name)) for name in ("one", "two")] == [2, 2]


def test_a_worker_whose_successor_fails_stays(parent: Parent) -> None:
    (one,), (two,) = parent.pids("one"), parent.pids("two")
    (parent.folder / "refuse-one").touch()
    parent.process.send_signal(signal.SIGHUP)
    parent.await_that(lambda: parent.ended("two", two))
    assert lives(one)
    assert not parent.ended("one", one)
    assert "worker_not_replaced role=one" in parent.log.read_text()
    assert "expected this, got that" in parent.log.read_text()


def test_workers_do_not_outlive_a_parent_that_was_killed(parent: Parent) -> None:
    (one,), (two,) = parent.pids("one"), parent.pids("two")
    parent.process.kill()
    parent.process.wait()
    parent.await_that(lambda: not lives(one) and not lives(two))


def test_a_worker_that_does_not_start_ends_all_with_what_was_wrong(folder: pathlib.Path) -> None:
    (folder / "refuse-two").touch()
    parent = Parent(folder)
    assert parent.process.wait(LIMIT_S) == 5
    told = parent.log.read_text()
    assert "expected this, got that" in told
    assert "[worker-not-started]" in told
    assert not (folder / "ready").exists()
    (one,) = parent.pids("one")
    parent.await_that(lambda: not lives(one))


def test_the_service_manager_is_told(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = folder.parent / "notify"
        manager.bind(str(address))
        manager.settimeout(LIMIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        parent = Parent(folder)
        assert manager.recv(100) == b"READY=1"
        parent.process.send_signal(signal.SIGHUP)
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        parent.process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert parent.process.wait(LIMIT_S) == 0
