"""The gate: who is let in, who is not, and that nothing is taken twice."""

import concurrent.futures
import dataclasses
import datetime
import itertools

import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import revocation
from ca.operators import gate, register, roles, tables
from pki import (
    audit,
    certificates,
    clock,
    message_signatures,
    registry,
    signed_requests,
    status,
)
from tests.support import ca_world, operators
from tests.support import hierarchy as hierarchy_support

READ = roles.Permission.READ_CERTIFICATES


@pytest.fixture
def officer(world: ca_world.World) -> operators.Operator:
    return operators.enrol(world, roles.Role.RA_OFFICER)


def signed(
    operator: operators.Operator, at: datetime.datetime, *, tag: str = signed_requests.TAG
) -> message_signatures.Request:
    request = message_signatures.Request(
        "POST", "/ra/v1/x", "a=1", [("content-type", "application/json")], b"{}"
    )
    credential = operator.credential
    made = message_signatures.sign(
        request, credential.key, key_id=credential.key_id, tag=tag, at=at
    )
    return dataclasses.replace(request, fields=[*request.fields, *made.items()])


def admit(
    world: ca_world.World,
    request: message_signatures.Request,
    permission: roles.Permission = READ,
    at: datetime.datetime | None = None,
) -> roles.Operator:
    gates = gate.SignedRequestGate(world.sessions, clock.FixedClock(at or world.at))
    return gates.admit(request, permission)


def refusals(sessions: orm.sessionmaker[orm.Session]) -> list[audit.AuditEntry]:
    with sessions() as session:
        found = audit.entries(session, after=0, limit=10_000)
    return [one for one in found if one.event == audit.AuditEvent.OPERATOR_REFUSED.value]


def test_an_operator_is_known_by_name_and_role(
    world: ca_world.World, officer: operators.Operator
) -> None:
    caller = admit(world, signed(officer, world.at))
    assert caller == roles.Operator("TEST-officer", roles.Role.RA_OFFICER)
    assert caller.actor == "operator:TEST-officer"


@pytest.mark.clause("EN 319 401", "7.2")
def test_a_role_may_what_the_table_says_and_a_refusal_is_audited(world: ca_world.World) -> None:
    known = {role: operators.enrol(world, role) for role in roles.Role}
    for role, permission in itertools.product(roles.Role, roles.Permission):
        operator, before = known[role], refusals(world.sessions)
        if permission in roles.PERMISSIONS[role]:
            assert admit(world, signed(operator, world.at), permission).role is role
            assert refusals(world.sessions) == before
            continue
        with pytest.raises(gate.PermissionMissingError, match=permission.value):
            admit(world, signed(operator, world.at), permission)
        entry = refusals(world.sessions)[-1]
        assert entry.number > (before[-1].number if before else 0)
        assert entry.actor == f"operator:{operator.name}"
        assert permission.value in entry.details


def test_separate_duties_are_never_in_one_role() -> None:
    permission = roles.Permission
    apart = (
        (permission.RECORD_APPLICATIONS, permission.APPROVE_APPLICATIONS),
        (permission.VET_APPLICATIONS, permission.APPROVE_APPLICATIONS),
        (permission.CERTIFY, permission.APPROVE_APPLICATIONS),
        (permission.CERTIFY, permission.ADMINISTER_OPERATORS),
        (permission.APPROVE_APPLICATIONS, permission.ADMINISTER_OPERATORS),
        (permission.READ_AUDIT, permission.ADMINISTER_OPERATORS),
        (permission.READ_AUDIT, permission.CERTIFY),
        (permission.READ_AUDIT, permission.REVOKE),
    )
    for one, other in apart:
        assert not any({one, other} <= held for held in roles.PERMISSIONS.values())
    assert set(roles.PERMISSIONS) == set(roles.Role)
    assert frozenset().union(*roles.PERMISSIONS.values()) == frozenset(permission)


@pytest.mark.clause("RFC 9421", "7.2.2")
def test_a_request_is_taken_once(world: ca_world.World, officer: operators.Operator) -> None:
    request = signed(officer, world.at)
    admit(world, request)
    for late_s in (0, 30, 60):
        later = world.at + datetime.timedelta(seconds=late_s)
        # A gate of its own each time: another process, or the same one started again.
        with pytest.raises(gate.ReplayedRequestError):
            admit(world, request, at=later)
    admit(world, signed(officer, world.at))


def test_a_request_that_comes_many_times_at_once_is_taken_once(
    world: ca_world.World, officer: operators.Operator
) -> None:
    request = signed(officer, world.at)

    def attempt(_: int) -> bool:
        try:
            admit(world, request)
        except gate.ReplayedRequestError:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(16))) == 1


def test_what_is_too_old_to_come_again_is_forgotten(
    world: ca_world.World, officer: operators.Operator
) -> None:
    for _ in range(3):
        admit(world, signed(officer, world.at))
    later = world.at + message_signatures.REMEMBER + datetime.timedelta(seconds=2)
    admit(world, signed(officer, later), at=later)
    with world.sessions() as session:
        kept = session.scalar(sqlalchemy.select(sqlalchemy.func.count(tables.NonceRow.nonce)))
    assert kept == 1


