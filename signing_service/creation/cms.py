"""CMS signatures as PAdES and CAdES carry them, built byte by byte (RFC 5652, EN 319 122-1).

A general ASN.1 library spends most of a signature's time here and turns quadratic on some
lengths, so the few structures that are needed are written out. Reading is strict DER with
bounded sizes, since a signature to augment may come from a stranger.
"""

import dataclasses
from collections.abc import Sequence

from cryptography import x509

from pki import algorithms, certificates, der, errors, signature

MAX_CMS_BYTES = 2**20
"""Largest signature that is read; one with long-term material inside stays far below."""

MAX_CERTIFICATES = 100
"""Most certificates read from one signature."""


class CmsError(errors.InputError):
    """The bytes are no CMS signature of the kind that is read here."""

    code = "cms-malformed"


_CONTEXT_0, _CONTEXT_1, _CONTEXT_2 = 0xA0, 0xA1, 0xA2
_SUBJECT_KEY_IDENTIFIER = 0x80
_NULL = b"\x05\x00"
_VERSION_1 = b"\x02\x01\x01"

ID_DATA = der.encode_oid("1.2.840.113549.1.7.1")
ID_SIGNED_DATA = der.encode_oid("1.2.840.113549.1.7.2")
ID_MESSAGE_DIGEST = der.encode_oid("1.2.840.113549.1.9.4")
ID_TIME_STAMP_TOKEN = der.encode_oid("1.2.840.113549.1.9.16.2.14")

HASHES = {
    algorithms.HashAlgorithm.SHA256: der.encode_oid("2.16.840.1.101.3.4.2.1"),
    algorithms.HashAlgorithm.SHA384: der.encode_oid("2.16.840.1.101.3.4.2.2"),
    algorithms.HashAlgorithm.SHA512: der.encode_oid("2.16.840.1.101.3.4.2.3"),
}
_ECDSA = {
    algorithms.HashAlgorithm.SHA256: der.encode_oid("1.2.840.10045.4.3.2"),
    algorithms.HashAlgorithm.SHA384: der.encode_oid("1.2.840.10045.4.3.3"),
    algorithms.HashAlgorithm.SHA512: der.encode_oid("1.2.840.10045.4.3.4"),
}
_RSA_PKCS1 = {
    algorithms.HashAlgorithm.SHA256: der.encode_oid("1.2.840.113549.1.1.11"),
    algorithms.HashAlgorithm.SHA384: der.encode_oid("1.2.840.113549.1.1.12"),
    algorithms.HashAlgorithm.SHA512: der.encode_oid("1.2.840.113549.1.1.13"),
}
_RSA_PSS = der.encode_oid("1.2.840.113549.1.1.10")
_MGF1 = der.encode_oid("1.2.840.113549.1.1.8")


def signed_data(
    *,
    attributes: bytes,
    value: signature.SignatureValue,
    chain: Sequence[x509.Certificate],
) -> bytes:
    """Build the ContentInfo of a detached signature with one signer (RFC 5652 5.1).

    Args:
        attributes: What `cms_signed_attributes.build` gave.
        value: The signer's signature over them.
        chain: The signing certificate first, without the root.
    """
    digest_algorithm = algorithm_of(value.hash_algorithm)
    signer_info = der.encode(der.SEQUENCE, signed_part(attributes, value, chain[0]))
    return der.encode(
        der.SEQUENCE,
        ID_SIGNED_DATA,
        der.encode(
            _CONTEXT_0,
            der.encode(
                der.SEQUENCE,
                _VERSION_1,
                der.encode(der.SET, digest_algorithm),
                der.encode(der.SEQUENCE, ID_DATA),
                der.encode(_CONTEXT_0, *sorted(map(certificates.to_der, chain))),
                der.encode(der.SET, signer_info),
            ),
        ),
    )


def signed_part(
    attributes: bytes, value: signature.SignatureValue, certificate: x509.Certificate
) -> bytes:
    """Return the members of a SignerInfo up to the signature value (RFC 5652 5.3)."""
    return b"".join(
        (
            _VERSION_1,
            issuer_and_serial(certificate),
            algorithm_of(value.hash_algorithm),
            # Inside the structure the SET becomes [0] IMPLICIT; the signature is over the SET.
            bytes((_CONTEXT_0,)) + attributes[1:],
            _signature_algorithm(value),
            der.encode(der.OCTET_STRING, value.encoded_for_cms()),
        )
    )


def algorithm_of(hash_algorithm: algorithms.HashAlgorithm) -> bytes:
    """Return the AlgorithmIdentifier of a hash function, without parameters (RFC 5754 2)."""
    return der.encode(der.SEQUENCE, HASHES[hash_algorithm])


def issuer_and_serial(certificate: x509.Certificate) -> bytes:
    """Name a certificate by its issuer's name, byte for byte, and its serial number."""
    return der.encode(
        der.SEQUENCE,
        certificate.issuer.public_bytes(),
        serial_number(certificate),
    )


