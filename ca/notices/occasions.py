"""Finding what is to be told, and recording it once: ends that come near, and changes."""

import datetime
import json
import secrets
from collections.abc import Iterable

import sqlalchemy
from sqlalchemy import exc, orm

from ca.notices import settings as notice_settings
from ca.notices import tables, texts
from ca.renewal import lineage
from ca.subscribers import contacts
from pki import audit, errors, profiles, registry

BATCH = 200
"""Certificates, or entries of the audit log, looked at in one transaction."""

WAITING = "waiting"
UNADDRESSED = "unaddressed"

EMAIL = "email"
SMS = "sms"
NONE = "none"

_CURSOR_ID = 1

_CHANGES = {
    audit.AuditEvent.CERTIFICATE_ISSUED.value: texts.Kind.ISSUED,
    audit.AuditEvent.CERTIFICATE_HELD.value: texts.Kind.HELD,
    audit.AuditEvent.CERTIFICATE_RELEASED.value: texts.Kind.RELEASED,
    audit.AuditEvent.CERTIFICATE_REVOKED.value: texts.Kind.REVOKED,
}


def record_ends(
    sessions: orm.sessionmaker[orm.Session],
    settings: notice_settings.Settings,
    at: datetime.datetime,
) -> int:
    """Record a notice for each certificate that ends soon; a regular duty of the worker.

    A certificate has one notice for each of `days_before_end`; after a standstill only the one
    for the fewest days is sent. One that is revoked, or has a successor, needs none.

    Returns:
        How many certificates were looked at.
    """
    looked_at = 0
    begin = at
    for days in sorted(set(settings.days_before_end)):
        end = at + datetime.timedelta(days=days)
        while found := _record_some(sessions, settings, f"expires-{days}", begin, end, at):
            looked_at += found
        begin = end
    return looked_at


def record_changes(
    sessions: orm.sessionmaker[orm.Session],
    settings: notice_settings.Settings,
    at: datetime.datetime,
) -> int:
    """Record a notice for each change that the audit log has had since the last call.

    The log has every change in one order, in the change's own transaction; the cursor moves in
    the transaction of the notices, so that none is missed or recorded twice. The first call
    starts at the log's end: nobody is told of the past.

    Returns:
        How many entries were looked at.
    """
    looked_at = 0
    while True:
        with sessions() as session:
            count = _follow(session, settings, at)
            try:
                session.commit()
            except exc.IntegrityError:
                return looked_at  # Another worker made the cursor at this moment.
        looked_at += count
        if count < BATCH:
            return looked_at


def _follow(session: orm.Session, settings: notice_settings.Settings, at: datetime.datetime) -> int:
    cursor = session.get(tables.CursorRow, _CURSOR_ID, with_for_update=True)
    if cursor is None:
        session.add(tables.CursorRow(id=_CURSOR_ID, number=audit.head(session).number))
        return 0
    entries = audit.entries(session, after=cursor.number, limit=BATCH)
    for entry in entries:
        kind = _CHANGES.get(entry.event)
        if kind is not None:
            serial_number = int(json.loads(entry.details)["serial_number"], 16)
            record = registry.find(session, serial_number)
            if record.profile in profiles.SUBSCRIBER_NAMES:
                occasion = f"{kind.value}-{entry.number}"
                _add(session, settings, serial_number, occasion, entry.at, at)
        cursor.number = entry.number
    return len(entries)


def _record_some(
    sessions: orm.sessionmaker[orm.Session],
    settings: notice_settings.Settings,
    occasion: str,
    begin: datetime.datetime,
    end: datetime.datetime,
    at: datetime.datetime,
) -> int:
    row = registry.CertificateRow
    told = sqlalchemy.exists().where(
        tables.NoticeRow.serial_number == row.serial_number,
        tables.NoticeRow.occasion == occasion,
    )
    with sessions() as session:
        due = session.execute(
            sqlalchemy.select(row.serial_number)
            .where(
                row.not_after > begin,
                row.not_after <= end,
                row.state == registry.CertificateState.ISSUED.value,
                row.revoked_at.is_(None),
                row.profile.in_(profiles.SUBSCRIBER_NAMES),
                ~told,
                ~_successor_exists(),
            )
            .order_by(row.id)
            .limit(BATCH)
        ).all()
        for (serial_number,) in due:
            _add(session, settings, int(serial_number, 16), occasion, at, at)
        try:
            session.commit()
        except exc.IntegrityError:
            return 0  # Another worker records the same at this moment.
    return len(due)


def _successor_exists() -> sqlalchemy.Exists:
    """Whether the owner has a good certificate of the same kind that lasts longer."""
    row = registry.CertificateRow
    later = orm.aliased(row)
    return sqlalchemy.exists().where(
        later.person_identifier == row.person_identifier,
        later.subject == row.subject,
        later.profile == row.profile,
        later.state == registry.CertificateState.ISSUED.value,
        later.revoked_at.is_(None),
        later.not_after > row.not_after,
    )


def _add(
    session: orm.Session,
    settings: notice_settings.Settings,
    serial_number: int,
    occasion: str,
    happened_at: datetime.datetime,
    at: datetime.datetime,
) -> None:
    for channel in _channels(session, settings, serial_number) or (NONE,):
        session.add(
            tables.NoticeRow(
                serial_number=registry.serial_key(serial_number),
                occasion=occasion,
                channel=channel,
                state=UNADDRESSED if channel == NONE else WAITING,
                message_id=secrets.token_hex(16),
                attempts=0,
                due_at=at,
                happened_at=happened_at,
                settled_at=at if channel == NONE else None,
            )
        )


def _channels(
    session: orm.Session, settings: notice_settings.Settings, serial_number: int
) -> Iterable[str]:
    contact = contact_of(session, serial_number)
    if contact is None:
        return ()
    wanted = []
    if settings.smtp is not None and contact.email is not None:
        wanted.append(EMAIL)
    if settings.sms is not None and contact.phone_number is not None:
        wanted.append(SMS)
    return wanted


def contact_of(session: orm.Session, serial_number: int) -> contacts.Contact | None:
    """How to reach the owner of a certificate, or None."""
    try:
        behind = lineage.find(session, serial_number)
    except errors.NotFoundError:
        return None
    return None if behind is None else contacts.find(session, behind.application_id)