def test_a_refused_signature_leaves_nothing_behind(
    world: ca_world.World, officer: operators.Operator
) -> None:
    request = dataclasses.replace(signed(officer, world.at), method="GET")
    with pytest.raises(message_signatures.MessageSignatureError):
        admit(world, request)
    with world.sessions() as session:
        assert not session.scalars(sqlalchemy.select(tables.NonceRow)).all()


def test_a_signature_for_another_purpose_is_refused(
    world: ca_world.World, officer: operators.Operator
) -> None:
    with pytest.raises(message_signatures.MessageSignatureError, match="tag"):
        admit(world, signed(officer, world.at, tag="other"))


def test_a_stranger_is_refused(
    world: ca_world.World, hierarchy: hierarchy_support.Hierarchy
) -> None:
    other_ca = operators.certified_by(hierarchy.infrastructure, roles.Role.RA_OFFICER, world.at)
    for one in (operators.stranger(), other_ca):
        with pytest.raises(gate.UnknownOperatorError):
            admit(world, signed(one, world.at))


def test_a_certificate_of_another_ca_in_the_register_is_refused(
    world: ca_world.World, hierarchy: hierarchy_support.Hierarchy
) -> None:
    """Who can write to the database alone cannot make operators: the CA's signature counts."""
    other = operators.certified_by(hierarchy.infrastructure, roles.Role.AUDITOR, world.at)
    operators.record(world.sessions, other, hierarchy.infrastructure, world.at)
    with pytest.raises(gate.UnknownOperatorError, match="our own CA"):
        admit(world, signed(other, world.at))


def test_a_subscribers_certificate_opens_nothing(
    world: ca_world.World, officer: operators.Operator
) -> None:
    key = operators.new_key()
    issued = world.certify(world.application(), "authenticate", ca_world.make_csr(key=key))
    subscriber = dataclasses.replace(
        officer, key=key, certificate=certificates.parse(issued.certificate_der)
    )
    with pytest.raises(gate.UnknownOperatorError):
        admit(world, signed(subscriber, world.at))
    # Not even where somebody has written its hash into the register.
    with world.sessions() as session:
        session.add(
            tables.OperatorCertificateRow(
                sha256=certificates.sha256(subscriber.certificate),
                operator_key="test-officer",
                serial_number=registry.serial_key(issued.record.serial_number),
            )
        )
        session.commit()
    with pytest.raises(gate.UnknownOperatorError, match="operator's certificate"):
        admit(world, signed(subscriber, world.at))


def test_another_key_under_an_operators_name_is_refused(
    world: ca_world.World, officer: operators.Operator
) -> None:
    forged = dataclasses.replace(officer, key=operators.new_key())
    with pytest.raises(message_signatures.MessageSignatureError, match="does not verify"):
        admit(world, signed(forged, world.at))


def test_an_expired_certificate_is_refused(
    world: ca_world.World, officer: operators.Operator
) -> None:
    end = officer.certificate.not_valid_after_utc
    admit(world, signed(officer, end), at=end)
    later = end + datetime.timedelta(seconds=1)
    with pytest.raises(gate.UnknownOperatorError, match="not valid now"):
        admit(world, signed(officer, later), at=later)
    before = officer.certificate.not_valid_before_utc - datetime.timedelta(seconds=1)
    with pytest.raises(gate.UnknownOperatorError, match="not valid now"):
        admit(world, signed(officer, before), at=before)


@pytest.mark.parametrize("held", [True, False])
def test_a_revoked_or_held_certificate_is_refused(
    world: ca_world.World, officer: operators.Operator, held: bool
) -> None:
    serial = officer.certificate.serial_number
    with world.sessions() as session:
        if held:
            revocation.hold(session, serial, world.at, actor="test")
        else:
            reason = status.RevocationReason.keyCompromise
            revocation.revoke(session, serial, reason, world.at, actor="test")
        session.commit()
    with pytest.raises(gate.UnknownOperatorError, match="revoked or on hold"):
        admit(world, signed(officer, world.at))


def test_a_disabled_operator_is_refused(world: ca_world.World, officer: operators.Operator) -> None:
    with world.sessions() as session:
        register.disable(session, officer.name, world.at, actor="test")
        session.commit()
        found = registry.find(session, officer.certificate.serial_number)
    assert found.status.reason is status.RevocationReason.cessationOfOperation
    with pytest.raises(gate.UnknownOperatorError):
        admit(world, signed(officer, world.at))


def test_an_operator_who_awaits_confirmation_is_refused_until_then(world: ca_world.World) -> None:
    approver = operators.enrol(world, roles.Role.APPROVER, actor="operator:one")
    with pytest.raises(gate.UnknownOperatorError, match="awaiting confirmation"):
        admit(world, signed(approver, world.at))
    with world.sessions() as session:
        register.confirm(session, approver.name, world.at, actor="operator:two")
        session.commit()
    admit(world, signed(approver, world.at))
