"""Publishing the CRLs of authorities right after a status changed."""

import datetime
import logging
from collections.abc import Iterable

from sqlalchemy import orm

from ca import crl, hierarchy
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
    """Publish the CRLs of these authorities; the changes are committed already.

    A change stands whatever becomes of the CRL: the worker publishes it again.
    """
    for name in sorted(set(issuer_names)):
        try:
            crl.publish(
                sessions,
                authorities.named(name),
                authorities.crl_validity(name),
                at,
                actor=actor,
            )
        except errors.ImzaError as error:
            log.warning("crl_not_published issuer=%s code=%s", name, error.code)
