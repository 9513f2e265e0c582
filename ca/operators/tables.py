"""The tables of operators: who they are, their certificates, and the nonces they have used."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class OperatorRow(database.Base):
    """One operator. A row is never deleted, so that a name never means two people."""

    __tablename__ = "operators"

    # The name in lower case: names that differ in capitals alone would be taken for one another.
    key: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    role: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    added_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    added_by: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(128))
    confirmed_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    confirmed_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(128))
    disabled_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    disabled_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(128))


class OperatorCertificateRow(database.Base):
    """One certificate of an operator; while it is renewed an operator has two."""

    __tablename__ = "operator_certificates"

    sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    operator_key: orm.Mapped[str] = orm.mapped_column(
        sqlalchemy.String(32), sqlalchemy.ForeignKey("operators.key"), index=True
    )
    serial_number: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(40))


class NonceRow(database.Base):
    """A signed request that was accepted, until it is too old to be accepted again."""

    __tablename__ = "operator_nonces"

    certificate_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    nonce: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime, index=True)
