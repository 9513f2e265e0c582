"""Serial numbers that nobody can guess and that never repeat (RFC 5280 4.1.2.2)."""

import secrets

RANDOM_BITS = 128
"""Twice what EN 319 412-1 and the browsers ask for; 63 were an incident once."""

MAX_OCTETS = 20


def new_serial_number() -> int:
    """Return a positive serial number of 17 octets, 128 bits of which are random.

    The leading 1 keeps every number positive and of one length without spending a random bit.
    The registry refuses one that an issuer used before.
    """
    return 1 << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
