import datetime
import os
import pathlib
import tempfile
from collections.abc import Iterator

import pytest
import sqlalchemy

from pki import clock, database
from tests.support import hierarchy as hierarchy_support
from tests.support import postgresql


@pytest.fixture
def at() -> datetime.datetime:
    """The present of a test: the machine's, in whole seconds, as peers read their own clock."""
    return clock.whole_seconds(clock.SystemClock().now())


@pytest.fixture
def hierarchy(at: datetime.datetime) -> hierarchy_support.Hierarchy:
    return hierarchy_support.make_hierarchy(at)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="imza-pg-") as folder:
        try:
            with postgresql.private_server(pathlib.Path(folder)) as url:
                yield url
        except postgresql.PostgresqlMissingError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))


ON_POSTGRESQL = pytest.param("postgresql", marks=[pytest.mark.peer, pytest.mark.slow])
"""Each test of the database runs on both; `make test` leaves the second to `make test-all`."""


@pytest.fixture(params=["sqlite", ON_POSTGRESQL])
def engine(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[sqlalchemy.Engine]:
    """An empty database with every table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    else:
        engine = database.connect(request.getfixturevalue("postgresql_url"))
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
            connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
    database.Base.metadata.create_all(engine)
    yield engine
    engine.dispose()