def names(identifier: bytes, certificate: x509.Certificate) -> bool:
    """Tell whether a signer is named by this certificate (RFC 5652 5.3)."""
    if identifier[0] == der.SEQUENCE:
        return identifier == issuer_and_serial(certificate)
    try:
        key = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return False
    return der.read(identifier).content == key.digest


def serial_number(certificate: x509.Certificate) -> bytes:
    """Return a certificate's serial number, an INTEGER."""
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big", signed=True)
    return der.encode(der.INTEGER, octets)


def attribute(identifier: bytes, value: bytes) -> bytes:
    """Return an attribute with one value (RFC 5652 5.3)."""
    return der.encode(der.SEQUENCE, identifier, der.encode(der.SET, value))


def _signature_algorithm(value: signature.SignatureValue) -> bytes:
    if value.algorithm is algorithms.SignatureAlgorithm.ECDSA:
        return der.encode(der.SEQUENCE, _ECDSA[value.hash_algorithm])
    if value.algorithm is algorithms.SignatureAlgorithm.RSA_PKCS1:
        return der.encode(der.SEQUENCE, _RSA_PKCS1[value.hash_algorithm], _NULL)
    hashed = der.encode(der.SEQUENCE, HASHES[value.hash_algorithm], _NULL)
    salt = der.encode(der.INTEGER, bytes((value.hash_algorithm.size,)))
    return der.encode(
        der.SEQUENCE,
        _RSA_PSS,
        der.encode(
            der.SEQUENCE,
            der.encode(_CONTEXT_0, hashed),
            der.encode(_CONTEXT_1, der.encode(der.SEQUENCE, _MGF1, hashed)),
            der.encode(_CONTEXT_2, salt),
        ),
    )


@dataclasses.dataclass(frozen=True)
class SignedData:
    """The parts of a CMS signature that augmentation needs; every `bytes` is a whole DER element.

    Attributes:
        certificates: The X.509 certificates inside.
        signer: How the signer is named: issuer and serial number, or a key identifier.
        hash_algorithm: The hash function of the signer.
        signed_attributes: As the SET that was hashed.
        signature_value: The content of the value, without tag and length.
        unsigned_attributes: Each one.
        before_signers: The members of SignedData up to the signers.
        signed_part: The members of the signer up to the value.
    """

    certificates: tuple[bytes, ...]
    signer: bytes
    hash_algorithm: algorithms.HashAlgorithm
    signed_attributes: bytes
    signature_value: bytes
    unsigned_attributes: tuple[bytes, ...]
    before_signers: bytes
    signed_part: bytes

    def with_time_stamp(self, token: bytes) -> bytes:
        """Return the ContentInfo with one more signature time stamp (EN 319 122-1 5.3).

        It is an unsigned attribute: not a byte of what was signed changes.
        """
        return self.with_unsigned_attribute(attribute(ID_TIME_STAMP_TOKEN, token))

    def with_unsigned_attribute(self, added: bytes) -> bytes:
        """Return the ContentInfo with one more unsigned attribute of its signer."""
        unsigned = sorted((*self.unsigned_attributes, added))
        signer_info = der.encode(der.SEQUENCE, self.signed_part, der.encode(_CONTEXT_1, *unsigned))
        content = der.encode(der.SEQUENCE, self.before_signers, der.encode(der.SET, signer_info))
        return der.encode(der.SEQUENCE, ID_SIGNED_DATA, der.encode(_CONTEXT_0, content))

    def time_stamp_tokens(self) -> tuple[bytes, ...]:
        """Return the signature time-stamp tokens, each a ContentInfo."""
        return attribute_values(self.unsigned_attributes, ID_TIME_STAMP_TOKEN)


def parse(data: bytes) -> SignedData:
    """Read a CMS signature with one signer; zero bytes after it (a PDF's padding) are allowed.

    Raises:
        CmsError: Not SignedData, several signers, or over a limit.
        DERError: Not DER.
    """
    if len(data) > MAX_CMS_BYTES:
        raise CmsError(f"expected a signature of at most {MAX_CMS_BYTES} bytes, got {len(data)}")
    identifier, wrapped = _members(der.read(without_padding(data)), 2)
    if whole(identifier) != ID_SIGNED_DATA:
        raise CmsError("expected CMS SignedData, got another content type")
    (body,) = wrapped.expect(_CONTEXT_0).children()[:1] or (der.Element(0, b""),)
    *before, signers = body.expect(der.SEQUENCE).children() or (der.Element(0, b""),)
    infos = signers.expect(der.SET).children()
    if len(before) < 3 or len(infos) != 1:
        raise CmsError(f"expected SignedData with one signer, got {len(infos)}")
    inside = [
        whole(one)
        for member in before[3:]
        if member.tag == _CONTEXT_0
        for one in member.children()
        if one.tag == der.SEQUENCE
    ]
    if len(inside) > MAX_CERTIFICATES:
        raise CmsError(f"expected at most {MAX_CERTIFICATES} certificates in a signature")
    signer = parse_signer(infos[0])
    return SignedData(
        certificates=tuple(inside),
        signer=signer.identifier,
        hash_algorithm=signer.hash_algorithm,
        signed_attributes=signer.signed_attributes,
        signature_value=signer.signature_value,
        unsigned_attributes=signer.unsigned_attributes,
        before_signers=b"".join(map(whole, before)),
        signed_part=signer.signed_part,
    )


