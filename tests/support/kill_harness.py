"""Kill a certification authority at each failpoint, many times, and count what was lost.

    python -m tests.support.kill_harness --runs 50 --database sqlite

The keys lie in SoftHSM behind OpenSC's pkcs11-spy, whose log is the module's own record of what
it signed: this product's code writes none of it. At the end every signature in that record must
be known to the database, once, and every serial number must have its end and its status.
"""

import argparse
import base64
import collections
import contextlib
import dataclasses
import hashlib
import http.client
import json
import multiprocessing
import os
import pathlib
import queue
import re
import signal
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence

import sqlalchemy
import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp as x509_ocsp

from ca import subjects
from ca.applications import states, vetting_record
from ca.operators import roles
from imza import config as configs
from imza import installation
from imza.wiring import founding, resources, zone, zones
from pki import clock, database, failpoints, outbound, registration, registry, web
from pki import vetting as vettings
from pki.keystore import signature_log
from tests.support import crls, kill_server, postgresql, servers, softhsm

SPY = (
    pathlib.Path("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so"),
    pathlib.Path("/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so"),
    pathlib.Path("/usr/lib/aarch64-linux-gnu/pkcs11-spy.so"),
)
TOKEN = "TEST killed authority"
WORKERS = 4
DEATH_LIMIT_S = 120.0
MAX_REFUSALS = 1000
"""Somebody who is refused asks again; where all are, there is no end to it."""

_ROWS = r"(?:    [0-9A-F]{8} [^\n]*\n)+"
_SIGNED = re.compile(
    rf"\d+: C_Sign\n[^\n]*\n\[in\] hSession[^\n]*\n\[in\] pData[^\n]*\n({_ROWS})"
    rf"\[out\] pSignature\[\*pulSignatureLen\] [0-9a-f]+ / \d+\n{_ROWS}"
    r"Returned:  0 CKR_OK"
)
_HEX_ROW = re.compile(r"    [0-9A-F]{8} ((?: [0-9A-F]{2})+)")


class SpyMissingError(RuntimeError):
    """OpenSC's pkcs11-spy is not installed."""


def spy_path() -> pathlib.Path:
    for path in SPY:
        if path.exists():
            return path
    raise SpyMissingError("pkcs11-spy is not installed (apt install opensc-pkcs11)")


def signed_hashes(record: str) -> list[str]:
    """What a module signed, by the record of pkcs11-spy; asking for a length alone is none."""
    found = []
    for match in _SIGNED.finditer(record):
        rows = _HEX_ROW.findall(match.group(1))
        found.append("".join(rows).replace(" ", "").lower())
    return found


