"""The authorities of an installation: made once by `initialise`, opened by `load`.

A root certifies three issuing CAs (citizens, business, officials) and an infrastructure CA. Each
issuing CA certifies its own OCSP responder, since only a responder certified by the very CA whose
certificates it answers for is accepted everywhere (RFC 6960 4.2.2.2). The infrastructure CA
certifies time-stamping units; it has a CRL and no responder.
"""

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence

from cryptography import x509
from sqlalchemy import orm

from ca import authority, crl, drafts, issuance, peer_lint, subjects
from ca import settings as ca_settings
from pki import algorithms, audit, certificates, clock, errors, profiles, registration, registry
from pki.keystore import store

log = logging.getLogger(__name__)

ROOT = "root"
INFRASTRUCTURE = "infrastructure"
ISSUING = tuple(one.value for one in registration.Category)
TIME_STAMPING_UNIT = "tsu-1"
TRUSTED_LIST_SIGNER = "tl-signer"

ROOT_CRL_NOTICE = datetime.timedelta(days=30)
"""Time enough to gather witnesses before an offline root's CRL ends."""

_TITLES: Mapping[str, str] = {
    ROOT: "Root CA",
    "citizen": "Citizen CA",
    "business": "Business CA",
    "official": "Official CA",
    INFRASTRUCTURE: "Infrastructure CA",
}


class NotInitialisedError(errors.StateError):
    """The installation has no authorities yet."""

    code = "ca-not-initialised"


class RootOfflineError(errors.StateError):
    """The root's key is not in the key store: it is used in key ceremonies alone."""

    code = "root-offline"


class AuthorityChangedError(errors.TamperedError):
    """A key does not belong to the certificate that the registry has for it."""

    code = "authority-changed"


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """The authorities whose keys are here, by name and ready to sign: all, or all but the root."""

    authorities: Mapping[str, authority.CertificationAuthority]
    settings: ca_settings.Settings

    def issuing(self, category: registration.Category) -> authority.CertificationAuthority:
        """The authority of a category of people."""
        return self.authorities[category.value]

    def named(self, name: str) -> authority.CertificationAuthority:
        """The authority of that name, or `CRLNotFoundError`; `RootOfflineError` for such a root."""
        if name == ROOT and name not in self.authorities:
            raise RootOfflineError("the root's key is offline: play a key ceremony with this step")
        try:
            return self.authorities[name]
        except KeyError as error:
            raise crl.CRLNotFoundError("no authority has this name") from error

    def crl_validity(self, name: str) -> datetime.timedelta:
        """How long an authority's CRLs are valid."""
        return self.settings.root_crl_validity if name == ROOT else self.settings.crl_validity


def key_label(name: str) -> str:
    """The label of an authority's key."""
    return name if name == ROOT else f"ca-{name}"


def responder_label(name: str) -> str:
    """The label of the key of an issuing CA's responder."""
    return f"ocsp-{name}"


def initialise(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str = issuance.SYSTEM,
) -> Hierarchy:
    """Make what is missing of the hierarchy, and return it.

    A second run changes nothing; a run that was killed is continued by the next one, because each
    step asks for what it makes under a name of its own.

    Raises:
        LintError: The settings lead to a certificate that breaks its profile.
        AuthorityChangedError: The key store is not the one the registry was made with.
    """
    issuance.reconcile(sessions, at)
    Foundation(sessions, keys, settings, at, actor).run()
    hierarchy = load(sessions, keys, settings)
    renew_responders(sessions, keys, hierarchy, at, actor=actor)
    renew_list_signer(sessions, keys, hierarchy, at, actor=actor)
    publish_first_crls(sessions, hierarchy, at, actor=actor)
    return hierarchy


def load(
    sessions: orm.sessionmaker[orm.Session], keys: store.KeyStore, settings: ca_settings.Settings
) -> Hierarchy:
    """Open the authorities that `initialise` or a key ceremony made.

    The root's key may be missing: nothing that is served needs it.

    Raises:
        NotInitialisedError: Not all are there.
        AuthorityChangedError: A key is not that of its certificate.
        KeyNotFoundError: Another key is missing.
    """
    with sessions() as session:
        known = {one.name for one in registry.issuers(session)}
    if missing := sorted(set(_TITLES) - known):
        raise NotInitialisedError(f"the authority {missing[0]!r} is missing: run `imza ca init`")
    return load_present(sessions, keys, settings)


def load_present(
    sessions: orm.sessionmaker[orm.Session], keys: store.KeyStore, settings: ca_settings.Settings
) -> Hierarchy:
    """Open the authorities that are there, as a key ceremony does; raises as `load` does."""
    with sessions() as session:
        records = {one.name: one for one in registry.issuers(session)}
    authorities = {}
    for name, record in records.items():
        root = records[ROOT].certificate
        certificates.check_issued_by(record.certificate, records[record.issuer_name].certificate)
        try:
            handle = keys.open_key(record.key_label)
        except store.KeyNotFoundError:
            if name != ROOT:
                raise
            continue
        _check_key(handle, record.certificate, name)
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
    issuance.reconcile(sessions, at)
    peer_lint.load()
    return hierarchy


