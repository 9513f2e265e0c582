"""The authorities of an installation: made once by `ca.foundation`, opened by `load`.

A root certifies three issuing CAs (citizens, business, officials) and an infrastructure CA. Each
issuing CA certifies its own OCSP responder, since only a responder certified by the very CA whose
certificates it answers for is accepted everywhere (RFC 6960 4.2.2.2). The infrastructure CA
certifies time-stamping units; it has a CRL and no responder.
"""

import dataclasses
import datetime
import logging
from collections.abc import Collection, Mapping

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import authority, generations, intents, orders, peer_lint
from ca import settings as ca_settings
from ca.crls import addresses, published, schedule
from pki import algorithms, certificates, errors, profiles, registration, registry
from pki.keystore import store

log = logging.getLogger(__name__)

ROOT = generations.ROOT
INFRASTRUCTURE = generations.INFRASTRUCTURE
ISSUING = generations.ISSUING
TIME_STAMPING_UNIT = generations.unit_label(1)
TRUSTED_LIST_SIGNER = "tl-signer"
CMP_SIGNER = "cmp-1"

ROOT_CRL_NOTICE = datetime.timedelta(days=30)
"""Time enough to gather witnesses before an offline root's CRL ends."""

TITLES: Mapping[str, str] = generations.TITLES


class NotInitialisedError(errors.StateError):
    """The installation has no authorities yet."""

    code = "ca-not-initialised"


class RootOfflineError(errors.StateError):
    """The root's key is not in the key store: it is used in key ceremonies alone."""

    code = "root-offline"


class RoleVacantError(errors.StateError):
    """The last authority of a role has ended, and no next generation was made."""

    code = "role-vacant"


class AuthorityChangedError(errors.TamperedError):
    """A key does not belong to the certificate that the registry has for it."""

    code = "authority-changed"


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """The authorities whose keys are here, by name and ready to sign: all, or all but the root."""

    authorities: Mapping[str, authority.CertificationAuthority]
    settings: ca_settings.Settings

    def issuing(self, category: registration.Category) -> authority.CertificationAuthority:
        """The authority that certifies a category now; organisations have that of business."""
        if category is registration.Category.ORGANISATION:
            category = registration.Category.BUSINESS
        return self.current(category.value)

    def current(self, role: str) -> authority.CertificationAuthority:
        """The newest generation of a role, such as `infrastructure`, or `RoleVacantError`."""
        names = [one for one in self.authorities if generations.role_of(one) == role]
        if not names:
            raise RoleVacantError(
                f"no authority for {role!r} has its key here: make its next generation"
            )
        return self.authorities[max(names, key=generations.number_of)]

    def status_served(self) -> tuple[str, ...]:
        """The authorities that have responders: every generation that certifies subscribers."""
        return tuple(one for one in self.authorities if generations.is_issuing(one))

    def named(self, name: str) -> authority.CertificationAuthority:
        """The authority of that name, or `CRLNotFoundError`; `RootOfflineError` for such a root."""
        if name == ROOT and name not in self.authorities:
            raise RootOfflineError("the root's key is offline: play a key ceremony with this step")
        try:
            return self.authorities[name]
        except KeyError as error:
            raise published.CRLNotFoundError("no authority has this name") from error


def key_label(name: str) -> str:
    """The label of an authority's key."""
    return name if name == ROOT else f"ca-{name}"


def is_authority_key(label: str) -> bool:
    """Whether a label is an authority's: what such a key signs is told to the signature log."""
    return label.startswith((ROOT, "ca-"))


def responder_label(name: str) -> str:
    """The label of the first key of an issuing CA's responder."""
    return f"ocsp-{name}"


def next_responder_label(name: str, at: datetime.datetime) -> str:
    """The label of the key that an issuing CA's responder changes over to."""
    return f"{responder_label(name)}-{at:%Y%m%d}"


