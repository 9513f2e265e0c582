"""What the worker does with sessions that nobody looks after any more."""

import datetime

from signing_service import sessions
from signing_service.service import SigningService


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
    """Remove sessions that ended long ago, with their documents. Called by the worker."""
    with service.database() as session:
        found = sessions.ended_before(session, at - service.settings.keep_documents, limit)
        for session_id in found:
            session.delete(sessions.load(session, session_id, None))
        session.commit()
    for session_id in found:
        service.store.discard(session_id)
    return len(found)
