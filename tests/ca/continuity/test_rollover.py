"""The next generation of an authority takes over while the old one goes on."""

import datetime

import pytest
from cryptography import x509
from sqlalchemy import orm

from ca import generations, hierarchy, revocation, service_keys
from ca.continuity import rollover
from ca.crls import published
from ca.trusted_list import services
from pki import audit, certificates, profiles, registration, registry, status
from tests.support import ca_world, crls

DAY = datetime.timedelta(days=1)


def _next(world: ca_world.World, at: datetime.datetime, role: str = "citizen") -> str:
    return rollover.make_next(
        world.sessions, world.keys, world.settings, role, at, actor="test"
    ).name


@pytest.mark.parametrize(
    ("name", "role", "number", "title"),
    [("citizen", "citizen", 1, "Citizen CA"), ("citizen-2", "citizen", 2, "Citizen CA 2")],
)
def test_a_name_says_role_and_generation(name: str, role: str, number: int, title: str) -> None:
    assert generations.role_of(name) == role
    assert generations.number_of(name) == number
    assert generations.name_of(role, number) == name
    assert generations.title_of(name) == title


@pytest.mark.parametrize(
    "name", ["", "citizen-1", "citizen-0", "citizen-02", "citizen-100", "root-2", "x", "citizen-2 "]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(generations.GenerationNameError):
        generations.role_of(name)
    assert not generations.is_authority(name)


def test_new_certificates_come_from_the_next_generation_and_old_ones_stay_good(
    world: ca_world.World,
) -> None:
    opened = rollover.live(world.hierarchy)
    world.hierarchy = opened
    old = world.certify(world.application())
    later = world.at + DAY
    assert rollover.follow(world.sessions, world.keys, opened) == ()
    assert _next(world, later) == "citizen-2"
    # A process that runs on sees it at its next look.
    assert opened.issuing(registration.Category.CITIZEN).name == "citizen"
    assert rollover.follow(world.sessions, world.keys, opened) == ("citizen-2",)
    assert opened.issuing(registration.Category.CITIZEN).name == "citizen-2"
    new = world.certify(world.application(), at=later)
    assert (old.record.issuer_name, new.record.issuer_name) == ("citizen", "citizen-2")
    first, second = (opened.authorities[name].certificate for name in ("citizen", "citizen-2"))
    assert first.subject != second.subject
    assert first.public_key() != second.public_key()
    certificates.check_issued_by(certificates.parse(new.certificate_der), second)
    facts = certificates.read(certificates.parse(new.certificate_der))
    assert facts.crl_urls == ("http://pki.example.com/crl/citizen-2.crl",)
    # The old one is revoked by its own CRL, and has a responder of its own.
    with world.sessions() as session:
        revocation.revoke(
            session,
            old.record.serial_number,
            status.RevocationReason.keyCompromise,
            later,
            actor="test",
        )
        session.commit()
    made = hierarchy.publish_due_crls(world.sessions, opened, later + DAY)
    entries = {one.issuer_name: one.entries for one in made}
    assert {"citizen", "citizen-2"} <= set(entries)
    assert entries["citizen"] == 1
    assert entries["citizen-2"] == 0
    renewed = service_keys.renew_responders(
        world.sessions, world.keys, opened, later + 25 * DAY, actor="test"
    )
    assert {one.issuer_name for one in renewed} == {*hierarchy.ISSUING, "citizen-2"}


def test_a_generation_that_is_not_complete_certifies_nobody(world: ca_world.World) -> None:
    from ca import foundation

    steps = foundation.Foundation(world.sessions, world.keys, world.settings, world.at, "test")
    steps.certify_authority("citizen-2", steps.certify_root())
    opened = hierarchy.load(world.sessions, world.keys, world.settings)
    assert opened.issuing(registration.Category.CITIZEN).name == "citizen"
    # Asking again goes on with the one that was begun.
    assert _next(world, world.at) == "citizen-2"
    opened = hierarchy.load(world.sessions, world.keys, world.settings)
    assert opened.issuing(registration.Category.CITIZEN).name == "citizen-2"


def test_an_infrastructure_authority_rolls_over_too(world: ca_world.World) -> None:
    assert _next(world, world.at, "infrastructure") == "infrastructure-2"
    unit = rollover.make_next_unit(
        world.sessions, world.keys, world.settings, world.at, actor="test"
    )
    assert (unit.key_label, unit.issuer_name) == ("tsu-2", "infrastructure-2")


def test_without_the_roots_key_there_is_no_next_generation(world: ca_world.World) -> None:
    from tests.support import ceremonies

    keys = ceremonies.without(world.keys, "root")
    with pytest.raises(hierarchy.RootOfflineError):
        rollover.make_next(world.sessions, keys, world.settings, "citizen", world.at, actor="test")
    assert "ca-citizen-2" not in keys.labels()


def test_an_earlier_generation_ends_with_a_last_crl_once_its_certificates_have(
    world: ca_world.World,
) -> None:
    world.certify(world.application())
    _next(world, world.at + DAY)
    opened = hierarchy.load(world.sessions, world.keys, world.settings)
    before = world.at + profiles.SUBSCRIBER_VALIDITY - DAY
    assert rollover.end_finished(world.sessions, opened, before, actor="test") == ()
    after = world.at + profiles.SUBSCRIBER_VALIDITY + DAY
    (last,) = rollover.end_finished(world.sessions, opened, after, actor="test")
    assert last.issuer_name == "citizen"
    with world.sessions() as session:
        last_der = crls.newest_der(session, "citizen")
    read = x509.load_der_x509_crl(last_der)
    assert read.next_update_utc == published.NO_END
    assert b"99991231235959Z" in last_der
    assert rollover.end_finished(world.sessions, opened, after, actor="test") == ()
    made = hierarchy.publish_due_crls(world.sessions, opened, after + DAY)
    assert "citizen" not in {one.issuer_name for one in made}
    # Its key may be destroyed then, and the others go on.
    from tests.support import ceremonies

    keys = ceremonies.without(world.keys, "ca-citizen")
    assert "citizen" not in hierarchy.load(world.sessions, keys, world.settings).authorities


def test_the_next_time_stamping_unit_has_a_key_of_its_own(world: ca_world.World) -> None:
    made = rollover.make_next_unit(
        world.sessions, world.keys, world.settings, world.at + DAY, actor="test"
    )
    assert made.key_label == "tsu-2"
    assert "Time-stamping unit 2" in made.subject
    assert "tsu-2" in world.keys.labels()
    with world.sessions() as session:
        audit.verify(session)


def test_the_trusted_list_shows_both_generations(
    world: ca_world.World, sessions: orm.sessionmaker[orm.Session]
) -> None:
    _next(world, world.at)
    rollover.make_next_unit(world.sessions, world.keys, world.settings, world.at, actor="test")
    with sessions() as session:
        listed = services.record_services(session, world.settings, world.at)
    names = [one.name for one in listed]
    for wanted in ("Citizen CA", "Citizen CA 2", "Time-stamping unit 1", "Time-stamping unit 2"):
        assert sum(name.endswith(wanted) for name in names) == 1, (wanted, names)
    assert all(one.periods[0].status is services.ServiceStatus.GRANTED for one in listed)
    points = [one.supply_points for one in listed if one.name.endswith("Citizen CA 2")]
    assert points[0][1].url.endswith("/crl/citizen-2.crl")
    with sessions() as session:
        assert len(registry.issuers(session)) == 6
