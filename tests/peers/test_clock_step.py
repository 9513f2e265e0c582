"""The time-stamping authority while its machine's clock is set: libfaketime sets, openssl asks."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imza import installation
from pki import outbound
from tests.support import servers

pytestmark = [pytest.mark.peer, pytest.mark.slow]

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
LIMIT_S = 60


@pytest.fixture(autouse=True)
def needs_faketime() -> None:
    if LIBRARY is None or shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("expected the packages faketime and openssl")
        pytest.skip("needs the packages faketime and openssl")


class Authority:
    """`imza serve tsa` under a clock that a file moves."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.address = f"http://127.0.0.1:{servers.free_port()}"
        self.world = installation.Installation(folder / "w")
        self.world.lay_out(installation.Addresses.together(self.address))
        self._offset = folder / "offset"
        self.step(0)
        (folder / "contract.txt").write_bytes(b"a contract")
        self._openssl("-query", "-data", "contract.txt", "-sha256", "-cert", "-out", "query.tsq")

    def step(self, seconds: int) -> None:
        """Set the clock so many seconds beside the machine's."""
        temporary = self._offset.with_suffix(".new")
        temporary.write_text(f"{seconds:+d}\n")
        temporary.rename(self._offset)

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        imza = [sys.executable, "-m", "imza"]
        subprocess.run(
            [*imza, "ca", "init", "--config", self.world.config_path("ca"),
             "--out", self.world.folder],
            check=True, capture_output=True, timeout=LIMIT_S,
        )  # fmt: skip
        environment = {
            **os.environ,
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            # What nobody can set stays as it is.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with (self.folder / "tsa.log").open("wb") as log:
            process = subprocess.Popen(
                [*imza, "serve", "tsa", "--upgrade-database",
                 "--config", self.world.config_path("tsa")],
                stderr=log, env=environment,
            )  # fmt: skip
        try:
            self.await_that(lambda: self.ready()[0] == 200)
            yield
        finally:
            process.terminate()
            process.wait(LIMIT_S)

    def ready(self) -> tuple[int, Any]:
        with contextlib.closing(outbound.Client()) as client:
            try:
                reply = client.send("GET", f"{self.address}/readyz", expect=(200, 503))
            except outbound.PeerUnavailableError:
                return 0, None
        return reply.status, reply.json()

    def await_that(self, holds: Callable[[], bool]) -> float:
        begin = time.monotonic()
        while not holds():
            assert time.monotonic() - begin < LIMIT_S, (self.folder / "tsa.log").read_text()
            time.sleep(0.05)
        return time.monotonic() - begin

    def ask(self) -> str:
        """What `openssl ts` reads in the authority's answer."""
        with contextlib.closing(outbound.Client()) as client:
            reply = client.send(
                "POST",
                f"{self.address}/tsa",
                body=(self.folder / "query.tsq").read_bytes(),
                content_type="application/timestamp-query",
                expect_type="application/timestamp-reply",
            )
        (self.folder / "reply.tsr").write_bytes(reply.body)
        return self._openssl("-reply", "-in", "reply.tsr", "-text")

    def verify(self) -> str:
        """What `openssl ts -verify` says of the last answer."""
        chain = self.world.folder / installation.unit_chain_name(installation.FIRST_UNIT)
        trust = ["-CAfile", str(self.world.trust_anchors), "-untrusted", str(chain)]
        told = self._openssl("-verify", "-in", "reply.tsr", "-queryfile", "query.tsq", *trust)
        return told.strip()

    def _openssl(self, *arguments: str) -> str:
        return subprocess.run(
            ["openssl", "ts", *arguments],
            cwd=self.folder, capture_output=True, text=True, check=True, timeout=30,
        ).stdout  # fmt: skip


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Iterator[Authority]:
    made = Authority(tmp_path)
    with made.serve():
        yield made


@pytest.mark.clause("RFC 3161", "2.4.2")
@pytest.mark.parametrize("seconds", [2, -2])
def test_invariant_14_tokens_stop_when_the_clock_is_set_and_resume_when_it_is_set_back(
    authority: Authority, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Status: Granted." in authority.ask()
    authority.step(seconds)
    stopped = authority.ask()
    assert "Status: Rejected." in stopped
    assert "Granted" not in stopped
    authority.await_that(lambda: authority.ready()[0] == 503)
    checks = authority.ready()[1]["checks"]
    assert checks["clock"].startswith(f"failed: the clock jumped by {seconds:+d}.")
    assert checks["unit"] == "ok"
    authority.step(0)
    authority.await_that(lambda: authority.ready()[0] == 200)
    resumed = authority.ask()
    assert "Status: Granted." in resumed
    assert authority.verify() == "Verification: OK"
    shown = ["before: granted", *_told(stopped), f"/readyz: {checks['clock']}", *_told(resumed)]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join([f"clock set by {seconds:+d} s", *shown]) + "\n")


def _told(reply: str) -> list[str]:
    """What `openssl ts -reply -text` says of the status and the time."""
    wanted = ("Status: ", "Status description: ", "Failure info: ", "Time stamp: ")
    return [f"  {line}" for line in reply.splitlines() if line.startswith(wanted)]
