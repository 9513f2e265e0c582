"""The disclosure statements that were published.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "disclosure_statements",
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("effective", sa.String(length=10), nullable=False),
        sa.Column("published_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("facts_sha256", sa.String(length=64), nullable=False),
        sa.Column("page_html", sa.LargeBinary(), nullable=False),
        sa.Column("page_policy", sa.String(length=500), nullable=False),
        sa.Column("statement_pdf", sa.LargeBinary(), nullable=False),
        sa.Column("pdf_sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("version", "language", name=op.f("pk_disclosure_statements")),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("disclosure_statements")
