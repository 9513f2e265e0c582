"""Signature values of CMS, verified with the keys of strangers' certificates.

RFC 3370, RFC 4056 (PSS), RFC 5754, RFC 8419 (EdDSA), RFC 8702 (ECDSA with SHAKE), TR-03111 (plain
ECDSA), and SHA-2 and SHA-3 by NIST's identifiers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    padding,
    rsa,
    utils,
)

from pki import algorithms, der, errors, originals
from signing_service.validation.cms import foreign_keys

ASN1_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    exceptions.UnsupportedAlgorithm,
)
"""What asn1crypto raises for bytes that are not what it expects."""

HASHERS: dict[str, type[hashes.HashAlgorithm]] = {
    "md5": hashes.MD5,
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha512_224": hashes.SHA512_224,
    "sha512_256": hashes.SHA512_256,
    "sha3_224": hashes.SHA3_224,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
"""The hashes that `cryptography` knows, by hashlib's names."""
_STAND_INS: dict[str, type[hashes.HashAlgorithm]] = {
    "ripemd160": hashes.SHA1,
    "shake_128": hashes.SHA256,
    "shake_256": hashes.SHA512,
}
"""Those that it does not, with one of as many octets: ECDSA and DSA heed nothing else of a hash."""
KNOWN = frozenset({*HASHERS, *_STAND_INS})
"""The hashes that can be verified, by hashlib's names; which may be relied on, a policy says."""

_HASH_IDENTIFIERS = {
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha512_224": "2.16.840.1.101.3.4.2.5",
    "sha512_256": "2.16.840.1.101.3.4.2.6",
    "ripemd160": "1.3.36.3.2.1",
    "sha3_224": "2.16.840.1.101.3.4.2.7",
    "sha3_256": "2.16.840.1.101.3.4.2.8",
    "sha3_384": "2.16.840.1.101.3.4.2.9",
    "sha3_512": "2.16.840.1.101.3.4.2.10",
}
_SHA3 = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")
_TR_03111 = ("sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160")
_SCHEMES = {
    # TR-03111 5.2.1: the value is r||s.
    **{
        f"0.4.0.127.0.7.1.1.4.1.{number}": ("plain_ecdsa", name)
        for number, name in (
            *enumerate(_TR_03111, start=1),
            *enumerate(_SHA3, start=8),
        )
    },
    **{
        f"2.16.840.1.101.3.4.3.{number}": ("ecdsa", name)
        for number, name in enumerate(_SHA3, start=9)
    },
    **{
        f"2.16.840.1.101.3.4.3.{number}": ("rsassa_pkcs1v15", name)
        for number, name in enumerate(_SHA3, start=13)
    },
    **{
        f"2.16.840.1.101.3.4.3.{number}": ("dsa", name)
        for number, name in enumerate(("sha384", "sha512", *_SHA3), start=3)
    },
    "1.2.840.113549.1.1.15": ("rsassa_pkcs1v15", "sha512_224"),
    "1.2.840.113549.1.1.16": ("rsassa_pkcs1v15", "sha512_256"),
    "1.3.36.3.3.1.2": ("rsassa_pkcs1v15", "ripemd160"),
    "1.3.6.1.5.5.7.6.32": ("ecdsa", "shake_128"),
    "1.3.6.1.5.5.7.6.33": ("ecdsa", "shake_256"),
}
_RENAMED = {
    "1.3.36.3.2.1": "ripemd160",
    "shake128": "shake_128",
    "shake256": "shake_256",
    "shake256_len": "shake_256",
}
"""Hashes that asn1crypto names otherwise than hashlib."""
_ED448 = "1.3.101.113"
EDWARDS = ("ed25519", "ed448")
"""Schemes that are over the octets that are signed, and not over their hash."""
_NULL = b"\x05\x00"


class ValueMismatchError(errors.InputError):
    """The signature value does not verify over the signed attributes."""

    code = "signature-value"


class UnsupportedCMSError(errors.InputError):
    """An algorithm that is not known here."""

    code = "cms-unsupported"


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a value was made.

    Attributes:
        name: As asn1crypto names it, or `plain_ecdsa`.
        hash_name: Of what is signed, by hashlib's name.
        mask_hash: Of the mask function of RSASSA-PSS; None elsewhere.
        salt_length: Of RSASSA-PSS, in bytes.
    """

    name: str
    hash_name: str
    mask_hash: str | None = None
    salt_length: int = 0

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes that it relies on."""
        return frozenset({self.hash_name} | ({self.mask_hash} if self.mask_hash else set()))


def hash_name(algorithm: Any) -> str:
    """Name the hash of asn1crypto's digest algorithm as hashlib does; raises `ASN1_FAULTS`.

    What hashlib has no name for keeps the one that it has there.
    """
    name = str(algorithm["algorithm"].native)
    # RFC 8419 2.2: the length, in bits, is a parameter; nobody signs with another one.
    if name == "shake256_len" and algorithm["parameters"].native != 512:
        return name
    return _RENAMED.get(name, name)


