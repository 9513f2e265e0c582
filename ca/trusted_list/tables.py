"""The tables of the trusted list: what was published, and which status each service had when."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class TrustedListRow(database.Base):
    """One published list: its number is taken before it is signed, and never again."""

    __tablename__ = "trusted_lists"
    __table_args__ = (
        sqlalchemy.UniqueConstraint("name", "sequence_number", name="uq_trusted_lists_number"),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    sequence_number: orm.Mapped[int] = orm.mapped_column()
    issued_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    next_update: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    # Of what the list says besides its own number and dates: tells whether it is out of date.
    content_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    list_xml: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)


class ServiceStatusRow(database.Base):
    """A status that a service took; the list keeps all of them for ever (TS 119 612 5.3.12)."""

    __tablename__ = "trusted_list_statuses"
    __table_args__ = (
        sqlalchemy.UniqueConstraint(
            "service_type", "key_sha256", "since", name="uq_trusted_list_statuses_since"
        ),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    service_type: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(128))
    key_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    status: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    since: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    # Who decided it; None where it follows from the registry.
    decided_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(128))
