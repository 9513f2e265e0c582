"""The registry's statuses read by the database's own driver: all of them, or what changed since.

A responder that keeps them in memory starts without an object-relational layer and asks the
database twice a second, so this module speaks SQL to `sqlite3` and `psycopg` itself. It only
reads, from the primary database or from a hot standby.
"""

import contextlib
import dataclasses
import datetime
import pathlib
import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

from pki import errors, profiles, status

SERIAL_BYTES = 20
"""A serial number has at most 20 octets (RFC 5280 4.1.2.2)."""

ROWS_AT_ONCE = 10_000

ANSWER_LIMIT_S = 5
"""A database that takes longer for one statement counts as gone."""

GOOD = status.CertificateStatus()
"""One value for the many certificates that are good."""

_HEAD = """
    SELECT (SELECT number FROM audit_head WHERE id = 1),
           (SELECT hash FROM audit_head WHERE id = 1),
           (SELECT locked_at FROM registry_lock WHERE id = 1)
"""
_REVISION = "SELECT version_num FROM alembic_version"
_HASH = "SELECT hash FROM audit_entries WHERE number = ?"
_ISSUERS = "SELECT name, certificate_der FROM issuers ORDER BY name"
_RESPONDERS = """
    SELECT issuer_name, certificate_der, key_label FROM certificates
    WHERE profile = ? AND key_label IS NOT NULL AND state = 'issued' AND revoked_at IS NULL
      AND not_after >= ?
    ORDER BY issuer_name, not_before, id
"""
# The rows that one transaction changed may share a number, so a page ends at a serial number.
_CHANGES = """
    SELECT changed, issuer_name, serial_number, revoked_at, reason, invalidity_date
    FROM certificates
    WHERE changed IS NOT NULL AND (changed, issuer_name, serial_number) > (?, ?, ?)
    ORDER BY changed, issuer_name, serial_number LIMIT ?
"""
# An idle primary still sends its standby signs of life. Only members of pg_read_all_stats see when
# the last one came; for others a standby is as old as the last transaction that it replayed.
_STANDBY = """
    SELECT pg_is_in_recovery(), greatest(
        pg_last_xact_replay_timestamp(),
        (SELECT last_msg_receipt_time FROM pg_stat_wal_receiver
         WHERE pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn())
    )
"""


class RegistryUnreadableError(errors.PeerError):
    """The registry's database cannot be asked for now."""

    code = "registry-unreadable"


class RegistryOutdatedError(errors.StateError):
    """The registry's tables are not those of this version."""

    code = "database-schema-outdated"


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a reader has come: a number and a hash of the audit log.

    The hash tells a log that went on from one that was restored and took another way.
    """

    number: int = 0
    hash: str = "0" * 64


@dataclasses.dataclass(frozen=True)
class Head:
    """What the registry says of itself.

    Attributes:
        position: The end of the audit log: what was changed up to here is to be read.
        locked_at: Since when no status may be told, because the registry was restored.
    """

    position: Position
    locked_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Issuer:
    """An authority of the registry."""

    name: str
    certificate_der: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class ResponderCertificate:
    """A certificate that lets a key of ours answer for an issuer, and where that key is."""

    issuer_name: str
    key_label: str
    certificate_der: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class StatusChange:
    """The status that a certificate has since a change.

    Attributes:
        number: The change's, of the audit log.
        issuer_name: Whose certificate.
        serial: Its serial number in 20 octets.
        status: What it is now.
    """

    number: int
    issuer_name: str
    serial: bytes
    status: status.CertificateStatus


class Snapshot:
    """The registry as it was at one moment, for the time of a transaction."""

    def __init__(self, connection: "Connection") -> None:
        """Take the connection, in whose transaction this is."""
        self._connection = connection

    def head(self) -> Head:
        """The end of the log, and whether the registry is locked."""
        return self._connection.head()

    def hash_at(self, number: int) -> str | None:
        """The audit log's hash at a number; None where the log is shorter."""
        if number == 0:
            return Position().hash
        rows = self._connection.rows(_HASH, (number,))
        return str(rows[0][0]) if rows else None

    def issuers(self) -> tuple[Issuer, ...]:
        """Every authority, by name."""
        return tuple(Issuer(str(name), bytes(der)) for name, der in self._connection.rows(_ISSUERS))

    def responders(self, at: datetime.datetime) -> tuple[ResponderCertificate, ...]:
        """The responders' certificates that are good and have not ended, the newest one last."""
        rows = self._connection.rows(
            _RESPONDERS, (profiles.OCSP_RESPONDER.name, self._connection.time_parameter(at))
        )
        return tuple(
            ResponderCertificate(str(name), str(label), bytes(der)) for name, der, label in rows
        )

    def changes(self, after: int = -1) -> Iterator[Sequence[StatusChange]]:
        """What changed after a number, oldest first, in pages; -1 gives every certificate."""
        key = (after + 1, "", "")
        while True:
            rows = self._connection.rows(_CHANGES, (*key, ROWS_AT_ONCE))
            if rows:
                yield [_change(row) for row in rows]
            if len(rows) < ROWS_AT_ONCE:
                return
            key = (int(rows[-1][0]), str(rows[-1][1]), str(rows[-1][2]))


