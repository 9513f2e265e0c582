"""Operators, their certificates, and the nonces of requests they signed.

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "operators",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("added_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(length=128), nullable=False),
        sa.Column("confirmed_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=128), nullable=True),
        sa.Column("disabled_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("disabled_by", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_operators")),
    )
    op.create_table(
        "operator_certificates",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("operator_key", sa.String(length=32), nullable=False),
        sa.Column("serial_number", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_key"],
            ["operators.key"],
            name=op.f("fk_operator_certificates_operator_key_operators"),
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_operator_certificates")),
    )
    op.create_index(
        op.f("ix_operator_certificates_operator_key"),
        "operator_certificates",
        ["operator_key"],
        unique=False,
    )
    op.create_table(
        "operator_nonces",
        sa.Column("certificate_sha256", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("certificate_sha256", "nonce", name=op.f("pk_operator_nonces")),
    )
    op.create_index(
        op.f("ix_operator_nonces_expires_at"), "operator_nonces", ["expires_at"], unique=False
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("operator_nonces")
    op.drop_table("operator_certificates")
    op.drop_table("operators")
