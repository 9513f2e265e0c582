"""The time-stamping authority: its units, their keys, and the watch over its clock."""

import datetime
import pathlib
import typing

from cryptography import x509

import tsa.api
from imza import config as configs
from imza.wiring import clock_events
from imza.wiring.resources import Resources
from imza.wiring.zone import Zone
from pki import algorithms, metrics
from pki.keystore import store
from tsa import authority, clock_accuracy
from tsa import settings as tsa_settings

if typing.TYPE_CHECKING:
    from pki import access


def build(resources: Resources, config: configs.Config, _: "access.AccessTokens | None") -> Zone:
    """Build the time-stamping authority's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.tsa, "tsa")
    keys = resources.keys(config.keystore, "keystore")
    first = _line(keys, settings)
    beside = [_line(keys, one) for one in settings.units]
    issuing = authority.TimeStampAuthority(
        first.unit,
        first.policies,
        qualified=settings.qualified,
        successors=first.successors,
        beside=beside,
    )
    for line in (first, *beside):
        for unit in (line.unit, *(later for _, later in line.successors)):
            clock_accuracy.check_settings(settings.clock, unit.certificate)
    events = resources.hold(clock_events.ClockEvents(lambda: resources.sessions(config)))
    watched = clock_accuracy.AccurateClock(
        settings.clock, clock_accuracy.Witnesses(wall=resources.present), events.tell
    )
    resources.hold(watched)
    watched.start()
    _declare(resources.metrics, issuing, watched)
    return Zone(
        "tsa",
        (),
        probes={
            "unit": lambda: _check_units(issuing, resources.present.now()),
            "clock": watched.now,
            "database": events.check,
        },
        endpoints=tsa.api.endpoints(issuing, watched, watched.error_bound, resources.metrics),
        notes={"clock": _how_watched(settings.clock), "units": _how_stamped(issuing)},
    )


def _unit(keys: store.KeyStore, path: pathlib.Path, label: str) -> authority.TimeStampingUnit:
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    return authority.TimeStampingUnit(chain[0], keys.open_key(label), tuple(chain[1:]))


def _declare(
    figures: metrics.Metrics,
    issuing: authority.TimeStampAuthority,
    watched: clock_accuracy.AccurateClock,
) -> None:
    figures.gauge(
        "imza_tsa_clock_trusted",
        "1 while the clock is vouched for and tokens are made, else 0.",
        lambda: {"": float(watched.state.trusted)},
    )
    figures.gauge(
        "imza_tsa_clock_offset_seconds",
        "How far each time server says that the clock is off.",
        lambda: {one.server: one.offset_s for one in watched.state.comparisons},
        "server",
    )
    figures.gauge(
        "imza_tsa_unit_expiry_timestamp_seconds",
        "Until when each unit that signs now may sign: the certificate's and the key's period.",
        lambda: {unit.handle.label: unit.period[1].timestamp() for unit, _ in issuing.units},
        "unit",
    )


def _line(
    keys: store.KeyStore, settings: tsa_settings.Settings | tsa_settings.Unit
) -> authority.UnitLine:
    return authority.UnitLine(
        _unit(keys, settings.certificates, settings.key_label),
        settings.policies,
        tuple(
            (one.begins(), _unit(keys, one.certificates, one.key_label))
            for one in settings.successors
        ),
    )


def _check_units(issuing: authority.TimeStampAuthority, at: datetime.datetime) -> None:
    for _, policies in issuing.units:
        issuing.unit_at(at, policies[0]).check_valid_at(at)


def _how_stamped(issuing: authority.TimeStampAuthority) -> str:
    return "; ".join(
        f"{unit.handle.label} ({algorithms.key_kind(unit.handle.public_key).value})"
        f" under {', '.join(policies)}"
        for unit, policies in issuing.units
    )


def _how_watched(settings: clock_accuracy.Settings) -> str:
    if settings.trust_system_clock:
        return "the machine's clock is trusted, nobody vouches for it: a setting for tests"
    witnesses = ["the kernel"] if settings.kernel else []
    witnesses += [f"{len(settings.servers)} time servers"] if settings.servers else []
    return f"watched by {' and '.join(witnesses)}"
