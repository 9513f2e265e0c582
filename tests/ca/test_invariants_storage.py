"""Invariant 10: database down, full or read-only, or no room for the logs: no signature.

The disks are real ones, small tmpfs that are filled and made read-only; so is PostgreSQL that is
stopped. Everything is asked over HTTP, and the keys count what they sign.
"""

import base64
import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import fastapi
import httpx
import pytest
import sqlalchemy

from ca import hierarchy, intents
from ca.applications import api as applications_api
from imza import config as configs
from imza import health
from imza.wiring import resources
from pki import audit, clock, database, errors, registry, web
from pki.keystore import logged_store, signature_log, store
from tests.support import ca_world, disks, postgresql, servers
from tests.support.open_gate import OpenGate

TRIES = 40
"""Enough to use up what a full disk still has room for inside of files."""


class Office:
    """A registration API over an authority whose files are where a test wants them."""

    def __init__(self, url: str, log: pathlib.Path, anchors: pathlib.Path) -> None:
        self.at = clock.whole_seconds(clock.SystemClock().now())
        config = configs.parse(
            {
                "database": {"url": url},
                "audit": {"folder": str(anchors), "tsa_url": "http://tsa.example/tsa"},
            }
        )
        self.engine = database.connect(url)
        database.Base.metadata.create_all(self.engine)
        self.sessions = database.session_factory(self.engine)
        self.log = signature_log.SignatureLog(log, clock.FixedClock(self.at))
        self.guarded: logged_store.LoggedKeyStore | None = None

        def guard(keys: store.KeyStore) -> store.KeyStore:
            self.guarded = logged_store.LoggedKeyStore(
                keys, self.log, hierarchy.is_authority_key, needs=resources.rooms(config)
            )
            return self.guarded

        self.world = ca_world.make_world(self.sessions, self.at, guard=guard)
        self.requests = [(self.world.application(), ca_world.make_csr()) for _ in range(TRIES)]

    def app(self) -> fastapi.FastAPI:
        present = clock.FixedClock(self.at)
        assert self.guarded is not None
        probes = {
            "database": health.writable_database_probe(self.sessions),
            "signing": self.guarded.check_ready,
        }
        routes = applications_api.routes(self.world.desk, OpenGate(), present)
        return web.application("test", [routes], health.endpoints(probes, {}))

    def close(self) -> None:
        self.log.close()
        self.engine.dispose()

    @property
    def signatures(self) -> int:
        return self.world.keys.signatures

    def check_whole(self) -> None:
        """No serial is left open after a recovery, and both logs are whole."""
        intents.reconcile(self.sessions, self.at)
        with self.sessions() as session:
            audit.verify(session)
            found = session.scalars(sqlalchemy.select(registry.CertificateRow)).all()
            for row in found:
                assert registry.status_of(session, row.issuer_name, int(row.serial_number, 16))
            assert {row.state for row in found} <= {"issued", "abandoned"}
            known = {registry.serial_key(int(row.serial_number, 16)) for row in found}
        for one in signature_log.read_signatures(self.log.path):
            assert one.signed_object is not None
            assert one.signed_object.kind == "crl" or one.signed_object.number in known


class Caller:
    """Asks for one certificate after another."""

    def __init__(self, office: Office, client: httpx.Client) -> None:
        self._office = office
        self._client = client
        self._next = iter(range(TRIES))

    def ask(self) -> httpx.Response:
        application, csr_der = self._office.requests[next(self._next)]
        return self._client.post(
            f"/ra/v1/applications/{application}/certificates",
            json={"profile": "sign", "csr": base64.b64encode(csr_der).decode()},
        )

    def ready(self) -> tuple[int, dict[str, Any]]:
        reply = self._client.get("/readyz")
        return reply.status_code, reply.json()["checks"]

    def expect_certificate(self) -> None:
        reply = self.ask()
        assert reply.status_code == 201, reply.text
        assert self.ready()[0] == 200

    def expect_refusal(self, *, unready: str) -> None:
        """A clear error that invites to try again, nothing signed, and /readyz says what is it."""
        before = self._office.signatures
        reply = self.ask()
        assert reply.status_code == 503, reply.text
        assert reply.headers["content-type"] == web.PROBLEM_TYPE
        problem = reply.json()
        assert problem["retriable"]
        assert len(problem["detail"]) > 20
        assert self._office.signatures == before
        status, checks = self.ready()
        assert status == 503
        assert checks[unready].startswith("failed")


