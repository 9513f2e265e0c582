import datetime
import pathlib

import pytest
import sqlalchemy
from sqlalchemy import orm

from pki import access, database, errors


def test_a_time_comes_back_aware_and_in_utc(engine: sqlalchemy.Engine) -> None:
    sessions = database.session_factory(engine)
    at = datetime.datetime(
        2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=4))
    )
    row = access._TokenRow(token_sha256="0" * 64, client_id="c", scopes="sign", expires_at=at)
    with sessions() as session:
        session.add(row)
        session.commit()
    with sessions() as session:
        found = session.scalars(sqlalchemy.select(access._TokenRow)).one()
    assert found.expires_at == at
    assert found.expires_at.tzinfo is datetime.UTC


def test_a_time_without_a_zone_is_refused(engine: sqlalchemy.Engine) -> None:
    naive = datetime.datetime(2026, 1, 2)  # noqa: DTZ001
    row = access._TokenRow(token_sha256="0" * 64, client_id="c", scopes="sign", expires_at=naive)
    with orm.Session(engine) as session:
        session.add(row)
        with pytest.raises(sqlalchemy.exc.StatementError, match="without"):
            session.flush()
        session.rollback()


def test_sqlite_is_durable_and_checks_foreign_keys(tmp_path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/x.sqlite")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(errors.InputError, match="mysql"):
        database.connect("mysql://localhost/x")


@pytest.mark.parametrize("missing", ["/nowhere/x.sqlite"])
def test_sqlite_file_that_cannot_be_opened_is_a_database_that_is_away(missing: str) -> None:
    engine = database.connect(f"sqlite:///{missing}")
    with pytest.raises(database.DatabaseError) as caught, engine.connect():
        pytest.fail("connected")
    assert missing not in caught.value.message
    engine.dispose()


@pytest.mark.peer
def test_server_that_is_away_is_a_database_that_is_away(tmp_path: pathlib.Path) -> None:
    engine = database.connect(f"postgresql://imza:secret@/postgres?host={tmp_path}")
    with pytest.raises(database.DatabaseError) as caught, engine.connect():
        pytest.fail("connected")
    assert caught.value.retriable
    assert "secret" not in str(caught.value)
    engine.dispose()


def test_full_disk_is_a_database_that_cannot_write(tmp_path: pathlib.Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/x.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x BLOB)")
        connection.exec_driver_sql("PRAGMA max_page_count=10")
        with pytest.raises(database.DatabaseError):
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(1000000))")
    engine.dispose()


def test_wrong_statement_stays_a_fault_of_ours(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError):
        connection.exec_driver_sql("SELECT * FROM no_such_table")


@pytest.mark.peer
def test_a_value_that_fits_no_column_is_an_input_error(postgresql_url: str) -> None:
    engine = database.connect(postgresql_url)
    with engine.connect() as connection:
        for value in ("\0", "TEST\0TEST"):
            with pytest.raises(database.UnstorableValueError) as refused:
                connection.execute(sqlalchemy.text("SELECT :value"), {"value": value})
            assert "TEST" not in refused.value.message
            connection.rollback()
    engine.dispose()