@dataclasses.dataclass(frozen=True)
class Signer:
    """A SignerInfo; every `bytes` but the value is a whole DER element.

    Attributes:
        identifier: Issuer and serial number, or a key identifier.
        hash_algorithm: Of the content.
        signed_attributes: As the SET that was hashed.
        signature_value: The content of the value, without tag and length.
        unsigned_attributes: Each one.
        signed_part: The members up to the value, joined.
    """

    identifier: bytes
    hash_algorithm: algorithms.HashAlgorithm
    signed_attributes: bytes
    signature_value: bytes
    unsigned_attributes: tuple[bytes, ...]
    signed_part: bytes

    def encoded(self) -> bytes:
        """Return the SignerInfo."""
        unsigned = (
            (der.encode(_CONTEXT_1, *sorted(self.unsigned_attributes)),)
            if self.unsigned_attributes
            else ()
        )
        return der.encode(der.SEQUENCE, self.signed_part, *unsigned)

    def with_attribute(self, added: bytes) -> "Signer":
        """Return the signer with one more unsigned attribute."""
        return dataclasses.replace(self, unsigned_attributes=(*self.unsigned_attributes, added))

    def values(self, identifier: bytes) -> tuple[bytes, ...]:
        """Return the values of all unsigned attributes of a type, each a whole element."""
        return attribute_values(self.unsigned_attributes, identifier)

    @property
    def message_digest(self) -> bytes:
        """The hash of the content that the signer signed (RFC 5652 11.2)."""
        return message_digest(self.signed_attributes)


def message_digest(attributes: bytes) -> bytes:
    """Return the hash of the content among signed attributes, which are a SET.

    Raises:
        CmsError: Not exactly one.
    """
    found = attribute_values(tuple(map(whole, der.read(attributes).children())), ID_MESSAGE_DIGEST)
    if len(found) != 1:
        raise CmsError(f"expected one message-digest in a signer, got {len(found)}")
    return der.read(found[0]).expect(der.OCTET_STRING).content


def parse_signer(info: der.Element) -> Signer:
    """Read a SignerInfo that has signed attributes.

    Raises:
        CmsError: It has none.
        UnsupportedAlgorithmError: A hash function that is not SHA-2 of 256 bits or more.
    """
    members = list(info.expect(der.SEQUENCE).children())
    unsigned: tuple[der.Element, ...] = ()
    if members and members[-1].tag == _CONTEXT_1:
        unsigned = members.pop().children()
    if [one.tag for one in members] not in _SIGNER_SHAPES:
        raise CmsError("expected a signer with signed attributes (RFC 5652 5.3)")
    return Signer(
        identifier=whole(members[1]),
        hash_algorithm=_hash_algorithm(members[2]),
        signed_attributes=der.encode(der.SET, members[3].content),
        signature_value=members[5].content,
        unsigned_attributes=tuple(map(whole, unsigned)),
        signed_part=b"".join(map(whole, members)),
    )


def attribute_values(attributes: Sequence[bytes], identifier: bytes) -> tuple[bytes, ...]:
    """Return the values of all attributes of a type, each a whole element.

    Raises:
        CmsError: An attribute of another form.
    """
    found: list[bytes] = []
    for one in attributes:
        named, values = _members(der.read(one), 2)
        if whole(named) == identifier:
            found += map(whole, values.expect(der.SET).children())
    return tuple(found)


_SIGNER_SHAPES = tuple(
    [
        der.INTEGER,
        signer,
        der.SEQUENCE,
        _CONTEXT_0,
        der.SEQUENCE,
        der.OCTET_STRING,
    ]
    for signer in (der.SEQUENCE, _SUBJECT_KEY_IDENTIFIER)
)


def _hash_algorithm(identifier: der.Element) -> algorithms.HashAlgorithm:
    named = [whole(one) for one in identifier.children()[:1]]
    for algorithm, encoded in HASHES.items():
        if named == [encoded]:
            return algorithm
    raise algorithms.UnsupportedAlgorithmError("expected a signature with SHA-256, -384 or -512")


def without_padding(data: bytes) -> bytes:
    """Cut off the zero bytes that fill the rest of a PDF's placeholder.

    Raises:
        CmsError: Something else than zero bytes follows.
    """
    size, start = data[1] if len(data) > 1 else 0, 2
    if size >= 0x80:
        start = 2 + (size & 0x7F)
        size = int.from_bytes(data[2:start], "big")
    if data[start + size :].strip(b"\0"):
        raise CmsError("expected nothing but zero bytes after the signature")
    return data[: start + size]


def whole(element: der.Element) -> bytes:
    """Return an element's bytes, as they were read."""
    # Only shortest lengths are read, so that this gives the very bytes that were there.
    return der.encode(element.tag, element.content)


def _members(element: der.Element, count: int) -> tuple[der.Element, ...]:
    members = element.expect(der.SEQUENCE).children()
    if len(members) != count:
        raise CmsError(f"expected {count} members, got {len(members)}")
    return members
