import iso3166
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


@pytest.mark.parametrize(
    ("country", "code", "identifier"),
    [("TR", "PAS-U12345678", "PASTR-U12345678"), ("UA", "IDC-000123456", "IDCUA-000123456")],
)
@pytest.mark.clause("EN 319 412-1", "5.1.3")
def test_people_of_countries_without_rules_are_named_by_a_document(
    country: str, code: str, identifier: str
) -> None:
    assert person_codes.person_identifier(country, code) == identifier
    parsed = person_codes.parse_identifier(identifier)
    assert parsed is not None
    assert (parsed.country, person_codes.person_code_of(parsed)) == (country, code)


@pytest.mark.parametrize(
    ("country", "code"),
    [
        *(("AZ", "PAS-U12345678"), ("EE", "IDC-123456789"), ("TR", "12345678901")),
        *(("TR", "PAS-U123"), ("TR", "PAS-" + "A" * 21), ("TR", "PAS-u12345678")),
        *(("TR", "PAS-U1234 5678"), ("TR", "PAS-U12345678\n"), ("TR", "PAS-Ü2345678")),
        *(("TR", "TIN-U12345678"), ("TR", "PASTR-U12345678"), ("XX", "PAS-U12345678")),
        *(("tr", "PAS-U12345678"), ("", "PAS-U12345678")),
    ],
)
def test_other_documents_and_other_characters_are_refused(country: str, code: str) -> None:
    with pytest.raises(person_codes.PersonCodeError) as refused:
        person_codes.person_identifier(country, code)
    assert "U12345678" not in refused.value.message


def test_countries_are_those_of_iso_3166() -> None:
    known = {one for one in iso3166.countries_by_alpha2 if person_codes.is_country(one)}
    # The list knows Kosovo's XK too, which ISO 3166-1 leaves to its users.
    assert set(iso3166.countries_by_alpha2) - known == {"XK"}
    assert not any(map(person_codes.is_country, ("az", "XX", "EU", "AZE", "", "A")))
