"""Generations of an authority: a new key under a new name, while the old one winds down.

The first generation of the authority `citizen` is called `citizen`, the next one `citizen-2`. Each
has its own distinguished name, key, certificate, CRL and responder, so that nothing that one
signed is ever read as the other's: many verifiers find an issuer, and its CRL, by the name alone.
"""

import re

from pki import errors

ROOT = "root"
INFRASTRUCTURE = "infrastructure"
ISSUING = ("citizen", "business", "official")
TITLES = {
    ROOT: "Root CA",
    "citizen": "Citizen CA",
    "business": "Business CA",
    "official": "Official CA",
    INFRASTRUCTURE: "Infrastructure CA",
}
UNIT = "tsu"
"""Time-stamping units are `tsu-1`, `tsu-2` and so on."""

MAX_GENERATION = 99
"""Far more than an installation sees in its life, and names stay short."""

_NAME = re.compile(r"([a-z]+)(?:-([1-9][0-9]?))?")


class GenerationNameError(errors.InputError):
    """No authority or time-stamping unit has a name of this form."""

    code = "generation-name"


def role_of(name: str) -> str:
    """What an authority is for, whatever its generation: `citizen` of `citizen-2`.

    Raises:
        GenerationNameError: Not the name of an authority.
    """
    return _parts(name)[0]


def number_of(name: str) -> int:
    """Which generation of its role an authority is; the first is 1. Raises as `role_of`."""
    return _parts(name)[1]


def name_of(role: str, number: int) -> str:
    """The name of a generation of a role. Raises as `role_of`."""
    name = role if number == 1 else f"{role}-{number}"
    _parts(name)
    return name


def title_of(name: str) -> str:
    """How an authority calls itself in its certificate. Raises as `role_of`."""
    role, number = _parts(name)
    return TITLES[role] if number == 1 else f"{TITLES[role]} {number}"


def is_issuing(name: str) -> bool:
    """Whether an authority certifies subscribers. Raises as `role_of`."""
    return role_of(name) in ISSUING


def is_authority(name: str) -> bool:
    """Whether a name is that of an authority below the root, of any generation."""
    try:
        return role_of(name) != ROOT
    except GenerationNameError:
        return False


def unit_label(number: int) -> str:
    """The name and key label of a time-stamping unit."""
    if not 1 <= number <= MAX_GENERATION:
        raise GenerationNameError(f"expected a number of 1 to {MAX_GENERATION}, got {number}")
    return f"{UNIT}-{number}"


def unit_number(label: str) -> int:
    """The number of a time-stamping unit.

    Raises:
        GenerationNameError: Not the name of one.
    """
    found = re.fullmatch(rf"{UNIT}-([1-9][0-9]?)", label)
    if found is None:
        raise GenerationNameError("expected a time-stamping unit such as tsu-2")
    return int(found[1])


def _parts(name: str) -> tuple[str, int]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in TITLES or (found[1] == ROOT and found[2]):
        raise GenerationNameError(
            f"expected an authority of {', '.join(TITLES)}, or a later generation such as citizen-2"
        )
    number = int(found[2] or 1)
    if found[2] == "1":
        raise GenerationNameError("the first generation of an authority has no number")
    return found[1], number
