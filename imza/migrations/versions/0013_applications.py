"""Applications with a life of their own, and the local register.

Revision: 0013, after 0012.
"""

import json

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_OLD_COLUMNS = ("vetting_method", "vetting_officer", "vetting_document")
_INDEXES = (
    ("ix_applications_recorded_at", ["recorded_at", "id"]),
    ("ix_applications_state", ["state"]),
    ("ix_applications_person_code", ["person_code"]),
)


def upgrade() -> None:
    """Bring the tables to this revision; applications of the first version keep their hashes."""
    with op.batch_alter_table("applications") as batch:
        for column in (
            sa.Column("profiles", sa.String(length=200), nullable=True),
            sa.Column("member_class", sa.String(length=20), nullable=True),
            sa.Column("dns_name", sa.String(length=64), nullable=True),
            sa.Column("vetting", sa.Text(), nullable=True),
            sa.Column("vetting_signature", sa.LargeBinary(), nullable=True),
            sa.Column("approval_entry", sa.Integer(), nullable=True),
            sa.Column("rejected_at", database.UtcDateTime(timezone=True), nullable=True),
            sa.Column("rejected_by", sa.String(length=64), nullable=True),
            sa.Column("rejection_reason", sa.String(length=200), nullable=True),
        ):
            batch.add_column(column)
    _carry_over(op.get_bind())
    with op.batch_alter_table("applications") as batch:
        for name in _OLD_COLUMNS:
            batch.drop_column(name)
    for name, columns in _INDEXES:
        op.create_index(name, "applications", columns)
    op.create_index(
        op.f("ix_certificates_organisation_identifier"),
        "certificates",
        ["organisation_identifier"],
    )
    op.create_table(
        "register_people",
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("person_code", sa.String(length=64), nullable=False),
        sa.Column("surname", sa.String(length=64), nullable=False),
        sa.Column("given_name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("country", "person_code", name=op.f("pk_register_people")),
    )
    op.create_table(
        "register_organisations",
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("country", "code", name=op.f("pk_register_organisations")),
    )
    op.create_table(
        "register_representatives",
        sa.Column("organisation_country", sa.String(length=2), nullable=False),
        sa.Column("organisation_code", sa.String(length=64), nullable=False),
        sa.Column("person_country", sa.String(length=2), nullable=False),
        sa.Column("person_code", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=64), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint(
            "organisation_country",
            "organisation_code",
            "person_country",
            "person_code",
            name=op.f("pk_register_representatives"),
        ),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before; what only this one can say is lost."""
    for table in ("register_representatives", "register_organisations", "register_people"):
        op.drop_table(table)
    op.drop_index(op.f("ix_certificates_organisation_identifier"), "certificates")
    for name, _ in _INDEXES:
        op.drop_index(name, "applications")
    with op.batch_alter_table("applications") as batch:
        for name, length in (
            ("vetting_method", 32),
            ("vetting_officer", 64),
            ("vetting_document", 64),
        ):
            batch.add_column(
                sa.Column(name, sa.String(length=length), nullable=False, server_default="")
            )
        for name in (
            "profiles",
            "member_class",
            "dns_name",
            "vetting",
            "vetting_signature",
            "approval_entry",
            "rejected_at",
            "rejected_by",
            "rejection_reason",
        ):
            batch.drop_column(name)


def _carry_over(connection: sa.Connection) -> None:
    """Write vetting records as they were hashed, and find each approval in the audit log."""
    applications = sa.table(
        "applications",
        *map(sa.column, ("id", "vetting", "approval_entry", *_OLD_COLUMNS)),
    )
    entries = sa.table("audit_entries", *map(sa.column, ("number", "event", "details")))
    approvals = {
        json.loads(details)["application"]: number
        for number, details in connection.execute(
            sa.select(entries.c.number, entries.c.details).where(
                entries.c.event == "application.approved"
            )
        )
    }
    for row in connection.execute(sa.select(applications)).all():
        record = {
            "method": row.vetting_method,
            "officer": row.vetting_officer,
            "document": row.vetting_document,
        }
        connection.execute(
            sa.update(applications)
            .where(applications.c.id == row.id)
            .values(
                vetting=json.dumps(record, sort_keys=True, separators=(",", ":")),
                approval_entry=approvals.get(row.id),
            )
        )