@contextlib.contextmanager
def calling(office: Office) -> Iterator[Caller]:
    with (
        servers.serve(office.app()) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        yield Caller(office, client)


def test_invariant_10_nothing_is_signed_while_the_databases_disk_is_full(
    tmp_path: pathlib.Path,
) -> None:
    with disks.small(tmp_path / "disk", "16m") as disk:
        office = Office(f"sqlite:///{disk.folder}/ca.sqlite", tmp_path / "log", tmp_path / "a")
        with calling(office) as caller:
            caller.expect_certificate()
            disk.fill()
            for _ in range(3):
                caller.expect_refusal(unready="database")
            disk.make_room()
            caller.expect_certificate()
        office.check_whole()
        office.close()


def test_invariant_10_a_database_that_fills_up_by_itself_signs_nothing_it_cannot_record(
    tmp_path: pathlib.Path,
) -> None:
    """Without the check beforehand: what SQLite itself says of a full disk stops the signing."""
    with disks.small(tmp_path / "disk", "16m") as disk:
        office = Office(f"sqlite:///{disk.folder}/ca.sqlite", tmp_path / "log", tmp_path / "a")
        disk.fill()
        before = office.signatures
        refused = 0
        with office.sessions() as session:
            recorded = session.scalar(sqlalchemy.select(sqlalchemy.func.max(audit.EntryRow.number)))
            try:
                for _ in range(10_000):
                    audit.append(
                        session,
                        audit.AuditEvent.CERTIFICATE_INTENDED,
                        office.at,
                        actor="test",
                        details={"serial_number": "00" * 1000},
                    )
                session.commit()
            except database.DatabaseError as error:
                refused += 1
                assert "nothing was changed" in error.message  # noqa: PT017
        assert refused == 1
        assert office.signatures == before
        with office.sessions() as session:
            head = audit.verify(session)
        assert head.number == recorded
        disk.make_room()
        with calling(office) as caller:
            caller.expect_certificate()
        office.check_whole()
        office.close()


def test_invariant_10_nothing_is_signed_while_the_databases_disk_is_read_only(
    tmp_path: pathlib.Path,
) -> None:
    with disks.small(tmp_path / "disk", "16m") as disk:
        office = Office(f"sqlite:///{disk.folder}/ca.sqlite", tmp_path / "log", tmp_path / "a")
        with calling(office) as caller:
            caller.expect_certificate()
            office.engine.dispose()  # A disk with open files is not made read-only.
            with disk.read_only():
                for _ in range(3):
                    caller.expect_refusal(unready="database")
                office.engine.dispose()
            caller.expect_certificate()
        office.check_whole()
        office.close()


@pytest.mark.parametrize("lost", ["log", "anchors"])
def test_invariant_10_nothing_is_signed_while_a_logs_disk_is_full(
    tmp_path: pathlib.Path, lost: str
) -> None:
    with disks.small(tmp_path / "disk") as disk:
        places = {"log": tmp_path / "x" / "log", "anchors": tmp_path / "x"}
        places[lost] = disk.folder / places[lost].name
        office = Office(f"sqlite:///{tmp_path}/ca.sqlite", places["log"], places["anchors"])
        with calling(office) as caller:
            caller.expect_certificate()
            disk.fill()
            serials = _serials(office)
            for _ in range(3):
                caller.expect_refusal(unready="signing")
            # It is known beforehand, so no serial number is spent.
            assert _serials(office) == serials
            disk.make_room()
            caller.expect_certificate()
        office.check_whole()
        office.close()


def test_invariant_10_nothing_is_signed_while_the_audit_sink_is_gone_or_read_only(
    tmp_path: pathlib.Path,
) -> None:
    with disks.small(tmp_path / "disk") as disk:
        anchors = disk.folder / "anchors"
        office = Office(f"sqlite:///{tmp_path}/ca.sqlite", tmp_path / "log", anchors)
        with calling(office) as caller:
            caller.expect_certificate()
            anchors.rename(disk.folder / "elsewhere")
            caller.expect_refusal(unready="signing")
            (disk.folder / "elsewhere").rename(anchors)
            caller.expect_certificate()
            with disk.read_only():
                caller.expect_refusal(unready="signing")
            caller.expect_certificate()
        office.check_whole()
        office.close()


@pytest.mark.peer
def test_invariant_10_nothing_is_signed_while_postgresql_is_down(
    tmp_path: pathlib.Path,
) -> None:
    with contextlib.ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="imza-pg-"))
        try:
            server = held.enter_context(postgresql.running(pathlib.Path(folder)))
        except postgresql.PostgresqlMissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        office = Office(server.url, tmp_path / "log", tmp_path / "anchors")
        with calling(office) as caller:
            caller.expect_certificate()
            server.stop()
            for _ in range(3):
                caller.expect_refusal(unready="database")
            server.start()
            caller.expect_certificate()
        office.check_whole()
        office.close()


def _serials(office: Office) -> int:
    with office.sessions() as session:
        return len(session.scalars(sqlalchemy.select(registry.CertificateRow.id)).all())


def test_a_standby_database_is_not_ready(postgresql_url: str) -> None:
    engine = sqlalchemy.create_engine(
        postgresql_url.replace("postgresql://", "postgresql+psycopg://"),
        connect_args={"options": "-c default_transaction_read_only=on"},
    )
    with pytest.raises(errors.StorageError, match="standby"):
        health.writable_database_probe(database.session_factory(engine))()
    engine.dispose()
