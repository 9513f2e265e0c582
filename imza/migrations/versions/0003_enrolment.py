"""References and conversations of certificate management over the wire.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "enrolment_references",
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("application_id", sa.String(length=32), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("reusable", sa.Boolean(), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_by", sa.String(length=64), nullable=True),
        sa.Column("recorded_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_enrolment_references")),
    )
    op.create_index(
        op.f("ix_enrolment_references_application_id"),
        "enrolment_references",
        ["application_id"],
        unique=False,
    )
    op.create_table(
        "enrolment_transactions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.String(length=16), nullable=False),
        sa.Column("application_id", sa.String(length=32), nullable=False),
        sa.Column("cert_req_id", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment_transactions")),
    )
    op.create_index(
        op.f("ix_enrolment_transactions_application_id"),
        "enrolment_transactions",
        ["application_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_enrolment_transactions_state"), "enrolment_transactions", ["state"], unique=False
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("enrolment_transactions")
    op.drop_table("enrolment_references")
