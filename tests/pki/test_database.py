import datetime

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
