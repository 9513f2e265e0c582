"""The roles, views and settings of `deploy/postgresql/`, on a real server and its standby."""

import os
import pathlib
import tempfile
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.support import postgresql, status_zones
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.xdist_group("postgresql")]

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy" / "postgresql"


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with tempfile.TemporaryDirectory(prefix="imza-pg-") as folder:
        try:
            settings = [DEPLOY / "primary.conf"]
            with postgresql.running(pathlib.Path(folder), settings=settings) as started:
                started.psql("postgres", DEPLOY / "roles.sql")
                yield started
        except postgresql.PostgresqlMissingError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def service(server: postgresql.Server) -> Iterator[status_zones.StatusZones]:
    """The CA zone as the role that writes; the status responder as the role that reads."""

    def make_views() -> None:
        # It can be run again, after an update.
        for _ in range(2):
            server.psql("imza_ca", DEPLOY / "status-views.sql", user="imza_ca")

    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        status_zones.running(
            pathlib.Path(folder),
            database_url=server.address("imza_ca", "imza_ca"),
            reader_url=server.address("imza_ca", "imza_ocsp"),
            before_responder=make_views,
        ) as running,
    ):
        yield running


def connect(server: postgresql.Server, user: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(server.address("imza_ca", user), autocommit=True)


def test_the_reading_role_answers_and_learns_of_a_revocation(
    service: status_zones.StatusZones,
) -> None:
    (known,) = service.certify(1)
    assert service.status(known) == "good"
    assert service.status(service.unknown()) == "unknown"
    service.revoke(known)
    service.await_status(known, "revoked")


def test_the_reading_role_sees_no_name_and_writes_nothing(
    service: status_zones.StatusZones, server: postgresql.Server
) -> None:
    signer = worlds.certify(service.zones.office(), "5PR22PR")
    with connect(server, "imza_ca") as writer:
        tables = [
            str(name)
            for (name,) in writer.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
        ]
        assert {"certificates", "applications", "audit_entries"} <= set(tables)
    with connect(server, "imza_ocsp") as reader:
        for table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(sql.SQL("SELECT * FROM public.{}").format(sql.Identifier(table)))
        views = [
            str(name)
            for (name,) in reader.execute("SELECT viewname FROM pg_views WHERE schemaname='status'")
        ]
        for view in views:
            # Whatever is in them: no name, no number, nobody's certificate.
            shown = str(
                reader.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(view))).fetchall()
            )
            for secret in ("5PR22PR", "Həsənova", "Ülkər"):
                assert secret not in shown, view
        owned = reader.execute(
            "SELECT count(*) FROM certificates"
            " WHERE serial_number = %s AND certificate_der IS NULL",
            (f"{int(signer.serial_number, 16):040x}",),
        ).fetchone()
        assert owned == (1,)
        # Not even where the role takes its own default away.
        reader.execute("SET default_transaction_read_only = off")
        for statement in (
            "UPDATE certificates SET revoked_at = NULL",
            "DELETE FROM certificates",
            "INSERT INTO alembic_version VALUES ('0000')",
            "CREATE TABLE status.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE TEMPORARY TABLE mine (id int)",
        ):
            with pytest.raises(psycopg.errors.Error) as refused:
                reader.execute(statement.encode())
            assert isinstance(
                refused.value,
                psycopg.errors.InsufficientPrivilege
                | psycopg.errors.ObjectNotInPrerequisiteState
                | psycopg.errors.FeatureNotSupported,
            ), refused.value


@pytest.mark.parametrize("database", ["imza_tsa", "imza_mobile", "imza_signing"])
def test_no_role_enters_another_zones_database(server: postgresql.Server, database: str) -> None:
    for user in ("imza_ocsp", "imza_ca"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(server.address(database, user))
    psycopg.connect(server.address(database, database)).close()


def test_the_server_runs_with_the_settings_and_they_are_what_it_says(
    server: postgresql.Server,
) -> None:
    with connect(server, "imza") as asking:
        for name, value in (
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
            ("wal_level", "replica"),
            ("max_slot_wal_keep_size", "20GB"),
            ("log_parameter_max_length", "0"),
        ):
            assert asking.execute(f"SHOW {name}".encode()).fetchone() == (value,)


def test_the_server_reads_the_lines_about_who_may_enter(
    server: postgresql.Server,
) -> None:
    with connect(server, "imza") as asking:
        (path,) = asking.execute("SHOW hba_file").fetchone() or ("",)
        file = pathlib.Path(str(path))
        before = file.read_text()
        try:
            file.write_text((DEPLOY / "pg_hba.conf").read_text())
            found = asking.execute("SELECT line_number, error FROM pg_hba_file_rules").fetchall()
        finally:
            file.write_text(before)
    assert len(found) == 7
    # Without a certificate the server takes no TLS; else it would say nothing.
    said = {str(error) for _, error in found if error is not None}
    assert said <= {"hostssl record cannot match because SSL is disabled"}


def test_a_responder_reads_a_standby_and_learns_of_a_revocation_there(
    service: status_zones.StatusZones, server: postgresql.Server
) -> None:
    zones = service.zones
    (known,) = service.certify(1)
    with tempfile.TemporaryDirectory(prefix="imza-pg-") as folder:
        settings = [DEPLOY / "standby.conf"]
        with postgresql.running(pathlib.Path(folder), settings=settings, primary=server) as standby:
            with connect(standby, "imza") as looking:
                assert looking.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
            zones.stop("ocsp")
            zones.change("ocsp", "database", url=standby.address("imza_ca", "imza_ocsp"))
            try:
                zones.start("ocsp")
                service.await_status(known, "good")
                service.revoke(known)
                assert service.await_status(known, "revoked") < 2.0
            finally:
                zones.stop("ocsp")
                zones.change("ocsp", "database", url=server.address("imza_ca", "imza_ocsp"))
                zones.start("ocsp")
