"""Revocation lists: bytes in pieces, stored entries, partitions, deltas.

Revision: 0012, after 0011.
"""

import datetime
import hashlib

import sqlalchemy as sa
from alembic import op
from cryptography import x509

from ca import authority
from ca.crls import entries
from pki import database, status

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIME = database.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Bring the tables to this revision, and every list and entry with them."""
    op.add_column(
        "certificates",
        sa.Column("crl_partition", sa.Integer(), nullable=False, server_default="0"),
    )
    op.drop_index("ix_certificates_revoked", table_name="certificates")
    op.create_index(
        "ix_certificates_crl_partition", "certificates", ["issuer_name", "crl_partition"]
    )
    op.create_table(
        "crl_entries",
        sa.Column("certificate_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("entry_der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_crl_entries")),
    )
    op.create_index("ix_crl_entries_change", "crl_entries", ["issuer_name", "partition", "change"])
    op.create_table(
        "crl_partitions",
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("issuer_name", "number", name=op.f("pk_crl_partitions")),
    )
    op.create_table(
        "crl_chunks",
        sa.Column("crl_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("crl_id", "position", name=op.f("pk_crl_chunks")),
    )
    op.rename_table("crls", "crls_before")
    op.drop_index("ix_crls_issuer_name", table_name="crls_before")
    _create_lists()
    _carry_entries(op.get_bind())
    _carry_lists(op.get_bind())
    op.drop_table("crls_before")


def downgrade() -> None:
    """There is no way back: a list of several partitions does not fit into the older tables."""
    raise NotImplementedError("expected a backup to be restored: this revision has no way back")


def _create_lists() -> None:
    # The constraints of the table before have these names still, and PostgreSQL wants them unique.
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("uq_crls_number", "crls_before", type_="unique")
        op.drop_constraint("pk_crls", "crls_before", type_="primary")
        op.execute("ALTER SEQUENCE crls_id_seq RENAME TO crls_before_id_seq")
    op.create_table(
        "crls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("base_number", sa.Integer(), nullable=True),
        sa.Column("this_update", _TIME, nullable=False),
        sa.Column("next_update", _TIME, nullable=False),
        sa.Column("partitioned", sa.Boolean(), nullable=False),
        sa.Column("names_delta", sa.Boolean(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("covers", sa.Integer(), nullable=True),
        sa.Column("to_be_signed_size", sa.Integer(), nullable=False),
        sa.Column("to_be_signed_sha256", sa.String(length=64), nullable=False),
        sa.Column("tail_der", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crls")),
        sa.UniqueConstraint("issuer_name", "number", name="uq_crls_number"),
    )
    op.create_index("ix_crls_scope", "crls", ["issuer_name", "partition", "number"])


def _carry_entries(connection: sa.Connection) -> None:
    certificates = sa.table(
        "certificates",
        sa.column("id", sa.Integer),
        sa.column("issuer_name", sa.String),
        sa.column("serial_number", sa.String),
        sa.column("revoked_at", _TIME),
        sa.column("reason", sa.String),
        sa.column("invalidity_date", _TIME),
    )
    made = sa.table(
        "crl_entries",
        *(
            sa.column(name)
            for name in ("certificate_id", "issuer_name", "partition", "change", "removed")
        ),
        sa.column("entry_der", sa.LargeBinary),
    )
    rows = connection.execute(
        sa.select(certificates)
        .where(certificates.c.revoked_at.is_not(None))
        .execution_options(yield_per=1000)
    )
    for batch in rows.partitions():
        connection.execute(
            sa.insert(made),
            [
                {
                    "certificate_id": row.id,
                    "issuer_name": row.issuer_name,
                    "partition": 0,
                    # Before any number that the audit log gives: in every list from now on.
                    "change": 0,
                    "removed": False,
                    "entry_der": entries.encode(
                        int(row.serial_number, 16),
                        row.revoked_at,
                        status.RevocationReason[row.reason or "unspecified"].value,
                        row.invalidity_date,
                    ),
                }
                for row in batch
            ],
        )


def _carry_lists(connection: sa.Connection) -> None:
    before = sa.table(
        "crls_before",
        sa.column("id", sa.Integer),
        sa.column("issuer_name", sa.String),
        sa.column("number", sa.Integer),
        sa.column("this_update", _TIME),
        sa.column("next_update", _TIME),
        sa.column("to_be_signed_sha256", sa.String),
        sa.column("to_be_signed_der", sa.LargeBinary),
        sa.column("crl_der", sa.LargeBinary),
    )
    names = (
        "issuer_name", "partition", "number", "partitioned", "names_delta", "entries",
        "to_be_signed_size", "to_be_signed_sha256", "sha256", "kept", "id",
    )  # fmt: skip
    lists = sa.table(
        "crls",
        *(sa.column(one) for one in names),
        sa.column("this_update", _TIME),
        sa.column("next_update", _TIME),
        sa.column("tail_der", sa.LargeBinary),
    )
    chunks = sa.table(
        "crl_chunks",
        sa.column("crl_id"),
        sa.column("position"),
        sa.column("content", sa.LargeBinary),
    )
    for (number,) in connection.execute(sa.select(before.c.id)).all():
        row = connection.execute(sa.select(before).where(before.c.id == number)).one()
        signed: bytes | None = row.crl_der
        this_update: datetime.datetime = row.this_update
        connection.execute(
            sa.insert(lists).values(
                id=row.id,
                issuer_name=row.issuer_name,
                partition=0,
                number=row.number,
                this_update=this_update,
                next_update=row.next_update,
                partitioned=False,
                names_delta=False,
                entries=0 if signed is None else len(x509.load_der_x509_crl(signed)),
                to_be_signed_size=len(row.to_be_signed_der),
                to_be_signed_sha256=row.to_be_signed_sha256,
                tail_der=None if signed is None else authority.tail(signed),
                sha256=None if signed is None else hashlib.sha256(signed).hexdigest(),
                kept=True,
            )
        )
        connection.execute(
            sa.insert(chunks).values(crl_id=row.id, position=0, content=row.to_be_signed_der)
        )
    if connection.dialect.name == "postgresql":
        connection.execute(
            sa.text("SELECT setval('crls_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM crls))")
        )