def load(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    *,
    roles: Collection[str] | None = None,
) -> Hierarchy:
    """Open the authorities that `initialise` or a key ceremony made, or those of some roles.

    The root's key may be missing: nothing that is served needs it. A later generation is left out
    until it is complete.

    Raises:
        NotInitialisedError: Not all are there.
        AuthorityChangedError: A key is not that of its certificate.
        KeyNotFoundError: Another key is missing.
    """
    with sessions() as session:
        known = {one.name for one in registry.issuers(session)}
    if missing := sorted(set(TITLES) - known):
        raise NotInitialisedError(f"the authority {missing[0]!r} is missing: run `imza ca init`")
    present = load_present(sessions, keys, settings, roles=roles)
    with sessions() as session:
        complete = {
            name: one
            for name, one in present.authorities.items()
            if generations.number_of(name) == 1 or is_complete(session, name)
        }
    return dataclasses.replace(present, authorities=complete)


def _has_ended(sessions: orm.sessionmaker[orm.Session], name: str) -> bool:
    """Whether an authority signed its last CRL: its key may be destroyed then."""
    with sessions() as session:
        newest = published.find_newest(session, addresses.Scope(name))
    return newest is not None and newest.is_last


def is_complete(session: orm.Session, name: str) -> bool:
    """Whether an authority has a CRL and, where it certifies subscribers, a responder.

    Before that a certificate of its could be issued whose status nobody can learn.
    """
    if published.find_newest(session, addresses.Scope(name)) is None:
        return False
    return not generations.is_issuing(name) or (
        session.scalars(
            sqlalchemy.select(registry.CertificateRow.id)
            .where(
                registry.CertificateRow.issuer_name == name,
                registry.CertificateRow.profile == profiles.OCSP_RESPONDER.name,
                registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
            )
            .limit(1)
        ).first()
        is not None
    )


def load_present(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    *,
    roles: Collection[str] | None = None,
) -> Hierarchy:
    """Open the authorities that are there, or those of some roles; raises as `load` does."""
    with sessions() as session:
        records = {one.name: one for one in registry.issuers(session)}
    authorities = {}
    for name, record in records.items():
        if roles is not None and generations.role_of(name) not in roles:
            continue
        root = records[ROOT].certificate
        certificates.check_issued_by(record.certificate, records[record.issuer_name].certificate)
        try:
            handle = keys.open_key(record.key_label)
        except store.KeyNotFoundError:
            if name != ROOT and not _has_ended(sessions, name):
                raise
            continue
        check_key(handle, record.certificate, name)
        issuer = authority.Issuer(
            name, record.certificate.subject, handle, record.certificate.not_valid_after_utc
        )
        above = () if name == ROOT else (root,)
        authorities[name] = authority.CertificationAuthority(issuer, record.certificate, above)
    return Hierarchy(authorities, settings)


def start(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> Hierarchy:
    """Open the authorities for a process that issues: first end what an earlier one left open.

    Raises as `load` does.
    """
    hierarchy = load(sessions, keys, settings)
    intents.end_left_open(sessions, keys, at)
    peer_lint.load()
    return hierarchy


def publish_due_crls(
    sessions: orm.sessionmaker[orm.Session],
    hierarchy: Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> tuple[published.PublishedCRL, ...]:
    """Publish every CRL that is due; the worker's regular duty.

    The CRL of a root that is offline cannot be published here: its coming end is told in time for
    a key ceremony.
    """
    if ROOT not in hierarchy.authorities:
        _warn_of_root_crl(sessions, at)
    return schedule.publish_due(
        sessions, hierarchy.authorities.values(), hierarchy.settings, at, actor=actor
    )


def _warn_of_root_crl(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> None:
    with sessions() as session:
        last = published.find_newest(session, addresses.Scope(ROOT))
    if last is None or last.next_update - at <= ROOT_CRL_NOTICE:
        ends = "never-published" if last is None else last.next_update.isoformat()
        log.warning("root_crl_due next_update=%s", ends)


def check_key(handle: store.KeyHandle, certificate: x509.Certificate, name: str) -> None:
    """Check that a key is the one in an authority's certificate.

    Raises:
        AuthorityChangedError: It is another one.
    """
    facts_key = certificate.public_key()
    algorithms.key_kind(facts_key)
    if certificates.key_sha256(handle.public_key) != certificates.key_sha256(
        facts_key  # type: ignore[arg-type]  # key_kind let EC and RSA keys through alone
    ):
        raise AuthorityChangedError(
            f"the key {handle.label!r} is not the one in the certificate of {name!r}:"
            " this key store belongs to another installation"
        )
