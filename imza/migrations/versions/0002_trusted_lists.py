"""The trusted lists that were published, and the statuses of services.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "trusted_lists",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("sequence_number", sa.Integer(), nullable=False),
        sa.Column("issued_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_update", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("list_xml", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_lists")),
        sa.UniqueConstraint("name", "sequence_number", name="uq_trusted_lists_number"),
    )
    op.create_table(
        "trusted_list_statuses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("service_type", sa.String(length=128), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("since", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trusted_list_statuses")),
        sa.UniqueConstraint(
            "service_type", "key_sha256", "since", name="uq_trusted_list_statuses_since"
        ),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("trusted_list_statuses")
    op.drop_table("trusted_lists")
