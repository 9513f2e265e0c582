"""The table of applications, which only the CA reads and writes."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class ApplicationRow(database.Base):
    """An application: who was vetted by whom, and who approved it."""

    __tablename__ = "applications"

    id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), primary_key=True)
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    category: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    country: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2))
    person_code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    surname: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    given_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    organisation_country: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(2))
    organisation_code: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    organisation_name: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    title: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    vetting_method: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    vetting_officer: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    vetting_document: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    request_hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    recorded_by: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(128))
    approved_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    approved_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    approved_hash: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
