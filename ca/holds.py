"""Holds that nobody released: after a limit that the settings name they become revocations."""

import datetime
import logging

import sqlalchemy
from sqlalchemy import orm

from ca import hierarchy, publication, revocation
from pki import registry, status

log = logging.getLogger(__name__)

ACTOR = "worker"

BATCH = 100
"""Certificates changed in one transaction."""


def end_overdue(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    limit: datetime.timedelta,
    at: datetime.datetime,
) -> int:
    """Revoke what has been on hold for longer than a limit; a regular duty of the worker.

    The revocation counts from the beginning of the hold, as any that follows one does. Its reason
    is `unspecified`: nobody has said that the key is in wrong hands, nor that it is not.

    Returns:
        How many were revoked.
    """
    changed: set[str] = set()
    count = 0
    while batch := _end_some(sessions, limit, at):
        changed.update(batch)
        count += len(batch)
        if len(batch) < BATCH:
            break
    if count:
        log.info("holds_ended count=%d", count)
        publication.publish_changed(sessions, authorities, changed, at, actor=ACTOR)
    return count


def _end_some(
    sessions: orm.sessionmaker[orm.Session], limit: datetime.timedelta, at: datetime.datetime
) -> list[str]:
    with sessions() as session:
        # Locked until the commit: a release at this moment comes first or finds a revocation.
        rows = session.scalars(
            sqlalchemy.select(registry.CertificateRow)
            .where(
                registry.CertificateRow.reason == status.RevocationReason.certificateHold.name,
                registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
                registry.CertificateRow.revoked_at <= at - limit,
            )
            .order_by(registry.CertificateRow.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        names = [row.issuer_name for row in rows]
        for row in rows:
            revocation.revoke(
                session,
                int(row.serial_number, 16),
                status.RevocationReason.unspecified,
                at,
                actor=ACTOR,
            )
        session.commit()
    return names
