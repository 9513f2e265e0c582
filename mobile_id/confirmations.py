"""What follows when a person has confirmed: values are checked, recorded and counted."""

import datetime
import hashlib
import logging
from collections.abc import Sequence

from cryptography import x509
from sqlalchemy import orm

from mobile_id import transactions
from pki import audit, errors, signature, usage

log = logging.getLogger(__name__)


def verify(row: transactions.TransactionRow, values: Sequence[bytes]) -> bool:
    """Tell whether there is a value for each hash that was asked for, and each verifies."""
    asked = row.representations
    if row.certificate is None or len(values) != len(asked):
        return False
    public_key = x509.load_der_x509_certificate(row.certificate).public_key()
    try:
        for representation, value in zip(asked, values, strict=True):
            signature.check_value(
                public_key, representation, transactions.ecdsa(representation, value)
            )
    except errors.InputError as error:
        log.warning("signature_value_refused code=%s", error.code)
        return False
    return True


def record(session: orm.Session, row: transactions.TransactionRow, at: datetime.datetime) -> None:
    """Record what the person confirmed and with which certificate, beside the change itself."""
    audit.append(
        session,
        audit.AuditEvent.SESSION_CONFIRMED,
        at,
        actor="mobile-gateway",
        details={
            "transaction": row.id,
            "operation": row.operation,
            "relying_party": row.relying_party_key,
            "hash": row.hash.hex(),
            **({} if row.documents is None else {"documents": len(row.documents)}),
            "certificate_sha256": hashlib.sha256(row.certificate or b"").hexdigest(),
        },
    )


def count(session: orm.Session, row: transactions.TransactionRow, at: datetime.datetime) -> None:
    """Count what was confirmed, beside the change itself: once, however often the phone asks."""
    usage.count(
        session,
        "mobile",
        usage.Channel.PHONE,
        usage.Operation(row.operation),
        x509.load_der_x509_certificate(row.certificate or b""),
        row.relying_party_name,
        at,
    )
