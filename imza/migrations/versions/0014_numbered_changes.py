"""Changes of statuses have numbers, by which responders follow them.

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_FOLLOWED = (
    "changed", "issuer_name", "serial_number", "revoked_at", "reason", "invalidity_date",
)  # fmt: skip


def upgrade() -> None:
    """Bring the tables to this revision; what changed before has the number 0."""
    op.add_column("certificates", sa.Column("changed", sa.Integer(), nullable=True))
    certificates = sa.table("certificates", sa.column("changed"), sa.column("state"))
    op.execute(sa.update(certificates).where(certificates.c.state != "intended").values(changed=0))
    for name, columns, condition in (
        ("ix_certificates_changed", list(_FOLLOWED), sa.text("changed IS NOT NULL")),
        ("ix_certificates_services", ["profile"], sa.text("key_label IS NOT NULL")),
    ):
        op.create_index(
            name,
            "certificates",
            columns,
            sqlite_where=condition,
            postgresql_where=condition,
        )


def downgrade() -> None:
    """Bring the tables back to the revision before; responders of this version stop working."""
    op.drop_index("ix_certificates_services", "certificates")
    op.drop_index("ix_certificates_changed", "certificates")
    with op.batch_alter_table("certificates") as batch:
        batch.drop_column("changed")
