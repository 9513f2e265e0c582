import pathlib
from collections.abc import Callable

import pytest
import sqlalchemy

from imza import migrations, schema
from pki import database
from tests.support import servers


def test_the_migrated_database_has_exactly_the_tables_in_code(
    empty_engine: sqlalchemy.Engine,
) -> None:
    schema.upgrade(empty_engine)
    assert schema.differences(empty_engine) == []
    schema.check(empty_engine)


def test_a_difference_would_be_found(empty_engine: sqlalchemy.Engine) -> None:
    schema.upgrade(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE audit_entries ADD COLUMN planted TEXT"))
    (found,) = schema.differences(empty_engine)
    assert "planted" in str(found)


def test_upgrading_twice_changes_nothing(empty_engine: sqlalchemy.Engine) -> None:
    schema.upgrade(empty_engine)
    before = sqlalchemy.inspect(empty_engine).get_table_names()
    schema.upgrade(empty_engine)
    assert sqlalchemy.inspect(empty_engine).get_table_names() == before
    schema.check(empty_engine)


def test_an_empty_database_is_refused_with_what_to_do(empty_engine: sqlalchemy.Engine) -> None:
    with pytest.raises(schema.OutdatedSchemaError, match=r"no tables.*--upgrade-database"):
        schema.check(empty_engine)


def test_a_database_of_another_version_is_refused(empty_engine: sqlalchemy.Engine) -> None:
    schema.upgrade(empty_engine)
    with empty_engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(schema.OutdatedSchemaError, match="found 0000"):
        schema.check(empty_engine)


def test_every_module_with_tables_is_listed(empty_engine: sqlalchemy.Engine) -> None:
    schema.import_tables()
    modules = {one.class_.__module__ for one in database.Base.registry.mappers}
    assert modules <= set(schema.TABLE_MODULES)


@pytest.mark.parametrize("call", [schema.check, schema.upgrade])
def test_a_database_that_is_away_is_told_without_its_password(
    call: Callable[[sqlalchemy.Engine], None], tmp_path: pathlib.Path
) -> None:
    server = f"postgresql://imza:s3cr3t@127.0.0.1:{servers.free_port()}/imza"
    for url in (server, f"sqlite:///{tmp_path}/missing/x.sqlite"):
        engine = database.connect(url)
        with pytest.raises(database.DatabaseError) as refused:
            call(engine)
        engine.dispose()
        assert "s3cr3t" not in refused.value.message


def test_the_newest_revision_is_known_by_its_file_alone(empty_engine: sqlalchemy.Engine) -> None:
    schema.upgrade(empty_engine)
    with empty_engine.connect() as connection:
        revision = connection.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version"))
    assert migrations.newest_revision() == revision
