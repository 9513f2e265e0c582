"""What the worker does with sessions that nobody looks after any more."""

import datetime

from signing_service.service import SigningService
from signing_service.signing import sessions

ORPHAN_AGE = datetime.timedelta(days=1)
"""A folder is written moments before its session is recorded."""


def expire_overdue(service: SigningService, at: datetime.datetime, *, limit: int = 1000) -> int:
    """End sessions that waited too long; returns how many. Called by the worker."""
    with service.database() as session:
        found = sessions.overdue(session, at, limit)
        for session_id in found:
            sessions.load(session, session_id, None).expire_if_due(at)
        session.commit()
    for session_id in found:
        service.store.discard(session_id)
    return len(found)


def discard_ended(service: SigningService, at: datetime.datetime, *, limit: int = 1000) -> int:
    """Remove sessions that ended long ago, with their documents; returns how many.

    A folder without a session, left by a crash between the two, goes too. Called by the worker.
    """
    with service.database() as session:
        found = sessions.ended_before(session, at - service.settings.keep_documents, limit)
        for session_id in found:
            session.delete(sessions.load(session, session_id, None))
        session.commit()
    for session_id in found:
        service.store.discard(session_id)
    for session_id in service.store.untouched_since(at - ORPHAN_AGE):
        with service.database() as session:
            known = session.get(sessions.SigningSession, session_id) is not None
        if not known:
            service.store.discard(session_id)
    return len(found)
