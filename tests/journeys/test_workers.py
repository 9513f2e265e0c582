"""Several processes behind one port, killed and replaced while they are asked."""

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from cryptography import x509

from imza import installation
from ocsp import cert_id, messages
from tests.support import servers

pytestmark = pytest.mark.slow

LIMIT_S = 60
IMZA = [sys.executable, "-m", "imza"]


class Responder:
    """`imza serve ocsp` with two workers, asked without a pause by several clients."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.address = f"http://127.0.0.1:{servers.free_port()}"
        self.log = folder / "ocsp.log"
        world = installation.Installation(folder / "w")
        world.lay_out(installation.Addresses.together(self.address))
        subprocess.run(
            [*IMZA, "ca", "init", "--config", world.config_path("ca"), "--out", world.folder],
            check=True, capture_output=True, timeout=LIMIT_S,
        )  # fmt: skip
        path = world.config_path("ocsp")
        path.write_text(path.read_text().replace("[server]", "[server]\nworkers = 2"))
        found = x509.load_pem_x509_certificates(world.authorities.read_bytes())
        issuer = next(one for one in found if "Citizen" in one.subject.rfc4514_string())
        asked = messages.OCSPRequest((cert_id.name_certificate(issuer, 4711),))
        self.request = messages.build_request(asked)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*IMZA, "serve", "ocsp", "--config", str(path)], stderr=log
            )
        self.answers: collections.Counter[str] = collections.Counter()
        self._stopping = threading.Event()

    def await_ready(self) -> None:
        with httpx.Client(trust_env=False) as client:
            self.await_that(lambda: self._ask(client) == "answered")
        # The first worker answers before the last one is there.
        self.await_that(lambda: "imza ocsp serves at" in self.log.read_text())

    def await_that(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _ask(self, client: httpx.Client) -> str:
        try:
            reply = client.post(
                f"{self.address}/ocsp",
                content=self.request,
                headers={"Content-Type": "application/ocsp-request", "Connection": "close"},
            )
        except httpx.ReadError:
            # The process that had taken the connection is no more.
            return "lost"
        except httpx.RemoteProtocolError:
            return "lost"
        except httpx.ConnectError:
            return "refused"
        _, good = messages.parse_response(reply.content)
        return "answered" if good is not None else "wrong"

    @contextlib.contextmanager
    def under_load(self, clients: int = 4) -> Iterator[None]:
        def ask() -> None:
            with httpx.Client(trust_env=False) as client:
                while not self._stopping.is_set():
                    self.answers[self._ask(client)] += 1

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def workers(self) -> list[int]:
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(one) for one in children.read_text().split()]


@pytest.fixture
def responder(tmp_path: pathlib.Path) -> Iterator[Responder]:
    made = Responder(tmp_path)
    try:
        made.await_ready()
        yield made
    finally:
        made.process.terminate()
        assert made.process.wait(LIMIT_S) == 0, made.log.read_text()


def test_workers_that_are_killed_lose_at_most_what_they_were_answering(
    responder: Responder,
) -> None:
    with responder.under_load():
        for _ in range(6):
            answered = responder.answers["answered"]
            # The first is as good as any: it serves, or does the duties.
            os.kill(responder.workers()[0], signal.SIGKILL)
            responder.await_that(lambda: responder.answers["answered"] > answered + 20)  # noqa: B023
    assert responder.answers["wrong"] == 0
    assert responder.answers["refused"] == 0
    assert responder.answers["lost"] <= 6 * 4
    responder.await_that(lambda: len(responder.workers()) == 3)


def test_a_reload_loses_no_request(responder: Responder) -> None:
    before = set(responder.workers())
    with responder.under_load():
        time.sleep(0.3)
        responder.process.send_signal(signal.SIGHUP)
        responder.await_that(
            lambda: not set(responder.workers()) & before and len(responder.workers()) == 3
        )
    assert set(responder.answers) == {"answered"}
