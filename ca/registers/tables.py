"""The local register: people, organisations and representatives as they were imported."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class RegisteredPersonRow(database.Base):
    """A person."""

    __tablename__ = "register_people"

    country: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2), primary_key=True)
    person_code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    surname: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    given_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))


class RegisteredOrganisationRow(database.Base):
    """An organisation."""

    __tablename__ = "register_organisations"

    country: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2), primary_key=True)
    code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    kind: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))


class RegisteredRepresentativeRow(database.Base):
    """Somebody who may act for an organisation."""

    __tablename__ = "register_representatives"

    organisation_country: orm.Mapped[str] = orm.mapped_column(
        sqlalchemy.String(2), primary_key=True
    )
    organisation_code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    person_country: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2), primary_key=True)
    person_code: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    title: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    valid_until: orm.Mapped[datetime.date | None] = orm.mapped_column(sqlalchemy.Date)
