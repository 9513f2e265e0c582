"""The status service: responders' keys, and a view of the registry."""

import datetime
import logging
import typing

import ocsp.api
from imza import config as configs
from imza import migrations
from imza.wiring.resources import Resources
from imza.wiring.zone import FREQUENT, REGULAR, Job, Zone
from ocsp import responder, responder_key, rotation, stock_keeper
from ocsp import settings as ocsp_settings
from ocsp.statuses import contents, keeper, published_source, registry_source, view
from pki import certificates, metrics, registry_reader, status_publishers

if typing.TYPE_CHECKING:
    from pki import access

log = logging.getLogger(__name__)

FIRST_READING_S = 10.0
"""A registry that takes longer to be read is read on while the worker counts as started."""


def build(resources: Resources, config: configs.Config, _: "access.AccessTokens | None") -> Zone:
    """Build the status service's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.ocsp, "ocsp")
    keys = resources.keys(config.keystore, "keystore")
    looking = _view(resources, config, settings)
    rotating = rotation.ResponderKeys(keys.open_key)

    def find_issuers(at: datetime.datetime) -> tuple[responder_key.StatusIssuer, ...]:
        return rotating.issuers(looking.issuers, looking.responders, at)

    def is_known(issuer_name: str, serial_number: int) -> bool:
        # Of another one the registry is asked, which takes its time.
        known = looking.known
        if known is None or not 0 < serial_number < 1 << 160:
            return True
        serial = serial_number.to_bytes(registry_reader.SERIAL_BYTES, "big")
        return known.find(issuer_name, serial) is not None

    answering = responder.Responder(
        find_issuers(resources.present.now()),
        looking.look_up,
        settings.validity,
        kept_bytes=settings.kept_bytes,
        is_known=is_known,
    )

    def reload(at: datetime.datetime) -> None:
        # A next key is tested first; then the following request is answered with it.
        found = find_issuers(at)
        if found is not answering.issuers:
            answering.issuers = found
            log.info("responders_loaded issuers=%d", len(found))

    _declare(resources.metrics, looking)
    jobs = [Job("reload-responders", FREQUENT, reload, in_each_process=True)]
    if config.database is not None and settings.status_file is not None:
        kept = keeper.StatusFileKeeper(
            settings.status_file, looking, config.database.url, settings.status_max_age
        )
        jobs.append(Job("write-status-file", REGULAR, kept.write))
    if settings.preproduced is not None:
        folder = settings.preproduced
        stock = stock_keeper.StockKeeper(
            folder, answering, lambda name: looking.contents().enumerate(name)
        )

        def produce(at: datetime.datetime) -> None:
            # A process that only does duties reads the responders here.
            reload(at)
            stock.produce(at)

        jobs.append(Job("preproduce-responses", REGULAR, produce))
        jobs.append(Job("load-responses", FREQUENT, lambda _: stock.load(), in_each_process=True))
    return Zone(
        "ocsp",
        (),
        tuple(jobs),
        {"statuses": looking.contents},
        endpoints=ocsp.api.endpoints(answering, resources.present, figures=resources.metrics),
    )


def _declare(figures: metrics.Metrics, looking: view.StatusView) -> None:
    figures.gauge(
        "imza_ocsp_status_age_seconds",
        "How long ago the statuses were last known to be those of the registry.",
        lambda: {} if looking.age is None else {"": looking.age.total_seconds()},
    )
    figures.gauge(
        "imza_ocsp_responder_expiry_timestamp_seconds",
        "When each issuer's last responder certificate ends.",
        lambda: _last_ends(looking),
        "issuer",
    )


def _last_ends(looking: view.StatusView) -> dict[str, float]:
    ends: dict[str, float] = {}
    for one in looking.responders:
        end = certificates.parse(one.certificate_der).not_valid_after_utc.timestamp()
        ends[one.issuer_name] = max(end, ends.get(one.issuer_name, end))
    return ends


def _view(
    resources: Resources, config: configs.Config, settings: ocsp_settings.Settings
) -> view.StatusView:
    start: contents.Contents | None = None
    source: contents.Source
    if config.database is None:
        publishers = configs.require(settings.status_publisher, "ocsp.status_publisher")
        source = published_source.PublishedSource(
            configs.require(settings.status_file, "ocsp.status_file"),
            status_publishers.load_publishers(publishers),
        )
    else:
        source = registry_source.RegistrySource(
            config.database.url, settings.status_file, revision=migrations.newest_revision()
        )
        start = source.start()
    looking = resources.hold(
        view.StatusView(
            source,
            resources.present,
            max_age=settings.status_max_age,
            poll=settings.status_poll,
            start=start,
        )
    )
    # It answers from what it has while that is young enough, and `tryLater` without anything.
    looking.start(FIRST_READING_S)
    return looking
