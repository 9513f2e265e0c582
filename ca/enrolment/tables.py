"""The tables of enrolment: references with which people enrol, and conversations under way."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class ReferenceRow(database.Base):
    """A reference for a password-based MAC; its secret is nowhere but at its owner's."""

    __tablename__ = "enrolment_references"

    reference: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), primary_key=True)
    application_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), index=True)
    profile: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    reusable: orm.Mapped[bool] = orm.mapped_column()
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    # The conversation that used it up; None as long as it may be used.
    used_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)


class TransactionRow(database.Base):
    """One conversation that asked for a change; rows stay, so that none can be had twice."""

    __tablename__ = "enrolment_transactions"

    id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), index=True)
    body: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    # Whose vetting and approval stand behind it, and behind what its certificate will ask for.
    application_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), index=True)
    cert_req_id: orm.Mapped[int] = orm.mapped_column()
    # The serial number of the certificate that signed for its successor; None for a reference.
    renews: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(40))
    # The nonce of our answer, which a certConf repeats.
    nonce: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
