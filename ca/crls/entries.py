"""The entries of revocation lists, encoded when a status changes and joined when one is signed.

An entry is written in the transaction of the revocation, the hold or the release that it tells
of. What is joined later was therefore encoded and checked once, not once for each list.
"""

import dataclasses
import datetime
import operator
from collections.abc import Iterator, Sequence

import sqlalchemy
from sqlalchemy import orm

from ca.crls import addresses, tables
from pki import clock, der, errors, registry, status

REMOVE_FROM_CRL = 8
"""The reason code that ends a hold, in delta lists alone (RFC 5280 5.3.1)."""

ROWS_AT_ONCE = 20_000
"""How many entries are read from the database at a time: about a megabyte."""

SAMPLES = 10
"""How many of the first entries a linter is shown, beside the last one."""

_UTC_TIME = 0x17
_ENUMERATED = 0x0A
_REASON_CODE = der.encode_oid("2.5.29.21")
_INVALIDITY_DATE = der.encode_oid("2.5.29.24")
_LAST_UTC_TIME_YEAR = 2049


class EntryRefusedError(errors.TamperedError):
    """An entry is not what RFC 5280 5.3 and the registry want it to be."""

    code = "crl-entry-refused"


@dataclasses.dataclass(frozen=True)
class JoinedEntries:
    """Entries of one list, in pieces of about a megabyte.

    Attributes:
        pieces: Their DER, one after another.
        count: How many there are.
        samples: Some of them, the first and the last among these, for linters.
    """

    pieces: tuple[bytes, ...]
    count: int
    samples: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """The bytes of all pieces."""
        return sum(len(one) for one in self.pieces)


