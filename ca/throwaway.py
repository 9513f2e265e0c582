"""Keys that sign twins for linting and are trusted by nobody.

They live in the memory of one process and are never stored. One key of each kind is enough: a
twin's signature proves nothing and is thrown away with it.
"""

import dataclasses
import datetime
import functools

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import algorithms, der


@functools.cache
def key_like(kind: algorithms.KeyKind) -> algorithms.PrivateKey:
    """Return this process's throw-away key of a kind."""
    if kind is algorithms.KeyKind.RSA3072:
        return rsa.generate_private_key(public_exponent=65537, key_size=algorithms.MIN_RSA_BITS)
    if kind is algorithms.KeyKind.P384:
        return ec.generate_private_key(ec.SECP384R1())
    return ec.generate_private_key(ec.SECP256R1())


@dataclasses.dataclass(frozen=True)
class Frame:
    """What stands around to-be-signed bytes to make them a certificate, as two DER elements."""

    algorithm_der: bytes
    signature_der: bytes


@functools.cache
def frame_like(kind: algorithms.KeyKind) -> Frame:
    """Return the algorithm of a kind of key, and a signature that its throw-away key once made.

    The signature is over something else: it has the right form, which is all that linters read.
    """
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "throw-away")])
    start = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    key = key_like(kind)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start)
    )
    made = builder.sign(key, kind.hash_algorithm.hasher)
    _, algorithm, value = der.read(made.public_bytes(serialization.Encoding.DER)).children()
    return Frame(der.encode(algorithm.tag, algorithm.content), der.encode(value.tag, value.content))