@dataclasses.dataclass
class Asked:
    """A request for a certificate, and the serial number that the client was given."""

    application_id: str
    csr_der: bytes
    serial_number: str | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of the kills at one failpoint."""

    failpoint: str
    kills: int
    signed: int
    issued: int
    abandoned: int
    unknown: int
    duplicates: int
    open: int
    good: int
    revoked: int
    unanswered: int
    undelivered: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        return not (
            self.unknown or self.duplicates or self.open or self.unanswered or self.undelivered
        )


COLUMNS = [field.name for field in dataclasses.fields(Row)]


class Harness:
    """An authority in a folder, the requests that were made of it, and the module's record."""

    def __init__(self, folder: pathlib.Path, database_url: str | None) -> None:
        self._folder = folder
        self._environment = {
            "SOFTHSM2_CONF": str(folder / "hsm" / "softhsm2.conf"),
            "PKCS11SPY": str(softhsm.module_path()),
            "PKCS11SPY_OUTPUT": str(folder / "spy.log"),
        }
        self._record = folder / "spy.log"
        self._config_path = self._lay_out(database_url)
        self._config = configs.read(self._config_path)
        self._waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._all: list[Asked] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.support.kill_server"])
        url = configs.require(self._config.database, "database").url
        self._engine = database.connect(url)
        self._sessions = database.session_factory(self._engine)
        self.failures: collections.Counter[str] = collections.Counter()

    def _lay_out(self, database_url: str | None) -> pathlib.Path:
        hsm = self._folder / "hsm"
        (hsm / "tokens").mkdir(parents=True)
        (hsm / "softhsm2.conf").write_text(
            f"directories.tokendir = {hsm}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        pin = self._folder / "pin"
        pin.touch(mode=0o600)
        pin.write_text(softhsm.PIN)
        world = installation.Installation(self._folder / "world")
        address = f"http://127.0.0.1:{servers.free_port()}"
        world.lay_out(installation.Addresses.together(address), database_url=database_url)
        path = world.config_path("ca")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        content["keystore"] = {
            "kind": "pkcs11",
            "module": str(spy_path()),
            "token": TOKEN,
            "secret_file": str(pin),
        }
        path.write_text(tomli_w.dumps(content), encoding="utf-8")
        return path

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def found(self) -> None:
        """Make the authorities, in a process of its own: this one never loads the module."""
        with _environment(self._environment):
            softhsm.make_token(TOKEN)
        process = self._context.Process(
            target=found_authorities, args=(self._config_path, self._environment)
        )
        process.start()
        process.join(120)
        if process.exitcode != 0:
            raise RuntimeError("the authorities were not made")
        # The first start certifies keys of the zone's own.
        self._run(None)

    def kill_at(self, failpoint: str, runs: int) -> Row:
        """Kill the authority at one place so many times; then let it recover and count."""
        began = time.monotonic()
        offset = self._record.stat().st_size
        with self._sessions() as session:
            first = session.scalar(sqlalchemy.func.max(registry.CertificateRow.id)) or 0
        for run in range(runs):
            # Others are elsewhere on their way when one arrives for the n-th time.
            self._run(f"{failpoint}:{1 + run % WORKERS}")
        open_after_restart = self._run(None)
        return self._count(failpoint, runs, offset, first, open_after_restart, began)

    def _run(self, failpoint: str | None) -> int:
        """Start, send requests until it dies (or all are answered); return the open serials."""
        self._prepare(0 if failpoint is None else 3 * WORKERS)
        armed = {} if failpoint is None else {failpoints.VARIABLE: failpoint}
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=kill_server.serve,
            args=(self._config_path, {**self._environment, **armed}, theirs),
        )
        process.start()
        theirs.close()
        if not ours.poll(DEATH_LIMIT_S):
            raise RuntimeError("the authority did not start")
        ours.recv()
        with self._sessions() as session:
            still_open = session.scalars(
                sqlalchemy.select(registry.CertificateRow.serial_number).where(
                    registry.CertificateRow.state == registry.CertificateState.INTENDED.value
                )
            ).all()
        threads = [threading.Thread(target=self._ask_all) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEATH_LIMIT_S)
        if self.failures.total() > MAX_REFUSALS:
            process.kill()
            raise RuntimeError(f"the authority refuses everything: {dict(self.failures)}")
        if failpoint is None:
            ours.send("end")
        process.join(DEATH_LIMIT_S)
        expected = 0 if failpoint is None else -signal.SIGKILL
        if process.exitcode != expected:
            process.kill()
            raise RuntimeError(f"{failpoint}: expected exit {expected}, got {process.exitcode}")
        ours.close()
        return len(still_open)

    def _prepare(self, count: int) -> None:
        """Record and approve so many applications, with the function that the API calls."""
        at = clock.SystemClock().now()
        with self._sessions() as session:
            while self._waiting.qsize() < count:
                applicant = subjects.Applicant(
                    registration.Category.CITIZEN,
                    registration.Person("AZ", f"{len(self._all):07X}", "TEST", "TEST"),
                )
                operator = roles.Operator("kill-harness", roles.Role.RA_OFFICER)
                made = states.record_application(session, applicant, at, operator=operator)
                passport = vettings.Document.parse("passport:AZ:TEST1:2099-12-31")
                record = vetting_record.VettingRecord(
                    vettings.Method.IN_PERSON, operator.name, at, (passport,)
                )
                states.vet_application(
                    session,
                    made.id,
                    record,
                    at,
                    operator=operator,
                    expected_hash=made.request_hash,
                )
                asked = Asked(made.id, _csr())
                self._all.append(asked)
                self._waiting.put(asked)
            session.commit()

    def _ask_all(self) -> None:
        address = (self._config.server.host, self._config.server.port)
        client = http.client.HTTPConnection(*address, timeout=DEATH_LIMIT_S)
        with contextlib.closing(client):
            while True:
                try:
                    asked = self._waiting.get_nowait()
                except queue.Empty:
                    return
                body = json.dumps(
                    {"profile": "sign", "csr": base64.b64encode(asked.csr_der).decode()}
                )
                try:
                    client.request(
                        "POST",
                        f"/ra/v1/applications/{asked.application_id}/certificates",
                        body,
                        {"Content-Type": "application/json"},
                    )
                    reply = client.getresponse()
                    answer = json.loads(reply.read())
                except (OSError, http.client.HTTPException):
                    # It died: the client asks again, in the same words, when it is back.
                    self._waiting.put(asked)
                    return
                if reply.status == 201:
                    asked.serial_number = registry.serial_key(int(answer["serial_number"], 16))
                else:
                    self.failures[f"{reply.status} {answer.get('code')}"] += 1
                    self._waiting.put(asked)
                    if self.failures.total() > MAX_REFUSALS:
                        return

    def _count(
        self, failpoint: str, runs: int, offset: int, first: int, still_open: int, began: float
    ) -> Row:
        text = self._record.read_bytes()[offset:].decode("ascii", "replace")
        signed = collections.Counter(signed_hashes(text))
        with self._sessions() as session:
            rows = session.scalars(
                sqlalchemy.select(registry.CertificateRow).where(registry.CertificateRow.id > first)
            ).all()
            lists = crls.to_be_signed(session)
            known = {
                hashlib.sha384(one).hexdigest()
                for one in (*(row.to_be_signed_der for row in rows), *lists)
            }
            serials = collections.Counter((one.issuer_name, one.serial_number) for one in rows)
            answered = collections.Counter(
                row.request_key
                for row in rows
                if row.state == registry.CertificateState.ISSUED.value
            )
        logged = {
            line.fields["representation"]
            for line in signature_log.read_lines(self._signature_log)
            if line.event is signature_log.Event.INTENDED
        }
        issued = {row.serial_number for row in rows if row.certificate_der is not None}
        told = {one.serial_number for one in self._all}
        states_of = collections.Counter(row.state for row in rows)
        statuses = self._statuses(
            [row for row in rows if hashlib.sha384(row.to_be_signed_der).hexdigest() in signed]
        )
        return Row(
            failpoint=failpoint,
            kills=runs,
            signed=signed.total(),
            issued=states_of[registry.CertificateState.ISSUED.value],
            abandoned=states_of[registry.CertificateState.ABANDONED.value],
            # Unknown to the database, or to our own log of signatures.
            unknown=sum(1 for one in signed if one not in known or one not in logged),
            duplicates=sum(
                count - 1 for counted in (signed, serials, answered) for count in counted.values()
            ),
            open=still_open + states_of[registry.CertificateState.INTENDED.value],
            good=statuses[x509_ocsp.OCSPCertStatus.GOOD],
            revoked=statuses[x509_ocsp.OCSPCertStatus.REVOKED],
            unanswered=statuses[x509_ocsp.OCSPCertStatus.UNKNOWN]
            + abs(statuses[x509_ocsp.OCSPCertStatus.GOOD] - len(issued)),
            undelivered=(None in told) + len(issued - told),
            seconds=round(time.monotonic() - began, 1),
        )

    @property
    def _signature_log(self) -> pathlib.Path:
        return resources.signature_log_path(self._config)

    def _statuses(
        self, rows: Sequence[registry.CertificateRow]
    ) -> "collections.Counter[x509_ocsp.OCSPCertStatus]":
        """What the responder says of each serial number that the module signed."""
        config = configs.read(self._config_path.with_name("ocsp.toml"))
        found: collections.Counter[x509_ocsp.OCSPCertStatus] = collections.Counter()
        with (
            contextlib.closing(resources.Resources(clock.SystemClock())) as opened,
            contextlib.closing(outbound.Client()) as client,
            _served(zones.build(opened, "ocsp", config)) as url,
        ):
            with self._sessions() as session:
                issuers = {one.name: one.certificate for one in registry.issuers(session)}
            for row in rows:
                answer = client.send(
                    "POST",
                    f"{url}/ocsp",
                    body=_status_request(issuers[row.issuer_name], int(row.serial_number, 16)),
                    content_type="application/ocsp-request",
                ).body
                found[x509_ocsp.load_der_ocsp_response(answer).certificate_status] += 1
        return found