def encode(
    serial_number: int,
    revoked_at: datetime.datetime,
    reason_code: int,
    invalidity_date: datetime.datetime | None = None,
) -> bytes:
    """Return one element of revokedCertificates in DER (RFC 5280 5.1, 5.3).

    Args:
        serial_number: Positive and at most 20 octets.
        revoked_at: Cut to whole seconds.
        reason_code: 0, unspecified, is said by leaving the extension out (RFC 5280 5.3.1).
        invalidity_date: Since when the key may be in wrong hands.

    Raises:
        EntryRefusedError: The serial number is none.
    """
    if not 0 < serial_number < 1 << 159:
        raise EntryRefusedError("expected a positive serial number of at most 20 octets")
    extensions = []
    if reason_code:
        value = der.encode(_ENUMERATED, bytes((reason_code,)))
        extensions.append(_extension(_REASON_CODE, value))
    if invalidity_date is not None:
        value = der.encode(der.GENERALIZED_TIME, _digits(invalidity_date))
        extensions.append(_extension(_INVALIDITY_DATE, value))
    serial = serial_number.to_bytes(serial_number.bit_length() // 8 + 1, "big")
    parts = [der.encode(der.INTEGER, serial), _time(revoked_at)]
    if extensions:
        parts.append(der.encode(der.SEQUENCE, *extensions))
    return der.encode(der.SEQUENCE, *parts)


def record(
    session: orm.Session,
    rows: Sequence[registry.CertificateRow],
    change: int,
    at: datetime.datetime,
) -> None:
    """Store the entries of certificates whose status changed, in the transaction of the change.

    The registry's rows are numbered with it, for the responders that follow the changes.

    Args:
        session: The transaction.
        rows: The certificates, with their new status.
        change: The number of the audit log's entry about it. The log's head is locked from then
            until the commit, so that numbers grow in the order in which changes become visible.
        at: When it changed.
    """
    for row in rows:
        row.changed = change
    entry = tables.CRLEntryRow
    session.execute(
        sqlalchemy.delete(entry).where(entry.certificate_id.in_([one.id for one in rows]))
    )
    session.execute(
        sqlalchemy.insert(entry),
        [
            {
                "certificate_id": row.id,
                "issuer_name": row.issuer_name,
                "partition": row.crl_partition,
                "change": change,
                "removed": row.revoked_at is None,
                "entry_der": encode_row(row, at),
            }
            for row in rows
        ],
    )


def encode_row(row: registry.CertificateRow, at: datetime.datetime) -> bytes:
    """The entry that a certificate's row calls for; one that is good is removed as of `at`."""
    serial_number = int(row.serial_number, 16)
    if row.revoked_at is None:
        return encode(serial_number, at, REMOVE_FROM_CRL)
    reason = status.RevocationReason.from_name(row.reason or "unspecified")
    return encode(serial_number, row.revoked_at, reason.value, row.invalidity_date)


def read(
    session: orm.Session, scope: addresses.Scope, *, since: int | None = None
) -> JoinedEntries:
    """Join the entries of a list.

    Args:
        session: The database.
        scope: Whose.
        since: For a delta: only what changed after this number, ends of holds among it. None:
            whatever is revoked or on hold.
    """
    # In the order of their changes, as the index has them.
    query = _query(scope, since).order_by(tables.CRLEntryRow.change)
    result = session.connection().execute(query)
    pieces, count = [], 0
    samples: list[bytes] = []
    last = b""
    for batch in _batches(result):
        pieces.append(b"".join(batch))
        count += len(batch)
        samples += batch[: max(0, SAMPLES - len(samples))]
        last = batch[-1]
    if count > len(samples):
        samples.append(last)
    return JoinedEntries(tuple(pieces), count, tuple(samples))


def _batches(result: sqlalchemy.CursorResult[bytes]) -> Iterator[list[bytes]]:
    """The only column of a result, by the driver's own cursor.

    A row object for each of a million entries would take as long as all the rest. The result must
    not be one that streams: SQLAlchemy takes the first row of such a one for itself.
    """
    cursor = result.cursor
    if cursor is None:
        raise EntryRefusedError("expected the driver's cursor of a query")
    try:
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield list(map(operator.itemgetter(0), rows))
    finally:
        result.close()


def count_changes(session: orm.Session, scope: addresses.Scope, since: int) -> int:
    """How many entries a delta on what was covered up to `since` would have."""
    query = _query(scope, since).with_only_columns(sqlalchemy.func.count())
    return session.scalars(query).one()


def last_change(session: orm.Session, scope: addresses.Scope) -> int | None:
    """The number of the last change of a status in a scope; None before the first."""
    query = sqlalchemy.select(sqlalchemy.func.max(tables.CRLEntryRow.change))
    return session.scalars(query.where(*_of(scope))).one()


def forget_removals(session: orm.Session, scope: addresses.Scope, covered: int) -> None:
    """Drop the ends of holds that a full list has taken in and no later delta needs to tell."""
    session.execute(
        sqlalchemy.delete(tables.CRLEntryRow).where(
            *_of(scope),
            tables.CRLEntryRow.removed,
            tables.CRLEntryRow.change <= covered,
        )
    )


def differences(session: orm.Session, issuer_name: str) -> Iterator[int]:
    """Yield the serial numbers whose stored entry is not what the registry says.

    Part of the nightly examination: an entry that was edited in the database is found here.
    """
    rows = session.execute(
        sqlalchemy.select(registry.CertificateRow, tables.CRLEntryRow)
        .outerjoin(
            tables.CRLEntryRow, tables.CRLEntryRow.certificate_id == registry.CertificateRow.id
        )
        .where(
            registry.CertificateRow.issuer_name == issuer_name,
            sqlalchemy.or_(
                registry.CertificateRow.revoked_at.is_not(None),
                tables.CRLEntryRow.certificate_id.is_not(None),
            ),
        )
        .order_by(registry.CertificateRow.id)
        .execution_options(yield_per=ROWS_AT_ONCE // 20)
    )
    for row, entry in rows:
        if not _says(entry, row):
            yield int(row.serial_number, 16)


def _says(entry: tables.CRLEntryRow | None, row: registry.CertificateRow) -> bool:
    """Whether an entry is the one that a certificate's row calls for."""
    if entry is None:
        return row.revoked_at is None
    if entry.partition != row.crl_partition or entry.removed is not (row.revoked_at is None):
        return False
    if row.revoked_at is None:
        return True
    try:
        return entry.entry_der == encode_row(row, row.revoked_at)
    except errors.InputError:
        return False  # The registry names a reason that is none.


def _query(scope: addresses.Scope, since: int | None) -> sqlalchemy.Select[bytes]:
    query = sqlalchemy.select(tables.CRLEntryRow.entry_der).where(*_of(scope))
    if since is None:
        return query.where(~tables.CRLEntryRow.removed)
    return query.where(tables.CRLEntryRow.change > since)


def _of(scope: addresses.Scope) -> tuple[sqlalchemy.ColumnElement[bool], ...]:
    return (
        tables.CRLEntryRow.issuer_name == scope.issuer_name,
        tables.CRLEntryRow.partition == scope.partition,
    )


def _extension(oid: bytes, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, oid, der.encode(der.OCTET_STRING, value))


def _time(at: datetime.datetime) -> bytes:
    # RFC 5280 5.1.2.6: UTCTime through 2049, GeneralizedTime from 2050.
    if clock.require_utc(at).year <= _LAST_UTC_TIME_YEAR:
        return der.encode(_UTC_TIME, _digits(at)[2:])
    return der.encode(der.GENERALIZED_TIME, _digits(at))


def _digits(at: datetime.datetime) -> bytes:
    return f"{clock.whole_seconds(at):%Y%m%d%H%M%S}Z".encode("ascii")
