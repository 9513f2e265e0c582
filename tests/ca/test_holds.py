import datetime

from ca import holds, revocation
from pki import audit, registry, status
from tests.support import ca_world, crls

DAY = datetime.timedelta(days=1)


def test_a_hold_that_nobody_released_becomes_a_revocation_since_the_hold(
    world: ca_world.World,
) -> None:
    old, new, good = (
        world.certify(world.application(), "authenticate").record.serial_number for _ in range(3)
    )
    with world.sessions() as session:
        revocation.hold(session, old, world.at, actor="test")
        revocation.hold(session, new, world.at + DAY, actor="test")
        session.commit()

    def end(at: datetime.datetime) -> int:
        return holds.end_overdue(world.sessions, world.hierarchy, 7 * DAY, at)

    assert end(world.at + 7 * DAY - datetime.timedelta(seconds=1)) == 0
    assert end(world.at + 7 * DAY) == 1
    assert end(world.at + 7 * DAY) == 0
    with world.sessions() as session:
        ended, held, untouched = (registry.find(session, one).status for one in (old, new, good))
        entry = crls.newest(session, "citizen")
        audit.verify(session)
    assert ended.reason is status.RevocationReason.unspecified
    assert ended.revoked_at == world.at
    assert held.reason is status.RevocationReason.certificateHold
    assert untouched.is_good
    assert entry.this_update == world.at + 7 * DAY


def test_a_released_certificate_stays_good(world: ca_world.World) -> None:
    serial = world.certify(world.application()).record.serial_number
    with world.sessions() as session:
        revocation.hold(session, serial, world.at, actor="test")
        revocation.release(session, serial, world.at + DAY, actor="test")
        session.commit()
    assert holds.end_overdue(world.sessions, world.hierarchy, DAY, world.at + 30 * DAY) == 0
