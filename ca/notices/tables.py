"""The tables of notices: what is to be told, and how far the audit log was followed."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class NoticeRow(database.Base):
    """One message. It holds no address and no text: both are looked up when it is sent."""

    __tablename__ = "notices"
    __table_args__ = (
        sqlalchemy.UniqueConstraint(
            "serial_number", "occasion", "channel", name="uq_notices_occasion"
        ),
        sqlalchemy.Index("ix_notices_due", "state", "due_at"),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    serial_number: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(40))
    # Such as `expires-30` or `held-4711`, the number being that of the audit log's entry.
    occasion: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    channel: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(8))
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    # The same in every attempt, so that who gets a message twice can tell.
    message_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), unique=True)
    attempts: orm.Mapped[int] = orm.mapped_column()
    due_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    happened_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    settled_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)


class CursorRow(database.Base):
    """The number of the last entry of the audit log whose notices are recorded."""

    __tablename__ = "notice_cursor"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    number: orm.Mapped[int] = orm.mapped_column()
