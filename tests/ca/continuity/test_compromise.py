"""An issuing CA's key is in wrong hands: everything it issued is revoked, and it itself."""

import datetime

import pytest
import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from ca import hierarchy, orders, revocation, service_keys
from ca.continuity import closures, compromise, rollover
from ca.trusted_list import services
from pki import audit, clock, errors, profiles, registry, status
from tests.support import ca_world, ceremonies, crls

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def present(world: ca_world.World) -> clock.FixedClock:
    return clock.FixedClock(world.at + HOUR)


def _handle(
    world: ca_world.World, present: clock.FixedClock, name: str = "citizen"
) -> compromise.Progress:
    return compromise.handle(
        world.sessions, world.hierarchy, name, present, actor="test", since=world.at
    )


def _status(world: ca_world.World, serial_number: int, issuer: str) -> status.CertificateStatus:
    with world.sessions() as session:
        found = registry.status_of(session, issuer, serial_number)
    assert found is not None
    return found


def test_everything_it_issued_is_revoked_and_it_itself(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    good, held, lost, other = (world.certify(world.application()) for _ in range(4))
    business = world.certify(world.application(category=ca_world.registration.Category.BUSINESS))
    with world.sessions() as session:
        revocation.hold(session, held.record.serial_number, world.at, actor="test")
        reason = status.RevocationReason.superseded
        revocation.revoke(session, lost.record.serial_number, reason, world.at, actor="test")
        session.commit()
    seen: list[int] = []
    done = compromise.handle(
        world.sessions, world.hierarchy, "citizen", present, actor="test",
        since=world.at, tell=seen.append,
    )  # fmt: skip
    assert done.is_complete
    assert seen == [3]
    assert done.closure.revoked == 3
    bad = status.RevocationReason.cACompromise
    for one in (good, other):
        found = _status(world, one.record.serial_number, "citizen")
        assert (found.reason, found.revoked_at) == (bad, present.now())
        assert found.invalidity_date == world.at
    assert _status(world, held.record.serial_number, "citizen").revoked_at == world.at
    assert _status(world, held.record.serial_number, "citizen").reason is bad
    assert _status(world, lost.record.serial_number, "citizen").reason is reason
    assert _status(world, business.record.serial_number, "business").is_good
    # Its own certificate is on the root's CRL, and its last CRL has no end.
    with world.sessions() as session:
        root_crl = x509.load_der_x509_crl(crls.newest_der(session, "root"))
        last = crls.newest(session, "citizen")
        last_der = crls.newest_der(session, "citizen")
        audit.verify(session)
    serial = world.hierarchy.authorities["citizen"].certificate.serial_number
    entry = root_crl.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is (
        x509.ReasonFlags.ca_compromise
    )
    assert last.is_last
    assert len(x509.load_der_x509_crl(last_der)) == 4


def test_doing_it_again_changes_nothing(world: ca_world.World, present: clock.FixedClock) -> None:
    world.certify(world.application())
    first = _handle(world, present)
    with world.sessions() as session:
        before = audit.head(session)
    present.move(HOUR)
    assert _handle(world, present) == first
    with world.sessions() as session:
        assert audit.head(session) == before


def test_it_certifies_nobody_any_more_but_its_responder(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    application = world.application()
    _handle(world, present)
    signatures = world.keys.counted["ca-citizen"].signatures
    with pytest.raises(closures.AuthorityClosedError):
        world.certify(application)
    assert world.keys.counted["ca-citizen"].signatures == signatures
    later = world.at + datetime.timedelta(days=25)
    renewed = service_keys.renew_responders(world.sessions, world.keys, world.hierarchy, later)
    assert "citizen" in {one.issuer_name for one in renewed}
    # The next generation certifies the same application.
    rollover.make_next(world.sessions, world.keys, world.settings, "citizen", later, actor="test")
    world.hierarchy = hierarchy.load(world.sessions, world.keys, world.settings)
    assert world.certify(application, at=later).record.issuer_name == "citizen-2"


def test_a_certificate_that_was_being_issued_is_abandoned(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    key = world.keys.counted["ca-citizen"]
    signing = key.sign

    def sign_late(representation: object) -> object:
        closed = key.signatures
        # The compromise is declared while the key is at work.
        if closed == before:
            key.signatures += 1
            with world.sessions() as session:
                closures.close(session, "citizen", compromise.REASON, present.now(), actor="test")
                session.commit()
            compromise.revoke_issued(world.sessions, "citizen", present, actor="test")
        return signing(representation)  # type: ignore[arg-type]

    before = key.signatures
    key.sign = sign_late  # type: ignore[method-assign,assignment]
    with pytest.raises(orders.IssuanceAbandonedError):
        world.certify(world.application())
    with world.sessions() as session:
        rows = session.scalars(
            sqlalchemy.select(registry.CertificateRow).where(
                registry.CertificateRow.state == registry.CertificateState.ABANDONED.value
            )
        ).all()
    assert [one.reason for one in rows] == ["cACompromise"]


def test_where_the_root_is_offline_its_crl_is_left_for_a_ceremony(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    keys = ceremonies.without(world.keys, "root")
    world.hierarchy = hierarchy.load(world.sessions, keys, world.settings)
    done = _handle(world, present)
    assert not done.is_complete
    assert done.root_crl_number is None
    assert done.authority_revoked
    full = hierarchy.load_present(world.sessions, world.keys, world.settings)
    made = compromise.revoke_authority(
        world.sessions, full, "citizen", compromise.REASON, present.now(), actor="ceremony"
    )
    assert compromise.progress(world.sessions, "citizen").root_crl_number == made.number


def test_an_unknown_authority_and_the_root_are_refused(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    for name in ("root", "citizen-2", "nobody"):
        with pytest.raises(compromise.NotAnAuthorityError):
            _handle(world, present, name)
    with pytest.raises(compromise.NotAnAuthorityError):
        compromise.progress(world.sessions, "citizen")
    with pytest.raises(errors.InputError):
        compromise.handle(
            world.sessions, world.hierarchy, "citizen", present, actor="test",
            since=present.now() + HOUR,
        )  # fmt: skip


def test_the_trusted_list_withdraws_the_authority_and_its_responder(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    with world.sessions() as session:
        services.record_services(session, world.settings, world.at)
        session.commit()
    _handle(world, present)
    with world.sessions() as session:
        listed = services.record_services(session, world.settings, present.now())
    withdrawn = {
        one.name for one in listed if one.periods[0].status is services.ServiceStatus.WITHDRAWN
    }
    assert withdrawn == {"TEST AZ Citizen CA", "TEST AZ Citizen CA OCSP responder"}
    for one in listed:
        if one.name in withdrawn:
            assert [each.status for each in one.periods] == [
                services.ServiceStatus.WITHDRAWN,
                services.ServiceStatus.GRANTED,
            ]
            assert one.periods[0].since == present.now()


def _plant(sessions: orm.sessionmaker[orm.Session], count: int, at: datetime.datetime) -> None:
    rows = [
        {
            "issuer_name": "citizen",
            "serial_number": registry.serial_key((1 << 128) + number),
            "state": "issued",
            "profile": profiles.SIGN.name,
            "key_sha256": f"{number:064x}",
            "subject": "CN=TEST",
            "not_before": at,
            "not_after": at + datetime.timedelta(days=1),
            "to_be_signed_der": bytes(700),
            "certificate_der": bytes(900),
            "recorded_at": at,
            "issued_at": at,
        }
        for number in range(count)
    ]
    with sessions() as session:
        for begin in range(0, count, 5000):
            session.execute(sqlalchemy.insert(registry.CertificateRow), rows[begin : begin + 5000])
        session.commit()


def test_batches_are_audited_and_continued(
    world: ca_world.World, present: clock.FixedClock
) -> None:
    _plant(world.sessions, 2 * compromise.BATCH + 1, world.at)
    with world.sessions() as session:
        closures.close(session, "citizen", compromise.REASON, present.now(), actor="test")
        session.commit()
    assert compromise._revoke_batch(world.sessions, "citizen", present.now(), "test") == (
        compromise.BATCH
    )
    # Here the first run was killed.
    found = compromise.progress(world.sessions, "citizen")
    assert (found.closure.revoked, found.left) == (compromise.BATCH, compromise.BATCH + 1)
    assert compromise.revoke_issued(world.sessions, "citizen", present, actor="test") == (
        compromise.BATCH + 1
    )
    with world.sessions() as session:
        events = [
            one
            for one in audit.entries(session, after=0, limit=1000)
            if one.event == audit.AuditEvent.CERTIFICATES_REVOKED.value
        ]
        audit.verify(session)
    assert len(events) == 3
    found = compromise.progress(world.sessions, "citizen")
    assert (found.left, found.closure.completed_at) == (0, present.now())
