"""A sandbox, or every zone as a process of its own, as journeys see them: from outside."""

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.operators import roles
from ca.registers import tables as register_tables
from imza import config as configs
from imza import installation, sandbox_operators
from imza.wiring import resources
from imza.wiring.zone import ZONES
from pki import (
    algorithms,
    clock,
    database,
    failpoints,
    multipart,
    operator_credentials,
    outbound,
    signature,
    signed_requests,
)
from tests.support import hierarchy, servers

IMZA = (sys.executable, "-m", "imza")
CALLS_OF_OTHERS = {
    "/approval": roles.Role.APPROVER,
    "/crls/": roles.Role.CA_ADMINISTRATOR,
    "/operators": roles.Role.CA_ADMINISTRATOR,
    "/trusted-lists": roles.Role.CA_ADMINISTRATOR,
    "/audit": roles.Role.AUDITOR,
}
READY_LIMIT_S = 180.0
"""A loaded machine has needed a third of this; only a failure waits it out."""

STEP_LIMIT_S = 120.0


@dataclasses.dataclass
class World:
    """A running sandbox and what `sandbox.json` says of it."""

    folder: pathlib.Path
    description: dict[str, Any]
    process: "subprocess.Popen[bytes]"

    @property
    def base_url(self) -> str:
        return str(self.description["base_url"])

    @property
    def root(self) -> pathlib.Path:
        return pathlib.Path(self.description["trust_anchors_pem"])

    @property
    def environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self.description.get("pcscd"):
            environment["PCSCLITE_CSOCK_NAME"] = self.description["pcscd"]["socket"]
        return environment

    @property
    def credentials(self) -> tuple[str, ...]:
        return ("--credentials", str(self.folder / "sandbox.json"))

    @property
    def service(self) -> tuple[str, ...]:
        return ("--server", self.base_url, *self.credentials)

    def imza(
        self, *arguments: str, pin: str | None = None, expect: int | None = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as a person would; a PIN goes through a descriptor."""
        command = [*IMZA, *arguments]
        pass_fds: tuple[int, ...] = ()
        if pin is not None:
            reading, writing = os.pipe()
            os.write(writing, f"{pin}\n".encode())
            os.close(writing)
            command += ["--pin-fd", str(reading)]
            pass_fds = (reading,)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=STEP_LIMIT_S, check=False,
                env=self.environment, pass_fds=pass_fds,
            )  # fmt: skip
        finally:
            for descriptor in pass_fds:
                os.close(descriptor)
        if expect is not None:
            assert done.returncode == expect, done.stdout + done.stderr
        return done

    def verify(self, document: pathlib.Path, *, expect: int = 0) -> dict[str, Any]:
        return verify(document, self.root, expect=expect)

    def person(self, person_code: str) -> dict[str, Any]:
        return next(one for one in self.description["people"] if one["person_code"] == person_code)

    def card(self, person_code: str) -> dict[str, Any]:
        return next(one for one in self.description["cards"] if one["person_code"] == person_code)

    def api(self, scope: str | None = None) -> "Api":
        return Api(self.base_url, self.description["api_client"], scope)

    def office(self) -> "Office":
        return Office(self.folder / "sandbox.json")

    @property
    def log(self) -> str:
        return (self.folder / "imza.log").read_text(errors="replace")

    @property
    def output(self) -> str:
        return self.folder.with_suffix(".out").read_text(errors="replace")

    def insert_card(self, reader: str, card: pathlib.Path) -> None:
        self._command_station(command="insert", reader=reader, card=str(card))

    def remove_card(self, reader: str) -> None:
        self._command_station(command="remove", reader=reader)

    def pull_card_at(
        self, reader: str, instruction: int | None, *, answered: bool, passing: int = 0
    ) -> None:
        """Have the card taken out at a command of a kind, or of any, after some that pass."""
        self._command_station(
            command="pull-at",
            reader=reader,
            pull={"instruction": instruction, "answered": answered, "passing": passing},
        )

    def _command_station(self, **request: object) -> None:
        """Do what a hand does at a reader, through the station's control socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(str(self.folder / "pcscd" / "control.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        assert "error" not in answer, answer

    def stop(self, *, kill: bool = False) -> None:
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait(30)


def verify(document: pathlib.Path, root: pathlib.Path, *, expect: int = 0) -> dict[str, Any]:
    """What `imza verify` says of a document, trusting one root."""
    done = subprocess.run(
        [*IMZA, "verify", str(document), "--trust", str(root), "--json"],
        capture_output=True, text=True, timeout=STEP_LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _send(method: str, url: str, **sending: Any) -> outbound.Reply:
    with contextlib.closing(outbound.Client(timeout_s=90)) as client:
        return client.send(method, url, **sending)


def ready(base_url: str) -> bool:
    """Whether a zone says of itself that it can work."""
    return _send("GET", f"{base_url}/readyz", expect=(200, 503)).status == 200


class Api:
    """A portal's client, written against the contract alone."""

    def __init__(self, base_url: str, client: Mapping[str, Any], scope: str | None = None) -> None:
        self._base_url = base_url
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client["client_id"],
                "client_secret": client["client_secret"],
                **({} if scope is None else {"scope": scope}),
            }
        )
        answer: Any = _send(
            "POST", f"{base_url}/oauth2/token", body=form.encode(),
            content_type="application/x-www-form-urlencoded",
        ).json()  # fmt: skip
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def call(
        self, method: str, path: str, value: object = None, *, expect: Sequence[int] = (200, 201)
    ) -> Any:
        """A JSON call; the answer's status is among `expect`."""
        body = None if value is None else json.dumps(value).encode()
        reply = _send(
            method, f"{self._base_url}{path}", body=body,
            content_type="application/json" if body is not None else None,
            headers=self.headers, expect=expect,
        )  # fmt: skip
        return reply.json() if "json" in reply.content_type else reply.body

    def open_session(
        self,
        document: bytes,
        parameters: Mapping[str, object],
        *,
        name: str = "contract.pdf",
        expect: Sequence[int] = (201,),
    ) -> Any:
        boundary = "b0undary"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        body = (
            (
                f'{head}parameters"\r\n\r\n{json.dumps(parameters)}\r\n'
                f'{head}document"; filename="{name}"\r\n\r\n'
            ).encode()
            + document
            + f"\r\n--{boundary}--\r\n".encode()
        )
        return _send(
            "POST", f"{self._base_url}/api/v1/signing-sessions", body=body,
            content_type=f"multipart/form-data; boundary={boundary}",
            headers=self.headers, expect=expect,
        ).json()  # fmt: skip

    def upload(
        self, path: str, documents: Sequence[pathlib.Path], parameters: Mapping[str, object]
    ) -> Any:
        """Send documents with their parameters, as a form."""
        form = multipart.build(
            [
                multipart.Part("parameters", json.dumps(parameters).encode(), "application/json"),
                *(multipart.file_part("document", one) for one in documents),
            ]
        )
        return _send(
            "POST", f"{self._base_url}{path}", body=form.body, content_type=form.content_type,
            headers=self.headers, expect=(201,),
        ).json()  # fmt: skip

    def wait(self, session_id: str, until: Sequence[str], *, limit_s: float = 60) -> Any:
        deadline = time.monotonic() + limit_s
        while True:
            state = self.call("GET", f"/api/v1/signing-sessions/{session_id}?wait=5")
            if state["state"] in until or time.monotonic() > deadline:
                return state
            time.sleep(0.1)


