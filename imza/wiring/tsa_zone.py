"""The time-stamping authority: one unit, its key, and the watch over its clock."""

import datetime
import pathlib

from cryptography import x509
from sqlalchemy import orm

import tsa.api
from imza import config as configs
from imza import health
from imza.wiring.resources import Resources
from imza.wiring.zone import Zone
from pki import access, audit
from pki.keystore import store
from tsa import authority, clock_accuracy


def build(resources: Resources, config: configs.Config, _: access.AccessTokens | None) -> Zone:
    """Build the time-stamping authority's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.tsa, "tsa")
    keys = resources.keys(config.keystore, "keystore")
    unit = _unit(keys, settings.certificates, settings.key_label)
    successors = [
        (one.begins(), _unit(keys, one.certificates, one.key_label)) for one in settings.successors
    ]
    issuing = authority.TimeStampAuthority(
        unit, settings.policies, qualified=settings.qualified, successors=successors
    )
    for one in (unit, *(later for _, later in successors)):
        clock_accuracy.check_settings(settings.clock, one.certificate)
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
            "unit": lambda: _check_unit(issuing, resources.present.now()),
            "clock": watched.now,
            "database": health.database_probe(sessions),
        },
        endpoints=tsa.api.endpoints(issuing, watched, watched.error_bound),
        notes={"clock": _how_watched(settings.clock)},
    )


def _unit(keys: store.KeyStore, path: pathlib.Path, label: str) -> authority.TimeStampingUnit:
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    return authority.TimeStampingUnit(chain[0], keys.open_key(label), tuple(chain[1:]))


def _check_unit(issuing: authority.TimeStampAuthority, at: datetime.datetime) -> None:
    issuing.unit_at(at).check_valid_at(at)


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
