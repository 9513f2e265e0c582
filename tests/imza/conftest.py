import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy

from pki import database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def empty_engine(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> Iterator[sqlalchemy.Engine]:
    """A database without a table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        engine = database.connect(f"sqlite:///{tmp_path}/empty.sqlite")
    else:
        engine = database.connect(request.getfixturevalue("postgresql_url"))
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
            connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()
