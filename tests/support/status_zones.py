"""The CA zone and a status responder with certificates whose statuses are known."""

import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pki import clock, outbound
from tests.support import servers, status_answers, status_load
from tests.support import world as worlds

LIMIT_S = 60.0
STEP_LIMIT_S = 120.0


@dataclasses.dataclass
class StatusZones:
    """Zones `ca` and `ocsp`, and the certificates that were made there."""

    zones: worlds.Zones

    @property
    def address(self) -> str:
        return self.zones.addresses.ocsp

    def issuer(self, name: str = "Citizen") -> x509.Certificate:
        """An issuing CA."""
        found = x509.load_pem_x509_certificates(self.zones.installation.authorities.read_bytes())
        return next(one for one in found if name in one.subject.rfc4514_string())

    def certify(self, count: int) -> list[status_load.Known]:
        """Certificates that are good."""
        office, issuer = self.zones.office(), self.issuer()
        serials = [
            int(worlds.certify(office, f"5S{number:02}T{number:02}").serial_number, 16)
            for number in range(count)
        ]
        return [status_load.Known(status_answers.Question(issuer, one), "good") for one in serials]

    def unknown(self) -> status_load.Known:
        """A number that was never given."""
        return status_load.Known(status_answers.Question(self.issuer(), 4711), "unknown")

    def revoke(self, known: status_load.Known, action: str = "revoke") -> float:
        """Revoke or hold a certificate as an operator does; return the steady time afterwards."""
        arguments = [action, f"{known.question.serial_number:x}", "--operator", str(self.operator)]
        if action == "revoke":
            arguments += ["--reason", "keyCompromise"]
        with known.changing_to("good" if action == "release" else "revoked"):
            subprocess.run(
                [*worlds.IMZA, "ca", *arguments], check=True, capture_output=True, timeout=LIMIT_S
            )
        return time.monotonic()

    def await_status(self, known: status_load.Known, wanted: str) -> float:
        """Return after how many seconds the answer was the wanted one."""
        return status_load.await_that(lambda: self.status(known) == wanted, LIMIT_S)

    def await_every_worker(self) -> None:
        """Return when every process is there: the first answers before the last one is."""
        status_load.await_that(
            lambda: "imza ocsp serves at" in self.zones.log("ocsp"),
            LIMIT_S,
            lambda: self.zones.log("ocsp"),
        )

    @property
    def operator(self) -> pathlib.Path:
        """The credentials of an officer."""
        return self.zones.installation.operators_folder / "TEST-officer-1.toml"

    def workers(self) -> list[int]:
        """The processes of the responder, in the order in which they were started."""
        parent = self.zones.processes["ocsp"].pid
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
        return [int(one) for one in children.read_text().split()]

    def reload(self) -> None:
        """Have each process replaced; return when all were."""
        before = set(self.workers())
        self.zones.processes["ocsp"].send_signal(signal.SIGHUP)
        status_load.await_that(
            lambda: not before & set(self.workers()) and len(self.workers()) == len(before),
            LIMIT_S,
            lambda: self.zones.log("ocsp"),
        )

    @contextlib.contextmanager
    def another_machine(self) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        """A second responder of the same registry and keys: its address and its first process."""
        port = servers.free_port()
        first = self.zones.installation.config_path("ocsp")
        second = first.with_name("ocsp-2.toml")
        content = tomllib.loads(first.read_text(encoding="utf-8"))
        content["server"]["port"] = port
        second.write_text(tomli_w.dumps(content), encoding="utf-8")
        with (self.zones.installation.folder / "ocsp-2.log").open("wb") as log:
            process = subprocess.Popen(
                [*worlds.IMZA, "serve", "ocsp", "--config", str(second)], stderr=log
            )
        address = f"http://127.0.0.1:{port}"
        try:
            status_load.await_that(lambda: servers.answers(port), LIMIT_S)
            status_load.await_that(lambda: worlds.ready(address), LIMIT_S)
            yield address, process
        finally:
            process.kill()
            process.wait(LIMIT_S)

    def renew_responders(self) -> None:
        """Certify new keys of responders, as the CA zone does before the old ones end."""
        first = self.zones.installation.config_path("ca")
        hasty = first.with_name("ca-renewing.toml")
        content = tomllib.loads(first.read_text(encoding="utf-8"))
        # They last for a month.
        content["ca"]["responder_renewal"] = 40 * 86400
        hasty.write_text(tomli_w.dumps(content), encoding="utf-8")
        folder = str(self.zones.installation.folder)
        subprocess.run(
            [*worlds.IMZA, "ca", "init", "--config", str(hasty), "--out", folder],
            check=True, capture_output=True, timeout=STEP_LIMIT_S,
        )  # fmt: skip

    def status(self, known: status_load.Known) -> str:
        """Ask once, with a nonce, and check the answer."""
        nonce, algorithm = os.urandom(32), hashes.SHA256()
        with contextlib.closing(outbound.Client()) as http:
            reply = http.send(
                "POST",
                f"{self.address}/ocsp",
                body=known.question.build(algorithm, nonce),
                content_type="application/ocsp-request",
            )
        return status_answers.Checker().check(
            reply.body, known.question, algorithm, clock.SystemClock().now(), nonce
        )

    def connections_to_each_worker(self) -> Mapping[int, socket.socket]:
        """An open connection to each process that answers, by its number."""
        host, port = self.address.removeprefix("http://").split(":")
        found: dict[int, socket.socket] = {}
        deadline = time.monotonic() + LIMIT_S
        spare: list[socket.socket] = []
        while len(found) < len(self.workers()) - 1:
            assert time.monotonic() < deadline, self.zones.log("ocsp")
            one = socket.create_connection((host, int(port)), timeout=LIMIT_S)
            one.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            one.recv(65536)
            worker = _owner(one, self.workers())
            if worker is None or worker in found:
                spare.append(one)
            else:
                found[worker] = one
        for one in spare:
            one.close()
        return found