def scheme_of(algorithm: Any, digest_algorithm: str) -> Scheme:
    """Read asn1crypto's signature algorithm; raises one of `ASN1_FAULTS` or `UnsupportedCMSError`.

    Args:
        algorithm: The signer's.
        digest_algorithm: The hash that the signer names beside it.
    """
    dotted = algorithm["algorithm"].dotted
    if dotted in _SCHEMES:
        return Scheme(*_SCHEMES[dotted])
    name = algorithm["algorithm"].native
    if name == "1.2.840.10045.2.1":
        return Scheme("ecdsa", digest_algorithm)
    if name == "rsassa_pss":
        parameters = algorithm["parameters"]
        mask = parameters["mask_gen_algorithm"]
        if mask["algorithm"].native != "mgf1" or parameters["trailer_field"].native != (
            "trailer_field_bc"
        ):
            raise UnsupportedCMSError("expected RSASSA-PSS with MGF1 and the usual trailer")
        return Scheme(
            name,
            hash_name(parameters["hash_algorithm"]),
            hash_name(mask["parameters"]),
            int(parameters["salt_length"].native),
        )
    if name == "ed25519":
        return Scheme(name, digest_algorithm)
    if dotted == _ED448:
        return Scheme("ed448", digest_algorithm)
    bare = name in ("rsassa_pkcs1v15", "ecdsa", "dsa")
    try:
        kind = algorithm.signature_algo
        return Scheme(kind, digest_algorithm if bare else algorithm.hash_algo)
    except ValueError as error:
        raise UnsupportedCMSError(f"the signature algorithm {name} is not known") from error


def verify(
    certificate: x509.Certificate,
    scheme: Scheme,
    value: bytes,
    signed: bytes | None,
    prehashed: Callable[[str], bytes],
) -> None:
    """Verify a value with a certificate's key.

    Args:
        certificate: Whose key is said to have signed.
        scheme: How.
        value: The signature value.
        signed: What was signed, where it is at hand whole; EdDSA signs it and not its hash.
        prehashed: Gives the hash of what was signed, by a function's hashlib name.

    Raises:
        ValueMismatchError: It does not verify, or the key is of another kind.
        UnsupportedCMSError: The key, the scheme or its hash is not known here.
    """
    key = foreign_keys.of_certificate(certificate)
    if key is None:
        raise UnsupportedCMSError("the key of the signing certificate cannot be used here")
    for one in scheme.hashes:
        if one not in KNOWN:
            raise UnsupportedCMSError(f"the hash {one!r} is not known")
    if scheme.name == "rsassa_pkcs1v15" and foreign_keys.is_for_pss_alone(certificate):
        raise ValueMismatchError("the certificate's key is for RSASSA-PSS alone (RFC 4055 1.2)")
    try:
        _verify(key, scheme, value, signed, prehashed)
    except (exceptions.InvalidSignature, algorithms.SignatureEncodingError) as error:
        raise ValueMismatchError("the signature value does not verify") from error
    except ASN1_FAULTS as error:
        raise UnsupportedCMSError(f"the scheme {scheme.name} cannot be verified here") from error


def _verify(
    key: object,
    scheme: Scheme,
    value: bytes,
    signed: bytes | None,
    prehashed: Callable[[str], bytes],
) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        expected = "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ed448"
        if scheme.name != expected:
            raise ValueMismatchError(f"the scheme {scheme.name} does not fit the certificate's key")
        if signed is None:
            raise UnsupportedCMSError("what EdDSA signs is not at hand here, only its hash")
        # RFC 8419 3.1: the attributes themselves and not their hash.
        key.verify(value, signed)
        return
    known = HASHERS | _STAND_INS
    hasher = utils.Prehashed(known[scheme.hash_name]())
    digest = prehashed(scheme.hash_name)
    if isinstance(key, ec.EllipticCurvePublicKey) and scheme.name in ("ecdsa", "plain_ecdsa"):
        encoded = value
        if scheme.name == "plain_ecdsa":
            if len(value) != 2 * algorithms.ecdsa_size(key):
                raise ValueMismatchError("the value is not r||s of the curve's size (TR-03111)")
            encoded = algorithms.ecdsa_raw_to_der(value)
        key.verify(encoded, digest, ec.ECDSA(hasher))
    elif isinstance(key, rsa.RSAPublicKey) and scheme.name == "rsassa_pss" and scheme.mask_hash:
        # The hash is taken again inside of PSS, so that no other one can stand for it.
        hasher = utils.Prehashed(HASHERS[scheme.hash_name]())
        mask = padding.MGF1(HASHERS[scheme.mask_hash]())
        key.verify(value, digest, padding.PSS(mask, scheme.salt_length), hasher)
    elif isinstance(key, rsa.RSAPublicKey) and scheme.name == "rsassa_pkcs1v15":
        _verify_pkcs1(key, value, digest, scheme.hash_name)
    elif isinstance(key, dsa.DSAPublicKey) and scheme.name == "dsa":
        key.verify(value, digest, hasher)
    else:
        raise ValueMismatchError(f"the scheme {scheme.name} does not fit the certificate's key")


def _verify_pkcs1(key: rsa.RSAPublicKey, value: bytes, digest: bytes, hash_name: str) -> None:
    """RSASSA-PKCS1-v1_5; also where the hash's parameters were left out instead of being NULL.

    RFC 8017 9.2 note 1 has the NULL and allows to accept a value without it. Both forms are
    compared whole, so that nothing can hide in what is left out.
    """
    scheme = padding.PKCS1v15()
    if hash_name in HASHERS:
        try:
            key.verify(value, digest, scheme, utils.Prehashed(HASHERS[hash_name]()))
        except exceptions.InvalidSignature:
            if hash_name not in _HASH_IDENTIFIERS:
                raise
        else:
            return
    identifier = der.encode_oid(_HASH_IDENTIFIERS[hash_name])
    forms = [
        der.encode(
            der.SEQUENCE,
            der.encode(der.SEQUENCE, identifier, *parameters),
            der.encode(der.OCTET_STRING, digest),
        )
        for parameters in ((), (_NULL,))
    ]
    if key.recover_data_from_signature(value, scheme, None) not in forms:
        raise exceptions.InvalidSignature


def digest_of(octets: bytes) -> Callable[[str], bytes]:
    """Gives the hash of some octets by a function's hashlib name."""
    return lambda name: originals.digest(octets, name)
