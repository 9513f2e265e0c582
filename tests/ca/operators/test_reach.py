import pytest
import sqlalchemy

from ca.operators import reach, roles
from pki import profiles, registry
from tests.support import ca_world

OFFICES = (roles.Role.RA_OFFICER, roles.Role.APPROVER)


def operator(role: roles.Role) -> roles.Operator:
    return roles.Operator("TEST", role)


def serial_of(world: ca_world.World, profile: str) -> int:
    with world.sessions() as session:
        query = sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.profile == profile
        )
        return int(session.scalars(query).first().serial_number, 16)


@pytest.mark.parametrize("role", OFFICES)
def test_offices_decide_about_subscribers(world: ca_world.World, role: roles.Role) -> None:
    serial = world.certify(world.application()).record.serial_number
    with world.sessions() as session:
        reach.check_reach(session, operator(role), serial)
        with pytest.raises(reach.OutOfReachError, match="officer's or approver's"):
            reach.check_reach(session, operator(roles.Role.CA_ADMINISTRATOR), serial)


def test_administrators_decide_about_services(world: ca_world.World) -> None:
    serial = serial_of(world, profiles.OCSP_RESPONDER.name)
    with world.sessions() as session:
        reach.check_reach(session, operator(roles.Role.CA_ADMINISTRATOR), serial)
        for role in OFFICES:
            with pytest.raises(reach.OutOfReachError, match="CA administrator's"):
                reach.check_reach(session, operator(role), serial)


@pytest.mark.parametrize("role", [*OFFICES, roles.Role.CA_ADMINISTRATOR])
def test_nobody_revokes_an_authority_over_the_api(world: ca_world.World, role: roles.Role) -> None:
    serial = serial_of(world, profiles.AUTHORITY.name)
    with world.sessions() as session, pytest.raises(reach.OutOfReachError, match="ceremony"):
        reach.check_reach(session, operator(role), serial)


def test_an_unknown_certificate_is_not_found(world: ca_world.World) -> None:
    with world.sessions() as session, pytest.raises(registry.CertificateNotFoundError):
        reach.check_reach(session, operator(OFFICES[0]), 1)


def test_the_profiles_of_subscribers_are_all_that_offices_issue(world: ca_world.World) -> None:
    assert set(profiles.SUBSCRIBER_NAMES).isdisjoint(
        {profiles.OPERATOR.name, profiles.TIME_STAMPING_UNIT.name, profiles.AUTHORITY.name}
    )
