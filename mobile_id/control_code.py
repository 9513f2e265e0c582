"""The control code: four digits that a person compares on the screen and on the phone.

Each side computes it from the hash that is signed; it is never sent to the phone. Two screens
that show the same digits are therefore about the same hash, as far as 13 bits can tell.
"""

from pki import errors, signature

WIDTH = 4
"""Digits in a control code; smaller numbers have leading zeros."""

HIGHEST = 8191
"""The greatest code: 13 bits (the published text says 8192, which 13 bits cannot hold)."""


def control_code(representation: signature.DataToBeSignedRepresentation) -> str:
    """Return the control code of what is signed (Mobile-ID REST 2.4.1)."""
    return control_code_of_hash(representation.hash)


def control_code_of_hash(hash_value: bytes) -> str:
    """Return the control code of a hash: its first 6 bits and its last 7, as a decimal number.

    Raises:
        InputError: The hash is empty.
    """
    if not hash_value:
        raise errors.InputError("expected a hash, got no bytes")
    return f"{(hash_value[0] >> 2) << 7 | hash_value[-1] & 0x7F:0{WIDTH}d}"
