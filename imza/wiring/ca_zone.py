"""The certification authority: registration, publication, enrolment, trusted list, audit log."""

import datetime
import logging

import fastapi
from sqlalchemy import orm

import ca.api
import ca.bulk.api
import ca.enrolment.api
from ca import hierarchy, intents, service_keys
from ca.applications import api as applications_api
from ca.applications import identity_check
from ca.audit_log import anchors
from ca.audit_log import api as audit_api
from ca.bulletin import api as bulletin_api
from ca.bulletin import settings as bulletin_settings
from ca.bulletin import sources
from ca.continuity import known_signatures, rollover
from ca.crls import api as crls_api
from ca.disclosure import api as disclosure_api
from ca.disclosure import publication as disclosures
from ca.enrolment import conversation, references, transactions
from ca.enrolment import signer as cmp_signer
from ca.examination import run as examination
from ca.operators import api as operators_api
from ca.operators import gate as gates
from ca.registers import facts, http_register, local_register
from ca.trusted_list import api as trusted_list_api
from ca.trusted_list import publication
from imza import audit_tokens, health
from imza import config as configs
from imza.wiring import status_publication, subscribers_part
from imza.wiring.resources import Resources, signature_log_path
from imza.wiring.zone import DAILY, REGULAR, Job, Zone
from pki import access, registry_lock
from pki.keystore import store

log = logging.getLogger(__name__)


def build(
    resources: Resources, config: configs.Config, _tokens: access.AccessTokens | None
) -> Zone:
    """Build the certification authority's zone, whose callers sign their requests.

    See `imza.wiring.zones.build`.
    """
    sessions = resources.sessions(config)
    keys = resources.authority_keys(config, sessions)
    authorities = rollover.live(
        hierarchy.start(sessions, keys, configs.require(config.ca, "ca"), resources.present.now())
    )
    guard = resources.signing_guard(config, sessions)
    _compare_with_log(guard)
    gate = gates.SignedRequestGate(sessions, resources.present)

    examiner = examination.Examiner(sessions, authorities.settings, signature_log_path(config))
    publisher = publication.Publisher(sessions, keys, authorities)

    anchoring = _anchoring(resources, config)
    subscribing = subscribers_part.build(resources, config, sessions, authorities, gate)
    enrolling = _enrolment(resources, config, sessions, keys, authorities, gate)

    def renew(at: datetime.datetime) -> None:
        service_keys.renew_responders(sessions, keys, authorities, at, actor="worker")

    return Zone(
        "ca",
        (
            ca.api.routes(sessions, authorities, gate, resources.present),
            ca.bulk.api.routes(sessions, authorities, gate, resources.present),
            ca.api.public_routes(sessions),
            crls_api.routes(sessions, authorities, gate, resources.present),
            crls_api.public_routes(sessions, resources.present),
            applications_api.routes(
                identity_check.Desk(sessions, authorities, _register(resources, config, sessions)),
                gate,
                resources.present,
            ),
            trusted_list_api.routes(publisher, gate, resources.present),
            trusted_list_api.public_routes(sessions, resources.present),
            audit_api.routes(sessions, anchoring, gate, resources.present),
            *enrolling.routers,
            *subscribing.routers,
            *_disclosure(resources, config, sessions, authorities),
            operators_api.routes(sessions, authorities, gate, resources.present),
            _statistics(resources, config, sessions, gate),
        ),
        (
            *enrolling.jobs,
            *subscribing.jobs,
            *_anchor_jobs(config, sessions, anchoring),
            *_status_file_jobs(resources, config, sessions, keys),
            Job(
                "publish-crls",
                REGULAR,
                lambda at: hierarchy.publish_due_crls(sessions, authorities, at),
            ),
            Job(
                "examine-registry",
                DAILY,
                lambda at: examiner.examine_and_record(at, actor="worker"),
            ),
            Job("note-signature-log", DAILY, lambda _: guard.note()),
            Job("renew-responders", DAILY, renew),
            # In the processes that answer, and in the one that does the other duties.
            *(
                Job(
                    name,
                    REGULAR,
                    lambda at: rollover.follow(sessions, keys, authorities),
                    in_each_process=each,
                )
                for name, each in (("follow-authorities", True), ("follow-for-duties", False))
            ),
            Job(
                "end-authorities",
                DAILY,
                lambda at: rollover.end_finished(sessions, authorities, at, actor="worker"),
            ),
            Job(
                "end-open-intents",
                REGULAR,
                lambda at: intents.reconcile(sessions, at, recorded_before=at - intents.OPEN_LIMIT),
            ),
            Job(
                "publish-trusted-list",
                REGULAR,
                lambda at: publisher.publish_due(at, actor="worker"),
            ),
        ),
        {
            "database": health.writable_database_probe(sessions),
            "signing": keys.check_ready,
        },
        examination.LastExamination(sessions),
    )


def _status_file_jobs(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
) -> tuple[Job, ...]:
    if config.status_file is None:
        return ()
    publisher = status_publication.StatusPublisher(resources, config, sessions, keys)
    return (Job("publish-statuses", config.status_file.every, publisher.publish),)


def _compare_with_log(guard: known_signatures.SigningGuard) -> None:
    """Find out at the start, and not at the first signature, that the database is an older one.

    The zone is served nevertheless: what is published stays so, and an auditor may look.
    """
    try:
        guard.note()
    except registry_lock.RegistryLockedError as error:
        log.error("registry_locked code=%s", error.code)


def _register(
    resources: Resources, config: configs.Config, sessions: orm.sessionmaker[orm.Session]
) -> facts.Register | None:
    """The authentic source; None where the settings name none."""
    settings = config.register
    if settings is None:
        return None
    if settings.kind == "local":
        return local_register.LocalRegister(sessions)
    client = resources.client(settings.timeout, settings.tls_ca)
    return http_register.HttpRegister(settings.name, settings.url, settings.token_file, client)


def _enrolment(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    keys: store.KeyStore,
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
) -> Zone:
    """The CA's part that speaks CMP: nothing unless the settings say how."""
    settings = config.enrolment
    if settings is None:
        return Zone("enrolment", ())
    signer = cmp_signer.CurrentSigner(sessions, keys, authorities, resources.present.now())
    office = conversation.Office(
        sessions,
        authorities,
        references.Secrets(settings.load_secret()),
        signer,
        config.renewal,
    )
    wait = settings.confirmation_wait
    return Zone(
        "enrolment",
        (
            ca.enrolment.api.routes(office, resources.present),
            ca.enrolment.api.registration_routes(office, settings, gate, resources.present),
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


def _statistics(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    gate: gates.Gate,
) -> fastapi.APIRouter:
    """Statistics: of the registry alone where the settings name no zone to ask."""
    settings = config.statistics or bulletin_settings.Settings()
    asks = [sources.asking(one, resources.client(trust_pem=one.tls_ca)) for one in settings.sources]
    return bulletin_api.routes(sessions, settings, asks, gate, resources.present)


def _disclosure(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
) -> tuple[fastapi.APIRouter, ...]:
    """Publish the disclosure statements and serve them: none unless the settings say what."""
    if config.disclosure is None:
        return ()
    installation = authorities.settings
    disclosures.publish(sessions, config.disclosure, installation, resources.present.now())
    return (disclosure_api.public_routes(sessions, config.disclosure, installation),)


def _anchoring(resources: Resources, config: configs.Config) -> anchors.Anchoring | None:
    settings = config.audit
    if settings is None:
        return None
    return anchors.Anchoring(
        settings.folder, audit_tokens.stamper(resources.client(), settings.tsa_url)
    )


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
