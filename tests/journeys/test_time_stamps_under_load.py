"""The time-stamping authority while processes are killed and replaced; rfc3161-client judges."""

import collections
import os
import pathlib
import signal
import sys
import tempfile
import threading

import httpx
import pytest
import rfc3161_client
from cryptography import x509

from imza import installation
from tests.support import status_load
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.xdist_group("status")]

CLIENTS, KILLS, LIMIT_S = 6, 6, 60.0


class Clients:
    """Several that ask without a pause, each over a new connection, and verify what they get."""

    def __init__(self, url: str, verifier: rfc3161_client.Verifier) -> None:
        self._url = url
        self._verifier = verifier
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        self.serials: list[int] = []
        self.seen: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> "Clients":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for one in self._threads:
            one.join()

    def _ask(self) -> None:
        headers = {"Content-Type": "application/timestamp-query", "Connection": "close"}
        with httpx.Client(trust_env=False, headers=headers, timeout=LIMIT_S) as client:
            while not self._stopping.is_set():
                data = os.urandom(32)
                request = (
                    rfc3161_client.TimestampRequestBuilder()
                    .data(data)
                    .hash_algorithm(rfc3161_client.HashAlgorithm.SHA512)
                    .nonce(nonce=True)
                    .cert_request(cert_request=True)
                    .build()
                )
                try:
                    reply = client.post(self._url, content=request.as_bytes())
                except httpx.TransportError:
                    self.seen["lost"] += 1
                    continue
                try:
                    response = rfc3161_client.decode_timestamp_response(reply.content)
                    self._verifier.verify_message(response, data)
                    assert response.tst_info.nonce == request.nonce
                except (ValueError, AssertionError, rfc3161_client.VerificationError) as error:
                    self.seen[f"wrong: {error}"] += 1
                    continue
                self.serials.append(response.tst_info.serial_number)
                self.seen["granted"] += 1

    def await_more(self, count: int) -> None:
        wanted = self.seen["granted"] + count
        status_load.await_that(
            lambda: self.seen["granted"] >= wanted, LIMIT_S, lambda: str(self.seen)
        )


def test_no_serial_is_given_twice_though_processes_are_killed_and_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.zones_apart(
            pathlib.Path(folder), started=("tsa",), settings={("tsa", "server"): {"workers": 3}}
        ) as zones,
    ):
        status_load.await_that(
            lambda: "imza tsa serves at" in zones.log("tsa"), LIMIT_S, lambda: zones.log("tsa")
        )
        chain = x509.load_pem_x509_certificates(
            (
                zones.installation.folder / installation.unit_chain_name(installation.FIRST_UNIT)
            ).read_bytes()
        )
        root = x509.load_pem_x509_certificate(zones.installation.trust_anchors.read_bytes())
        verifier = rfc3161_client.VerifierBuilder().tsa_certificate(chain[0])
        for one in chain[1:]:
            verifier = verifier.add_intermediate_certificate(one)
        url = f"{zones.addresses.tsa}/tsa"
        parent = zones.processes["tsa"]
        children = pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children")

        def workers() -> list[int]:
            return [int(one) for one in children.read_text().split()]

        count = len(workers())
        with Clients(url, verifier.add_root_certificate(root).build()) as clients:
            for number in range(KILLS):
                clients.await_more(30)
                os.kill(workers()[number % len(workers())], signal.SIGKILL)
            clients.await_more(30)
            # Whoever was killed last has been replaced.
            status_load.await_that(lambda: len(workers()) == count, LIMIT_S)
            before = set(workers())
            lost = clients.seen["lost"]
            parent.send_signal(signal.SIGHUP)
            status_load.await_that(
                lambda: not before & set(workers()) and len(workers()) == count, LIMIT_S
            )
            clients.await_more(30)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{KILLS} processes killed with -9, all replaced once: {dict(clients.seen)},"
            f" {len(set(clients.serials))} serial numbers\n"
        )
    assert set(clients.seen) <= {"granted", "lost"}
    assert lost <= KILLS * CLIENTS
    assert clients.seen["lost"] == lost, "the reload lost a request"
    assert len(set(clients.serials)) == len(clients.serials)
