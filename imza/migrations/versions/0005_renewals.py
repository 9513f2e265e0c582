"""Which certificate signed for its successor over CMP.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    with op.batch_alter_table("enrolment_transactions") as table:
        table.add_column(sa.Column("renews", sa.String(length=40), nullable=True))


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    with op.batch_alter_table("enrolment_transactions") as table:
        table.drop_column("renews")
