"""DER of the types that several protocols share: numbers, times, algorithms and extensions."""

import dataclasses
import datetime
import re

from cryptography.hazmat.primitives.asymmetric import ec

from pki import algorithms, clock, der, errors, signature

MAX_INTEGER_OCTETS = 64
"""Serial numbers have at most 20 octets, nonces fewer than 64; larger is an attack or a mistake."""

MAX_EXTENSIONS = 32
"""More extensions than any protocol here defines."""

_TIME = re.compile(r"(\d{14})(?:\.(\d{0,5}[1-9]))?Z")

_HASH_OIDS = {
    algorithms.HashAlgorithm.SHA256: "2.16.840.1.101.3.4.2.1",
    algorithms.HashAlgorithm.SHA384: "2.16.840.1.101.3.4.2.2",
    algorithms.HashAlgorithm.SHA512: "2.16.840.1.101.3.4.2.3",
}
"""RFC 5754 2."""

_SIGNATURE_OIDS = {
    (algorithms.SignatureAlgorithm.ECDSA, algorithms.HashAlgorithm.SHA256): "1.2.840.10045.4.3.2",
    (algorithms.SignatureAlgorithm.ECDSA, algorithms.HashAlgorithm.SHA384): "1.2.840.10045.4.3.3",
    (algorithms.SignatureAlgorithm.ECDSA, algorithms.HashAlgorithm.SHA512): "1.2.840.10045.4.3.4",
    (
        algorithms.SignatureAlgorithm.RSA_PKCS1,
        algorithms.HashAlgorithm.SHA256,
    ): "1.2.840.113549.1.1.11",
    (
        algorithms.SignatureAlgorithm.RSA_PKCS1,
        algorithms.HashAlgorithm.SHA384,
    ): "1.2.840.113549.1.1.12",
    (
        algorithms.SignatureAlgorithm.RSA_PKCS1,
        algorithms.HashAlgorithm.SHA512,
    ): "1.2.840.113549.1.1.13",
}
"""RFC 5754 3 and RFC 5758 3.2."""

_SIGNATURES_BY_OID = {oid: pair for pair, oid in _SIGNATURE_OIDS.items()}

_RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
"""In a CMS SignerInfo this means PKCS#1 v1.5 with the digest algorithm (RFC 3370 3.2)."""

_NULL = b"\x05\x00"


@dataclasses.dataclass(frozen=True)
class Extension:
    """An extension as X.509 and its protocols write it (RFC 5280 4.1.2.9)."""

    oid: str
    critical: bool
    value: bytes


def encode_integer(value: int) -> bytes:
    """Return an INTEGER of the shortest form."""
    # One bit more than the number needs, for its sign; -128 needs seven, as 127 does.
    octets = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return der.encode(der.INTEGER, value.to_bytes(octets, "big", signed=True))


def decode_integer(element: der.Element) -> int:
    """Return the number of an INTEGER of the shortest form and at most `MAX_INTEGER_OCTETS`.

    Raises:
        DERError: Another type, empty, too long or not the shortest form.
    """
    content = element.expect(der.INTEGER).content
    if not 1 <= len(content) <= MAX_INTEGER_OCTETS:
        raise der.DERError(
            f"expected an INTEGER of 1 to {MAX_INTEGER_OCTETS} octets, got {len(content)}"
        )
    if len(content) > 1 and (content[0], content[1] >> 7) in {(0, 0), (0xFF, 1)}:
        raise der.DERError("expected the shortest form of an INTEGER")
    return int.from_bytes(content, "big", signed=True)


def decode_boolean(element: der.Element) -> bool:
    """Return the value of a DER BOOLEAN (X.690 11.1)."""
    content = element.expect(der.BOOLEAN).content
    if content not in {b"\x00", b"\xff"}:
        raise der.DERError("expected a BOOLEAN of 00 or FF")
    return content == b"\xff"


def encode_time(at: datetime.datetime) -> bytes:
    """Return a GeneralizedTime in whole seconds of UTC (RFC 5280 4.1.2.5.2)."""
    text = clock.whole_seconds(at).strftime("%Y%m%d%H%M%SZ")
    return der.encode(der.GENERALIZED_TIME, text.rjust(15, "0").encode("ascii"))


