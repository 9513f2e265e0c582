"""The tables of subscribers: contacts and revocation passwords."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class ContactRow(database.Base):
    """How to reach the subscriber behind an application; apart from it, as it changes and goes."""

    __tablename__ = "subscriber_contacts"

    application_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), primary_key=True)
    email: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(254))
    phone_number: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(16))
    language: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2))
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)


class RevocationPasswordRow(database.Base):
    """The hash of a person's revocation password, and how often it was missed."""

    __tablename__ = "revocation_passwords"

    person_identifier: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(80), primary_key=True)
    salt: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    hash: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    failures: orm.Mapped[int] = orm.mapped_column()
    locked_until: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
