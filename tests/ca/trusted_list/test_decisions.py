"""The supervisory body withdraws a service and grants it again; the list keeps the history."""

import datetime

import pytest

from ca import revocation
from ca.trusted_list import services
from pki import audit, status
from tests.support import ca_world

HOUR = datetime.timedelta(hours=1)
GRANTED, WITHDRAWN = services.ServiceStatus.GRANTED, services.ServiceStatus.WITHDRAWN


def _decide(
    world: ca_world.World,
    decided: services.ServiceStatus,
    since: datetime.datetime,
    at: datetime.datetime,
    label: str = "ca-citizen",
) -> tuple[services.StatusPeriod, ...]:
    with world.sessions() as session:
        made = services.decide_status(session, label, decided, since, at, actor="local:a")
        session.commit()
    return made


def _listed(world: ca_world.World, at: datetime.datetime) -> tuple[services.StatusPeriod, ...]:
    with world.sessions() as session:
        listed = services.record_services(session, world.settings, at)
        session.commit()
    return next(one.periods for one in listed if one.name.endswith("AZ Citizen CA"))


def test_a_decision_stands_until_the_next_one_and_stays_in_the_history(
    world: ca_world.World,
) -> None:
    first = world.at + HOUR
    _decide(world, WITHDRAWN, first, first + HOUR)
    # The registry says nothing against the service, and the decision stands all the same.
    for hours in (2, 3):
        assert _listed(world, first + hours * HOUR)[0] == services.StatusPeriod(WITHDRAWN, first)
    again = first + 5 * HOUR
    _decide(world, GRANTED, again, again)
    assert [one.status for one in _listed(world, again)] == [GRANTED, WITHDRAWN, GRANTED]
    with world.sessions() as session:
        audit.verify(session)
        newest = audit.entries(session, after=audit.head(session).number - 1, limit=1)[0]
    assert newest.event == audit.AuditEvent.SERVICE_STATUS_DECIDED.value


def test_decisions_that_contradict_what_is_known_are_refused(world: ca_world.World) -> None:
    at = world.at + 2 * HOUR
    for since in (world.at - HOUR, at + HOUR):
        with pytest.raises(services.StatusRefusedError):
            _decide(world, WITHDRAWN, since, at)
    with pytest.raises(services.StatusRefusedError):
        _decide(world, GRANTED, at, at)
    with pytest.raises(services.ServiceNotFoundError):
        _decide(world, WITHDRAWN, at, at, "ca-nobody")
    serial = world.hierarchy.authorities["citizen"].certificate.serial_number
    with world.sessions() as session:
        reason = status.RevocationReason.cACompromise
        revocation.revoke(session, serial, reason, at, actor="test")
        session.commit()
    assert _listed(world, at)[0].status is WITHDRAWN
    with pytest.raises(services.StatusRefusedError, match="revoked"):
        _decide(world, GRANTED, at + HOUR, at + HOUR)
