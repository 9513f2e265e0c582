"""Revoke, hold and release (RFC 5280 5.3.1).

Revocation is for good. A hold is the one revocation that can be taken back, and release is the
only way back.
"""

import datetime
import logging

from sqlalchemy import orm

from ca.crls import entries
from pki import audit, certificates, clock, errors, registry, status

log = logging.getLogger(__name__)


class RevocationStateError(errors.StateError):
    """The certificate's state does not allow the change."""

    code = "revocation-state"


def revoke(
    session: orm.Session,
    serial_number: int,
    reason: status.RevocationReason,
    at: datetime.datetime,
    *,
    actor: str,
    invalidity_date: datetime.datetime | None = None,
) -> registry.CertificateRecord:
    """Revoke a certificate for good; the caller commits.

    Revoking it again for the same reason changes nothing, so that a repeated call is harmless.
    A certificate on hold becomes revoked; its revocation then counts from the beginning of the
    hold, since nobody could rely on it in between.

    Args:
        session: The transaction.
        serial_number: Of a certificate of this installation.
        reason: Any but a hold.
        at: When the revocation takes effect.
        actor: Who revokes.
        invalidity_date: Since when the key may be in wrong hands; not after `at`.

    Raises:
        CertificateNotFoundError: No such certificate.
        RevocationStateError: Not issued, or revoked for another reason.
        InputError: The reason is a hold, or the invalidity date is in the future.
    """
    if reason is status.RevocationReason.certificateHold:
        raise errors.InputError("expected a final reason, got certificateHold: use hold")
    at = clock.whole_seconds(at)
    if invalidity_date is not None and clock.require_utc(invalidity_date) > at:
        raise errors.InputError("expected an invalidity date that is not in the future")
    row = _issued_row(session, serial_number)
    if row.reason not in (None, status.RevocationReason.certificateHold.name):
        if row.reason == reason.name:
            return registry.to_record(row)
        raise RevocationStateError(f"the certificate is revoked already, for {row.reason}")
    row.revoked_at = row.revoked_at or at
    row.reason = reason.name
    row.invalidity_date = None if invalidity_date is None else clock.whole_seconds(invalidity_date)
    _record(session, row, audit.AuditEvent.CERTIFICATE_REVOKED, at, actor)
    return registry.to_record(row)


def hold(
    session: orm.Session, serial_number: int, at: datetime.datetime, *, actor: str
) -> registry.CertificateRecord:
    """Suspend a certificate; holding it again changes nothing; the caller commits.

    Raises:
        CertificateNotFoundError: No such certificate.
        RevocationStateError: Not issued, or revoked for good.
    """
    at = clock.whole_seconds(at)
    row = _issued_row(session, serial_number)
    if row.reason == status.RevocationReason.certificateHold.name:
        return registry.to_record(row)
    if row.revoked_at is not None:
        raise RevocationStateError(f"the certificate is revoked already, for {row.reason}")
    row.revoked_at = at
    row.reason = status.RevocationReason.certificateHold.name
    _record(session, row, audit.AuditEvent.CERTIFICATE_HELD, at, actor)
    return registry.to_record(row)


def release(
    session: orm.Session, serial_number: int, at: datetime.datetime, *, actor: str
) -> registry.CertificateRecord:
    """End a hold; the certificate is good again; the caller commits.

    Raises:
        CertificateNotFoundError: No such certificate.
        RevocationStateError: It is not on hold.
    """
    row = _issued_row(session, serial_number)
    if row.reason != status.RevocationReason.certificateHold.name:
        raise RevocationStateError("expected a certificate on hold")
    row.revoked_at = None
    row.reason = None
    row.invalidity_date = None
    _record(session, row, audit.AuditEvent.CERTIFICATE_RELEASED, at, actor)
    return registry.to_record(row)


def _issued_row(session: orm.Session, serial_number: int) -> registry.CertificateRow:
    row = registry.find_row(session, serial_number, lock=True)
    if row.state != registry.CertificateState.ISSUED.value:
        raise RevocationStateError(f"expected an issued certificate, got an {row.state} one")
    return row


def _record(
    session: orm.Session,
    row: registry.CertificateRow,
    event: audit.AuditEvent,
    at: datetime.datetime,
    actor: str,
) -> None:
    details = {
        "issuer": row.issuer_name,
        "serial_number": row.serial_number,
        "reason": row.reason,
    }
    head = audit.append(session, event, at, actor=actor, details=details)
    entries.record(session, [row], head.number, at)
    serial = certificates.serial_text(int(row.serial_number, 16))
    log.info("%s issuer=%s serial=%s", event.value, row.issuer_name, serial)
