import dataclasses

import pytest
from cryptography import x509

from ca import hierarchy
from ca.crls import partitions, publication
from pki import audit, certificates
from tests.support import ca_world, crls


def _point(office, made) -> x509.Extension | None:
    parsed = x509.load_der_x509_crl(office.der(made))
    try:
        return parsed.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return None


def test_a_small_authority_has_one_list_that_speaks_of_everything(make_office) -> None:
    office = make_office()
    (full,) = office.publish_due()
    assert _point(office, full) is None
    assert full.scope.partition == 0


@pytest.mark.clause("RFC 5280", "5.2.5")
def test_lists_say_critically_of_what_they_speak_once_there_are_partitions(make_office) -> None:
    office = make_office(crl_partition_size=3)
    office.issue(1, 2, 3)
    office.publish_due()
    made = office.publish_due()
    with office.sessions() as session:
        assert partitions.newest(session, "citizen") == 1
    made = (*made, *office.publish_full(0), *office.publish_full(1))
    urls = {
        0: "http://pki.example.com/crl/citizen.crl",
        1: "http://pki.example.com/crl/citizen/1.crl",
    }
    for one in made[-2:]:
        found = _point(office, one)
        assert found is not None
        assert found.critical
        assert [name.value for name in found.value.full_name] == [urls[one.scope.partition]]


def test_the_list_of_a_partition_is_there_before_certificates_name_it(
    make_office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office(crl_partition_size=1)
    office.issue(1)
    seen = []
    opened = partitions.open_next

    def open_next(session, scope, at, *, actor):
        seen.append(crls.newest(session, "citizen", scope.partition).number)
        opened(session, scope, at, actor=actor)

    monkeypatch.setattr(partitions, "open_next", open_next)
    office.publish_due()
    assert seen == [1]


def test_each_list_tells_of_its_own_certificates_alone(make_office) -> None:
    office = make_office(crl_partition_size=2)
    office.issue(1, 2)
    office.publish_due()
    office.issue(3, partition=1)
    for one in (1, 3):
        office.revoke(one)
    made = {one.scope.partition: one for one in office.publish_changes()}
    assert set(office.said(made[0])) == {1}
    assert set(office.said(made[1])) == {3}
    with office.sessions() as session:
        audit.verify(session)


def test_no_delta_is_made_across_the_change_of_what_a_list_speaks_of(make_office) -> None:
    office = make_office(crl_partition_size=2, crl_delta_from=0)
    office.issue(1, 2)
    whole, _ = office.publish_full()
    assert not whole.partitioned
    with office.sessions() as session:
        partitions.open_next(
            session, dataclasses.replace(whole.scope, partition=1), office.at, actor="test"
        )
    with pytest.raises(publication.NoBaseError):
        publication.publish(
            office.sessions, office.issuing, office.settings, office.at, actor="test", delta=True
        )
    kinds = [(one.scope.partition, one.is_delta) for one in office.publish_due()]
    assert (0, False) in kinds


def test_numbers_name_one_list_of_an_authority_whatever_the_partition(make_office) -> None:
    office = make_office(crl_partition_size=1, crl_delta_from=0)
    office.issue(1)
    made = [*office.publish_due(), *office.publish_due(), *office.publish_full(1)]
    assert sorted(one.number for one in made) == list(range(1, len(made) + 1))


@pytest.mark.clause("RFC 5280", "4.2.1.13")
def test_a_certificate_names_the_list_of_its_partition(sessions, at) -> None:
    settings = dataclasses.replace(ca_world.SETTINGS, crl_partition_size=1)
    world = ca_world.make_world(sessions, at, settings)
    first = world.certify(world.application())
    hierarchy.publish_due_crls(world.sessions, world.hierarchy, at)
    second = world.certify(world.application(ca_world.GEORGIAN))
    urls = [
        certificates.read(certificates.parse(one.certificate_der)).crl_urls
        for one in (first, second)
    ]
    assert urls == [
        ("http://pki.example.com/crl/citizen.crl",),
        ("http://pki.example.com/crl/citizen/1.crl",),
    ]
    assert [first.record.crl_partition, second.record.crl_partition] == [0, 1]
