import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca import subjects
from pki import certificates, errors, registration
from tests.support import ca_world

CITIZEN = registration.Category.CITIZEN


def _applicant(surname: str, given_name: str = "Günay") -> subjects.Applicant:
    person = dataclasses.replace(ca_world.CITIZEN, surname=surname, given_name=given_name)
    return subjects.Applicant(CITIZEN, person)


@pytest.mark.parametrize(
    "surname",
    ["", " Əliyeva", "Əliyeva\n", "Ali\u202eyev", "Ali,yev", "a" * 65, "Ali\u0301yev", "\ue000"],
)
def test_names_that_would_mislead_are_refused(surname: str) -> None:
    with pytest.raises(errors.InputError):
        _applicant(surname)


@given(
    st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=64),
    st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=64),
)
def test_the_common_name_always_fits_and_ends_with_the_number(
    surname: str, given_name: str
) -> None:
    try:
        applicant = _applicant(surname, given_name)
    except errors.InputError:
        return
    try:
        name = subjects.subject_name(applicant, ca_world.SETTINGS)
    except subjects.SubjectError:
        return
    parts = {one.oid.dotted_string: str(one.value) for one in name}
    common_name = parts["2.5.4.3"]
    assert len(common_name) <= subjects.MAX_COMMON_NAME
    assert common_name.count(",") == 2
    assert common_name.endswith(",5AB12CD")
    assert parts["2.5.4.42"] == given_name
    assert parts["2.5.4.4"].endswith(surname)


def test_the_letters_of_the_document_are_kept() -> None:
    georgian = subjects.Applicant(CITIZEN, ca_world.GEORGIAN)
    text = certificates.name_text(subjects.subject_name(georgian, ca_world.SETTINGS))
    assert "გიორგაძე" in text
    azerbaijani = subjects.subject_name(_applicant("İsmayılova Şıx"), ca_world.SETTINGS)
    assert "İsmayılova Şıx" in certificates.name_text(azerbaijani)


def test_a_name_that_says_test_is_not_marked_again() -> None:
    name = subjects.subject_name(subjects.Applicant(CITIZEN, ca_world.ESTONIAN), ca_world.SETTINGS)
    parts = {one.oid.dotted_string: one.value for one in name}
    assert parts["2.5.4.3"] == "O\u2019CONNEŽ-ŠUSLIK TESTNUMBER,MARY ÄNN,60001019906"


def test_an_organisation_is_for_business_and_officials_alone() -> None:
    with pytest.raises(subjects.SubjectError):
        subjects.Applicant(CITIZEN, ca_world.CITIZEN, ca_world.ORGANISATION)
    with pytest.raises(subjects.SubjectError):
        subjects.Applicant(registration.Category.BUSINESS, ca_world.CITIZEN)
    with pytest.raises(subjects.SubjectError):
        subjects.Applicant(CITIZEN, ca_world.CITIZEN, title="Direktor")
