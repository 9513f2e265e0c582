"""Keys that sign twins for linting and are trusted by nobody.

They live in the memory of one process and are never stored. One key of each kind is enough: a
twin's signature proves nothing and is thrown away with it.
"""

import functools

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import algorithms


@functools.cache
def key_like(kind: algorithms.KeyKind) -> algorithms.PrivateKey:
    """Return this process's throw-away key of a kind."""
    if kind is algorithms.KeyKind.RSA3072:
        return rsa.generate_private_key(public_exponent=65537, key_size=algorithms.MIN_RSA_BITS)
    if kind is algorithms.KeyKind.P384:
        return ec.generate_private_key(ec.SECP384R1())
    return ec.generate_private_key(ec.SECP256R1())