class Office:
    """A registration office with operators of every role, each of whom makes their own calls.

    As contract and RFC 9421 have it; a file such as `sandbox.json` names the operators.
    """

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file

    def register(self, person_code: str) -> None:
        """Have a TEST citizen in a sandbox's local register, as an import would."""
        settings = self._file.parent / "config" / "ca.toml"
        if not settings.exists():
            return
        config = configs.read(settings)
        if config.register is None or config.database is None:
            return
        engine = database.connect(config.database.url)
        with database.session_factory(engine)() as session:
            session.merge(
                register_tables.RegisteredPersonRow(
                    country="AZ", person_code=person_code, surname="Həsənova",
                    given_name="Ülkər", state="alive",
                )
            )  # fmt: skip
            session.commit()
        engine.dispose()

    def call(
        self, method: str, path: str, value: object = None, *, expect: Sequence[int] = (200, 201)
    ) -> Any:
        """A JSON call, signed by whoever it is for; the answer's status is among `expect`."""
        role = next(
            (one for part, one in CALLS_OF_OTHERS.items() if part in path), roles.Role.RA_OFFICER
        )
        place = operator_credentials.read_place(self._file)
        with contextlib.ExitStack() as opened:
            ask = operator_credentials.ask_on(None)
            operator = operator_credentials.open_credential(place.file_of(role), ask, opened)
            client = opened.enter_context(contextlib.closing(outbound.Client(timeout_s=90)))
            sender = signed_requests.SignedSender(
                client, place.server, lambda _: operator, clock.SystemClock()
            )
            body = b"" if value is None else json.dumps(value).encode()
            reply = sender.send(
                role, method, path, body=body, expect=expect,
                content_type=None if value is None else "application/json",
            )  # fmt: skip
        return reply.json() if "json" in reply.content_type else reply.body


