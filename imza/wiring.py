"""Settings in, ready objects out: the only place that picks implementations.

Each function builds one trust zone: its routes and its regular duties.
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Mapping, Sequence

import fastapi
from cryptography import x509
from sqlalchemy import orm

import ca.api
import ca.enrolment.api
import mobile_id.api
import mobile_id.settings
import ocsp.api
import signing_service.api
import tsa.api
from ca import hierarchy
from ca.audit_log import anchors
from ca.audit_log import api as audit_api
from ca.ceremony import foreign_authority, performance, script
from ca.enrolment import conversation, references, transactions
from ca.enrolment import signer as cmp_signer
from ca.trusted_list import api as trusted_list_api
from ca.trusted_list import publication
from imza import audit_tokens, health, schema
from imza import config as configs
from mobile_id import client as mobile_client
from mobile_id import device_api, gateway, waiting
from ocsp import responder, responder_key
from pki import (
    access,
    algorithms,
    certificates,
    clock,
    database,
    errors,
    failpoints,
    outbound,
    profiles,
    registry,
    web,
)
from pki import status as certificate_status
from pki.keystore import settings as keystore_settings
from pki.keystore import store
from signing_service import (
    certification_paths,
    document_store,
    documents,
    levels,
    phone_signing,
    trust,
    upkeep,
)
from signing_service import service as signing
from signing_service.validation import fetching, isolation, report
from tsa import authority

ZONES = ("ca", "ocsp", "tsa", "mobile", "signing")

FREQUENT = datetime.timedelta(seconds=2)
REGULAR = datetime.timedelta(minutes=1)
DAILY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Job:
    """A regular duty of a zone."""

    name: str
    every: datetime.timedelta
    run: Callable[[datetime.datetime], object]


@dataclasses.dataclass(frozen=True)
class Zone:
    """A trust zone, ready to be served.

    Attributes:
        name: One of `ZONES`.
        routers: What it answers.
        jobs: What its worker does.
        probes: What must work for the zone to be ready, by name; each raises when it does not.
    """

    name: str
    routers: tuple[fastapi.APIRouter, ...]
    jobs: tuple[Job, ...] = ()
    probes: Mapping[str, Callable[[], object]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Initialised:
    """What the other zones need to know of the hierarchy.

    Attributes:
        issuers: All authorities.
        unit_chain: The time-stamping unit's certificate and the CAs above it, without the root.
        list_signer: The trusted list's; None where no list is published.
    """

    issuers: tuple[registry.IssuerRecord, ...]
    unit_chain: tuple[x509.Certificate, ...]
    list_signer: x509.Certificate | None = None


class Wiring:
    """Builds zones and closes what they opened."""

    def __init__(self, present: clock.Clock) -> None:
        """Take the clock that every zone reads."""
        self._present = present
        self._resources = contextlib.ExitStack()

    def close(self) -> None:
        """Close databases, key stores and connections, the last one first."""
        self._resources.close()

    def build(
        self, name: str, config: configs.Config, tokens: access.AccessTokens | None = None
    ) -> Zone:
        """Build one zone.

        Args:
            name: One of `ZONES`.
            config: Its settings.
            tokens: Instead of the zone's own, where several zones share one `/oauth2/token`.

        Raises:
            SettingsError: A section is missing.
            OutdatedSchemaError: The database is not of this version.
            DeviceError: The key store does not open.
        """
        if config.testing.failpoint is not None:
            failpoints.arm(config.testing.failpoint)
        return {
            "ca": self._ca,
            "ocsp": self._ocsp,
            "tsa": self._tsa,
            "mobile": self._mobile,
            "signing": self._signing,
        }[name](config, tokens)

    def access_tokens(self, config: configs.Config) -> access.AccessTokens:
        """What gives tokens to the clients of a settings file, and knows them again."""
        return access.AccessTokens(config.access, self._database(config))

    def initialise(self, config: configs.Config) -> Initialised:
        """Bring the database to this version and make what is missing of the hierarchy.

        Raises:
            NotInitialisedError: The root's key is elsewhere, and no ceremony has made all
                authorities.
        """
        sessions = self._upgraded_database(config)
        at = self._present.now()
        keys = self._authority_keys(config)
        if config.keystore_root is not None:
            # A ceremony alone opens the root's key store: refused here, before a key is made.
            hierarchy.load(sessions, keys, configs.require(config.ca, "ca"))
        made = hierarchy.initialise(sessions, keys, configs.require(config.ca, "ca"), at)
        publication.Publisher(sessions, keys, made).publish_due(at, actor="system")
        return self._initialised(sessions, at)

    def play_ceremony(
        self,
        config: configs.Config,
        played: script.Script,
        files: pathlib.Path,
        confirm: performance.Confirm,
        tell: Callable[[str], None],
        *,
        unattended: bool,
    ) -> tuple[performance.SignedTranscript, Initialised | None]:
        """Play a key ceremony, with the root's key store open.

        Args:
            config: The CA zone's settings.
            played: The script.
            files: Where the files are that the script names.
            confirm: Asks a witness.
            tell: Says to everybody what was done.
            unattended: Whether `confirm` asks nobody, which only a test installation may.

        Returns:
            The transcript, and what other zones need to know where the hierarchy is whole.
        """
        sessions = self._upgraded_database(config)
        stage = performance.Stage(
            sessions,
            self._authority_keys(config, root=True),
            configs.require(config.ca, "ca"),
            self._present,
            confirm,
            tell,
            lambda name: foreign_authority.load(files / name),
            unattended,
        )
        signed = performance.play(stage, played)
        try:
            return signed, self._initialised(sessions, self._present.now())
        except hierarchy.NotInitialisedError:
            return signed, None

    def _upgraded_database(self, config: configs.Config) -> orm.sessionmaker[orm.Session]:
        settings = configs.require(config.database, "database")
        engine = database.connect(settings.url)
        self._resources.callback(engine.dispose)
        schema.upgrade(engine)
        return database.session_factory(engine)

    def _initialised(
        self, sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
    ) -> Initialised:
        with sessions() as session:
            issuers = registry.issuers(session)
            unit = registry.current_certificate(
                session,
                profiles.TIME_STAMPING_UNIT.name,
                at,
                key_label=hierarchy.TIME_STAMPING_UNIT,
            )
            signer = registry.current_certificate(
                session,
                profiles.TRUSTED_LIST_SIGNER.name,
                at,
                key_label=hierarchy.TRUSTED_LIST_SIGNER,
            )
        if unit is None:
            raise hierarchy.NotInitialisedError("no time-stamping unit has a valid certificate")
        above = next(one for one in issuers if one.name == hierarchy.INFRASTRUCTURE)
        return Initialised(
            issuers,
            (_certificate(unit), above.certificate),
            None if signer is None else _certificate(signer),
        )

    def _ca(self, config: configs.Config, tokens: access.AccessTokens | None) -> Zone:
        sessions = self._database(config)
        keys = self._authority_keys(config)
        authorities = hierarchy.start(
            sessions, keys, configs.require(config.ca, "ca"), self._present.now()
        )
        own = tokens or access.AccessTokens(config.access, sessions)

        publisher = publication.Publisher(sessions, keys, authorities)

        anchoring = self._anchoring(config)
        enrolling = self._enrolment(config, sessions, keys, authorities, own)

        def renew(at: datetime.datetime) -> None:
            hierarchy.renew_responders(sessions, keys, authorities, at, actor="worker")

        return Zone(
            "ca",
            (
                ca.api.routes(sessions, authorities, own, self._present),
                ca.api.public_routes(sessions, self._present),
                trusted_list_api.routes(publisher, own, self._present),
                trusted_list_api.public_routes(sessions, self._present),
                audit_api.routes(sessions, anchoring, own, self._present),
                *enrolling.routers,
                *(() if tokens else (web.token_routes(own, self._present),)),
            ),
            (
                *enrolling.jobs,
                *_anchor_jobs(config, sessions, anchoring),
                Job(
                    "publish-crls",
                    REGULAR,
                    lambda at: hierarchy.publish_due_crls(sessions, authorities, at),
                ),
                Job("renew-responders", DAILY, renew),
                Job(
                    "publish-trusted-list",
                    REGULAR,
                    lambda at: publisher.publish_due(at, actor="worker"),
                ),
            ),
            {"database": health.database_probe(sessions)},
        )

    def _enrolment(
        self,
        config: configs.Config,
        sessions: orm.sessionmaker[orm.Session],
        keys: store.KeyStore,
        authorities: hierarchy.Hierarchy,
        tokens: access.AccessTokens,
    ) -> Zone:
        """The CA's part that speaks CMP: nothing unless the settings say how."""
        settings = config.enrolment
        if settings is None:
            return Zone("enrolment", ())
        signer = cmp_signer.CurrentSigner(sessions, keys, authorities, self._present.now())
        office = conversation.Office(
            sessions, authorities, references.Secrets(settings.load_secret()), signer
        )
        wait = settings.confirmation_wait
        return Zone(
            "enrolment",
            (
                ca.enrolment.api.routes(office, self._present),
                ca.enrolment.api.registration_routes(office, settings, tokens, self._present),
            ),
            (
                Job(
                    "end-unconfirmed-enrolments",
                    REGULAR,
                    lambda at: transactions.end_unconfirmed(sessions, wait, at),
                ),
                Job("renew-cmp-signer", DAILY, signer.renew),
            ),
        )

    def _anchoring(self, config: configs.Config) -> anchors.Anchoring | None:
        settings = config.audit
        if settings is None:
            return None
        client = self._resources.enter_context(contextlib.closing(outbound.Client(timeout_s=10.0)))
        return anchors.Anchoring(settings.folder, audit_tokens.stamper(client, settings.tsa_url))

    def _ocsp(self, config: configs.Config, _: access.AccessTokens | None) -> Zone:
        sessions = self._database(config)
        keys = self._keys(config.keystore, "keystore")
        settings = configs.require(config.ocsp, "ocsp")

        def look_up(issuer: str, serial_number: int) -> certificate_status.CertificateStatus | None:
            with sessions() as session:
                return registry.status_of(session, issuer, serial_number)

        # The list is replaced in place when responders were renewed; a request sees either.
        issuers = list(_status_issuers(sessions, keys, self._present.now()))

        def reload(at: datetime.datetime) -> None:
            issuers[:] = _status_issuers(sessions, keys, at)

        answering = responder.Responder(issuers, look_up, settings.validity)
        return Zone(
            "ocsp",
            (ocsp.api.routes(answering, self._present),),
            (Job("reload-responders", DAILY, reload),),
            {"registry": health.database_probe(sessions)},
        )

    def _tsa(self, config: configs.Config, _: access.AccessTokens | None) -> Zone:
        settings = configs.require(config.tsa, "tsa")
        chain = x509.load_pem_x509_certificates(settings.certificates.read_bytes())
        keys = self._keys(config.keystore, "keystore")
        unit = authority.TimeStampingUnit(
            chain[0], keys.open_key(settings.key_label), tuple(chain[1:])
        )
        issuing = authority.TimeStampAuthority(
            unit, settings.policies, qualified=settings.qualified
        )
        return Zone(
            "tsa",
            (tsa.api.routes(issuing, self._present),),
            probes={"unit": lambda: unit.check_valid_at(self._present.now())},
        )

    def _mobile(self, config: configs.Config, _: access.AccessTokens | None) -> Zone:
        settings = configs.require(config.mobile_id, "mobile_id")
        sessions = self._database(config)
        notices = waiting.Notices()
        mobile_gateway = gateway.Gateway(
            sessions,
            mobile_id.settings.load_relying_parties(
                configs.require(settings.relying_parties, "mobile_id.relying_parties")
            ),
            settings,
            notices.announce,
        )
        # Several workers may share the database: each hears what the others changed.
        notices.follow(lambda: mobile_gateway.changed_topics(self._present.now()))
        root = fastapi.APIRouter()
        root.include_router(
            mobile_id.api.routes(mobile_gateway, notices, self._present), prefix="/mid-api"
        )
        root.include_router(
            device_api.routes(mobile_gateway, notices, self._present), prefix="/mobile-device"
        )
        return Zone(
            "mobile",
            (root,),
            (Job("expire-transactions", REGULAR, mobile_gateway.expire_due),),
            {"database": health.database_probe(sessions)},
        )

    def _signing(self, config: configs.Config, tokens: access.AccessTokens | None) -> Zone:
        settings = configs.require(config.signing, "signing")
        sessions = self._database(config)
        client = self._resources.enter_context(contextlib.closing(outbound.Client(timeout_s=10.0)))
        anchors = trust.load(settings.trust_anchors)
        service = signing.SigningService(
            settings=settings,
            database=sessions,
            store=document_store.DocumentStore(settings.folder),
            authorities=certification_paths.Authorities(
                anchors.certificates, trust.load(settings.authorities).certificates
            ),
            client=client,
            clock=self._present,
        )
        phones = self._phones(config, service)
        own = tokens or access.AccessTokens(config.access, sessions)
        jobs = [
            Job("raise-levels", FREQUENT, lambda at: levels.raise_pending(service, at)),
            Job("expire-sessions", REGULAR, lambda at: upkeep.expire_overdue(service, at)),
            Job("discard-sessions", DAILY, lambda at: upkeep.discard_ended(service, at)),
        ]
        if phones is not None:
            jobs.append(
                Job(
                    "follow-phones",
                    FREQUENT,
                    lambda at: phone_signing.follow_abandoned(phones, at),
                )
            )
        return Zone(
            "signing",
            (
                signing_service.api.routes(
                    service, phones, self._validation(anchors, service), own
                ),
                *(() if tokens else (web.token_routes(own, self._present),)),
            ),
            tuple(jobs),
            {"database": health.database_probe(sessions)},
        )

    def _phones(
        self, config: configs.Config, service: signing.SigningService
    ) -> phone_signing.PhoneSigning | None:
        peer = config.mobile_peer
        if peer is None:
            return None
        # A question for a phone's answer may wait at the gateway for two minutes.
        client = self._resources.enter_context(
            contextlib.closing(outbound.Client(timeout_s=130.0, trust_pem=peer.tls_ca))
        )
        uuid = peer.relying_party_uuid_file.read_text(encoding="utf-8").strip()
        party = mobile_client.RelyingParty(uuid, peer.relying_party_name)
        threads = self._resources.enter_context(
            contextlib.closing(_Threads(service.settings.phone_threads))
        )
        return phone_signing.PhoneSigning(
            service, mobile_client.MobileIdClient(client, peer.api_root, party), threads.pool
        )

    def _validation(
        self, anchors: trust.TrustAnchors, service: signing.SigningService
    ) -> signing_service.api.Validate:
        workers = self._resources.enter_context(contextlib.closing(isolation.ValidationWorkers()))

        fetch = fetching.fetcher(service.client, self._present)

        def validate(
            document: documents.Document,
            detached: Sequence[documents.Document],
            at: datetime.datetime,
        ) -> report.ValidationReport:
            return workers.validate(document, trust=anchors, at=at, fetch=fetch, detached=detached)

        return validate

    def _database(self, config: configs.Config) -> orm.sessionmaker[orm.Session]:
        settings = configs.require(config.database, "database")
        engine = database.connect(settings.url)
        self._resources.callback(engine.dispose)
        schema.check(engine)
        return database.session_factory(engine)

    def _keys(self, settings: keystore_settings.Settings | None, name: str) -> store.KeyStore:
        opened = keystore_settings.open_store(configs.require(settings, name))
        self._resources.callback(opened.close)
        return opened

    def _authority_keys(self, config: configs.Config, *, root: bool = False) -> store.KeyStore:
        own = self._keys(config.keystore, "keystore")
        elsewhere = {
            prefix: self._keys(settings, name)
            for prefix, settings, name in (
                ("ocsp-", config.keystore_ocsp, "keystore_ocsp"),
                ("tsu-", config.keystore_tsa, "keystore_tsa"),
                (hierarchy.ROOT, config.keystore_root if root else None, "keystore_root"),
            )
            if settings is not None
        }
        return _StoresByLabel(own, elsewhere) if elsewhere else own


