"""What was published: the newest list of a scope, full or delta, and its bytes."""

import dataclasses
import datetime
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy import orm

from ca.crls import addresses, tables
from pki import der, errors

NO_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""The nextUpdate of an authority's last CRL: 99991231235959Z, a time that never comes (RFC 5280
4.1.2.5 writes a validity without an end so)."""


class CRLNotFoundError(errors.NotFoundError):
    """No such list is published."""

    code = "crl-not-found"


@dataclasses.dataclass(frozen=True)
class PublishedCRL:
    """A list that was signed and stored.

    Attributes:
        id: Of its row.
        scope: Whose certificates it speaks of.
        number: Its CRL number.
        base_number: The full list that a delta is applied to; None in a full list.
        this_update: When the statuses were read.
        next_update: When a newer one is there at the latest.
        partitioned: It names its distribution point: there are other partitions.
        names_delta: It says where deltas on it are.
        entries: How many it has.
        covers: The audit log's entry up to which every change is in it; None where unknown.
        size: Bytes of its DER.
        sha256: Of its DER, in hex.
        tail_der: The signature's algorithm and value.
    """

    id: int
    scope: addresses.Scope
    number: int
    base_number: int | None
    this_update: datetime.datetime
    next_update: datetime.datetime
    partitioned: bool
    names_delta: bool
    entries: int
    covers: int | None
    size: int
    sha256: str
    tail_der: bytes

    @property
    def issuer_name(self) -> str:
        """The authority's short name."""
        return self.scope.issuer_name

    @property
    def is_last(self) -> bool:
        """Whether no list of its scope follows this one."""
        return self.next_update >= NO_END

    @property
    def is_delta(self) -> bool:
        """Whether it holds changes alone."""
        return self.base_number is not None


def newest(session: orm.Session, scope: addresses.Scope, *, delta: bool = False) -> PublishedCRL:
    """Return the newest full list, or the newest delta.

    Raises:
        CRLNotFoundError: There is none.
    """
    found = find_newest(session, scope, delta=delta)
    if found is None:
        raise CRLNotFoundError("no CRL of this name is published")
    return found


def find_newest(
    session: orm.Session, scope: addresses.Scope, *, delta: bool = False
) -> PublishedCRL | None:
    """Return the newest full list, or the newest delta, or None."""
    kind = tables.CRLRow.base_number.is_not(None) if delta else tables.CRLRow.base_number.is_(None)
    query = rows_of(scope).where(kind, tables.CRLRow.tail_der.is_not(None)).limit(1)
    row = session.scalars(query).first()
    return None if row is None else to_published(row)


def is_first_of_its_second(session: orm.Session, published: PublishedCRL) -> bool:
    """Whether no earlier list of the same kind bears the same thisUpdate.

    Where one does, the time cannot tell the two apart and is no Last-Modified.
    """
    delta = published.is_delta
    kind = tables.CRLRow.base_number.is_not(None) if delta else tables.CRLRow.base_number.is_(None)
    query = rows_of(published.scope).where(
        kind,
        tables.CRLRow.tail_der.is_not(None),
        tables.CRLRow.number < published.number,
        tables.CRLRow.this_update >= published.this_update,
    )
    return session.scalars(query.limit(1)).first() is None


def content(session: orm.Session, published: PublishedCRL) -> bytes:
    """Return a list's DER in one piece; for lists that are known to be small.

    Raises:
        TamperedError: Its bytes are not there.
    """
    pieces = session.scalars(_chunks(published.id))
    return _checked(published, b"".join((_header(published), *pieces, published.tail_der)))


def pieces(sessions: orm.sessionmaker[orm.Session], published: PublishedCRL) -> Iterator[bytes]:
    """Yield a list's DER in pieces of about a megabyte.

    Each piece is read in a transaction of its own: a client that reads slowly holds up nobody.
    """
    yield _header(published)
    yield from to_be_signed(sessions, published)
    yield published.tail_der


def to_be_signed(
    sessions: orm.sessionmaker[orm.Session], published: PublishedCRL
) -> Iterator[bytes]:
    """Yield a list's recorded to-be-signed bytes in pieces, each read in its own transaction."""
    position = 0
    while True:
        query = _chunks(published.id).where(tables.CRLChunkRow.position == position)
        with sessions() as session:
            piece = session.scalars(query).first()
        if piece is None:
            return
        yield piece
        position += 1


def last_number(session: orm.Session, issuer_name: str) -> int:
    """The highest number that an authority has taken, in any partition; 0 before the first."""
    query = sqlalchemy.select(sqlalchemy.func.max(tables.CRLRow.number)).where(
        tables.CRLRow.issuer_name == issuer_name
    )
    return session.scalars(query).one() or 0


def rows_of(scope: addresses.Scope) -> sqlalchemy.Select[tables.CRLRow]:
    """Every list of a scope, the newest number first, those that were never signed among them."""
    return (
        sqlalchemy.select(tables.CRLRow)
        .where(
            tables.CRLRow.issuer_name == scope.issuer_name,
            tables.CRLRow.partition == scope.partition,
        )
        .order_by(tables.CRLRow.number.desc())
    )


def to_published(row: tables.CRLRow) -> PublishedCRL:
    """The row of a list that was signed, as a value."""
    if row.tail_der is None or row.sha256 is None:
        raise errors.TamperedError("expected a list that was signed")
    inside = row.to_be_signed_size + len(row.tail_der)
    return PublishedCRL(
        id=row.id,
        scope=addresses.Scope(row.issuer_name, row.partition),
        number=row.number,
        base_number=row.base_number,
        this_update=row.this_update,
        next_update=row.next_update,
        partitioned=row.partitioned,
        names_delta=row.names_delta,
        entries=row.entries,
        covers=row.covers,
        size=len(der.encode_header(der.SEQUENCE, inside)) + inside,
        sha256=row.sha256,
        tail_der=row.tail_der,
    )


def _header(published: PublishedCRL) -> bytes:
    # The length of a header depends on what it counts: the one that adds up is the right one.
    for size in range(2, 7):
        header = der.encode_header(der.SEQUENCE, published.size - size)
        if len(header) == size:
            return header
    raise errors.TamperedError("expected a list of less than four gigabytes")


def _chunks(crl_id: int) -> sqlalchemy.Select[bytes]:
    return (
        sqlalchemy.select(tables.CRLChunkRow.content)
        .where(tables.CRLChunkRow.crl_id == crl_id)
        .order_by(tables.CRLChunkRow.position)
    )


def _checked(published: PublishedCRL, crl_der: bytes) -> bytes:
    if len(crl_der) != published.size:
        raise errors.TamperedError(
            f"expected {published.size} bytes of the list {published.number}, got {len(crl_der)}"
        )
    return crl_der
