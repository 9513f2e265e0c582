"""Mobile transactions may be about a list of documents.

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision; transactions from before have no list."""
    with op.batch_alter_table("mobile_transactions") as batch:
        batch.add_column(sa.Column("documents", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Bring the tables back to the revision before; transactions of lists are forgotten."""
    op.execute("DELETE FROM mobile_transactions WHERE documents IS NOT NULL")
    with op.batch_alter_table("mobile_transactions") as batch:
        batch.drop_column("documents")
