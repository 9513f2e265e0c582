"""When lists are published, and which: full ones while they are small, deltas between large ones.

A full list that has fewer than `crl_delta_from` entries is published anew after each change of a
status. A longer one is published every `crl_full_refresh`, says where deltas on it are, and a
delta follows each change.
"""

import datetime
import logging
from collections.abc import Iterable

from sqlalchemy import orm

from ca import authority
from ca import settings as ca_settings
from ca.crls import addresses, entries, partitions, publication, published, retention
from pki import errors

LONGEST_DELTA = 10
"""A delta that would have more than a tenth of its base's entries saves nobody much: a full list
is published instead."""

log = logging.getLogger(__name__)


def publish_changes(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish what tells of statuses that have just changed; nothing where none has.

    Raises as `publication.publish` does.
    """
    with sessions() as session:
        changed = [
            scope
            for scope in partitions.scopes(session, issuing.name)
            if _has_changed(session, scope)
        ]
    return tuple(
        made
        for scope in changed
        for made in _publish_next(sessions, issuing, settings, scope, at, actor=actor)
    )


def publish_full(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
    partition: int = 0,
) -> tuple[published.PublishedCRL, ...]:
    """Publish a full list, and an empty delta on it where it says that there are deltas."""
    full = publication.publish(sessions, issuing, settings, at, actor=actor, partition=partition)
    if not full.names_delta:
        return (full,)
    delta = publication.publish(
        sessions, issuing, settings, at, actor=actor, partition=partition, delta=True
    )
    return full, delta


def publish_all(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish a full list of every partition of an authority."""
    with sessions() as session:
        scopes = partitions.scopes(session, issuing.name)
    return tuple(
        one
        for scope in scopes
        for one in publish_full(
            sessions, issuing, settings, at, actor=actor, partition=scope.partition
        )
    )


def publish_last(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish the last list of every partition, or return those that were published before.

    Raises as `publication.publish` does.
    """
    with sessions() as session:
        scopes = partitions.scopes(session, issuing.name)
        present = {one: published.find_newest(session, one) for one in scopes}
    made = []
    for scope, found in present.items():
        if found is None or not found.is_last:
            found = publication.publish(
                sessions, issuing, settings, at, actor=actor, partition=scope.partition, last=True
            )
        made.append(found)
    return tuple(made)


def has_ended(session: orm.Session, issuer_name: str) -> bool:
    """Whether an authority has published its last lists."""
    present = [
        published.find_newest(session, one) for one in partitions.scopes(session, issuer_name)
    ]
    return all(one is not None and one.is_last for one in present)


def publish_due(
    sessions: orm.sessionmaker[orm.Session],
    authorities: Iterable[authority.CertificationAuthority],
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish whatever is due; the worker calls this every minute.

    A list is due when a change is not in it, so that OCSP and lists agree even where publishing
    after a revocation failed; when it is older than the settings allow; and when the authority
    was partitioned since. Partitions that are full get a successor, and old lists are cleaned up.
    An authority that fails does not hold up the others; one that published its last lists is left
    alone.

    Raises:
        ImzaError: The first failure, after everything else was tried.
    """
    made: list[published.PublishedCRL] = []
    failures: list[errors.ImzaError] = []
    for issuing in authorities:
        try:
            with sessions() as session:
                if has_ended(session, issuing.name):
                    continue
            made += _open_due(sessions, issuing, settings, at, actor=actor)
            with sessions() as session:
                scopes = partitions.scopes(session, issuing.name)
            for scope in scopes:
                made += _publish_due_of(sessions, issuing, settings, scope, at, actor=actor)
                with sessions() as session:
                    retention.clean(session, scope, settings.crl_retention, at)
                    session.commit()
        except errors.ImzaError as error:
            log.warning("crl_not_published issuer=%s code=%s", issuing.name, error.code)
            failures.append(error)
    if failures:
        raise failures[0]
    return tuple(made)


def _publish_due_of(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    scope: addresses.Scope,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    with sessions() as session:
        full = published.find_newest(session, scope)
        last = find_last(session, scope)
        changed = _has_changed(session, scope)
        delta_missing = full is not None and full.names_delta and last == full
    if full is None or last is None or at >= min(full.next_update, last.next_update):
        return publish_full(sessions, issuing, settings, at, actor=actor, partition=scope.partition)
    longest = settings.crl_full_refresh if full.names_delta else settings.crl_refresh
    if at - full.this_update >= min(longest, _half_life(full)):
        return publish_full(sessions, issuing, settings, at, actor=actor, partition=scope.partition)
    oldest = min(settings.crl_refresh, _half_life(last))
    if changed or delta_missing or at - last.this_update >= oldest:
        return _publish_next(sessions, issuing, settings, scope, at, actor=actor)
    return ()


def _publish_next(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    scope: addresses.Scope,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish a delta where the newest full list takes one, else a full list."""
    with sessions() as session:
        full = published.find_newest(session, scope)
        takes_delta = full is not None and _takes_delta(session, full)
    if not takes_delta:
        return publish_full(sessions, issuing, settings, at, actor=actor, partition=scope.partition)
    made = publication.publish(
        sessions, issuing, settings, at, actor=actor, partition=scope.partition, delta=True
    )
    return (made,)


def _open_due(
    sessions: orm.sessionmaker[orm.Session],
    issuing: authority.CertificationAuthority,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Open the next partition where the newest one is full: first its list, then itself."""
    with sessions() as session:
        present = partitions.scopes(session, issuing.name)[-1]
        if not partitions.is_full(session, present, settings.crl_partition_size):
            return ()
    following = addresses.Scope(issuing.name, present.partition + 1)
    made = publish_full(sessions, issuing, settings, at, actor=actor, partition=following.partition)
    with sessions() as session:
        partitions.open_next(session, following, at, actor=actor)
    log.info("crl_partition_opened issuer=%s partition=%d", issuing.name, following.partition)
    return made


def _takes_delta(session: orm.Session, full: published.PublishedCRL) -> bool:
    """Whether a change is told by a delta on this list: it names one, and that one is short."""
    if not full.names_delta or full.covers is None:
        return False
    if full.partitioned is not partitions.is_partitioned(session, full.scope):
        return False
    changes = entries.count_changes(session, full.scope, full.covers)
    return changes <= full.entries // LONGEST_DELTA


def _half_life(one: published.PublishedCRL) -> datetime.timedelta:
    """A list is followed by another when half of its time is over, whatever the settings say."""
    return (one.next_update - one.this_update) / 2


def find_last(session: orm.Session, scope: addresses.Scope) -> published.PublishedCRL | None:
    """The list of a scope that was published last, be it full or delta."""
    found = [
        one
        for delta in (False, True)
        if (one := published.find_newest(session, scope, delta=delta)) is not None
    ]
    return max(found, key=lambda one: one.number, default=None)


def _has_changed(session: orm.Session, scope: addresses.Scope) -> bool:
    """Whether anything is not in the last list: a status, or that there are partitions."""
    last = find_last(session, scope)
    if last is None:
        return True
    if last.is_last:
        return False
    if last.partitioned is not partitions.is_partitioned(session, scope):
        return True
    change = entries.last_change(session, scope)
    return change is not None and (last.covers is None or change > last.covers)
