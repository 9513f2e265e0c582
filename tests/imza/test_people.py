import collections

import pytest

from imza import installation, people
from pki import person_codes, registration


@pytest.mark.parametrize("person", people.PEOPLE, ids=lambda one: one.person_code)
def test_a_persons_code_is_one_that_the_country_gives(person: people.Person) -> None:
    assert person.country in installation.COUNTRIES
    person_codes.check_person_code(person.country, person.person_code)
    if person.organisation is not None:
        person_codes.check_organisation_code(person.organisation.country, person.organisation.code)
        assert "TEST" in person.organisation.name


def test_no_two_people_share_a_code_or_a_phone() -> None:
    codes = [(one.country, one.person_code) for one in people.PEOPLE]
    phones = [one.phone_number for one in people.PEOPLE if one.phone_number]
    for counted in (collections.Counter(codes), collections.Counter(phones)):
        assert set(counted.values()) == {1}


def test_whoever_acts_for_an_organisation_has_one() -> None:
    for one in people.PEOPLE:
        category = registration.Category(one.role)
        assert (one.organisation is not None) is (category is not registration.Category.CITIZEN)


def test_the_people_of_the_demo_can_do_what_it_asks_of_them() -> None:
    assert people.CITIZEN.has_card
    assert people.OFFICIAL.role == "official"
    assert people.OFFICIAL.behaviour == people.MANUAL


def test_the_published_test_persons_keep_their_numbers_and_results() -> None:
    behaviour = {one.phone_number: one.behaviour for one in people.PEOPLE}
    assert behaviour["+37200000766"] == "OK"
    assert behaviour["+37207110066"] == "DELIVERY_ERROR"
    assert behaviour["+37201100266"] == "USER_CANCELLED"
    assert behaviour["+37200000666"] == "SIGNATURE_HASH_MISMATCH"
    assert behaviour["+37201200266"] == "SIM_ERROR"
    assert behaviour["+37213100266"] == "PHONE_ABSENT"
    assert behaviour["+37066000266"] == "TIMEOUT"
