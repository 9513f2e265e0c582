"""The time-stamping authority: one unit, its key, and the watch over its clock."""

import datetime

from cryptography import x509
from sqlalchemy import orm

import tsa.api
from imza import config as configs
from imza import health
from imza.wiring.resources import Resources
from imza.wiring.zone import Zone
from pki import access, audit
from tsa import authority, clock_accuracy


def build(resources: Resources, config: configs.Config, _: access.AccessTokens | None) -> Zone:
    """Build the time-stamping authority's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.tsa, "tsa")
    chain = x509.load_pem_x509_certificates(settings.certificates.read_bytes())
    keys = resources.keys(config.keystore, "keystore")
    unit = authority.TimeStampingUnit(chain[0], keys.open_key(settings.key_label), tuple(chain[1:]))
    issuing = authority.TimeStampAuthority(unit, settings.policies, qualified=settings.qualified)
    clock_accuracy.check_settings(settings.clock, unit.certificate)
    sessions = resources.sessions(config)

    def record(state: clock_accuracy.ClockState, at: datetime.datetime) -> None:
        _record(sessions, state, at)

    watched = clock_accuracy.AccurateClock(
        settings.clock, clock_accuracy.Witnesses(wall=resources.present), record
    )
    resources.hold(watched)
    watched.start()
    return Zone(
        "tsa",
        (),
        probes={
            "unit": lambda: unit.check_valid_at(resources.present.now()),
            "clock": watched.now,
            "database": health.database_probe(sessions),
        },
        endpoints=tsa.api.endpoints(issuing, watched, watched.error_bound),
        notes={"clock": _how_watched(settings.clock)},
    )


def _record(
    sessions: orm.sessionmaker[orm.Session],
    state: clock_accuracy.ClockState,
    at: datetime.datetime,
) -> None:
    event = audit.AuditEvent.CLOCK_TRUSTED if state.trusted else audit.AuditEvent.CLOCK_UNTRUSTED
    with sessions() as session:
        audit.append(session, event, at, actor="clock", details={"reason": state.reason})
        session.commit()


def _how_watched(settings: clock_accuracy.Settings) -> str:
    if settings.trust_system_clock:
        return "the machine's clock is trusted, nobody vouches for it: a setting for tests"
    witnesses = ["the kernel"] if settings.kernel else []
    witnesses += [f"{len(settings.servers)} time servers"] if settings.servers else []
    return f"watched by {' and '.join(witnesses)}"
