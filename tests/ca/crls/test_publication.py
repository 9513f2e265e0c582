import datetime

import pytest
from cryptography import x509

from ca import hierarchy, revocation
from ca.crls import lint, published
from pki import certificates, registry, status
from tests.support import ca_world, crls


def test_every_authority_publishes_a_crl(world: ca_world.World) -> None:
    for name, one in world.hierarchy.authorities.items():
        with world.sessions() as session:
            made = crls.newest(session, name)
            parsed = x509.load_der_x509_crl(published.content(session, made))
        assert parsed.is_signature_valid(one.certificate.public_key())  # type: ignore[arg-type]
        assert parsed.issuer == one.certificate.subject
        assert parsed.next_update_utc == made.next_update


@pytest.mark.clause("RFC 5280", "5.2.3")
def test_numbers_grow_and_times_never_go_back(world: ca_world.World) -> None:
    first = crls.publish(world)
    second = crls.publish(world, world.at - datetime.timedelta(hours=1))
    assert second.number == first.number + 1
    assert second.this_update == first.this_update
    with pytest.raises(lint.CRLRefusedError):
        crls.publish(world, world.at - datetime.timedelta(days=3))
    with world.sessions() as session:
        assert crls.newest(session, "citizen") == second


@pytest.mark.clause("RFC 5280", "5.3.1")
def test_entries_say_what_the_registry_says(world: ca_world.World) -> None:
    reasons = [
        status.RevocationReason.unspecified,
        status.RevocationReason.keyCompromise,
        status.RevocationReason.certificateHold,
    ]
    people = [ca_world.CITIZEN, ca_world.GEORGIAN, ca_world.ESTONIAN]
    serials = [world.certify(world.application(one)).record.serial_number for one in people]
    invalidity = world.at - datetime.timedelta(days=1)
    with world.sessions() as session:
        revocation.revoke(session, serials[0], reasons[0], world.at, actor="test")
        revocation.revoke(
            session, serials[1], reasons[1], world.at, actor="test", invalidity_date=invalidity
        )
        revocation.hold(session, serials[2], world.at, actor="test")
        session.commit()
        answers = registry.statuses_of(session, "citizen", serials)

    parsed = x509.load_der_x509_crl(crls.publish_der(world))

    assert len(list(parsed)) == 3
    for serial, reason in zip(serials, reasons, strict=True):
        entry = parsed.get_revoked_certificate_by_serial_number(serial)
        assert entry is not None
        assert entry.revocation_date_utc == answers[serial].revoked_at
        assert answers[serial].reason is reason
        found = [one.value for one in entry.extensions if isinstance(one.value, x509.CRLReason)]
        # `unspecified` is said by saying nothing.
        expected = [] if reason.value == 0 else [x509.CRLReason(x509.ReasonFlags(reason.name))]
        assert found == expected
    dated = parsed.get_revoked_certificate_by_serial_number(serials[1])
    assert dated is not None
    value = dated.extensions.get_extension_for_class(x509.InvalidityDate).value
    assert value.invalidity_date_utc == invalidity


def test_a_released_certificate_leaves_the_list(world: ca_world.World) -> None:
    serial = world.certify(world.application()).record.serial_number
    with world.sessions() as session:
        revocation.hold(session, serial, world.at, actor="test")
        session.commit()
    assert len(list(x509.load_der_x509_crl(crls.publish_der(world)))) == 1
    with world.sessions() as session:
        revocation.release(session, serial, world.at, actor="test")
        session.commit()
    assert len(list(x509.load_der_x509_crl(crls.publish_der(world)))) == 0


def test_an_expired_certificate_stays_on_the_list(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    with world.sessions() as session:
        revocation.revoke(
            session,
            issued.record.serial_number,
            status.RevocationReason.superseded,
            world.at,
            actor="test",
        )
        session.commit()
    later = certificates.parse(issued.certificate_der).not_valid_after_utc
    parsed = x509.load_der_x509_crl(crls.publish_der(world, later + datetime.timedelta(days=1)))
    assert len(list(parsed)) == 1
    oid = x509.ObjectIdentifier("2.5.29.60")
    assert parsed.extensions.get_extension_for_oid(oid) is not None


def test_only_what_is_due_is_published(world: ca_world.World) -> None:
    soon = world.at + datetime.timedelta(minutes=5)
    assert hierarchy.publish_due_crls(world.sessions, world.hierarchy, soon) == ()
    later = world.at + datetime.timedelta(minutes=31)
    made = hierarchy.publish_due_crls(world.sessions, world.hierarchy, later)
    assert {one.issuer_name for one in made} == set(world.hierarchy.authorities)


def test_an_unknown_name_has_no_crl(world: ca_world.World) -> None:
    with world.sessions() as session, pytest.raises(published.CRLNotFoundError):
        crls.newest(session, "nobody")