def decode_time(element: der.Element) -> datetime.datetime:
    """Return the time of a DER GeneralizedTime; a fraction has at most six digits.

    Raises:
        DERError: Another form, or no real time.
    """
    text = der.decode_text(element, der.GENERALIZED_TIME)
    match = _TIME.fullmatch(text)
    if match is None or not text.isascii():
        raise der.DERError("expected a GeneralizedTime such as 20260131120000Z")
    try:
        at = datetime.datetime.strptime(match[1], "%Y%m%d%H%M%S")  # noqa: DTZ007 - set below
    except ValueError as error:
        raise der.DERError("expected a time that exists") from error
    return at.replace(microsecond=int((match[2] or "0").ljust(6, "0")), tzinfo=datetime.UTC)


def encode_hash_algorithm(hash_algorithm: algorithms.HashAlgorithm) -> bytes:
    """Return the AlgorithmIdentifier of a hash, without parameters (RFC 5754 2)."""
    return der.encode(der.SEQUENCE, der.encode_oid(_HASH_OIDS[hash_algorithm]))


def decode_algorithm(element: der.Element) -> str:
    """Return the identifier of an AlgorithmIdentifier whose parameters are absent or NULL.

    Raises:
        DERError: Malformed.
        UnsupportedAlgorithmError: It has parameters.
    """
    parts = element.expect(der.SEQUENCE).children()
    if not 1 <= len(parts) <= 2:
        raise der.DERError("expected an AlgorithmIdentifier of one or two parts")
    oid = der.decode_oid(parts[0])
    if len(parts) == 2 and (parts[1].tag, parts[1].content) != (_NULL[0], b""):
        raise algorithms.UnsupportedAlgorithmError(
            f"expected an algorithm without parameters, got {oid} with some"
        )
    return oid


def decode_hash_algorithm(element: der.Element) -> algorithms.HashAlgorithm:
    """Return the hash of an AlgorithmIdentifier.

    Raises:
        DERError: Malformed.
        UnsupportedAlgorithmError: A hash that is not allowed.
    """
    oid = decode_algorithm(element)
    for hash_algorithm, known in _HASH_OIDS.items():
        if known == oid:
            return hash_algorithm
    raise algorithms.UnsupportedAlgorithmError(f"expected SHA-256, -384 or -512, got {oid}")


def encode_signature_algorithm(value: signature.SignatureValue) -> bytes:
    """Return the AlgorithmIdentifier of a signature by one of our keys (ECDSA or PKCS#1 v1.5).

    Raises:
        UnsupportedAlgorithmError: RSASSA-PSS, which no key handle makes.
    """
    return _encode_signature_algorithm(value.algorithm, value.hash_algorithm)


def encode_key_algorithm(kind: algorithms.KeyKind) -> bytes:
    """Return the AlgorithmIdentifier of the signatures that a key of a kind makes."""
    return _encode_signature_algorithm(kind.signature_algorithm, kind.hash_algorithm)


def _encode_signature_algorithm(
    scheme: algorithms.SignatureAlgorithm, hash_algorithm: algorithms.HashAlgorithm
) -> bytes:
    oid = _SIGNATURE_OIDS.get((scheme, hash_algorithm))
    if oid is None:
        raise algorithms.UnsupportedAlgorithmError(
            f"expected ECDSA or RSASSA-PKCS1-v1_5, got {scheme.value}"
        )
    # RSA has NULL, ECDSA nothing (RFC 5754 3.2 and 3.3).
    parameters = _NULL if scheme is algorithms.SignatureAlgorithm.RSA_PKCS1 else b""
    return der.encode(der.SEQUENCE, der.encode_oid(oid), parameters)


def decode_signature_value(
    algorithm: der.Element,
    value: bytes,
    public_key: algorithms.PublicKey,
    digest: algorithms.HashAlgorithm | None = None,
) -> signature.SignatureValue:
    """Return the signature value that X.509, OCSP or CMS carries, for `signature.check_value`.

    Args:
        algorithm: The AlgorithmIdentifier.
        value: DER for ECDSA.
        public_key: The key it is said to come from: its curve says how long r and s are.
        digest: The SignerInfo's digest algorithm, for CMS.

    Raises:
        DERError: Malformed.
        UnsupportedAlgorithmError: A scheme or hash that is not allowed, or not for this key.
        SignatureEncodingError: An ECDSA value that is not DER.
    """
    oid = decode_algorithm(algorithm)
    if oid == _RSA_ENCRYPTION and digest is not None:
        return signature.SignatureValue(algorithms.SignatureAlgorithm.RSA_PKCS1, digest, value)
    if oid not in _SIGNATURES_BY_OID:
        raise algorithms.UnsupportedAlgorithmError(
            f"expected ECDSA or RSASSA-PKCS1-v1_5 with SHA-2, got {oid}"
        )
    scheme, hash_algorithm = _SIGNATURES_BY_OID[oid]
    if scheme is algorithms.SignatureAlgorithm.ECDSA:
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise algorithms.UnsupportedAlgorithmError("expected an RSA signature of an RSA key")
        value = algorithms.ecdsa_der_to_raw(value, algorithms.ecdsa_size(public_key))
    return signature.SignatureValue(scheme, hash_algorithm, value)