def _owner(connection: socket.socket, processes: Sequence[int]) -> int | None:
    """Which process has the other end of a connection on this machine."""
    ours, theirs = connection.getsockname()[1], connection.getpeername()[1]
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(one.partition(":")[2], 16) for one in fields[1:3]]
        if ports == [theirs, ours]:
            inode = f"socket:[{fields[9]}]"
            for process in processes:
                for one in pathlib.Path(f"/proc/{process}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(one) == inode:
                            return process
    return None


def ask(connection: socket.socket, known: status_load.Known) -> str:
    """Ask over an open connection and check the answer."""
    nonce, algorithm = os.urandom(32), hashes.SHA256()
    request = known.question.build(algorithm, nonce)
    head = (
        "POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\n"
        f"Content-Length: {len(request)}\r\n\r\n"
    )
    connection.sendall(head.encode() + request)
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536) or _ended()
    header, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", header)
    assert length is not None
    while len(body) < int(length.group(1)):
        body += connection.recv(65536) or _ended()
    return status_answers.Checker().check(
        body, known.question, algorithm, clock.SystemClock().now(), nonce
    )


def _ended() -> bytes:
    raise EOFError("the connection was closed")


@contextlib.contextmanager
def running(
    folder: pathlib.Path,
    *,
    workers: int = 2,
    database_url: str | None = None,
    reader_url: str | None = None,
    before_responder: Callable[[], object] = lambda: None,
    **options: object,
) -> Iterator[StatusZones]:
    """Run both zones.

    Args:
        folder: Where they lie.
        workers: How many processes answer.
        database_url: The CA zone's database, instead of a SQLite file.
        reader_url: The same as the responder reaches it, where that is another address.
        before_responder: Is done when the CA zone is there and the responder is not.
        options: Entries of the responder's `[ocsp]`.
    """
    settings: dict[tuple[str, str], Mapping[str, object]] = {
        ("ocsp", "server"): {"workers": workers},
        ("ocsp", "ocsp"): options,
    }
    if reader_url is not None:
        settings["ocsp", "database"] = {"url": reader_url}
    with worlds.zones_apart(
        folder, started=("ca",), database_url=database_url, settings=settings
    ) as zones:
        before_responder()
        zones.start("ocsp")
        made = StatusZones(zones)
        made.await_every_worker()
        yield made
