"""The append-only audit log: what an auditor must be able to prove.

Each entry carries the hash of the one before, and the head is kept apart, so that an edited,
removed, reordered or cut entry is found by anyone who recomputes the chain. An entry is appended
in the transaction of the change that it tells of: neither exists without the other.
"""

import dataclasses
import datetime
import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import cast

import sqlalchemy
from sqlalchemy import orm

from pki import clock, database, errors

GENESIS = "0" * 64
"""The hash before the first entry."""

MAX_DETAILS_BYTES = 4096
"""Entries hold serials, digests and codes, never documents."""

_HEAD_ID = 1


class AuditTamperedError(errors.TamperedError):
    """The log is not what was written."""

    code = "audit-tampered"


class AuditEvent(enum.Enum):
    """What happened: a noun and what was done to it."""

    KEY_GENERATED = "key.generated"
    DISCLOSURE_PUBLISHED = "disclosure.published"
    CEREMONY_OPENED = "ceremony.opened"
    CEREMONY_CLOSED = "ceremony.closed"
    AUTHORITY_CERTIFIED = "authority.certified"
    AUTHORITY_CLOSED = "authority.closed"
    CERTIFICATES_REVOKED = "certificates.revoked"
    REGISTRY_LOCKED = "registry.locked"
    REGISTRY_RECONCILED = "registry.reconciled"
    REGISTRY_RELEASED = "registry.released"
    REGISTRY_EXAMINED = "registry.examined"
    DATABASE_SAVED = "database.saved"
    DATABASE_RESTORED = "database.restored"
    APPLICATION_RECORDED = "application.recorded"
    REGISTER_IMPORTED = "register.imported"
    APPLICATION_VETTED = "application.vetted"
    APPLICATION_APPROVED = "application.approved"
    APPLICATION_REJECTED = "application.rejected"
    REFERENCE_RECORDED = "reference.recorded"
    CERTIFICATE_INTENDED = "certificate.intended"
    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_ABANDONED = "certificate.abandoned"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_HELD = "certificate.held"
    CERTIFICATE_RELEASED = "certificate.released"
    CONTACT_RECORDED = "contact.recorded"
    REVOCATION_PASSWORD_CHANGED = "revocation-password.changed"  # noqa: S105 - an event
    REVOCATION_PASSWORD_MISSED = "revocation-password.missed"  # noqa: S105 - an event
    SUBSCRIBER_CHECKED = "subscriber.checked"
    NOTICE_SENT = "notice.sent"
    NOTICE_ABANDONED = "notice.abandoned"
    CRL_INTENDED = "crl.intended"
    CRL_PUBLISHED = "crl.published"
    CRL_PARTITION_OPENED = "crl-partition.opened"
    TRUSTED_LIST_PUBLISHED = "trusted-list.published"
    CLOCK_TRUSTED = "clock.trusted"
    CLOCK_UNTRUSTED = "clock.untrusted"
    OPERATOR_ADDED = "operator.added"
    OPERATOR_CONFIRMED = "operator.confirmed"
    OPERATOR_RENEWED = "operator.renewed"
    OPERATOR_DISABLED = "operator.disabled"
    OPERATOR_REFUSED = "operator.refused"
    SERVICE_STATUS_DECIDED = "service-status.decided"
    SESSION_CONFIRMED = "session.confirmed"
    SESSION_COMPLETED = "session.completed"
    SEAL_USED = "seal.used"
    BATCH_CONFIRMED = "batch.confirmed"


class EntryRow(database.Base):
    """One entry of the log."""

    __tablename__ = "audit_entries"

    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    event: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    actor: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(128))
    details: orm.Mapped[str] = orm.mapped_column(sqlalchemy.Text)
    previous_hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))


class HeadRow(database.Base):
    """The newest entry's number and hash; locking this row puts appends into one order."""

    __tablename__ = "audit_head"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    number: orm.Mapped[int] = orm.mapped_column()
    hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))


# Every change appends an entry, so the statements go past the object-relational layer.
_ENTRIES = cast(sqlalchemy.Table, EntryRow.__table__)
_HEADS = cast(sqlalchemy.Table, HeadRow.__table__)
_READ_HEAD = sqlalchemy.select(_HEADS.c.number, _HEADS.c.hash).where(_HEADS.c.id == _HEAD_ID)
_LOCK_HEAD = _READ_HEAD.with_for_update()
_ADD_ENTRIES = sqlalchemy.insert(_ENTRIES)
_MOVE_HEAD = (
    sqlalchemy.update(_HEADS)
    .where(_HEADS.c.id == _HEAD_ID)
    .values(
        number=sqlalchemy.bindparam("new_number"),
        hash=sqlalchemy.bindparam("new_hash"),
    )
)


_DETAILS = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """What happened, to be appended: see `append`."""

    event: AuditEvent
    at: datetime.datetime
    actor: str
    details: Mapping[str, str | int | None]


@dataclasses.dataclass(frozen=True)
class AuditHead:
    """How long the log is and the hash that stands for all of it: what a time stamp anchors."""

    number: int
    hash: str


