"""Raising a session's signature step by step to the level that was asked for.

Each step writes a file, then records the level: after a crash the next worker goes on where the
last stored file and the last recorded level say, and does a step again at worst.
"""

import datetime
import logging
import pathlib
import shutil
from collections.abc import Sequence

from sqlalchemy import orm

from pki import audit, certificates, errors, failpoints, usage
from signing_service import augment, documents
from signing_service.creation import formats
from signing_service.service import SigningService
from signing_service.signing import document_store, sessions

log = logging.getLogger(__name__)

PREPARED = "prepared"
"""Name of the file with a placeholder; signed ones are called after their level."""

_ORIGINAL = "original-{}"
"""Names of documents beside the signature, kept until its archive time stamp covers them."""


def raise_level(
    service: SigningService, session_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """Embed the value where that is still to be done, and raise the level step by step.

    Each step writes a file, then records the level. A peer that fails, or a full disk, leaves the
    session at the level reached, with the reason; `raise_pending` goes on later.
    """
    while True:
        with service.database() as session:
            row = sessions.load(session, session_id, None)
        if row.state is not sessions.SessionState.AUGMENTING:
            return row
        step = documents.SignatureLevel(1 if row.reached is None else row.reached + 1)
        try:
            with service.store.writing(session_id, file_name(step)) as target:
                _make_level(service, row, step, target, at)
        except (errors.PeerError, document_store.StorageFullError) as error:
            return _postpone(service, session_id, error, at)
        except errors.ImzaError as error:
            # What was stored has changed, a certificate was revoked meanwhile, or the document
            # does not take the next level: waiting would not help.
            log.error("session_failed session=%s code=%s", session_id, error.code)
            return _fail(service, session_id, error, at)
        failpoints.reach("document-embedded")
        _record_level(service, session_id, step, at)


def raise_pending(service: SigningService, at: datetime.datetime, *, limit: int = 100) -> int:
    """Go on with sessions whose level a peer's failure, or a crash, left behind.

    Returns how many were tried. Called by the worker.
    """
    with service.database() as session:
        found = sessions.due(session, at, limit)
    tried = 0
    for session_id in found:
        with service.database() as session:
            row = sessions.load(session, session_id, None)
            # Another worker may have been faster.
            if row.state is not sessions.SessionState.AUGMENTING or (
                row.next_try_at is not None and row.next_try_at > at
            ):
                continue
            row.next_try_at = at + service.settings.lease
            session.commit()
        raise_level(service, session_id, at)
        tried += 1
    return tried


def _make_level(
    service: SigningService,
    row: sessions.SigningSession,
    step: documents.SignatureLevel,
    target: pathlib.Path,
    at: datetime.datetime,
) -> None:
    if step is documents.SignatureLevel.B_B:
        source = service.store.path(row.id, PREPARED)
        if row.value is None:
            raise errors.TamperedError(f"the session {row.id} has lost its signature value")
        formats.embed(row.prepared, source, target, row.value)
        return
    source = service.store.path(row.id, file_name(documents.SignatureLevel(step - 1)))
    if step is documents.SignatureLevel.B_T:
        formats.add_signature_time_stamp(
            row.format, source, target, service.request_token, position=row.position
        )
    elif step is documents.SignatureLevel.B_LT:
        augment.add_validation_data(
            row.format,
            source,
            target,
            row.path,
            service.authorities,
            client=service.client,
            at=at,
            responders=service.settings.ocsp_fallback_urls,
            position=row.position,
        )
    else:
        augment.add_archive_time_stamp(
            row.format,
            source,
            target,
            service.authorities,
            service.request_token,
            client=service.client,
            at=at,
            responders=service.settings.ocsp_fallback_urls,
            position=row.position,
            detached=[
                documents.Document(name, service.store.path(row.id, _ORIGINAL.format(number)))
                for number, name in enumerate(row.prepared.originals)
            ],
        )


def keep_originals(
    service: SigningService, session_id: str, originals: Sequence[documents.Document]
) -> None:
    """Store documents beside the signature, which its archive time stamp will cover too."""
    for number, one in enumerate(originals):
        with service.store.writing(session_id, _ORIGINAL.format(number)) as target:
            shutil.copyfile(one.path, target)


def remove_unsigned(service: SigningService, row: sessions.SigningSession) -> None:
    """Remove what a session was to sign, which nobody will sign any more."""
    service.store.remove(row.id, PREPARED)
    _remove_originals(service, row)


def _remove_originals(service: SigningService, row: sessions.SigningSession) -> None:
    for number in range(len(row.prepared.originals)):
        service.store.remove(row.id, _ORIGINAL.format(number))


def _record_level(
    service: SigningService,
    session_id: str,
    step: documents.SignatureLevel,
    at: datetime.datetime,
) -> None:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.level_reached = step.value
        row.error_code = row.error_message = None
        if step.value == row.level:
            row.move(sessions.SessionState.COMPLETED, at)
            record_event(session, audit.AuditEvent.SESSION_COMPLETED, row, at)
            if row.seal is None:
                _count(session, row, at)
        session.commit()
    lower = (
        PREPARED
        if step is documents.SignatureLevel.B_B
        else file_name(documents.SignatureLevel(step - 1))
    )
    service.store.remove(session_id, lower)
    if row.state is sessions.SessionState.COMPLETED:
        _remove_originals(service, row)


def _count(session: orm.Session, row: sessions.SigningSession, at: datetime.datetime) -> None:
    """Count a person's signature in the transaction that ends its session: exactly once."""
    usage.count(
        session,
        "signing",
        usage.Channel.CARD if row.control_code is None else usage.Channel.PHONE,
        usage.Operation.SIGNATURE,
        row.path[0],
        row.client_id,
        at,
    )


def _postpone(
    service: SigningService, session_id: str, error: errors.ImzaError, at: datetime.datetime
) -> sessions.SigningSession:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.note(error.code, error.message)
        if row.give_up_at is not None and at >= row.give_up_at:
            row.move(sessions.SessionState.FAILED, at)
        elif row.give_up_at is not None:
            # Soon at first, then ever more rarely: half of the time that has passed.
            waited = at - (row.give_up_at - service.settings.raise_window)
            row.next_try_at = at + min(
                max(waited / 2, datetime.timedelta(seconds=5)), datetime.timedelta(minutes=10)
            )
        session.commit()
    if row.state is sessions.SessionState.FAILED:
        _remove_originals(service, row)
    return row


def _fail(
    service: SigningService, session_id: str, error: errors.ImzaError, at: datetime.datetime
) -> sessions.SigningSession:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.end(sessions.SessionState.FAILED, error.code, error.message, at)
        session.commit()
    _remove_originals(service, row)
    return row


def file_name(level: documents.SignatureLevel) -> str:
    """Return the name of the file that holds the document at a level."""
    return level.label.lower()


def record_event(
    session: orm.Session,
    event: audit.AuditEvent,
    row: sessions.SigningSession,
    at: datetime.datetime,
) -> None:
    """Put what happened to a session into the audit log, without its person."""
    signer = row.path[0]
    audit.append(
        session,
        event,
        at,
        actor=row.client_id,
        details={
            "session": row.id,
            "format": row.format.value,
            "level": documents.SignatureLevel(row.level).label,
            "serial_number": certificates.serial_text(signer.serial_number),
            "certificate_sha256": certificates.sha256(signer),
            "representation": row.representation.hash.hex(),
            **({"counter_signature": True} if row.prepared.counter_signature_of else {}),
            **({} if row.seal is None else {"seal": row.seal}),
        },
    )
