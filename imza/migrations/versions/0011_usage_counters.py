"""Counters of signatures and authentications, month by month.

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "usage_counters",
        sa.Column("zone", sa.String(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("issuer_key", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=16), nullable=False),
        sa.Column("relying_party", sa.String(length=200), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "zone",
            "month",
            "channel",
            "operation",
            "issuer_key",
            "holder",
            "relying_party",
            name=op.f("pk_usage_counters"),
        ),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("usage_counters")
