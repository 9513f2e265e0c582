import datetime

import pytest
from cryptography import x509

from ca.crls import publication
from tests.support import crls


def _extension(office, made, kind):
    parsed = x509.load_der_x509_crl(office.der(made))
    return parsed.extensions.get_extension_for_class(kind)


@pytest.mark.clause("RFC 5280", "5.2.4")
def test_a_delta_says_critically_what_it_is_applied_to(office) -> None:
    full, delta = office.publish_full()
    found = _extension(office, delta, x509.DeltaCRLIndicator)
    assert found.critical
    assert found.value.crl_number == full.number == delta.base_number
    assert _extension(office, delta, x509.CRLNumber).value.crl_number == full.number + 1


@pytest.mark.clause("RFC 5280", "5.2.6")
def test_the_full_list_names_its_deltas_and_the_delta_names_none(office) -> None:
    full, delta = office.publish_full()
    found = _extension(office, full, x509.FreshestCRL)
    assert not found.critical
    (point,) = found.value
    assert point.full_name[0].value == "http://pki.example.com/crl/citizen/delta.crl"
    with pytest.raises(x509.ExtensionNotFound):
        _extension(office, delta, x509.FreshestCRL)


def test_a_short_list_names_no_deltas_and_is_published_anew_after_each_change(make_office) -> None:
    office = make_office(crl_delta_from=3)
    office.issue(*range(1, 8))
    (full,) = office.publish_full()
    assert not full.names_delta
    office.revoke(1)
    (second,) = office.publish_changes()
    assert (second.is_delta, second.number, set(office.said(second))) == (False, 2, {1})
    office.revoke(2)
    office.revoke(3)
    third, empty = office.publish_changes()
    assert third.names_delta
    assert (empty.base_number, empty.entries) == (third.number, 0)


def test_only_what_changed_since_the_base_is_in_a_delta(make_office) -> None:
    office = make_office(crl_delta_from=10)
    office.issue(*range(1, 40))
    for one in range(1, 31):
        office.revoke(one)
    full, _ = office.publish_full()
    office.revoke(31)
    (delta,) = office.publish_changes()
    assert set(office.said(delta)) == {31}
    office.revoke(32)
    (later,) = office.publish_changes()
    assert later.base_number == full.number
    assert set(office.said(later)) == {31, 32}
    # More than a tenth of the base changed: a full list takes over.
    office.revoke(33)
    office.revoke(34)
    made = office.publish_changes()
    assert [one.is_delta for one in made] == [False, True]


@pytest.mark.clause("RFC 5280", "5.2.4")
def test_a_hold_that_ends_is_removed_by_the_delta_and_forgotten_by_the_next_full_list(
    office,
) -> None:
    office.issue(*range(1, 30))
    for one in range(1, 26):
        office.revoke(one)
    office.hold(26)
    full, _ = office.publish_full()
    office.release(26)
    (delta,) = office.publish_changes()
    assert {one: said[1] for one, said in office.said(delta).items()} == {26: "removeFromCRL"}
    assert crls.apply_delta(office.said(full), office.said(delta)) == office.registered()
    # Every delta on the same base tells it, the first and the next.
    again = publication.publish(
        office.sessions, office.issuing, office.settings, office.at, actor="test", delta=True
    )
    assert office.said(again) == office.said(delta)
    following, after = office.publish_full()
    assert 26 not in office.said(following)
    assert office.said(after) == {}


def test_a_hold_that_becomes_a_revocation_is_told_with_its_new_reason(office) -> None:
    office.issue(*range(1, 30))
    for one in range(1, 26):
        office.revoke(one)
    office.hold(26)
    office.publish_full()
    office.revoke(26, "superseded")
    (delta,) = office.publish_changes()
    assert {one: said[1] for one, said in office.said(delta).items()} == {26: "superseded"}


def test_a_delta_needs_a_full_list_that_names_it(make_office) -> None:
    office = make_office()
    with pytest.raises(publication.NoBaseError):
        _publish_delta(office)
    office.publish_full()
    with pytest.raises(publication.NoBaseError):
        _publish_delta(office)


@pytest.mark.clause("RFC 5280", "5.2.3")
def test_full_and_delta_lists_share_one_sequence_of_numbers(office) -> None:
    numbers = [one.number for _ in range(3) for one in office.publish_full()]
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_what_is_due_is_a_full_list_twice_a_day_and_deltas_in_between(make_office) -> None:
    office = make_office(crl_delta_from=0)
    assert [one.is_delta for one in office.publish_due()] == [False, True]
    assert office.publish_due() == ()
    kinds = []
    for _ in range(26):
        office.at += datetime.timedelta(minutes=31)
        kinds += [one.is_delta for one in office.publish_due()]
    assert kinds.count(False) == 1
    assert kinds.count(True) == 26


def _publish_delta(office) -> None:
    publication.publish(
        office.sessions, office.issuing, office.settings, office.at, actor="test", delta=True
    )
