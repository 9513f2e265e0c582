"""The table of published statements: what people were told, byte for byte and for ever."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from pki import database


class StatementRow(database.Base):
    """One version of the statement in one language."""

    __tablename__ = "disclosure_statements"

    version: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16), primary_key=True)
    language: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(2), primary_key=True)
    effective: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(10))
    published_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    # Of what came from settings: tells whether they changed without a new version.
    facts_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    page_html: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    page_policy: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(500))
    statement_pdf: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    pdf_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
