"""The next generation of an authority or a time-stamping unit, and the end of the last one.

Old and new work side by side: the newest generation certifies, the ones before it publish CRLs and
have responders for as long as anything they issued is valid.
"""

import dataclasses
import datetime
import logging
import threading
from collections.abc import Iterator, Mapping

import sqlalchemy
from sqlalchemy import orm

from ca import authority, foundation, generations, hierarchy, service_keys
from ca import settings as ca_settings
from ca.crls import publication, published, schedule
from pki import algorithms, errors, profiles, registry
from pki.keystore import store

log = logging.getLogger(__name__)


class LiveAuthorities(Mapping[str, authority.CertificationAuthority]):
    """The authorities of a process that runs on while a ceremony makes another generation.

    Whoever iterates goes on with what was there at the beginning.
    """

    def __init__(self, opened: hierarchy.Hierarchy) -> None:
        """Begin with what is there at the start."""
        self._held = dict(opened.authorities)
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> authority.CertificationAuthority:
        """The authority of that name."""
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._held)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._held)

    def replace(self, opened: hierarchy.Hierarchy) -> tuple[str, ...]:
        """Take over what is there now; return the names of those that are new."""
        with self._lock:
            added = tuple(sorted(set(opened.authorities) - set(self._held)))
            self._held = dict(opened.authorities)
        return added


def follow(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    opened: hierarchy.Hierarchy,
) -> tuple[str, ...]:
    """Open the generations that became complete since; the worker's regular duty.

    Returns:
        Their names: from now on they certify.

    Raises:
        AuthorityChangedError: A key is not that of its certificate; all stays as it was.
        KeyNotFoundError: A key is not here (yet); all stays as it was.
    """
    live = opened.authorities
    if not isinstance(live, LiveAuthorities):
        raise errors.InputError("expected a hierarchy with live authorities")
    with sessions() as session:
        known = {one.name for one in registry.issuers(session)} - {hierarchy.ROOT}
        fresh = [one for one in known - set(live) if hierarchy.is_complete(session, one)]
    if not fresh:
        return ()
    added = live.replace(hierarchy.load(sessions, keys, opened.settings))
    for name in added:
        log.info("authority_opened name=%s", name)
    return added


def live(opened: hierarchy.Hierarchy) -> hierarchy.Hierarchy:
    """The same hierarchy, with authorities that `follow` can add to."""
    return dataclasses.replace(opened, authorities=LiveAuthorities(opened))


def next_name(sessions: orm.sessionmaker[orm.Session], role: str) -> str:
    """The name of the next generation of a role.

    Raises:
        GenerationNameError: Not the role of an authority below the root.
        NotInitialisedError: There is no first generation yet.
    """
    if role not in (*generations.ISSUING, generations.INFRASTRUCTURE):
        raise generations.GenerationNameError(
            f"expected one of {', '.join(generations.ISSUING)}, {generations.INFRASTRUCTURE}"
        )
    with sessions() as session:
        numbers = [
            generations.number_of(one.name)
            for one in registry.issuers(session)
            if generations.role_of(one.name) == role
        ]
    if not numbers:
        raise hierarchy.NotInitialisedError(f"there is no authority {role!r}: run `imza ca init`")
    return generations.name_of(role, max(numbers) + 1)


def make_next(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    role: str,
    at: datetime.datetime,
    *,
    actor: str,
) -> registry.IssuerRecord:
    """Make the next generation of an authority: key, certificate, responder and first CRL.

    A run that was killed is continued by the next one. The root's key must be in the key store;
    where it is offline, a key ceremony takes the same steps.

    Raises:
        GenerationNameError: Not the role of an authority below the root.
        RootOfflineError: The root's key is not here; nothing was made.
    """
    name = _unfinished(sessions, role) or next_name(sessions, role)
    steps = foundation.Foundation(sessions, keys, settings, at, actor)
    steps.certify_authority(name, steps.certify_root())
    present = hierarchy.load_present(sessions, keys, settings)
    if generations.is_issuing(name):
        service_keys.renew_responders(sessions, keys, present, at, names=(name,), actor=actor)
    publication.publish(sessions, present.named(name), settings, at, actor=actor)
    with sessions() as session:
        return next(one for one in registry.issuers(session) if one.name == name)


def make_next_unit(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
    kind: algorithms.KeyKind = algorithms.KeyKind.P384,
) -> registry.CertificateRecord:
    """Make the next time-stamping unit: a key, and a certificate by the infrastructure CA.

    It signs nothing until the TSA zone's settings name it and the time they give has come.
    """
    with sessions() as session:
        labels = session.scalars(
            sqlalchemy.select(registry.CertificateRow.key_label).where(
                registry.CertificateRow.profile == profiles.TIME_STAMPING_UNIT.name,
                registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
            )
        ).all()
    newest = max((generations.unit_number(one) for one in labels if one), default=0)
    steps = foundation.Foundation(sessions, keys, settings, at, actor)
    return steps.certify_time_stamping_unit(generations.unit_label(newest + 1), kind)


def end_finished(
    sessions: orm.sessionmaker[orm.Session],
    opened: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[published.PublishedCRL, ...]:
    """Publish the last CRL of every earlier generation whose certificates have all ended.

    Its responder goes on answering until the authority's own certificate ends.
    """
    made: list[published.PublishedCRL] = []
    for name, one in opened.authorities.items():
        if name == hierarchy.ROOT or opened.current(generations.role_of(name)).name == name:
            continue
        with sessions() as session:
            if schedule.has_ended(session, name) or _last_end(session, name) >= at:
                continue
        made += schedule.publish_last(sessions, one, opened.settings, at, actor=actor)
        log.info("authority_ended name=%s", name)
    return tuple(made)


def _last_end(session: orm.Session, name: str) -> datetime.datetime:
    """When the last certificate of an authority ends that is not its own responder's."""
    row = registry.CertificateRow
    found = session.scalar(
        sqlalchemy.select(sqlalchemy.func.max(row.not_after)).where(
            row.issuer_name == name, row.profile != profiles.OCSP_RESPONDER.name
        )
    )
    if found is None:
        return datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


def _unfinished(sessions: orm.sessionmaker[orm.Session], role: str) -> str | None:
    """A later generation that an earlier run began and did not complete."""
    with sessions() as session:
        for one in registry.issuers(session):
            later = generations.number_of(one.name) > 1 and generations.role_of(one.name) == role
            if later and not hierarchy.is_complete(session, one.name):
                return one.name
    return None
