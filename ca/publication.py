"""Publishing the CRLs of authorities right after a status changed."""

import datetime
import logging
from collections.abc import Iterable

from sqlalchemy import orm

from ca import hierarchy
from ca.crls import schedule
from pki import errors

log = logging.getLogger(__name__)


def publish_changed(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    issuer_names: Iterable[str],
    at: datetime.datetime,
    *,
    actor: str,
) -> None:
    """Publish what changed in the lists of these authorities; the changes are committed already.

    A change stands whatever becomes of the list: the worker publishes it within minutes.
    """
    for name in sorted(set(issuer_names)):
        try:
            schedule.publish_changes(
                sessions, authorities.named(name), authorities.settings, at, actor=actor
            )
        except errors.ImzaError as error:
            log.warning("crl_not_published issuer=%s code=%s", name, error.code)
