"""Conversations that change something: each is recorded before anything is issued.

A conversation is known by its sender and its transactionID together, for good. A message that is
sent again, by its sender or by somebody who recorded it, finds it and changes nothing.
"""

import datetime
import enum
import hashlib
import logging

import sqlalchemy
from sqlalchemy import exc, orm

from ca import revocation
from ca.enrolment import messages, tables
from pki import registry, status

log = logging.getLogger(__name__)

UNCONFIRMED_REASON = status.RevocationReason.cessationOfOperation
"""Of a certificate that its owner never took (RFC 9810 5.3.18)."""

ACTOR = "cmp"


class TransactionState(enum.Enum):
    """How far a conversation came."""

    WORKING = "working"
    AWAITING_CONFIRMATION = "awaiting"
    DONE = "done"
    FAILED = "failed"


def identify(sender: str, transaction_id: bytes) -> str:
    """The name of a conversation; two senders may choose the same transactionID."""
    return hashlib.sha256(sender.encode() + b"\x00" + transaction_id).hexdigest()


def request_key(identity: str) -> str:
    """What the certificate of a conversation is recorded under."""
    return f"cmp/{identity}"


def begin(
    session: orm.Session,
    identity: str,
    body: str,
    application_id: str,
    cert_req_id: int,
    at: datetime.datetime,
    *,
    renews: int | None = None,
) -> None:
    """Record a new conversation; the caller commits.

    Args:
        session: The transaction.
        identity: Its name.
        body: What kind of request began it.
        application_id: The application that stands behind it.
        cert_req_id: The number that its request has.
        at: The present.
        renews: The serial number of the certificate whose owner asks for the next one.

    Raises:
        RefusedError: It is not new.
    """
    row = tables.TransactionRow(
        id=identity,
        state=TransactionState.WORKING.value,
        body=body,
        application_id=application_id,
        cert_req_id=cert_req_id,
        renews=None if renews is None else registry.serial_key(renews),
        nonce=b"",
        recorded_at=at,
    )
    session.add(row)
    try:
        session.flush()
    except exc.IntegrityError as error:
        raise messages.RefusedError(
            messages.FailureInfo.transactionIdInUse, "expected a new transactionID"
        ) from error


def settle(
    session: orm.Session, identity: str, state: TransactionState, nonce: bytes = b""
) -> None:
    """Record how far a conversation came; the caller commits.

    Raises:
        RefusedError: Somebody else ended it meanwhile.
    """
    row = session.get(tables.TransactionRow, identity, with_for_update=True)
    if row is None or row.state != TransactionState.WORKING.value:
        raise messages.RefusedError(
            messages.FailureInfo.systemUnavail, "the conversation was ended: begin it anew"
        )
    row.state = state.value
    row.nonce = nonce


def find_awaiting(session: orm.Session, identity: str) -> tables.TransactionRow:
    """Return, locked, the conversation that a certConf belongs to.

    Raises:
        RefusedError: There is none, or it awaits no confirmation.
    """
    row = session.get(tables.TransactionRow, identity, with_for_update=True)
    if row is None:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, "no conversation has this transactionID"
        )
    if row.state == TransactionState.DONE.value:
        raise messages.RefusedError(
            messages.FailureInfo.certConfirmed, "the certificate is confirmed already"
        )
    if row.state != TransactionState.AWAITING_CONFIRMATION.value:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, "the conversation awaits no confirmation"
        )
    return row


def find_certificate(session: orm.Session, identity: str) -> registry.CertificateRow | None:
    """The certificate of a conversation, if it came to one."""
    return session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.request_key == request_key(identity),
            registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
        )
    ).first()


def reject(session: orm.Session, row: tables.TransactionRow, at: datetime.datetime) -> str | None:
    """End a conversation and revoke its certificate; the caller commits and publishes the CRL.

    Returns:
        The name of the authority whose CRL changes, or None.
    """
    row.state = TransactionState.FAILED.value
    certificate = find_certificate(session, row.id)
    if certificate is None:
        return None
    if certificate.revoked_at is None:
        revocation.revoke(
            session, int(certificate.serial_number, 16), UNCONFIRMED_REASON, at, actor=ACTOR
        )
    return certificate.issuer_name


def end_unconfirmed(
    sessions: orm.sessionmaker[orm.Session], wait: datetime.timedelta, at: datetime.datetime
) -> int:
    """End every conversation that was left alone too long; a duty of the worker.

    That includes those whose process died between issuing and answering. The CRLs that change are
    published by the duty that publishes all of them.

    Returns:
        How many were ended.
    """
    open_states = (TransactionState.WORKING.value, TransactionState.AWAITING_CONFIRMATION.value)
    with sessions() as session:
        rows = session.scalars(
            sqlalchemy.select(tables.TransactionRow)
            .where(
                tables.TransactionRow.state.in_(open_states),
                tables.TransactionRow.recorded_at < at - wait,
            )
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            reject(session, row, at)
        session.commit()
    if rows:
        log.warning("enrolments_unconfirmed count=%d", len(rows))
    return len(rows)