def _served(built: zone.Zone) -> contextlib.AbstractContextManager[str]:
    """A zone that answers, as `imza serve` has it."""
    return servers.serve(web.application(built.name, built.routers, built.endpoints))


def found_authorities(path: pathlib.Path, environment: dict[str, str]) -> None:
    """Do what `imza ca init` does."""
    os.environ.update(environment)
    config = configs.read(path)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        founding.initialise(opened, config)


@contextlib.contextmanager
def databases(kind: str, folder: pathlib.Path) -> Iterator[str | None]:
    """The address of an empty database; None for SQLite in the world's folder."""
    if kind == "sqlite":
        yield None
        return
    with postgresql.private_server(folder) as url:
        yield url


def play(
    kind: str, runs: int, names: Sequence[str] = failpoints.ISSUANCE
) -> tuple[list[Row], dict[str, int]]:
    """Kill at every failpoint so many times, on one kind of database."""
    with (
        tempfile.TemporaryDirectory(prefix="imza-kill-") as base,
        databases(kind, pathlib.Path(base) / "pg") as url,
        contextlib.closing(Harness(pathlib.Path(base) / "ca", url)) as harness,
    ):
        harness.found()
        return [harness.kill_at(name, runs) for name in names], dict(harness.failures)


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [COLUMNS, *([str(getattr(row, name)) for name in COLUMNS] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _csr() -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    key = ec.generate_private_key(ec.SECP256R1())
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _status_request(issuer: x509.Certificate, serial_number: int) -> bytes:
    key_hash = x509.SubjectKeyIdentifier.from_public_key(
        issuer.public_key()  # type: ignore[arg-type]
    ).digest
    # A CertID names an issuer by SHA-1 (RFC 6960 4.1.1); nothing depends on its strength.
    name_hash = hashlib.sha1(issuer.subject.public_bytes(), usedforsecurity=False).digest()
    return (
        x509_ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(name_hash, key_hash, serial_number, hashes.SHA1())  # noqa: S303
        .build()
        .public_bytes(serialization.Encoding.DER)
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.kill_harness")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    chosen = parser.parse_args(arguments)
    clean = True
    for kind in chosen.database or ("sqlite", "postgresql"):
        began = time.monotonic()
        rows, failures = play(kind, chosen.runs)
        print(f"{kind}: {chosen.runs} kills at each failpoint,", end=" ")  # noqa: T201
        print(f"{time.monotonic() - began:.0f} s, other answers: {failures}")  # noqa: T201
        print(table(rows), flush=True)  # noqa: T201
        clean = clean and all(row.is_clean for row in rows)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
