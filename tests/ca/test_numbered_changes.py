import pytest
import sqlalchemy

from ca import intents, revocation
from pki import audit, registry, status
from tests.support import ca_world


def _changed(world: ca_world.World, serial_number: int) -> int:
    with world.sessions() as session:
        changed = registry.find_row(session, serial_number).changed
        assert changed is not None
        return changed


def _head(world: ca_world.World) -> int:
    with world.sessions() as session:
        return audit.head(session).number


def test_each_change_of_a_status_has_the_number_of_its_entry_in_the_log(
    world: ca_world.World,
) -> None:
    issued = world.certify(world.application()).record.serial_number
    other = world.certify(world.application()).record.serial_number
    assert _head(world) >= _changed(world, other) > _changed(world, issued)
    compromised = status.RevocationReason.keyCompromise
    with world.sessions() as session:
        for change in (revocation.hold, revocation.release, revocation.hold):
            change(session, issued, world.at, actor="test")
            assert registry.find_row(session, issued).changed == audit.head(session).number
        revocation.revoke(session, issued, compromised, world.at, actor="test")
        session.commit()
    assert _changed(world, issued) == _head(world)


def test_an_intent_has_no_number_until_it_is_abandoned(world: ca_world.World) -> None:
    serial = world.certify(world.application()).record.serial_number
    with world.sessions() as session:
        row = registry.find_row(session, serial)
        row.state, row.changed = registry.CertificateState.INTENDED.value, None
        session.commit()
    assert intents.reconcile(world.sessions, world.at) == (serial,)
    assert _changed(world, serial) == _head(world)


def test_every_certificate_of_a_hierarchy_that_was_issued_has_a_number(
    world: ca_world.World,
) -> None:
    with world.sessions() as session:
        rows = session.scalars(sqlalchemy.select(registry.CertificateRow)).all()
    assert len(rows) > 5
    assert all(row.changed for row in rows)


def test_following_changes_reads_an_index_alone(world: ca_world.World) -> None:
    with world.sessions() as session:
        if session.get_bind().dialect.name != "sqlite":
            pytest.skip("the planner of PostgreSQL chooses by the size of the tables")
        plan = session.execute(
            sqlalchemy.text(
                "EXPLAIN QUERY PLAN SELECT changed, issuer_name, serial_number, revoked_at, reason,"
                " invalidity_date FROM certificates WHERE changed > 5 ORDER BY changed"
            )
        ).all()
    assert "COVERING INDEX ix_certificates_changed" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