@dataclasses.dataclass(frozen=True)
class AuditEntry:
    """One entry as it was written; `details` is the JSON text that its hash covers."""

    number: int
    at: datetime.datetime
    event: str
    actor: str
    details: str
    previous_hash: str
    hash: str


def append(
    session: orm.Session,
    event: AuditEvent,
    at: datetime.datetime,
    *,
    actor: str,
    details: Mapping[str, str | int | None],
) -> AuditHead:
    """Append an entry to the transaction that is open in `session`.

    Args:
        session: The transaction of the change.
        event: What happened.
        at: When.
        actor: Which client, officer or part of the system did it.
        details: Serials, digests and codes; never names, identity numbers or secrets.
    """
    return append_all(session, (Occurrence(event, at, actor, details),))


def append_all(
    session: orm.Session, occurrences: Sequence[Occurrence], *, locked: AuditHead | None = None
) -> AuditHead:
    """Append an entry for each of several changes of one transaction, in their order.

    Args:
        session: The transaction of the changes.
        occurrences: What happened.
        locked: What `lock` returned in this transaction, where nothing was appended since.
    """
    present = lock(session) if locked is None else locked
    number, previous = present.number, present.hash
    rows = []
    for one in occurrences:
        text = _DETAILS.encode(one.details)
        if len(text) > MAX_DETAILS_BYTES:
            raise errors.LimitError(f"expected details of at most {MAX_DETAILS_BYTES} bytes")
        number += 1
        at = clock.require_utc(one.at)
        value = _hash(number, at, one.event.value, one.actor, text, previous)
        rows.append(
            {
                "number": number,
                "at": at,
                "event": one.event.value,
                "actor": one.actor,
                "details": text,
                "previous_hash": previous,
                "hash": value,
            }
        )
        previous = value
    if rows:
        connection = session.connection()
        connection.execute(_ADD_ENTRIES, rows)
        connection.execute(_MOVE_HEAD, {"new_number": number, "new_hash": previous})
    return AuditHead(number, previous)


def lock(session: orm.Session) -> AuditHead:
    """Keep everybody else from appending until this transaction ends, and return the head.

    Whoever records a change under it has seen every change that was recorded under it before.
    """
    # What the caller changed goes first: an entry never stands before its change.
    session.flush()
    found = session.connection().execute(_LOCK_HEAD).first()
    if found is None:
        row = {"id": _HEAD_ID, "number": 0, "hash": GENESIS}
        session.execute(sqlalchemy.insert(_HEADS), row)
        return AuditHead(0, GENESIS)
    return AuditHead(found.number, found.hash)


def head(session: orm.Session) -> AuditHead:
    """Return the head of the log."""
    found = session.execute(_READ_HEAD).first()
    return AuditHead(0, GENESIS) if found is None else AuditHead(found.number, found.hash)


def entries(session: orm.Session, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
    """Return the entries that follow a number, the oldest first; nothing about them is checked."""
    rows = session.scalars(
        sqlalchemy.select(EntryRow)
        .where(EntryRow.number > after)
        .order_by(EntryRow.number)
        .limit(limit)
    )
    return tuple(
        AuditEntry(
            row.number, row.at, row.event, row.actor, row.details, row.previous_hash, row.hash
        )
        for row in rows
    )


def verify(session: orm.Session, *, anchored: AuditHead | None = None) -> AuditHead:
    """Recompute the whole chain and return its head.

    Args:
        session: The database.
        anchored: A head that was noted earlier elsewhere; it must be in the chain still. Without
            one, somebody who can write all tables could rewrite the whole log.

    Raises:
        AuditTamperedError: An entry was edited, removed, added, reordered or cut off.
    """
    number, previous = 0, GENESIS
    rows = session.scalars(sqlalchemy.select(EntryRow).order_by(EntryRow.number))
    for row in rows.yield_per(1000):
        number += 1
        if row.number != number:
            raise AuditTamperedError(f"expected entry {number} of the audit log, got {row.number}")
        expected = _hash(number, row.at, row.event, row.actor, row.details, previous)
        if row.previous_hash != previous or row.hash != expected:
            raise AuditTamperedError(f"entry {number} of the audit log is not what was written")
        if anchored is not None and anchored.number == number and anchored.hash != row.hash:
            raise AuditTamperedError(f"entry {number} of the audit log is not the anchored one")
        previous = row.hash
    present = head(session)
    if present != AuditHead(number, previous):
        raise AuditTamperedError(
            f"expected an audit log of {present.number} entries that ends in its head,"
            f" got one of {number}"
        )
    if anchored is not None and anchored.number > number:
        raise AuditTamperedError(
            f"expected at least the {anchored.number} anchored entries, got {number}"
        )
    return present


def _hash(
    number: int, at: datetime.datetime, event: str, actor: str, details: str, previous: str
) -> str:
    # A JSON list keeps the fields apart: no two entries have the same text.
    text = json.dumps([number, at.isoformat(), event, actor, details, previous], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
