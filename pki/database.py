"""Engine, sessions, the declarative base and the UTC column type.

SQLite is the embedded database, PostgreSQL the one for production. Every package keeps its
tables in its own module, on the one `Base`, so that one migration history serves all of them.
"""

import datetime
import pathlib

import sqlalchemy
from sqlalchemy import engine as engine_types
from sqlalchemy import event, orm

from pki import clock, errors

BUSY_TIMEOUT_MS = 15_000
"""How long a SQLite writer waits for another one before it gives up."""

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names of constraints, fixed so that a migration can name what it drops."""


SQLITE_STANDSTILL = ("database is locked", "database or disk is full", "readonly database")
"""What SQLite says when it cannot write for now; its driver has no other sign of it."""


class DatabaseError(errors.PeerError):
    """The database cannot be reached or opened."""

    code = "database-unavailable"


class UnstorableValueError(errors.InputError):
    """A text with a NUL, a text or a number that is longer than its column: it cannot be there."""

    code = "value-unstorable"


class Base(orm.DeclarativeBase):
    """The base of every table."""

    metadata = sqlalchemy.MetaData(naming_convention=NAMING)


class UtcDateTime(sqlalchemy.types.TypeDecorator[datetime.datetime]):
    """An aware time in UTC; SQLite, which knows no zones, stores it without one."""

    impl = sqlalchemy.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: sqlalchemy.Dialect
    ) -> datetime.datetime | None:
        """Refuse a time without a zone and store the rest in UTC."""
        return None if value is None else clock.require_utc(value)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: sqlalchemy.Dialect
    ) -> datetime.datetime | None:
        """Return an aware time in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.UTC)
        return value.astimezone(datetime.UTC)


def connect(url: str) -> sqlalchemy.Engine:
    """Return an engine for a database address.

    Args:
        url: `sqlite:///PATH`, or `postgresql+psycopg://…`; plain `postgresql://` means the same.

    Raises:
        InputError: The address is of another kind.
    """
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        address = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise errors.InputError("expected a database address such as sqlite:///FILE") from error
    if address.get_backend_name() == "sqlite":
        engine = sqlalchemy.create_engine(address, pool_size=20, max_overflow=20)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        event.listen(engine, "handle_error", _translate_loss)
        return engine
    if address.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(
            address, pool_pre_ping=True, pool_size=20, max_overflow=20
        )
        event.listen(engine, "handle_error", _translate_loss)
        return engine
    raise errors.InputError(
        f"expected a database address of sqlite or postgresql, got {address.get_backend_name()}"
    )


def file_of(url: str) -> pathlib.Path | None:
    """Where the file of an embedded database is; None for any other."""
    address = sqlalchemy.make_url(url)
    if address.get_backend_name() != "sqlite" or address.database in (None, "", ":memory:"):
        return None
    return pathlib.Path(str(address.database))


def session_factory(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    """Return what opens sessions; rows stay readable after a commit."""
    return orm.sessionmaker(engine, expire_on_commit=False)


def _translate_loss(context: engine_types.ExceptionContext) -> None:
    """Make our own errors of a database that is away, full or locked, and of what fits no column.

    Neither the database's address nor the value is told.
    """
    if context.is_pre_ping:
        return  # The pool finds out in this way that a connection is stale, and opens another.
    if isinstance(context.sqlalchemy_exception, sqlalchemy.exc.DataError):
        raise UnstorableValueError(
            "expected texts without NUL characters, and no longer than they may be"
        ) from None
    lost = context.is_disconnect or (context.connection is None and context.statement is None)
    said = str(context.original_exception)
    if lost or any(text in said for text in SQLITE_STANDSTILL):
        raise DatabaseError(
            f"the database cannot be used ({type(context.original_exception).__name__}):"
            " nothing was changed, try again later"
        ) from None


def _configure_sqlite(connection: object, _record: object) -> None:
    # The driver's own transaction handling is switched off: it begins transactions late.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    finally:
        cursor.close()


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    # A transaction that starts as a reader and then writes would fail at once when another one
    # wrote in between; taking the write lock first makes it wait instead.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