@contextlib.contextmanager
def sandbox(folder: pathlib.Path, *options: str) -> Iterator[World]:
    """Run `imza sandbox` in a folder on free ports, until the end of the block."""
    world = start_sandbox(folder, *options)
    try:
        yield world
    finally:
        if world.process.poll() is None:
            world.stop()


def start_sandbox(
    folder: pathlib.Path,
    *options: str,
    command: Sequence[str] = IMZA,
    environment: Mapping[str, str] | None = None,
) -> World:
    """Start `imza sandbox` and return when it is ready.

    Args:
        folder: DIR.
        options: Others than DIR and the ports.
        command: How `imza` is called.
        environment: Instead of this process's own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".out")
    path = folder / "sandbox.json"
    before = _written_at(path)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "sandbox", "--dir", str(folder), "--port", "0", "--tls-port", "0", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if environment is None else environment),
        )
    deadline = time.monotonic() + READY_LIMIT_S
    while _written_at(path) in (None, before):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(log.read_text(errors="replace"))
        time.sleep(0.05)
    return World(folder, json.loads(path.read_text(encoding="utf-8")), process)


def _written_at(path: pathlib.Path) -> int | None:
    """When a file was written; a sandbox that starts again removes the old one meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


@dataclasses.dataclass
class Zones:
    """Every zone as a process of its own, on ports of its own."""

    installation: installation.Installation
    addresses: installation.Addresses
    processes: dict[str, "subprocess.Popen[bytes]"]
    prefixes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """What stands before the command of a zone."""

    @property
    def operators(self) -> pathlib.Path:
        return self.installation.operators_folder / sandbox_operators.FILE_NAME

    def office(self) -> Office:
        return Office(self.operators)

    def start(self, zone: str, *, failpoint: str | None = None) -> None:
        self.launch(zone, failpoint=failpoint)
        self.await_ready(zone)

    def launch(self, zone: str, *, failpoint: str | None = None) -> None:
        armed = {} if failpoint is None else {failpoints.VARIABLE: failpoint}
        with (self.installation.folder / f"{zone}.log").open("ab") as log:
            self.processes[zone] = subprocess.Popen(
                [*self.prefixes.get(zone, ()), *IMZA, "serve", zone,
                 "--config", str(self.installation.config_path(zone)),
                 # The responder reads what the CA zone has made.
                 *(() if zone == "ocsp" else ("--upgrade-database",))],
                stderr=log, env={**os.environ, **armed},
            )  # fmt: skip

    def await_ready(self, zone: str) -> None:
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                _send("GET", f"{self.addresses.of(zone)}/readyz")
                break
            except outbound.PeerUnavailableError:
                assert self.processes[zone].poll() is None, self.log(zone)
                assert time.monotonic() < deadline, self.log(zone)
                time.sleep(0.05)

    def stop(self, zone: str) -> None:
        process = self.processes.pop(zone)
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    def change(self, zone: str, section: str, **values: object) -> None:
        """Set entries of a zone's settings file; None removes one. The next start reads them."""
        path = self.installation.config_path(zone)
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        merged = {**content.get(section, {}), **values}
        content[section] = {name: one for name, one in merged.items() if one is not None}
        path.write_text(tomli_w.dumps(content), encoding="utf-8")

    @contextlib.contextmanager
    def dying_at(self, zone: str, failpoint: str) -> Iterator[None]:
        """Arm a zone; the block makes it die there; afterwards it runs again, unarmed."""
        self.stop(zone)
        self.start(zone, failpoint=failpoint)
        try:
            yield
            assert self.processes[zone].wait(20) == -signal.SIGKILL, self.log(zone)
        finally:
            # Whatever went wrong in the block, the next test finds the zone as it was.
            self.processes[zone].kill()
            self.processes[zone].wait()
            self.start(zone)

    def log(self, zone: str) -> str:
        return (self.installation.folder / f"{zone}.log").read_text(errors="replace")


@contextlib.contextmanager
def zones_apart(
    folder: pathlib.Path,
    *,
    started: Sequence[str] = ZONES,
    database_url: str | None = None,
    settings: Mapping[tuple[str, str], Mapping[str, object]] | None = None,
    prefixes: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Zones]:
    """Lay out an installation, make its authorities, and start zones, each as a process.

    Args:
        folder: Where it lies.
        started: Which zones.
        database_url: One database for all zones, instead of a SQLite file for each.
        settings: Entries of a zone's section before it starts, as `Zones.change` sets them.
        prefixes: What stands before the command of a zone.
    """
    urls = {zone: f"http://127.0.0.1:{servers.free_port()}" for zone in ZONES}
    addresses = installation.Addresses(**urls)
    world = installation.Installation(folder)
    world.lay_out(addresses, database_url=database_url)
    zones = Zones(world, addresses, {}, prefixes or {})
    for (zone, section), values in (settings or {}).items():
        zones.change(zone, section, **values)
    subprocess.run(
        [*IMZA, "ca", "init", "--config", str(world.config_path("ca")), "--out", str(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        config = configs.read(world.config_path("ca"))
        sandbox_operators.enrol(opened, config, world.operators_folder, addresses.ca)
    try:
        for zone in started:
            zones.launch(zone)
        for zone in started:
            zones.await_ready(zone)
        yield zones
    finally:
        for zone in list(zones.processes):
            zones.stop(zone)


@dataclasses.dataclass(frozen=True)
class Signer:
    """A person whose key this test holds, certified through the registration API."""

    certificate_der: bytes
    serial_number: str
    key: hierarchy.MemoryKey

    def parameters(self, level: str, **others: object) -> dict[str, object]:
        return {
            "format": "PAdES",
            "level": level,
            "packaging": "enveloped",
            "signer": {"certificate": base64.b64encode(self.certificate_der).decode()},
            **others,
        }

    def value(self, opened: Mapping[str, Any]) -> dict[str, str]:
        """The signature value of a session's representation, as the API takes it."""
        shown = opened["representation"]
        value = self.key.sign(
            signature.DataToBeSignedRepresentation(
                algorithms.HashAlgorithm(shown["hash_algorithm"]), base64.b64decode(shown["hash"])
            )
        )
        return {
            "signature_value": base64.b64encode(value.value).decode(),
            "signature_algorithm": value.algorithm.value,
            "hash_algorithm": value.hash_algorithm.value,
        }


@dataclasses.dataclass(frozen=True)
class Applicant:
    """An approved application of a TEST citizen, and the key that is to be certified."""

    application_id: str
    key: ec.EllipticCurvePrivateKey

    def request(self, office: Office, profile: str = "sign") -> Signer:
        """Ask for the certificate; the same key each time, so the same request."""
        csr = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER)
        )
        issued = office.call(
            "POST",
            f"/ra/v1/applications/{self.application_id}/certificates",
            {"profile": profile, "csr": base64.b64encode(csr).decode()},
        )
        return Signer(
            base64.b64decode(issued["certificate"]),
            issued["serial_number"],
            hierarchy.MemoryKey("test", self.key),
        )


def apply(office: Office, person_code: str) -> Applicant:
    """Apply for a TEST citizen, and have it approved."""
    office.register(person_code)
    application = office.call(
        "POST",
        "/ra/v1/applications",
        {
            "category": "citizen",
            "person": {
                "country": "AZ",
                "person_code": person_code,
                "surname": "Həsənova",
                "given_name": "Ülkər",
            },
            "organisation": None,
            "title": None,
            "vetting": {
                "method": "in_person",
                "documents": [
                    {
                        "kind": "passport",
                        "country": "AZ",
                        "number": "TEST1",
                        "expires": "2099-12-31",
                    }
                ],
            },
        },
    )
    return Applicant(application["id"], ec.generate_private_key(ec.SECP256R1()))


def certify(office: Office, person_code: str = "9ZZ99ZZ", profile: str = "sign") -> Signer:
    """Make a key, have it certified for a TEST citizen, and return both."""
    return apply(office, person_code).request(office, profile)
