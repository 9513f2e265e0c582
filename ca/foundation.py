"""Making the authorities of an installation, step by step; what exists already stays as it is."""

import dataclasses
import datetime

from cryptography import x509
from sqlalchemy import orm

from ca import (
    authority,
    drafts,
    generations,
    hierarchy,
    intents,
    issuance,
    orders,
    service_keys,
    subjects,
)
from ca import settings as ca_settings
from ca.crls import addresses, published, schedule
from pki import algorithms, audit, certificates, clock, profiles, registry
from pki.keystore import store


def initialise(
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    settings: ca_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str = orders.SYSTEM,
) -> hierarchy.Hierarchy:
    """Make what is missing of the authorities, and return it.

    A second run changes nothing; a run that was killed is continued by the next one, because each
    step asks for what it makes under a name of its own.

    Raises:
        LintError: The settings lead to a certificate that breaks its profile.
        hierarchy.AuthorityChangedError: The key store is not the one the registry was made with.
    """
    intents.end_left_open(sessions, keys, at)
    Foundation(sessions, keys, settings, at, actor).run()
    authorities = hierarchy.load(sessions, keys, settings)
    service_keys.renew_responders(sessions, keys, authorities, at, actor=actor)
    service_keys.renew_list_signer(sessions, keys, authorities, at, actor=actor)
    publish_first_crls(sessions, authorities, at, actor=actor)
    return authorities


def publish_first_crls(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    at: datetime.datetime,
    *,
    actor: str,
) -> None:
    """Publish a CRL of every authority that has none that is valid."""
    for name, one in authorities.authorities.items():
        with sessions() as session:
            last = published.find_newest(session, addresses.Scope(name))
        if last is None or at >= last.next_update:
            schedule.publish_full(sessions, one, authorities.settings, at, actor=actor)


@dataclasses.dataclass(frozen=True)
class Foundation:
    """The steps of making a authorities, each of which does nothing where its result is there."""

    sessions: orm.sessionmaker[orm.Session]
    keys: store.KeyStore
    settings: ca_settings.Settings
    at: datetime.datetime
    actor: str

    def run(self) -> None:
        """Take every step. A hierarchy that is complete needs no root key for the rest."""
        with self.sessions() as session:
            known = {one.name for one in registry.issuers(session)}
        if set(hierarchy.TITLES) - known:
            root = self.certify_root()
            for name in (*hierarchy.ISSUING, hierarchy.INFRASTRUCTURE):
                self.certify_authority(name, root)
        for number, kind in enumerate(self.settings.time_stamping_units, start=1):
            label = generations.unit_label(number)
            self.certify_time_stamping_unit(label, algorithms.KeyKind(kind))

    def certify_root(self) -> authority.Issuer:
        """Make the root, or return it; a root whose key is elsewhere is never made again."""
        with self.sessions() as session:
            known = hierarchy.ROOT in {one.name for one in registry.issuers(session)}
        if known and hierarchy.key_label(hierarchy.ROOT) not in self.keys.labels():
            raise hierarchy.RootOfflineError("the root's key is offline: play a key ceremony")
        handle = self._key(hierarchy.key_label(hierarchy.ROOT), algorithms.KeyKind.P384)
        subject = subjects.service_name(hierarchy.TITLES[hierarchy.ROOT], self.settings)
        # The root signs itself: it ends when its own profile says so.
        ends = clock.whole_seconds(self.at) + profiles.ROOT.validity
        issuer = authority.Issuer(hierarchy.ROOT, subject, handle, ends)
        certificate = self._certificate(profiles.ROOT, issuer, subject, handle, hierarchy.ROOT)
        return dataclasses.replace(issuer, not_after=certificate.not_after)

    def certify_authority(self, name: str, root: authority.Issuer) -> None:
        """Make an issuing CA or the infrastructure CA, of any generation."""
        handle = self._key(hierarchy.key_label(name), algorithms.KeyKind.P384)
        subject = subjects.service_name(generations.title_of(name), self.settings)
        self._certificate(profiles.AUTHORITY, root, subject, handle, name)

    def certify_time_stamping_unit(
        self,
        label: str = hierarchy.TIME_STAMPING_UNIT,
        kind: algorithms.KeyKind = algorithms.KeyKind.P384,
    ) -> registry.CertificateRecord:
        """Certify a time-stamping unit by the infrastructure CA; done before, it stays as it is.

        A key that exists under the label is taken, of whatever kind it is.
        """
        handle = self._key(label, kind)
        present = hierarchy.load_present(self.sessions, self.keys, self.settings)
        issuer = present.current(hierarchy.INFRASTRUCTURE).issuer
        draft = drafts.draft_certificate(
            profiles.TIME_STAMPING_UNIT,
            issuer,
            subjects.service_name(
                f"Time-stamping unit {generations.unit_number(label)}", self.settings
            ),
            handle.public_key,
            self.settings,
            self.at,
        )
        request = orders.IssuanceRequest(f"service/{label}", self.actor, label)
        return issuance.issue_certificate(self.sessions, draft, request, self.settings, self.at)

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
            hierarchy.check_key(handle, known.certificate, name)
            with self.sessions() as session:
                return registry.find(session, known.certificate.serial_number)
        draft = drafts.draft_certificate(
            profile, issuer, subject, handle.public_key, self.settings, self.at
        )
        request = orders.IssuanceRequest(f"authority/{name}", self.actor, handle.label)
        record = issuance.issue_certificate(self.sessions, draft, request, self.settings, self.at)
        if record.certificate_der is None:
            raise hierarchy.NotInitialisedError(f"the certificate of {name} was not stored")
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
        return service_keys.open_or_generate(
            self.sessions, self.keys, label, kind, self.at, actor=self.actor
        )
