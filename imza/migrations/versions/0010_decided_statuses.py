"""Statuses of services that somebody decided on.

Revision: 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column(
        "trusted_list_statuses", sa.Column("decided_by", sa.String(length=128), nullable=True)
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_column("trusted_list_statuses", "decided_by")
