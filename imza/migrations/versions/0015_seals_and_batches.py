"""Signing sessions know the seal that was used, and the batch they belong to.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision; sessions from before have neither."""
    with op.batch_alter_table("signing_sessions") as batch:
        batch.add_column(sa.Column("seal", sa.String(length=100), nullable=True))
        batch.add_column(sa.Column("batch", sa.String(length=32), nullable=True))
        batch.add_column(sa.Column("batch_position", sa.Integer(), nullable=True))
        batch.create_index("ix_signing_sessions_batch", ["batch"])


def downgrade() -> None:
    """Bring the tables back to the revision before; batches become single sessions."""
    with op.batch_alter_table("signing_sessions") as batch:
        batch.drop_index("ix_signing_sessions_batch")
        batch.drop_column("batch_position")
        batch.drop_column("batch")
        batch.drop_column("seal")
