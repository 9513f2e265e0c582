"""Hash and signature algorithms, key kinds, and the two spellings of an ECDSA value.

Which algorithms are allowed follows ETSI TS 119 312: SHA-2 from 256 bits, RSA from 3072 bits,
the curves P-256 and P-384.
"""

import enum
import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from pki import errors

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

MIN_RSA_BITS = 3072
"""Smallest RSA key that is accepted for anything new (TS 119 312)."""


class UnsupportedAlgorithmError(errors.InputError):
    """An algorithm, curve or key size that is not allowed."""

    code = "unsupported-algorithm"


class SignatureEncodingError(errors.InputError):
    """A signature value in another encoding than the one agreed."""

    code = "signature-value-encoding"


class HashAlgorithm(enum.Enum):
    """A hash function, named as the API names it."""

    SHA256 = "SHA-256"
    SHA384 = "SHA-384"
    SHA512 = "SHA-512"

    @property
    def size(self) -> int:
        """Length of a digest in bytes."""
        return self.hasher.digest_size

    @property
    def hasher(self) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
        """The same function as `cryptography` names it."""
        return _HASHERS[self]

    @property
    def short_name(self) -> str:
        """The name without the dash and in lower case, as hashlib and asn1crypto write it."""
        return self.value.replace("-", "").lower()

    def digest(self, data: bytes) -> bytes:
        """Return the hash of `data`."""
        return _DIGESTS[self](data).digest()


_HASHERS: dict[HashAlgorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
}

_DIGESTS = {
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA384: hashlib.sha384,
    HashAlgorithm.SHA512: hashlib.sha512,
}


class SignatureAlgorithm(enum.Enum):
    """A signature scheme, named as the API names it; the hash is named beside it."""

    ECDSA = "ECDSA"
    RSA_PKCS1 = "RSASSA-PKCS1-v1_5"
    RSA_PSS = "RSASSA-PSS"


class KeyKind(enum.Enum):
    """The kinds of key this product makes."""

    P256 = "P-256"
    P384 = "P-384"
    RSA3072 = "RSA-3072"

    @property
    def hash_algorithm(self) -> HashAlgorithm:
        """The hash that matches the key's strength."""
        return HashAlgorithm.SHA384 if self is KeyKind.P384 else HashAlgorithm.SHA256

    @property
    def signature_algorithm(self) -> SignatureAlgorithm:
        """The scheme that keys of this kind sign with by default."""
        return SignatureAlgorithm.RSA_PKCS1 if self is KeyKind.RSA3072 else SignatureAlgorithm.ECDSA


def key_kind(public_key: object) -> KeyKind:
    """Return the kind of a public key, or raise `UnsupportedAlgorithmError`."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        if isinstance(public_key.curve, ec.SECP256R1):
            return KeyKind.P256
        if isinstance(public_key.curve, ec.SECP384R1):
            return KeyKind.P384
        raise UnsupportedAlgorithmError(
            f"expected a key on P-256 or P-384, got the curve {public_key.curve.name}"
        )
    if isinstance(public_key, rsa.RSAPublicKey):
        if public_key.key_size >= MIN_RSA_BITS:
            return KeyKind.RSA3072
        raise UnsupportedAlgorithmError(
            f"expected an RSA key of at least {MIN_RSA_BITS} bits, got {public_key.key_size}"
        )
    raise UnsupportedAlgorithmError(
        f"expected an EC or RSA public key, got {type(public_key).__name__}"
    )


def ecdsa_size(public_key: ec.EllipticCurvePublicKey) -> int:
    """Length in bytes of r, and of s, for a key's curve."""
    return (public_key.curve.key_size + 7) // 8


def ecdsa_raw_to_der(raw: bytes) -> bytes:
    """Turn r||s of fixed length into the DER SEQUENCE of RFC 3279 2.2.3."""
    if not raw or len(raw) % 2:
        raise SignatureEncodingError(
            f"expected r||s of fixed length (64 or 96 bytes), got {len(raw)} bytes"
        )
    half = len(raw) // 2
    return utils.encode_dss_signature(
        int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    )


def ecdsa_der_to_raw(der: bytes, size: int) -> bytes:
    """Turn the DER SEQUENCE into r||s, each `size` bytes long.

    Raises:
        SignatureEncodingError: Not DER, or a number does not fit.
    """
    try:
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (ValueError, OverflowError) as error:
        raise SignatureEncodingError(
            f"expected a DER SEQUENCE of two integers of at most {size} bytes each"
        ) from error