class _StoresByLabel:
    """Several key stores as one: the prefix of a label says whose key it is.

    Used where the hierarchy is made, so that responders and time-stamping units get their keys in
    stores of their own and never hold an authority's.
    """

    def __init__(self, own: store.KeyStore, elsewhere: Mapping[str, store.KeyStore]) -> None:
        self._own = own
        self._elsewhere = elsewhere

    def generate(self, label: str, kind: algorithms.KeyKind) -> store.KeyHandle:
        return self._of(label).generate(label, kind)

    def open_key(self, label: str) -> store.KeyHandle:
        return self._of(label).open_key(label)

    def describe_key(self, label: str) -> store.KeyAttributes:
        return self._of(label).describe_key(label)

    def labels(self) -> tuple[str, ...]:
        every = (self._own, *self._elsewhere.values())
        return tuple(sorted(label for one in every for label in one.labels()))

    def close(self) -> None:
        for one in (self._own, *self._elsewhere.values()):
            one.close()

    def _of(self, label: str) -> store.KeyStore:
        for prefix, one in self._elsewhere.items():
            if label.startswith(prefix):
                return one
        return self._own


class _Threads:
    """Threads that wait for phones.

    Those that still wait when the server stops are left alone: their sessions are in the
    database, and the next process goes on with them.
    """

    def __init__(self, count: int) -> None:
        self.pool = concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix="phone")

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)


def _anchor_jobs(
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    anchoring: anchors.Anchoring | None,
) -> tuple[Job, ...]:
    if config.audit is None or anchoring is None:
        return ()

    def anchor(at: datetime.datetime) -> None:
        anchors.write_next(anchoring, audit_api.head_reader(sessions), at)

    return (Job("anchor-audit-log", config.audit.every, anchor),)


def _certificate(record: registry.CertificateRecord) -> x509.Certificate:
    if record.certificate_der is None:
        raise errors.TamperedError("the registry has a certificate as issued, without its bytes")
    return certificates.parse(record.certificate_der)


def _status_issuers(
    sessions: orm.sessionmaker[orm.Session], keys: store.KeyStore, at: datetime.datetime
) -> Sequence[responder_key.StatusIssuer]:
    """The issuing CAs of the registry, each with its responder's current certificate and key."""
    found = []
    with sessions() as session:
        for issuer in registry.issuers(session):
            record = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, at, issuer_name=issuer.name
            )
            if record is None or record.key_label is None:
                continue
            key = responder_key.ResponderKey(_certificate(record), keys.open_key(record.key_label))
            found.append(responder_key.StatusIssuer(issuer.name, issuer.certificate, (key,)))
    return found
