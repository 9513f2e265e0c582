"""The tables of bad days: which authorities are closed, and why."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class ClosureRow(database.Base):
    """An authority that certifies nobody any more, and how far revoking what it issued has come."""

    __tablename__ = "authority_closures"

    issuer_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    reason: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    closed_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    # Since when the key may be in wrong hands, where that is known.
    invalidity_date: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    revoked: orm.Mapped[int] = orm.mapped_column()
    completed_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
