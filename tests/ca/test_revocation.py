import datetime

import pytest

from ca import revocation
from pki import audit, errors, registry, status
from tests.support import ca_world

COMPROMISED = status.RevocationReason.keyCompromise


@pytest.fixture
def serial(world: ca_world.World) -> int:
    return world.certify(world.application()).record.serial_number


def test_hold_can_be_released_but_revocation_cannot(world: ca_world.World, serial: int) -> None:
    with world.sessions() as session:
        revocation.hold(session, serial, world.at, actor="test")
        held = registry.status_of(session, "citizen", serial)
        assert held is not None
        assert held.reason is status.RevocationReason.certificateHold
        revocation.release(session, serial, world.at, actor="test")
        good = registry.status_of(session, "citizen", serial)
        assert good is not None
        assert good.is_good
        revocation.revoke(session, serial, COMPROMISED, world.at, actor="test")
        with pytest.raises(revocation.RevocationStateError):
            revocation.release(session, serial, world.at, actor="test")
        with pytest.raises(revocation.RevocationStateError):
            revocation.hold(session, serial, world.at, actor="test")
        session.commit()
        audit.verify(session)


def test_revoking_twice_is_harmless_and_keeps_the_first_time(
    world: ca_world.World, serial: int
) -> None:
    later = world.at + datetime.timedelta(days=1)
    with world.sessions() as session:
        first = revocation.revoke(session, serial, COMPROMISED, world.at, actor="test")
        assert revocation.revoke(session, serial, COMPROMISED, later, actor="test") == first
        with pytest.raises(revocation.RevocationStateError):
            revocation.revoke(
                session, serial, status.RevocationReason.superseded, later, actor="test"
            )


def test_a_held_certificate_that_is_revoked_was_bad_since_the_hold(
    world: ca_world.World, serial: int
) -> None:
    later = world.at + datetime.timedelta(days=1)
    with world.sessions() as session:
        revocation.hold(session, serial, world.at, actor="test")
        record = revocation.revoke(session, serial, COMPROMISED, later, actor="test")
    assert record.status.revoked_at == world.at


def test_a_hold_is_no_final_reason_and_the_future_no_invalidity_date(
    world: ca_world.World, serial: int
) -> None:
    with world.sessions() as session:
        with pytest.raises(errors.InputError):
            revocation.revoke(
                session, serial, status.RevocationReason.certificateHold, world.at, actor="test"
            )
        with pytest.raises(errors.InputError):
            revocation.revoke(
                session,
                serial,
                COMPROMISED,
                world.at,
                actor="test",
                invalidity_date=world.at + datetime.timedelta(seconds=1),
            )


def test_a_serial_that_was_never_issued_cannot_be_revoked(world: ca_world.World) -> None:
    with world.sessions() as session, pytest.raises(registry.CertificateNotFoundError):
        revocation.revoke(session, 12345, COMPROMISED, world.at, actor="test")