def encode_extensions(extensions: tuple[Extension, ...]) -> bytes:
    """Return the SEQUENCE OF extensions; `critical` is left out where it is false."""
    return der.encode(
        der.SEQUENCE,
        *(
            der.encode(
                der.SEQUENCE,
                der.encode_oid(one.oid),
                der.encode(der.BOOLEAN, b"\xff") if one.critical else b"",
                der.encode(der.OCTET_STRING, one.value),
            )
            for one in extensions
        ),
    )


def decode_extensions(element: der.Element) -> tuple[Extension, ...]:
    """Return the extensions of a SEQUENCE OF; none may come twice (RFC 5280 4.2).

    Args:
        element: Its tag is the caller's to check, as some protocols tag it implicitly.

    Raises:
        DERError: Malformed, repeated or too many.
    """
    extensions: dict[str, Extension] = {}
    for one in element.children():
        parts = one.expect(der.SEQUENCE).children()
        if not 2 <= len(parts) <= 3:
            raise der.DERError("expected an extension of two or three parts")
        oid = der.decode_oid(parts[0])
        critical = decode_boolean(parts[1]) if len(parts) == 3 else False
        if oid in extensions or len(extensions) == MAX_EXTENSIONS:
            raise der.DERError("expected each extension once, and few of them")
        extensions[oid] = Extension(oid, critical, parts[-1].expect(der.OCTET_STRING).content)
    return tuple(extensions.values())


def decode_bit_string(element: der.Element) -> bytes:
    """Return the octets of a BIT STRING without unused bits."""
    content = element.expect(der.BIT_STRING).content
    if content[:1] != b"\x00":
        raise der.DERError("expected a BIT STRING of whole octets")
    return content[1:]


def unwrap(element: der.Element, tag: int) -> der.Element:
    """Return the one element inside an explicit tag."""
    inside = element.expect(tag).children()
    if len(inside) != 1:
        raise der.DERError(f"expected one element inside the tag {tag:#04x}, got {len(inside)}")
    return inside[0]


class Fields:
    """The parts of a SEQUENCE, taken one after another; a part left over is an error."""

    def __init__(self, element: der.Element, tag: int = der.SEQUENCE) -> None:
        """Split a SEQUENCE into its parts."""
        self._parts = list(element.expect(tag).children())

    def take(self) -> der.Element:
        """The next part, which must be there."""
        if not self._parts:
            raise der.DERError("expected another element, got the end of a SEQUENCE")
        return self._parts.pop(0)

    def take_optional(self, tag: int) -> der.Element | None:
        """The next part if it has this tag."""
        if self._parts and self._parts[0].tag == tag:
            return self._parts.pop(0)
        return None

    def end(self) -> None:
        """Check that nothing is left."""
        if self._parts:
            raise der.DERError(f"expected the end of a SEQUENCE, got {self._parts[0].tag:#04x}")


def check_no_unknown_critical(extensions: tuple[Extension, ...], known: frozenset[str]) -> None:
    """Refuse a critical extension that is not known here (RFC 5280 4.2).

    Raises:
        UnknownExtensionError: There is one.
    """
    for one in extensions:
        if one.critical and one.oid not in known:
            raise UnknownExtensionError(f"the critical extension {one.oid} is not known here")


class UnknownExtensionError(errors.InputError):
    """A critical extension that is not known."""

    code = "unknown-critical-extension"


@dataclasses.dataclass(frozen=True)
class CertificateParts:
    """Parts of a certificate exactly as they are encoded, to be hashed and compared."""

    issuer: bytes
    subject: bytes
    public_key: bytes
    """The BIT STRING of the key, without tag, length and unused bits."""


def certificate_parts(tbs_certificate: bytes) -> CertificateParts:
    """Return names and key of a to-be-signed certificate.

    Raises:
        DERError: Malformed.
    """
    fields = Fields(der.read(tbs_certificate))
    fields.take_optional(0xA0)  # The version.
    fields.take()  # The serial number.
    fields.take()  # The signature algorithm.
    issuer = fields.take()
    fields.take()  # The validity.
    subject = fields.take()
    key = Fields(fields.take())
    key.take()  # The key's algorithm.
    return CertificateParts(
        der.encode(issuer.tag, issuer.content),
        der.encode(subject.tag, subject.content),
        decode_bit_string(key.take()),
    )
