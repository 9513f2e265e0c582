"""The numbers of people and organisations, country by country, and how certificates write them.

An installation serves one country; people of the other countries here are its non-residents and
keep the number of their own country. Of a country without rules here nobody could tell a person's
number from anything else: its people are named by the document that they showed, and the number of
that is written with its kind before it, such as `PAS-U12345678` for a passport.
"""

import dataclasses
import re
from collections.abc import Callable

from pki import errors


class PersonCodeError(errors.InputError):
    """Not a number that people of this country have."""

    code = "person-code-invalid"


class OrganisationCodeError(errors.InputError):
    """Not a number that organisations of this country have."""

    code = "organisation-code-invalid"


@dataclasses.dataclass(frozen=True)
class CountryRules:
    """How one country numbers people and organisations.

    Attributes:
        country: ISO 3166-1, two capitals.
        person_pattern: What a person's number looks like.
        person_shape: The same in words.
        organisation_pattern: None where organisations of this country are not registered here.
        organisation_shape: The same in words.
        check_digit: Raises nothing and returns whether the check digit is right.
    """

    country: str
    person_pattern: re.Pattern[str]
    person_shape: str
    organisation_pattern: re.Pattern[str] | None = None
    organisation_shape: str = ""
    check_digit: Callable[[str], bool] | None = None


def _baltic_check_digit(code: str) -> bool:
    """Judge the last digit of an Estonian or Lithuanian personal code (EVS 585)."""
    for weights in ((1, 2, 3, 4, 5, 6, 7, 8, 9, 1), (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)):
        total = sum(weight * int(digit) for weight, digit in zip(weights, code, strict=False))
        if total % 11 < 10:
            return total % 11 == int(code[10])
    return code[10] == "0"


DOCUMENT_KINDS = ("PAS", "IDC")
"""By passport, or by national identity card (EN 319 412-1 5.1.3)."""

_DOCUMENT_CODE = re.compile(r"(?P<kind>PAS|IDC)-(?P<number>[A-Z0-9]{5,20})")
_DOCUMENT_SHAPE = (
    "PAS- and the passport's number, or IDC- and the identity card's, of 5 to 20 capitals or digits"
)

_COUNTRY_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
    ZW
"""
_ALL_COUNTRIES = frozenset(_COUNTRY_CODES.split())
"""ISO 3166-1, two letters."""

_ELEVEN_DIGITS = re.compile(r"[0-9]{11}")

_RULES = {
    # The FIN leaves out I and O, which look like 1 and 0.
    "AZ": CountryRules(
        "AZ",
        re.compile(r"[0-9A-HJ-NP-Z]{7}"),
        "7 digits or capital letters without I and O (FIN)",
        re.compile(r"[0-9]{10}"),
        "10 digits (VÖEN)",
    ),
    "GE": CountryRules("GE", _ELEVEN_DIGITS, "11 digits", re.compile(r"[0-9]{9}"), "9 digits"),
    "EE": CountryRules(
        "EE", _ELEVEN_DIGITS, "11 digits with a check digit", check_digit=_baltic_check_digit
    ),
    "LT": CountryRules(
        "LT", _ELEVEN_DIGITS, "11 digits with a check digit", check_digit=_baltic_check_digit
    ),
}


@dataclasses.dataclass(frozen=True)
class SemanticIdentifier:
    """A number with its kind and country, such as `PNOAZ-5AB12CD` (EN 319 412-1 5.1.3)."""

    kind: str
    country: str
    code: str

    def __str__(self) -> str:
        """Write it as a certificate's serialNumber or organizationIdentifier has it."""
        return f"{self.kind}{self.country}-{self.code}"


_SEMANTIC = re.compile(r"(?P<kind>[A-Z]{3})(?P<country>[A-Z]{2})-(?P<code>.{1,64})")


def countries() -> tuple[str, ...]:
    """The countries whose numbers are known here."""
    return tuple(_RULES)


def is_country(text: str) -> bool:
    """Whether a text is a country's code (ISO 3166-1), in capitals."""
    return text in _ALL_COUNTRIES


def rules(country: str) -> CountryRules:
    """Return a country's rules.

    Raises:
        PersonCodeError: No rules are known for it.
    """
    try:
        return _RULES[country]
    except KeyError as error:
        raise PersonCodeError(f"expected a country of {', '.join(_RULES)}, got another") from error


def check_person_code(country: str, code: str) -> None:
    """Check a person's number; the number itself is never in the message.

    Raises:
        PersonCodeError: Unknown country, wrong shape or wrong check digit.
    """
    if country not in _RULES and country in _ALL_COUNTRIES:
        if not _DOCUMENT_CODE.fullmatch(code):
            raise PersonCodeError(f"expected {_DOCUMENT_SHAPE} for a person of {country}")
        return
    known = rules(country)
    if not known.person_pattern.fullmatch(code):
        raise PersonCodeError(f"expected {known.person_shape} for a person of {country}")
    if known.check_digit is not None and not known.check_digit(code):
        raise PersonCodeError(f"the check digit of this {country} person code is wrong")


def check_organisation_code(country: str, code: str) -> None:
    """Check an organisation's number.

    Raises:
        OrganisationCodeError: Unknown country or wrong shape.
    """
    known = _RULES.get(country)
    if known is None or known.organisation_pattern is None:
        accepted = ", ".join(one for one, rule in _RULES.items() if rule.organisation_pattern)
        raise OrganisationCodeError(f"expected an organisation of {accepted}")
    if not known.organisation_pattern.fullmatch(code):
        raise OrganisationCodeError(
            f"expected {known.organisation_shape} for an organisation of {country}"
        )


def person_identifier(country: str, code: str) -> str:
    """Return `PNOAZ-5AB12CD`, or `PASTR-U12345678` (EN 319 412-1 5.1.3).

    Raises:
        PersonCodeError: As `check_person_code`.
    """
    check_person_code(country, code)
    named = document_number(code)
    if country not in _RULES and named is not None:
        return str(SemanticIdentifier(named[0], country, named[1]))
    return str(SemanticIdentifier("PNO", country, code))


def document_number(code: str) -> tuple[str, str] | None:
    """Take `PAS-U12345678` apart into kind and number; None for a national number."""
    match = _DOCUMENT_CODE.fullmatch(code)
    return (match["kind"], match["number"]) if match else None


def person_code_of(identifier: SemanticIdentifier) -> str | None:
    """Return the code that `person_identifier` writes so; None where it is no person's."""
    if identifier.kind == "PNO":
        return identifier.code
    if identifier.kind in DOCUMENT_KINDS:
        return f"{identifier.kind}-{identifier.code}"
    return None


def organisation_identifier(country: str, code: str) -> str:
    """Return `NTRAZ-1234567890` for a checked organisation code (EN 319 412-1 5.1.4)."""
    check_organisation_code(country, code)
    return str(SemanticIdentifier("NTR", country, code))


def parse_identifier(text: str) -> SemanticIdentifier | None:
    """Take an identifier apart; None where the text is not of that shape."""
    match = _SEMANTIC.fullmatch(text)
    return SemanticIdentifier(match["kind"], match["country"], match["code"]) if match else None
