"""The lock of a registry that is older than the signature log.

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "registry_lock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("log_number", sa.Integer(), nullable=False),
        sa.Column("log_hash", sa.String(length=64), nullable=False),
        sa.Column("log_start", sa.BigInteger(), nullable=False),
        sa.Column("locked_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("reconciled_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("reconciled_by", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_lock")),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("registry_lock")
