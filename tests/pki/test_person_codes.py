import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import errors, person_codes

PUBLISHED = [
    *("60001017869", "60001019906", "60001018800", "60001019939", "60001019947"),
    *("60001019950", "60001019961", "60001019972", "60001019983", "50001018908"),
]


@pytest.mark.parametrize("code", PUBLISHED)
@pytest.mark.parametrize("country", ["EE", "LT"])
def test_published_test_persons_have_right_check_digits(country: str, code: str) -> None:
    person_codes.check_person_code(country, code)
    for digit in set("0123456789") - {code[10]}:
        with pytest.raises(person_codes.PersonCodeError):
            person_codes.check_person_code(country, code[:10] + digit)


@given(st.text("0123456789", min_size=10, max_size=10))
def test_exactly_one_check_digit_is_right(digits: str) -> None:
    right = 0
    for digit in "0123456789":
        try:
            person_codes.check_person_code("EE", digits + digit)
        except person_codes.PersonCodeError:
            continue
        right += 1
    assert right == 1


@pytest.mark.parametrize(
    ("country", "code"), [("AZ", "5AB12CD"), ("AZ", "1234567"), ("GE", "01234567890")]
)
@pytest.mark.clause("EN 319 412-1", "5.1.3")
def test_identifiers_name_kind_country_and_number(country: str, code: str) -> None:
    text = person_codes.person_identifier(country, code)
    assert text == f"PNO{country}-{code}"
    parsed = person_codes.parse_identifier(text)
    assert parsed == person_codes.SemanticIdentifier("PNO", country, code)
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("country", "code"),
    [
        ("AZ", "5AB12CI"),
        ("AZ", "5AB12CO"),
        ("AZ", "5ab12cd"),
        ("AZ", "5AB12C"),
        ("AZ", "5AB12CDE"),
        ("AZ", "5AB12CD\n"),
        ("AZ", "\uff15AB12CD"),
        ("GE", "0123456789"),
        ("GE", "٠١٢٣٤٥٦٧٨٩٠"),
        ("EE", "60001019907"),
        ("EE", ""),
        ("XX", "60001019906"),
        ("az", "5AB12CD"),
    ],
)
def test_numbers_that_nobody_has_are_refused_without_being_repeated(
    country: str, code: str
) -> None:
    with pytest.raises(person_codes.PersonCodeError) as refused:
        person_codes.check_person_code(country, code)
    assert not code or code not in refused.value.message


def test_organisations_have_their_countrys_numbers() -> None:
    assert person_codes.organisation_identifier("AZ", "1234567890") == "NTRAZ-1234567890"
    assert person_codes.organisation_identifier("GE", "123456789") == "NTRGE-123456789"
    for country, code in [("AZ", "123456789"), ("GE", "1234567890"), ("EE", "12345678")]:
        with pytest.raises(person_codes.OrganisationCodeError):
            person_codes.organisation_identifier(country, code)


@given(st.text(max_size=80))
def test_any_text_is_an_identifier_or_none(text: str) -> None:
    parsed = person_codes.parse_identifier(text)
    assert parsed is None or str(parsed) == text


@given(st.text(max_size=12), st.text(max_size=20))
def test_any_input_raises_input_error_and_nothing_else(country: str, code: str) -> None:
    for check in (person_codes.check_person_code, person_codes.check_organisation_code):
        try:
            check(country, code)
        except errors.InputError:
            continue
