import dataclasses
import datetime

import pytest
from sqlalchemy import orm

from ca import foundation, hierarchy, service_keys
from ca.crls import published
from pki import audit, certificates, profiles, registry
from tests.support import ca_world
from tests.support.hierarchy import MemoryKeyStore


def test_a_second_run_changes_nothing(world: ca_world.World) -> None:
    with world.sessions() as session:
        before = audit.verify(session)
    signatures = world.keys.signatures
    again = foundation.initialise(
        world.sessions, world.keys, world.settings, world.at + datetime.timedelta(hours=1)
    )
    with world.sessions() as session:
        assert audit.verify(session) == before
    assert world.keys.signatures == signatures
    assert {name: one.certificate for name, one in again.authorities.items()} == {
        name: one.certificate for name, one in world.hierarchy.authorities.items()
    }


def test_the_hierarchy_is_the_one_that_was_decided(world: ca_world.World) -> None:
    assert set(world.hierarchy.authorities) == {
        "root",
        "citizen",
        "business",
        "official",
        "infrastructure",
    }
    assert world.keys.labels() == (
        "ca-business",
        "ca-citizen",
        "ca-infrastructure",
        "ca-official",
        "ocsp-business",
        "ocsp-citizen",
        "ocsp-official",
        "root",
        "tsu-1",
    )


@pytest.mark.clause("RFC 6960", "4.2.2.2")
def test_each_issuing_authority_certifies_its_own_responder(world: ca_world.World) -> None:
    with world.sessions() as session:
        for name in hierarchy.ISSUING:
            record = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, world.at, issuer_name=name
            )
            assert record is not None
            assert record.certificate_der is not None
            assert record.key_label == f"ocsp-{name}"
            certificates.check_issued_by(
                certificates.parse(record.certificate_der),
                world.hierarchy.authorities[name].certificate,
            )
        unit = registry.current_certificate(session, profiles.TIME_STAMPING_UNIT.name, world.at)
    assert unit is not None
    assert unit.issuer_name == hierarchy.INFRASTRUCTURE
    assert unit.key_label == hierarchy.TIME_STAMPING_UNIT


def test_a_responder_is_renewed_before_its_end_and_overlaps(world: ca_world.World) -> None:
    early = world.at + datetime.timedelta(days=19)
    assert service_keys.renew_responders(world.sessions, world.keys, world.hierarchy, early) == ()
    late = world.at + datetime.timedelta(days=21)
    renewed = service_keys.renew_responders(world.sessions, world.keys, world.hierarchy, late)
    assert {one.issuer_name for one in renewed} == set(hierarchy.ISSUING)
    with world.sessions() as session:
        record = registry.current_certificate(
            session, profiles.OCSP_RESPONDER.name, late, issuer_name="citizen"
        )
    assert record in renewed
    # Each certificate has a key of its own, and the one before stays for as long as it is valid.
    first, second = (
        hierarchy.responder_label("citizen"),
        hierarchy.next_responder_label("citizen", late),
    )
    assert record is not None
    assert record.key_label == second
    assert world.keys.open_key(first).public_key != record.certificate.public_key()
    assert world.keys.open_key(second).public_key == record.certificate.public_key()


def test_another_key_store_is_not_accepted(world: ca_world.World) -> None:
    other = MemoryKeyStore()
    for label in world.keys.labels():
        other.generate(label, ca_world.algorithms.KeyKind.P384)
    with pytest.raises(hierarchy.AuthorityChangedError):
        hierarchy.load(world.sessions, other, world.settings)


def test_an_empty_database_is_not_initialised(sessions: orm.sessionmaker[orm.Session]) -> None:
    with pytest.raises(hierarchy.NotInitialisedError):
        hierarchy.load(sessions, MemoryKeyStore(), ca_world.SETTINGS)


def test_a_run_that_failed_in_the_middle_is_continued(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    keys = ca_world.CountingKeyStore()
    keys.generate("ca-official", ca_world.algorithms.KeyKind.P256)  # not the kind that is needed
    with pytest.raises(Exception, match="expected a key of P-384"):
        foundation.initialise(sessions, keys, ca_world.SETTINGS, at)
    del keys._keys["ca-official"], keys.counted["ca-official"]

    made = foundation.initialise(sessions, keys, ca_world.SETTINGS, at)

    assert set(made.authorities) == set(hierarchy.TITLES)
    with sessions() as session:
        assert len(registry.certificates_of(session).certificates) == 9


def test_a_production_installation_claims_no_device_it_does_not_have(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    settings = dataclasses.replace(ca_world.SETTINGS, test=False, policy_arc="1.3.6.1.4.1.1.1")
    world = ca_world.make_world(sessions, at, settings)
    issued = world.certify(world.application())
    facts = certificates.read(certificates.parse(issued.certificate_der))
    assert facts.qualified.compliance
    assert not facts.qualified.secure_device
    assert "TEST" not in facts.subject + facts.issuer
    assert facts.policies == ("1.3.6.1.4.1.1.1.1", "0.4.0.194112.1.0")


def test_an_unknown_authority_is_not_found(world: ca_world.World) -> None:
    with pytest.raises(published.CRLNotFoundError):
        world.hierarchy.named("nobody")


def test_a_start_ends_what_an_earlier_process_left_open(world: ca_world.World) -> None:
    issued = world.certify(world.application())
    with world.sessions() as session:
        row = registry.find_row(session, issued.record.serial_number)
        row.state = registry.CertificateState.INTENDED.value
        row.certificate_der = None
        session.commit()
    hierarchy.start(world.sessions, world.keys, world.settings, world.at)
    with world.sessions() as session:
        found = registry.status_of(session, "citizen", issued.record.serial_number)
    assert found is not None
    assert not found.is_good


@pytest.mark.parametrize("name", hierarchy.TITLES)
def test_what_an_authority_signs_goes_to_the_signature_log(name: str) -> None:
    assert hierarchy.is_authority_key(hierarchy.key_label(name))
    assert not hierarchy.is_authority_key(hierarchy.responder_label(name))
