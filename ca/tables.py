"""The table of applications, which only the CA reads and writes."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class ApplicationRow(database.Base):
    """An application; what is in it is bound to `request_hash`, and to entries of the audit log."""

    __tablename__ = "applications"
    __table_args__ = (
        sqlalchemy.Index("ix_applications_recorded_at", "recorded_at", "id"),
        sqlalchemy.Index("ix_applications_state", "state"),
        sqlalchemy.Index("ix_applications_person_code", "person_code"),
    )

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
    # Names joined by commas; None in rows of the first version, where a person got both.
    profiles: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(200))
    member_class: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(20))
    dns_name: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    # The vetting record as JSON, to the letter as it is hashed; None until somebody vetted.
    vetting: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.Text)
    # The applicant's own signature over the application's text, where that was the proof.
    vetting_signature: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    request_hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    recorded_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    recorded_by: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(128))
    approved_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    approved_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    approved_hash: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    # The audit log's entry of the approval: without it nothing is certified.
    approval_entry: orm.Mapped[int | None] = orm.mapped_column()
    rejected_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    rejected_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    rejection_reason: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(200))
