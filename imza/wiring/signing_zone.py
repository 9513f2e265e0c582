"""The signing service: sessions by card and by phone, levels, validation."""

import concurrent.futures
import datetime
from collections.abc import Sequence

import signing_service.web.api
from imza import config as configs
from imza import health
from imza.wiring.resources import Resources
from imza.wiring.zone import DAILY, FREQUENT, REGULAR, Job, Zone
from mobile_id import client as mobile_client
from pki import access, certificates, usage_api, web
from signing_service import certification_paths, documents, trust
from signing_service import service as signing
from signing_service.lists import followed_trust, trust_sources
from signing_service.signing import document_store, levels, phone_signing, sealing, upkeep
from signing_service.validation import fetching, isolation, policy, report
from signing_service.validation.certificates import certificate_report
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.web import validation_api


def build(resources: Resources, config: configs.Config, tokens: access.AccessTokens | None) -> Zone:
    """Build the signing service's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.signing, "signing")
    sessions = resources.sessions(config)
    client = resources.client()
    anchors = trust.load(settings.trust_anchors)
    workers = resources.hold(isolation.ValidationWorkers())
    workers.warm_up()
    service = signing.SigningService(
        settings=settings,
        database=sessions,
        store=document_store.DocumentStore(settings.folder),
        authorities=certification_paths.Authorities(
            anchors.certificates, trust.load(settings.authorities).certificates
        ),
        client=client,
        clock=resources.present,
        check_document=workers.check_signable,
        read_picture=workers.read_picture,
    )
    followed = followed_trust.FollowedTrust(
        anchors,
        trust_sources.TrustSources(
            resources.present, client, settings.list_signers, settings.list_memory
        ),
        settings.trusted_lists,
    )
    phones = _phones(resources, config, service)
    if settings.seals:
        configs.require(config.keystore, "keystore")
    seals = sealing.Seals(settings.seals, lambda: resources.keys(config.keystore, "keystore"))
    own = tokens or access.AccessTokens(config.access, sessions)
    jobs = [
        Job("raise-levels", FREQUENT, lambda at: levels.raise_pending(service, at)),
        Job("expire-sessions", REGULAR, lambda at: upkeep.expire_overdue(service, at)),
        Job("read-trusted-lists", FREQUENT, followed.refresh, in_each_process=True),
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
            signing_service.web.api.routes(
                service, phones, _judges(workers, followed, service), own, seals
            ),
            usage_api.routes("signing", sessions, own, resources.present),
            *(() if tokens else (web.token_routes(own, resources.present),)),
        ),
        tuple(jobs),
        {"database": health.database_probe(sessions)},
    )


def _phones(
    resources: Resources, config: configs.Config, service: signing.SigningService
) -> phone_signing.PhoneSigning | None:
    peer = config.mobile_peer
    if peer is None:
        return None
    # A question for a phone's answer may wait at the gateway for two minutes.
    client = resources.client(130.0, peer.tls_ca)
    uuid = peer.relying_party_uuid_file.read_text(encoding="utf-8").strip()
    party = mobile_client.RelyingParty(uuid, peer.relying_party_name)
    threads = resources.hold(_Threads(service.settings.phone_threads))
    return phone_signing.PhoneSigning(
        service, mobile_client.MobileIdClient(client, peer.api_root, party), threads.pool
    )


def _judges(
    workers: isolation.ValidationWorkers,
    followed: followed_trust.FollowedTrust,
    service: signing.SigningService,
) -> validation_api.Judges:
    fetch = fetching.fetcher(service.client, service.clock)
    policies = policy.load_all(service.settings.policies)
    known = tuple(certificates.to_der(one) for one in service.authorities.intermediates)

    def judge_document(
        document: documents.Document,
        detached: Sequence[documents.Detached],
        at: datetime.datetime | None,
        policy_name: str | None,
        diagnose: diagnostic_data.Extent,
    ) -> report.ValidationReport:
        present = service.clock.now()
        return workers.validate(
            document,
            trust=followed.anchors(present),
            at=present if at is None else at,
            present=present,
            fetch=fetch,
            detached=detached,
            rules=policy.named(policies, policy_name),
            diagnose=diagnose,
        )

    def judge_certificate(
        certificate: bytes,
        intermediates: Sequence[bytes],
        at: datetime.datetime,
        policy_name: str | None,
    ) -> certificate_report.CertificateReport:
        return workers.validate_certificate(
            certificate,
            trust=followed.anchors(service.clock.now()),
            at=at,
            fetch=fetch,
            intermediates=(*intermediates, *known),
            rules=policy.named(policies, policy_name),
        )

    return validation_api.Judges(judge_document, judge_certificate, workers.print_sheet)


class _Threads:
    """Threads that wait for phones.

    Those that still wait when the server stops are left alone: their sessions are in the
    database, and the next process goes on with them.
    """

    def __init__(self, count: int) -> None:
        self.pool = concurrent.futures.ThreadPoolExecutor(count, thread_name_prefix="phone")

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