class Connection:
    """A connection that reads; one thread uses it at a time."""

    def __init__(self, driver: Any, failures: tuple[type[Exception], ...], *, marker: str) -> None:
        """Take a driver's connection, what it raises, and what it writes for a parameter."""
        self._driver = driver
        self._failures = failures
        self._marker = marker

    @property
    def is_postgresql(self) -> bool:
        """Whether the database may be a standby of another one."""
        return self._marker != "?"

    def head(self) -> Head:
        """Return the end of the log and whether the registry is locked.

        Raises:
            RegistryUnreadableError: The database is gone, or has no such tables.
        """
        number, value, locked_at = self.rows(_HEAD)[0]
        position = Position() if number is None else Position(int(number), str(value))
        return Head(position, _time(locked_at))

    def revision(self) -> str:
        """The version of the tables; raises as `head`."""
        rows = self.rows(_REVISION)
        return str(rows[0][0]) if rows else ""

    def replayed_at(self) -> datetime.datetime | None:
        """Up to when a standby knows its primary's changes; None of a primary. Raises as `head`."""
        if not self.is_postgresql:
            return None
        is_standby, replayed_at = self.rows(_STANDBY)[0]
        if not is_standby:
            return None
        if replayed_at is None:
            raise RegistryUnreadableError("the standby has not replayed anything yet")
        return _time(replayed_at)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Read several things of one moment; raises as `head`."""
        begin = "BEGIN"
        if self.is_postgresql:
            begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._run(begin)
        try:
            yield Snapshot(self)
        finally:
            # Nothing was changed; a connection that broke meanwhile has nothing to end.
            with contextlib.suppress(RegistryUnreadableError):
                self._run("ROLLBACK")

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Ask and return every row; raises as `head`."""
        try:
            cursor = self._driver.execute(query.replace("?", self._marker), parameters)
            return list(cursor.fetchall())
        except self._failures as error:
            raise _unreadable(error) from None

    def time_parameter(self, at: datetime.datetime) -> object:
        """A time as a parameter of a query."""
        if self.is_postgresql:
            return at
        return at.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def close(self) -> None:
        """Let go of the database."""
        with contextlib.suppress(*self._failures):
            self._driver.close()

    def _run(self, statement: str) -> None:
        try:
            self._driver.execute(statement)
        except self._failures as error:
            raise _unreadable(error) from None


def connect(url: str) -> Connection:
    """Open the database of a settings file for reading.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`, as `database.connect` takes it.

    Raises:
        RegistryUnreadableError: It cannot be reached.
        InputError: The address is of another kind.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest.startswith("///"):
        return _connect_sqlite(pathlib.Path(urllib.parse.unquote(rest[3:].partition("?")[0])))
    if scheme in ("postgresql", "postgresql+psycopg"):
        return _connect_postgresql(f"postgresql:{rest}")
    raise errors.InputError("expected a database address such as sqlite:///FILE or postgresql://…")


def _connect_sqlite(path: pathlib.Path) -> Connection:
    address = f"file:{urllib.parse.quote(str(path.absolute()))}?mode=ro"
    try:
        driver = sqlite3.connect(
            address,
            uri=True,
            timeout=ANSWER_LIMIT_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise _unreadable(error) from None
    return Connection(driver, (sqlite3.Error,), marker="?")


def _connect_postgresql(address: str) -> Connection:
    import psycopg

    try:
        driver = psycopg.connect(
            address,
            autocommit=True,
            # A dead machine is found out by the kernel, a slow statement by the server.
            connect_timeout=ANSWER_LIMIT_S,
            keepalives_idle=ANSWER_LIMIT_S,
            tcp_user_timeout=ANSWER_LIMIT_S * 1000,
            options="-c default_transaction_read_only=on -c TimeZone=UTC"
            f" -c statement_timeout={ANSWER_LIMIT_S}s",
        )
    except psycopg.Error as error:
        raise _unreadable(error) from None
    return Connection(driver, (psycopg.Error,), marker="%s")


def _unreadable(error: Exception) -> RegistryUnreadableError:
    # The driver's sentence may hold the address with its password, so only its kind is told.
    return RegistryUnreadableError(f"the registry cannot be read ({type(error).__name__})")


def _change(row: Sequence[Any]) -> StatusChange:
    number, issuer_name, serial_number, revoked_at, reason, invalidity_date = row
    return StatusChange(
        int(number),
        issuer_name,
        bytes.fromhex(serial_number),
        GOOD if revoked_at is None else _revoked(revoked_at, reason, invalidity_date),
    )


def _revoked(revoked_at: object, reason: str | None, invalidity_date: object) -> Any:
    return status.CertificateStatus(
        _time(revoked_at),
        status.RevocationReason.from_name(reason or status.RevocationReason.unspecified.name),
        _time(invalidity_date),
    )


def _time(value: object) -> datetime.datetime | None:
    """A time as the drivers give it: text without a zone of SQLite, else an aware time."""
    if value is None:
        return None
    if isinstance(value, str):
        return datetime.datetime.fromisoformat(value).replace(tzinfo=datetime.UTC)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC)
    raise RegistryUnreadableError(f"expected a time, got {type(value).__name__}")
