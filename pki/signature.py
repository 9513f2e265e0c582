"""What every key signs and what it gives back, be it a card, a phone or a hardware module."""

import dataclasses

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from pki import algorithms, errors


class SignatureValueError(errors.InputError):
    """The signature value does not verify with the key it is said to come from."""

    code = "signature-value-invalid"


@dataclasses.dataclass(frozen=True)
class SignedObject:
    """What an authority is about to sign, as far as the log of its signatures tells it.

    Attributes:
        kind: `certificate` or `crl`.
        issuer: The issuer's distinguished name, as text for people.
        number: A certificate's serial number in hex as the registry writes it, or a CRL's number
            in decimal.
        to_be_signed_sha256: Of the to-be-signed bytes, in hex.
    """

    kind: str
    issuer: str
    number: str
    to_be_signed_sha256: str


@dataclasses.dataclass(frozen=True)
class DataToBeSignedRepresentation:
    """The hash that a signature creation device signs (EN 319 102-1 4.2.6).

    Attributes:
        hash_algorithm: Which hash.
        hash: Its value.
        stands_for: What it is the hash of, where the signer says so; no part of what is signed.
    """

    hash_algorithm: algorithms.HashAlgorithm
    hash: bytes
    stands_for: SignedObject | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse a hash whose length does not fit its algorithm."""
        if len(self.hash) != self.hash_algorithm.size:
            raise errors.InputError(
                f"expected a {self.hash_algorithm.value} hash of {self.hash_algorithm.size} bytes,"
                f" got {len(self.hash)} bytes"
            )


@dataclasses.dataclass(frozen=True)
class SignatureValue:
    """A signature value; for ECDSA `value` is r||s of fixed length, never DER."""

    algorithm: algorithms.SignatureAlgorithm
    hash_algorithm: algorithms.HashAlgorithm
    value: bytes

    def encoded_for_cms(self) -> bytes:
        """The value as CMS, X.509, OCSP and RFC 3161 carry it: DER for ECDSA."""
        if self.algorithm is algorithms.SignatureAlgorithm.ECDSA:
            return algorithms.ecdsa_raw_to_der(self.value)
        return self.value


def represent(
    data: bytes, hash_algorithm: algorithms.HashAlgorithm
) -> DataToBeSignedRepresentation:
    """Hash data to be signed into its representation."""
    return DataToBeSignedRepresentation(hash_algorithm, hash_algorithm.digest(data))


def check_value(
    public_key: object, representation: DataToBeSignedRepresentation, value: SignatureValue
) -> None:
    """Check that `value` was made over `representation` by the key that belongs to `public_key`.

    An ECDSA value in DER is refused by a sentence that says so, even where it would verify: two
    encodings of one value are how a wrong length goes unnoticed.

    Raises:
        SignatureValueError: Another key, another hash, or no signature at all.
        SignatureEncodingError: ECDSA and not r||s of the curve's fixed length.
        UnsupportedAlgorithmError: The key or the scheme is not allowed.
    """
    algorithms.key_kind(public_key)
    if value.hash_algorithm is not representation.hash_algorithm:
        raise SignatureValueError(
            f"expected a signature over a {representation.hash_algorithm.value} hash,"
            f" got one over {value.hash_algorithm.value}"
        )
    prehashed = utils.Prehashed(representation.hash_algorithm.hasher)
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            _require_scheme(value, {algorithms.SignatureAlgorithm.ECDSA})
            _require_raw(public_key, value.value)
            public_key.verify(
                algorithms.ecdsa_raw_to_der(value.value),
                representation.hash,
                ec.ECDSA(prehashed),
            )
        elif isinstance(public_key, rsa.RSAPublicKey):
            _require_scheme(
                value,
                {algorithms.SignatureAlgorithm.RSA_PKCS1, algorithms.SignatureAlgorithm.RSA_PSS},
            )
            public_key.verify(value.value, representation.hash, rsa_padding(value), prehashed)
    except exceptions.InvalidSignature as error:
        raise SignatureValueError(
            "the signature value does not verify with the signing certificate's key"
        ) from error


def rsa_padding(value: SignatureValue) -> padding.PKCS1v15 | padding.PSS:
    """The RSA padding of a value; PSS uses a salt as long as the hash."""
    if value.algorithm is algorithms.SignatureAlgorithm.RSA_PSS:
        hasher = value.hash_algorithm.hasher
        return padding.PSS(padding.MGF1(hasher), hasher.digest_size)
    return padding.PKCS1v15()


def _require_scheme(value: SignatureValue, allowed: set[algorithms.SignatureAlgorithm]) -> None:
    if value.algorithm not in allowed:
        names = " or ".join(sorted(one.value for one in allowed))
        raise SignatureValueError(
            f"expected {names} for this certificate's key, got {value.algorithm.value}"
        )


def _require_raw(public_key: ec.EllipticCurvePublicKey, value: bytes) -> None:
    expected = 2 * algorithms.ecdsa_size(public_key)
    if len(value) == expected:
        return
    if value[:1] == b"\x30":
        raise algorithms.SignatureEncodingError(
            f"expected an ECDSA value as raw r||s of {expected} bytes, got DER:"
            " cut each integer to its fixed length and join them"
        )
    raise algorithms.SignatureEncodingError(
        f"expected an ECDSA value as raw r||s of {expected} bytes, got {len(value)} bytes"
    )
