"""What is done at the CA's own machine on a bad day: its database and key stores, opened."""

import dataclasses
import datetime
from collections.abc import Callable

from cryptography import x509
from sqlalchemy import orm

from ca import generations, hierarchy
from ca import settings as ca_settings
from ca.continuity import compromise, rollover
from ca.trusted_list import publication, services
from imza import config as configs
from imza.wiring.resources import Resources
from pki import algorithms, registry
from pki.keystore import store

ROLE_OF_UNITS = generations.UNIT


@dataclasses.dataclass(frozen=True)
class Made:
    """A new authority or unit, and its certificate with those above it but the root."""

    name: str
    chain: tuple[x509.Certificate, ...]


class Desk:
    """The CA's database, key stores and settings; the root's key only where no store is apart."""

    def __init__(self, resources: Resources, config: configs.Config) -> None:
        """Open them."""
        self.present = resources.present
        self.settings: ca_settings.Settings = configs.require(config.ca, "ca")
        self.sessions: orm.sessionmaker[orm.Session] = resources.sessions(config)
        self.keys: store.KeyStore = resources.authority_keys(config, self.sessions)

    @property
    def authorities(self) -> hierarchy.Hierarchy:
        """The authorities whose keys are here."""
        return hierarchy.load(self.sessions, self.keys, self.settings)

    def handle_compromise(
        self,
        name: str,
        actor: str,
        since: datetime.datetime | None,
        tell: Callable[[int], None],
    ) -> None:
        """Do what `compromise.handle` does, and publish the trusted list that says so."""
        authorities = self.authorities
        compromise.handle(
            self.sessions, authorities, name, self.present, actor=actor, since=since, tell=tell
        )
        publisher = publication.Publisher(self.sessions, self.keys, authorities)
        publisher.publish_due(self.present.now(), actor=actor)

    def is_withdrawn(self, name: str) -> bool | None:
        """Whether the trusted list says so of an authority; None where no list is published."""
        if self.settings.trusted_list is None:
            return None
        with self.sessions() as session:
            issuer = next(one for one in registry.issuers(session) if one.name == name)
            listed = services.record_services(session, self.settings, self.present.now())
            session.rollback()
        return any(
            issuer.certificate in one.certificates
            and one.periods[0].status is services.ServiceStatus.WITHDRAWN
            for one in listed
        )


def roll_over(
    resources: Resources,
    config: configs.Config,
    role: str,
    *,
    actor: str,
    kind: algorithms.KeyKind = algorithms.KeyKind.P384,
) -> Made:
    """Make the next generation of a role, or the next time-stamping unit (`tsu`).

    Raises:
        RootOfflineError: The root's key is apart or away: a ceremony makes authorities.
    """
    desk = Desk(resources, config)
    at = desk.present.now()
    if role != ROLE_OF_UNITS:
        if config.keystore_root is not None:
            raise hierarchy.RootOfflineError(
                "the root's key store is opened in key ceremonies alone: play one with the steps"
                " generate-key, certify-authority, certify-responder and publish-crl"
            )
        issuer = rollover.make_next(desk.sessions, desk.keys, desk.settings, role, at, actor=actor)
        return Made(issuer.name, (issuer.certificate,))
    record = rollover.make_next_unit(
        desk.sessions, desk.keys, desk.settings, at, actor=actor, kind=kind
    )
    with desk.sessions() as session:
        above = next(one for one in registry.issuers(session) if one.name == record.issuer_name)
    name = record.key_label or ROLE_OF_UNITS
    return Made(name, (record.certificate, above.certificate))
