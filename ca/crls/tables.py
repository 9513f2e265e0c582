"""The tables of revocation lists: what was signed, its bytes, entries ready to be signed."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class CRLRow(database.Base):
    """One list, full or delta: recorded with what will be signed, then with the signature.

    A number names one list of an authority, whatever its partition and kind. The to-be-signed
    bytes lie in `crl_chunks`, once: the published list is a header, these bytes and `tail_der`.
    `covers` is the number of the audit log's entry up to which every change of a status is in the
    list; None in lists from before changes were numbered.
    """

    __tablename__ = "crls"
    __table_args__ = (
        sqlalchemy.UniqueConstraint("issuer_name", "number", name="uq_crls_number"),
        sqlalchemy.Index("ix_crls_scope", "issuer_name", "partition", "number"),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    partition: orm.Mapped[int] = orm.mapped_column()
    number: orm.Mapped[int] = orm.mapped_column()
    # The number of the full list that a delta is to be applied to; None in a full list.
    base_number: orm.Mapped[int | None] = orm.mapped_column()
    this_update: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    next_update: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    partitioned: orm.Mapped[bool] = orm.mapped_column()
    names_delta: orm.Mapped[bool] = orm.mapped_column()
    entries: orm.Mapped[int] = orm.mapped_column()
    covers: orm.Mapped[int | None] = orm.mapped_column()
    to_be_signed_size: orm.Mapped[int] = orm.mapped_column()
    to_be_signed_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    # The signature's algorithm and value, in DER; None until it is signed, and for ever where a
    # crash or a failure came between: the number then stays unused.
    tail_der: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    sha256: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    # False once the bytes were removed; digests and numbers stay.
    kept: orm.Mapped[bool] = orm.mapped_column()


class CRLChunkRow(database.Base):
    """A part of a list's to-be-signed bytes, so that no list is read or written in one piece."""

    __tablename__ = "crl_chunks"

    crl_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    position: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    content: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)


class CRLEntryRow(database.Base):
    """The entry of a certificate that is revoked or on hold, or was on hold, ready to be signed.

    `change` is the number of the audit log's entry that tells of it: it grows in the order of
    commits, whatever the clock does. `removed` marks a hold that ended; its entry says
    removeFromCRL and belongs into delta lists alone.
    """

    __tablename__ = "crl_entries"
    __table_args__ = (
        sqlalchemy.Index("ix_crl_entries_change", "issuer_name", "partition", "change"),
    )

    certificate_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    partition: orm.Mapped[int] = orm.mapped_column()
    change: orm.Mapped[int] = orm.mapped_column()
    removed: orm.Mapped[bool] = orm.mapped_column()
    entry_der: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)


class CRLPartitionRow(database.Base):
    """A partition above 0 into which certificates are or were issued."""

    __tablename__ = "crl_partitions"

    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    opened_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
