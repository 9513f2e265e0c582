"""Whom a request is for: a phone number and a person code that must belong together."""

import dataclasses
import re

from pki import errors, person_codes

PHONE_NUMBER = re.compile(r"\+[0-9]{8,30}")

PHONE_NUMBER_MESSAGE = "phoneNumber must contain of + and numbers(8-30)"
"""Spelled as existing clients know it."""

PERSON_CODE_MESSAGE = "nationalIdentityNumber must contain of 11 digits"
"""Spelled as existing clients know it."""


class AddresseeError(errors.InputError):
    """The phone number or the person code has no possible shape."""

    code = "addressee-invalid"


@dataclasses.dataclass(frozen=True)
class Addressee:
    """A phone number and a person code; neither is ever shown in logs or errors."""

    phone_number: str = dataclasses.field(repr=False)
    person_code: str = dataclasses.field(repr=False)


def check_phone_number(phone_number: str) -> None:
    """Check the shape of a phone number: `+` and 8 to 30 digits.

    Raises:
        AddresseeError: Another shape.
    """
    if not PHONE_NUMBER.fullmatch(phone_number):
        raise AddresseeError(PHONE_NUMBER_MESSAGE)


def check_person_code_shape(person_code: str, countries: tuple[str, ...]) -> None:
    """Check that a code has the shape of a person code of one of `countries`.

    The protocol names no country, so that only the shape can be judged here. Check digits are
    checked where people are registered: a code that fails there has no subscriber here.

    Raises:
        AddresseeError: No country has such codes.
    """
    rules = [person_codes.rules(country) for country in countries]
    if any(rule.person_pattern.fullmatch(person_code) for rule in rules):
        return
    if person_code.isdigit():
        raise AddresseeError(PERSON_CODE_MESSAGE)
    shapes = " or ".join(sorted({rule.person_shape for rule in rules}))
    raise AddresseeError(f"nationalIdentityNumber must contain of {shapes}")