def renew_responders(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    hierarchy: Hierarchy,
    at: datetime.datetime,
    *,
    names: Sequence[str] = ISSUING,
    actor: str = issuance.SYSTEM,
) -> tuple[registry.CertificateRecord, ...]:
    """Certify the issuing CAs' responders anew where their certificates near their ends.

    The old certificate stays valid beside the new one, so that every answer verifies while the
    responders change over.
    """
    renewed = []
    for name in names:
        label = responder_label(name)
        with sessions() as session:
            present = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, at, issuer_name=name, key_label=label
            )
        if present is not None and present.not_after - at > hierarchy.settings.responder_renewal:
            continue
        handle = open_or_generate(sessions, keys, label, algorithms.KeyKind.P256, at, actor=actor)
        issuing = hierarchy.authorities[name]
        draft = drafts.draft_certificate(
            profiles.OCSP_RESPONDER,
            issuing.issuer,
            subjects.service_name(f"{_TITLES[name]} OCSP responder", hierarchy.settings),
            handle.public_key,
            hierarchy.settings,
            at,
        )
        request = issuance.IssuanceRequest(
            f"responder/{name}/{clock.whole_seconds(at).isoformat()}", actor, label
        )
        renewed.append(issuance.issue_certificate(sessions, draft, request, hierarchy.settings, at))
    return tuple(renewed)


def renew_list_signer(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    hierarchy: Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = issuance.SYSTEM,
) -> registry.CertificateRecord | None:
    """Certify the trusted list's signer where there is none or its certificate nears its end.

    The key stays, so that a list signed before verifies with either certificate's key. Without a
    scheme in the settings there is no signer.
    """
    settings = hierarchy.settings
    if settings.trusted_list is None:
        return None
    with sessions() as session:
        present = registry.current_certificate(
            session, profiles.TRUSTED_LIST_SIGNER.name, at, key_label=TRUSTED_LIST_SIGNER
        )
    if present is not None and present.not_after - at > settings.trusted_list.signer_renewal:
        return None
    handle = open_or_generate(
        sessions, keys, TRUSTED_LIST_SIGNER, algorithms.KeyKind.P384, at, actor=actor
    )
    draft = drafts.draft_certificate(
        profiles.TRUSTED_LIST_SIGNER,
        hierarchy.authorities[INFRASTRUCTURE].issuer,
        subjects.service_name("Trusted list signer", settings),
        handle.public_key,
        settings,
        at,
    )
    request = issuance.IssuanceRequest(
        f"service/{TRUSTED_LIST_SIGNER}/{clock.whole_seconds(at).isoformat()}",
        actor,
        TRUSTED_LIST_SIGNER,
    )
    return issuance.issue_certificate(sessions, draft, request, settings, at)


def publish_first_crls(
    sessions: orm.sessionmaker[orm.Session],
    hierarchy: Hierarchy,
    at: datetime.datetime,
    *,
    actor: str,
) -> None:
    """Publish a CRL of every authority that has none that is valid."""
    for name, one in hierarchy.authorities.items():
        with sessions() as session:
            last = crl.find_newest(session, name)
        if last is None or at >= last.next_update:
            crl.publish(sessions, one, hierarchy.crl_validity(name), at, actor=actor)


def publish_due_crls(
    sessions: orm.sessionmaker[orm.Session],
    hierarchy: Hierarchy,
    at: datetime.datetime,
    *,
    actor: str = issuance.SYSTEM,
) -> tuple[crl.PublishedCRL, ...]:
    """Publish every CRL that is due; the worker's regular duty.

    The CRL of a root that is offline cannot be published here: its coming end is told in time for
    a key ceremony.
    """
    if ROOT not in hierarchy.authorities:
        _warn_of_root_crl(sessions, at)
    pairs = [(one, hierarchy.crl_validity(name)) for name, one in hierarchy.authorities.items()]
    return crl.publish_due(sessions, pairs, hierarchy.settings.crl_refresh, at, actor=actor)


