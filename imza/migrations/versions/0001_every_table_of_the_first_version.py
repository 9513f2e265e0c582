"""Every table of the first version.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op

from pki import database

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "access_tokens",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.String(length=500), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_access_tokens")),
    )
    op.create_index(
        op.f("ix_access_tokens_expires_at"), "access_tokens", ["expires_at"], unique=False
    )
    op.create_table(
        "applications",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("person_code", sa.String(length=64), nullable=False),
        sa.Column("surname", sa.String(length=64), nullable=False),
        sa.Column("given_name", sa.String(length=64), nullable=False),
        sa.Column("organisation_country", sa.String(length=2), nullable=True),
        sa.Column("organisation_code", sa.String(length=64), nullable=True),
        sa.Column("organisation_name", sa.String(length=64), nullable=True),
        sa.Column("title", sa.String(length=64), nullable=True),
        sa.Column("vetting_method", sa.String(length=32), nullable=False),
        sa.Column("vetting_officer", sa.String(length=64), nullable=False),
        sa.Column("vetting_document", sa.String(length=64), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("recorded_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.String(length=128), nullable=False),
        sa.Column("approved_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_hash", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_entries")),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("serial_number", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("request_key", sa.String(length=128), nullable=True),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("key_label", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("person_identifier", sa.String(length=80), nullable=True),
        sa.Column("organisation_identifier", sa.String(length=80), nullable=True),
        sa.Column("not_before", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("to_be_signed_der", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("issued_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("invalidity_date", database.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
        sa.UniqueConstraint("issuer_name", "serial_number", name="uq_certificates_serial"),
        sa.UniqueConstraint("request_key", name=op.f("uq_certificates_request_key")),
    )
    op.create_index(
        op.f("ix_certificates_key_sha256"), "certificates", ["key_sha256"], unique=False
    )
    op.create_index(
        op.f("ix_certificates_person_identifier"),
        "certificates",
        ["person_identifier"],
        unique=False,
    )
    op.create_index(
        "ix_certificates_revoked", "certificates", ["issuer_name", "revoked_at"], unique=False
    )
    op.create_index(
        op.f("ix_certificates_serial_number"), "certificates", ["serial_number"], unique=False
    )
    op.create_index(op.f("ix_certificates_state"), "certificates", ["state"], unique=False)
    op.create_table(
        "crls",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("this_update", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_update", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("to_be_signed_sha256", sa.String(length=64), nullable=False),
        sa.Column("to_be_signed_der", sa.LargeBinary(), nullable=False),
        sa.Column("crl_der", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crls")),
        sa.UniqueConstraint("issuer_name", "number", name="uq_crls_number"),
    )
    op.create_index(op.f("ix_crls_issuer_name"), "crls", ["issuer_name"], unique=False)
    op.create_table(
        "issuers",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("certificate_der", sa.LargeBinary(), nullable=False),
        sa.Column("issuer_name", sa.String(length=64), nullable=False),
        sa.Column("key_label", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_issuers")),
    )
    op.create_table(
        "mobile_subscribers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("phone_number", sa.String(length=31), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("person_code", sa.String(length=32), nullable=False),
        sa.Column("iccid", sa.String(length=22), nullable=False),
        sa.Column("authentication_certificate", sa.LargeBinary(), nullable=False),
        sa.Column("signing_certificate", sa.LargeBinary(), nullable=False),
        sa.Column("device_secret_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mobile_subscribers")),
        sa.UniqueConstraint(
            "device_secret_hash", name=op.f("uq_mobile_subscribers_device_secret_hash")
        ),
        sa.UniqueConstraint("iccid", name=op.f("uq_mobile_subscribers_iccid")),
        sa.UniqueConstraint("phone_number", name=op.f("uq_mobile_subscribers_phone_number")),
    )
    op.create_table(
        "signing_sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("request_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting_value",
                "awaiting_person",
                "augmenting",
                "completed",
                "refused",
                "expired",
                "failed",
                name="sessionstate",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column(
            "format",
            sa.Enum(
                "PAdES",
                "XAdES",
                "ASiC-E",
                "CAdES",
                name="signatureformat",
                native_enum=False,
                length=10,
            ),
            nullable=False,
        ),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("level_reached", sa.Integer(), nullable=True),
        sa.Column("document_name", sa.String(length=255), nullable=False),
        sa.Column("path_pem", sa.LargeBinary(), nullable=False),
        sa.Column(
            "hash_algorithm",
            sa.Enum(
                "SHA-256", "SHA-384", "SHA-512", name="hashalgorithm", native_enum=False, length=10
            ),
            nullable=False,
        ),
        sa.Column("data_to_be_signed", sa.LargeBinary(), nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("control_code", sa.String(length=10), nullable=True),
        sa.Column("phone_session", sa.String(length=100), nullable=True),
        sa.Column(
            "signature_algorithm",
            sa.Enum(
                "ECDSA",
                "RSASSA-PKCS1-v1_5",
                "RSASSA-PSS",
                name="signaturealgorithm",
                native_enum=False,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("signature_value", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.String(length=60), nullable=True),
        sa.Column("error_message", sa.String(length=500), nullable=True),
        sa.Column("created_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("give_up_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", database.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_sessions")),
        sa.UniqueConstraint(
            "client_id", "idempotency_key", name=op.f("uq_signing_sessions_client_id")
        ),
    )
    op.create_index(
        "ix_signing_sessions_state_next_try",
        "signing_sessions",
        ["state", "next_try_at"],
        unique=False,
    )
    op.create_table(
        "mobile_transactions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("relying_party_key", sa.String(length=32), nullable=False),
        sa.Column("relying_party_name", sa.String(length=200), nullable=False),
        sa.Column("subscriber_id", sa.String(length=36), nullable=True),
        sa.Column("hash_algorithm", sa.String(length=8), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(length=3), nullable=False),
        sa.Column("display_text", sa.String(length=100), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.Column("signature_value", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("answer_by", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("gone_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("changed_at", database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["mobile_subscribers.id"],
            name=op.f("fk_mobile_transactions_subscriber_id_mobile_subscribers"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mobile_transactions")),
    )
    op.create_index(
        "ix_mobile_transactions_changed", "mobile_transactions", ["changed_at"], unique=False
    )
    op.create_index(
        "ix_mobile_transactions_due", "mobile_transactions", ["state", "answer_by"], unique=False
    )
    op.create_index(
        "ix_mobile_transactions_waiting",
        "mobile_transactions",
        ["subscriber_id", "state"],
        unique=False,
    )
    op.create_index(
        "uq_mobile_transactions_on_sim",
        "mobile_transactions",
        ["subscriber_id"],
        unique=True,
        sqlite_where=sa.text("state = 'delivered'"),
        postgresql_where=sa.text("state = 'delivered'"),
    )


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_index(
        "uq_mobile_transactions_on_sim",
        table_name="mobile_transactions",
        sqlite_where=sa.text("state = 'delivered'"),
        postgresql_where=sa.text("state = 'delivered'"),
    )
    op.drop_index("ix_mobile_transactions_waiting", table_name="mobile_transactions")
    op.drop_index("ix_mobile_transactions_due", table_name="mobile_transactions")
    op.drop_index("ix_mobile_transactions_changed", table_name="mobile_transactions")
    op.drop_table("mobile_transactions")
    op.drop_index("ix_signing_sessions_state_next_try", table_name="signing_sessions")
    op.drop_table("signing_sessions")
    op.drop_table("mobile_subscribers")
    op.drop_table("issuers")
    op.drop_index(op.f("ix_crls_issuer_name"), table_name="crls")
    op.drop_table("crls")
    op.drop_index(op.f("ix_certificates_state"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_serial_number"), table_name="certificates")
    op.drop_index("ix_certificates_revoked", table_name="certificates")
    op.drop_index(op.f("ix_certificates_person_identifier"), table_name="certificates")
    op.drop_index(op.f("ix_certificates_key_sha256"), table_name="certificates")
    op.drop_table("certificates")
    op.drop_table("audit_head")
    op.drop_table("audit_entries")
    op.drop_table("applications")
    op.drop_index(op.f("ix_access_tokens_expires_at"), table_name="access_tokens")
    op.drop_table("access_tokens")
