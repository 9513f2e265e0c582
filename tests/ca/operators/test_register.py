"""The register of operators: adding, confirming, renewing, disabling, each on the audit log."""

import datetime

import pytest

from ca import csr, orders
from ca.operators import register, roles
from imza import sandbox_operators
from pki import audit, certificates, errors, oids, registry
from tests.support import ca_world, operators

ADMINISTRATOR = "operator:TEST-administrator"


def events(world: ca_world.World) -> list[tuple[str, str]]:
    with world.sessions() as session:
        found = audit.entries(session, after=0, limit=10_000)
    return [(one.event, one.actor) for one in found if one.event.startswith("operator.")]


@pytest.mark.clause("EN 319 401", "7.2")
def test_an_operators_certificate_says_what_it_is_for(world: ca_world.World) -> None:
    officer = operators.enrol(world, roles.Role.RA_OFFICER)
    facts = certificates.read(officer.certificate)
    assert facts.key_usage == {certificates.KeyUsage.digitalSignature}
    assert facts.extended_key_usage == (oids.CLIENT_AUTH,)
    assert facts.common_name == "TEST AZ Operator TEST-officer"
    infrastructure = world.hierarchy.current("infrastructure").certificate
    certificates.check_issued_by(officer.certificate, infrastructure)
    assert facts.not_after - facts.not_before < datetime.timedelta(days=365)
    with world.sessions() as session:
        found = register.find(session, "test-OFFICER")
        assert register.every(session) == (found,)
    assert found.state is register.State.ACTIVE
    assert found.certificates == (certificates.sha256(officer.certificate),)
    assert events(world) == [("operator.added", "local")]


@pytest.mark.parametrize("role", list(roles.Role))
def test_who_approves_or_administers_is_let_in_by_two(
    world: ca_world.World, role: roles.Role
) -> None:
    added = operators.enrol(world, role, actor=ADMINISTRATOR)
    with world.sessions() as session:
        state = register.find(session, added.name).state
        if role not in register.CONFIRMED_ROLES:
            assert state is register.State.ACTIVE
            return
        assert state is register.State.AWAITING_CONFIRMATION
        with pytest.raises(register.SecondAdministratorError):
            register.confirm(session, added.name, world.at, actor=ADMINISTRATOR)
        confirmed = register.confirm(session, added.name, world.at, actor="operator:other")
        assert confirmed.state is register.State.ACTIVE
        again = register.confirm(session, added.name, world.at, actor="operator:third")
        assert again.confirmed_by == "operator:other"
        session.commit()
    assert events(world) == [
        ("operator.added", ADMINISTRATOR),
        ("operator.confirmed", "operator:other"),
    ]


def test_the_same_call_again_gives_the_same_certificate(world: ca_world.World) -> None:
    key = operators.new_key()
    first = operators.enrol(world, roles.Role.AUDITOR, key=key)
    again = operators.enrol(world, roles.Role.AUDITOR, key=key)
    assert again.certificate == first.certificate
    assert len(events(world)) == 1


@pytest.mark.parametrize("name", ["TEST-officer", "test-OFFICER"])
def test_a_name_is_never_used_again(world: ca_world.World, name: str) -> None:
    first = operators.enrol(world, roles.Role.RA_OFFICER)
    for _ in range(2):
        with pytest.raises(register.OperatorExistsError):
            operators.enrol(world, roles.Role.RA_OFFICER, name)
        with world.sessions() as session:
            register.disable(session, first.name, world.at, actor=ADMINISTRATOR)
            session.commit()
    with pytest.raises(errors.StateError):
        operators.enrol(world, roles.Role.RA_OFFICER, first.name, key=first.key)


def test_a_key_belongs_to_one_operator(world: ca_world.World) -> None:
    key = operators.new_key()
    operators.enrol(world, roles.Role.RA_OFFICER, key=key)
    with pytest.raises(orders.KeyCertifiedError):
        operators.enrol(world, roles.Role.APPROVER, key=key)
    with world.sessions() as session, pytest.raises(register.OperatorNotFoundError):
        register.find(session, operators.NAMES[roles.Role.APPROVER])


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a-", "ə", "a" * 33, "a/b", "a\n", ".", "operator:a"]
)
def test_a_name_that_is_none_is_refused(world: ca_world.World, name: str) -> None:
    with pytest.raises(errors.InputError):
        operators.enrol(world, roles.Role.RA_OFFICER, name or " ")


def test_a_request_that_proves_nothing_is_refused(world: ca_world.World) -> None:
    der = bytearray(sandbox_operators.make_request(operators.new_key()))
    der[-1] ^= 1
    for content in (b"", b"x", bytes(der)):
        with pytest.raises(errors.InputError):
            register.add(
                world.sessions,
                world.hierarchy,
                "TEST",
                roles.Role.AUDITOR,
                content,
                world.at,
                actor=register.LOCAL,
            )
    assert csr.MAX_CSR_BYTES < 32 * 2**10


def test_a_certificate_is_renewed_and_the_old_one_stays_until_its_end(
    world: ca_world.World,
) -> None:
    officer = operators.enrol(world, roles.Role.RA_OFFICER)
    request = sandbox_operators.make_request(operators.new_key())
    later = world.at + datetime.timedelta(days=340)
    made = register.renew(
        world.sessions, world.hierarchy, officer.name, request, later, actor="operator:TEST-officer"
    )
    assert made.operator.certificates == (
        certificates.sha256(officer.certificate),
        certificates.sha256(certificates.parse(made.certificate_der)),
    )
    with world.sessions() as session:
        assert registry.find(session, officer.certificate.serial_number).status.is_good
    assert events(world)[-1] == ("operator.renewed", "operator:TEST-officer")


def test_a_disabled_operator_gets_nothing_more(world: ca_world.World) -> None:
    officer = operators.enrol(world, roles.Role.RA_OFFICER)
    with world.sessions() as session:
        disabled = register.disable(session, officer.name, world.at, actor=ADMINISTRATOR)
        assert register.disable(session, officer.name, world.at, actor="x") == disabled
        with pytest.raises(register.OperatorStateError):
            register.confirm(session, officer.name, world.at, actor=ADMINISTRATOR)
        session.commit()
    request = sandbox_operators.make_request(operators.new_key())
    with pytest.raises(register.OperatorStateError):
        register.renew(world.sessions, world.hierarchy, officer.name, request, world.at, actor="x")
    assert events(world)[-1] == ("operator.disabled", ADMINISTRATOR)