def _warn_of_root_crl(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> None:
    with sessions() as session:
        last = crl.find_newest(session, ROOT)
    if last is None or last.next_update - at <= ROOT_CRL_NOTICE:
        ends = "never-published" if last is None else last.next_update.isoformat()
        log.warning("root_crl_due next_update=%s", ends)


@dataclasses.dataclass(frozen=True)
class Foundation:
    """The steps of making a hierarchy, each of which does nothing where its result is there."""

    sessions: orm.sessionmaker[orm.Session]
    keys: store.KeyStore
    settings: ca_settings.Settings
    at: datetime.datetime
    actor: str

    def run(self) -> None:
        """Take every step. A hierarchy that is complete needs no root key for the rest."""
        with self.sessions() as session:
            known = {one.name for one in registry.issuers(session)}
        if set(_TITLES) - known:
            root = self.certify_root()
            for name in (*ISSUING, INFRASTRUCTURE):
                self.certify_authority(name, root)
        self.certify_time_stamping_unit()

    def certify_root(self) -> authority.Issuer:
        """Make the root, or return it; a root whose key is elsewhere is never made again."""
        with self.sessions() as session:
            known = ROOT in {one.name for one in registry.issuers(session)}
        if known and key_label(ROOT) not in self.keys.labels():
            raise RootOfflineError("the root's key is offline: play a key ceremony")
        handle = self._key(key_label(ROOT), algorithms.KeyKind.P384)
        subject = subjects.service_name(_TITLES[ROOT], self.settings)
        # The root signs itself: it ends when its own profile says so.
        ends = clock.whole_seconds(self.at) + profiles.ROOT.validity
        issuer = authority.Issuer(ROOT, subject, handle, ends)
        certificate = self._certificate(profiles.ROOT, issuer, subject, handle, ROOT)
        return dataclasses.replace(issuer, not_after=certificate.not_after)

    def certify_authority(self, name: str, root: authority.Issuer) -> None:
        """Make an issuing CA or the infrastructure CA."""
        handle = self._key(key_label(name), algorithms.KeyKind.P384)
        subject = subjects.service_name(_TITLES[name], self.settings)
        self._certificate(profiles.AUTHORITY, root, subject, handle, name)

    def certify_time_stamping_unit(self) -> None:
        """Certify the time-stamping unit by the infrastructure CA."""
        handle = self._key(TIME_STAMPING_UNIT, algorithms.KeyKind.P384)
        present = load_present(self.sessions, self.keys, self.settings)
        issuer = present.named(INFRASTRUCTURE).issuer
        draft = drafts.draft_certificate(
            profiles.TIME_STAMPING_UNIT,
            issuer,
            subjects.service_name("Time-stamping unit 1", self.settings),
            handle.public_key,
            self.settings,
            self.at,
        )
        request = issuance.IssuanceRequest(
            f"service/{TIME_STAMPING_UNIT}", self.actor, TIME_STAMPING_UNIT
        )
        issuance.issue_certificate(self.sessions, draft, request, self.settings, self.at)

    def _certificate(
        self,
        profile: profiles.CertificateProfile,
        issuer: authority.Issuer,
        subject: x509.Name,
        handle: store.KeyHandle,
        name: str,
    ) -> registry.CertificateRecord:
        with self.sessions() as session:
            known = {one.name: one for one in registry.issuers(session)}.get(name)
        if known is not None:
            _check_key(handle, known.certificate, name)
            with self.sessions() as session:
                return registry.find(session, known.certificate.serial_number)
        draft = drafts.draft_certificate(
            profile, issuer, subject, handle.public_key, self.settings, self.at
        )
        request = issuance.IssuanceRequest(f"authority/{name}", self.actor, handle.label)
        record = issuance.issue_certificate(self.sessions, draft, request, self.settings, self.at)
        if record.certificate_der is None:
            raise NotInitialisedError(f"the certificate of {name} was not stored")
        certificate = certificates.parse(record.certificate_der)
        with self.sessions() as session:
            registry.add_issuer(
                session, registry.IssuerRecord(name, certificate, issuer.name, handle.label)
            )
            audit.append(
                session,
                audit.AuditEvent.AUTHORITY_CERTIFIED,
                self.at,
                actor=self.actor,
                details={"issuer": name, "sha256": certificates.sha256(certificate)},
            )
            session.commit()
        return record

    def _key(self, label: str, kind: algorithms.KeyKind) -> store.KeyHandle:
        return open_or_generate(self.sessions, self.keys, label, kind, self.at, actor=self.actor)


def open_or_generate(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    label: str,
    kind: algorithms.KeyKind,
    at: datetime.datetime,
    *,
    actor: str,
) -> store.KeyHandle:
    """Open the key of a label, or make it and record that in the audit log."""
    try:
        return keys.open_key(label)
    except store.KeyNotFoundError:
        return generate_key(sessions, keys, label, kind, at, actor=actor)


def generate_key(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    label: str,
    kind: algorithms.KeyKind,
    at: datetime.datetime,
    *,
    actor: str,
) -> store.KeyHandle:
    """Make a key of one of our own services and tell the audit log.

    Raises:
        KeyExistsError: The label is taken.
    """
    handle = keys.generate(label, kind)
    with sessions() as session:
        audit.append(
            session,
            audit.AuditEvent.KEY_GENERATED,
            at,
            actor=actor,
            details={"label": label, "key_sha256": certificates.key_sha256(handle.public_key)},
        )
        session.commit()
    log.info("key_generated label=%s kind=%s", label, kind.value)
    return handle


def _check_key(handle: store.KeyHandle, certificate: x509.Certificate, name: str) -> None:
    facts_key = certificate.public_key()
    algorithms.key_kind(facts_key)
    if certificates.key_sha256(handle.public_key) != certificates.key_sha256(
        facts_key  # type: ignore[arg-type]  # key_kind let EC and RSA keys through alone
    ):
        raise AuthorityChangedError(
            f"the key {handle.label!r} is not the one in the certificate of {name!r}:"
            " this key store belongs to another installation"
        )
