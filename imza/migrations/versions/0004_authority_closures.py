"""Authorities that certify nobody any more.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "authority_closures",
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("closed_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("invalidity_date", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.Integer(), nullable=False),
        sa.Column("completed_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("issuer_name", name=op.f("pk_authority_closures")),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("authority_closures")
