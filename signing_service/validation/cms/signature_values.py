"""Signature values of CMS, verified with the keys of strangers' certificates.

RFC 3370, RFC 4056 (PSS), RFC 5754, RFC 8419 (EdDSA), TR-03111 (plain ECDSA), and SHA-3 by NIST's
identifiers.
"""

import dataclasses
import hashlib
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

from pki import algorithms, der, errors
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
    "sha3_224": hashes.SHA3_224,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
"""The hashes that can be verified, by hashlib's names; which may be relied on, a policy says."""

_HASH_IDENTIFIERS = {
    "sha1": "1.3.14.3.2.26",
    "sha224": "2.16.840.1.101.3.4.2.4",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "sha3_224": "2.16.840.1.101.3.4.2.7",
    "sha3_256": "2.16.840.1.101.3.4.2.8",
    "sha3_384": "2.16.840.1.101.3.4.2.9",
    "sha3_512": "2.16.840.1.101.3.4.2.10",
}
_SHA3 = ("sha3_224", "sha3_256", "sha3_384", "sha3_512")
_SCHEMES = {
    # TR-03111 5.2.1: the value is r||s; 6 is with RIPEMD-160.
    **{
        f"0.4.0.127.0.7.1.1.4.1.{number}": ("plain_ecdsa", name)
        for number, name in (
            *enumerate(("sha1", "sha224", "sha256", "sha384", "sha512"), start=1),
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
}
_ED448 = "1.3.101.113"


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
            parameters["hash_algorithm"]["algorithm"].native,
            str(mask["parameters"]["algorithm"].native),
            int(parameters["salt_length"].native),
        )
    if name == "ed25519":
        return Scheme(name, digest_algorithm)
    if dotted == _ED448:
        return Scheme("ed448", digest_algorithm)
    bare = name in ("rsassa_pkcs1v15", "ecdsa", "dsa")
    return Scheme(algorithm.signature_algo, digest_algorithm if bare else algorithm.hash_algo)


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
    for hash_name in scheme.hashes:
        if hash_name not in HASHERS:
            raise UnsupportedCMSError(f"the hash {hash_name!r} is not known")
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
            raise UnsupportedCMSError("EdDSA over the content itself is not verified here")
        # RFC 8419 3.1: the attributes themselves and not their hash.
        key.verify(value, signed)
        return
    hasher = utils.Prehashed(HASHERS[scheme.hash_name]())
    digest = prehashed(scheme.hash_name)
    if isinstance(key, ec.EllipticCurvePublicKey) and scheme.name in ("ecdsa", "plain_ecdsa"):
        encoded = value
        if scheme.name == "plain_ecdsa":
            if len(value) != 2 * algorithms.ecdsa_size(key):
                raise ValueMismatchError("the value is not r||s of the curve's size (TR-03111)")
            encoded = algorithms.ecdsa_raw_to_der(value)
        key.verify(encoded, digest, ec.ECDSA(hasher))
    elif isinstance(key, rsa.RSAPublicKey) and scheme.name == "rsassa_pss" and scheme.mask_hash:
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
    try:
        key.verify(value, digest, scheme, utils.Prehashed(HASHERS[hash_name]()))
    except exceptions.InvalidSignature:
        identifier = _HASH_IDENTIFIERS.get(hash_name)
        if identifier is None:
            raise
        bare = der.encode(
            der.SEQUENCE,
            der.encode(der.SEQUENCE, der.encode_oid(identifier)),
            der.encode(der.OCTET_STRING, digest),
        )
        if key.recover_data_from_signature(value, scheme, None) != bare:
            raise


def digest_of(octets: bytes) -> Callable[[str], bytes]:
    """Gives the hash of some octets by a function's hashlib name."""
    return lambda name: hashlib.new(name, octets, usedforsecurity=False).digest()
