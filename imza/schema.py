"""The tables of every package: bring a database to the newest revision, or say that it is not.

One history serves SQLite and PostgreSQL; each zone's database holds all tables and uses its own.
"""

import contextlib
import importlib
import pathlib
from collections.abc import Iterator

import sqlalchemy
from alembic import command, config, script
from alembic.runtime import migration

from pki import database, errors

TABLE_MODULES = (
    "pki.access",
    "pki.audit",
    "pki.registry",
    "pki.registry_lock",
    "pki.usage",
    "ca.continuity.tables",
    "ca.disclosure.tables",
    "ca.crls.tables",
    "ca.enrolment.tables",
    "ca.notices.tables",
    "ca.operators.tables",
    "ca.subscribers.tables",
    "ca.registers.tables",
    "ca.tables",
    "ca.trusted_list.tables",
    "mobile_id.subscribers",
    "mobile_id.transactions",
    "signing_service.signing.sessions",
)
"""Every module that declares tables."""

FOLDER = pathlib.Path(__file__).parent / "migrations"


class OutdatedSchemaError(errors.StateError):
    """The database's tables are not those of this version."""

    code = "database-schema-outdated"


def import_tables() -> None:
    """Import every module that declares tables."""
    for name in TABLE_MODULES:
        importlib.import_module(name)


def upgrade(engine: sqlalchemy.Engine) -> None:
    """Bring a database, empty or older, to the newest revision.

    Raises:
        DatabaseError: It cannot be reached.
    """
    with _reached(), engine.begin() as connection:
        command.upgrade(_configure(connection), "head")


def check(engine: sqlalchemy.Engine) -> None:
    """Check that a database is at the newest revision.

    Raises:
        OutdatedSchemaError: It is not; a server then refuses to start.
        DatabaseError: It cannot be reached.
    """
    with _reached(), engine.connect() as connection:
        current = migration.MigrationContext.configure(connection).get_current_revision()
        newest = script.ScriptDirectory.from_config(_configure(connection)).get_current_head()
    if current != newest:
        raise OutdatedSchemaError(
            f"expected the database at revision {newest}, found {current or 'no tables'}:"
            " run `imza ca init` or `imza serve ZONE --upgrade-database`"
        )


def differences(engine: sqlalchemy.Engine) -> list[object]:
    """What the tables in code have that the migrated database has not, and the other way."""
    from alembic import autogenerate

    import_tables()
    with engine.connect() as connection:
        context = migration.MigrationContext.configure(connection, opts={"compare_type": True})
        return list(autogenerate.compare_metadata(context, database.Base.metadata))


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    # The library's sentence may hold the address with its password, so only its kind is told.
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        kind = type(error.orig).__name__
        raise database.DatabaseError(f"the database cannot be used ({kind})") from error


def _configure(connection: sqlalchemy.Connection) -> config.Config:
    settings = config.Config()
    settings.set_main_option("script_location", str(FOLDER))
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings
