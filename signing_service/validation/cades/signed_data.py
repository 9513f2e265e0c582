"""The parts of a CMS SignedData, each as the very bytes that were sent (RFC 5652 5.1).

Archive time stamps hash these bytes, and every signer is judged alone: `message_of` puts one of
several signers into a SignedData of its own, without the content, for `cms_signature` to read.
"""

import dataclasses
from collections.abc import Iterator

from pki import der, errors, originals
from signing_service.validation.cades import attributes
from signing_service.validation.cms import ber, cms_signature

MAX_BYTES = 64 * 2**20
"""Largest CMS that is read, with its content."""
MAX_SIGNERS = 50
"""Signers beside each other, and counter-signatures of one."""

_ID_SIGNED_DATA = der.encode_oid("1.2.840.113549.1.7.2")
_CERTIFICATES, _CRLS = 0xA0, 0xA1
_SIGNED, _UNSIGNED = 0xA0, 0xA1
_FIELDS = (_CERTIFICATES, _CRLS, der.SET)
_PIECES = der.OCTET_STRING | 0x20
_VERSION = b"\x02\x01\x01"


class SignedDataError(cms_signature.CMSFormatError):
    """The bytes are no CMS SignedData."""


@dataclasses.dataclass(frozen=True)
class Attribute:
    """One attribute.

    Attributes:
        oid: Its type, dotted.
        type_der: Its type.
        values: Each value, a whole element.
        raw: The whole attribute.
    """

    oid: str
    type_der: bytes
    values: tuple[bytes, ...]
    raw: bytes


@dataclasses.dataclass(frozen=True)
class Signer:
    """One SignerInfo; `members` are the elements up to the signature value."""

    raw: bytes
    members: tuple[bytes, ...]
    signature_value: bytes
    signed: tuple[Attribute, ...]
    unsigned: tuple[Attribute, ...]

    def values_of(self, *oids: str) -> list[bytes]:
        """The values of unsigned attributes of some types, in the order found."""
        return [value for one in self.unsigned if one.oid in oids for value in one.values]

    def names(self) -> frozenset[str]:
        """The types of all attributes."""
        return frozenset(one.oid for one in (*self.signed, *self.unsigned))


@dataclasses.dataclass(frozen=True)
class SignedData:
    """What a SignedData holds; fields that are absent are empty.

    Attributes:
        message: The whole message, with definite lengths.
        sent: The same as it was sent.
        encapsulated: The whole EncapsulatedContentInfo.
        content_type_der: The type of the content.
        content: The content's octets; None where it is detached.
        certificates_field: The whole field, with its tag.
        certificates: Each element in it.
        crls_field: The whole field, with its tag.
        crls: Each element in it.
        ends_at: Where the SignedData ended in what was read.
    """

    message: originals.Original
    sent: originals.Original
    encapsulated: originals.Original
    content_type_der: bytes
    content: originals.Original | None
    certificates_field: bytes
    certificates: tuple[bytes, ...]
    crls_field: bytes
    crls: tuple[bytes, ...]
    signers: tuple[Signer, ...]
    ends_at: int

    @property
    def octets(self) -> bytes:
        """The whole message, with definite lengths, in memory."""
        return originals.octets(self.message)

    def has_bytes_behind(self, data: bytes) -> bool:
        """Whether something but padding follows in what was read."""
        return bool(data[self.ends_at :].strip(b"\0\r\n"))

    def message_of(
        self, signer: Signer, *, is_counter_signature: bool = False
    ) -> cms_signature.Message:
        """One signer with all certificates and statuses; raises `CMSFormatError`.

        Other kinds of certificates than X.509's (RFC 5652 10.2.2), which anybody can add, are left
        out: nothing is read from them.
        """
        kept = [one for one in self.certificates if one[0] == der.SEQUENCE]
        body = der.encode(
            der.SEQUENCE,
            _VERSION,
            der.encode(der.SET),
            der.encode(der.SEQUENCE, self.content_type_der),
            der.encode(_CERTIFICATES, *kept) if kept else b"",
            self.crls_field,
            der.encode(der.SET, signer.raw),
        )
        return cms_signature.Message(
            der.encode(der.SEQUENCE, _ID_SIGNED_DATA, der.encode(0xA0, body)),
            is_counter_signature=is_counter_signature,
        )


def looks_like_cms(head: bytes) -> bool:
    """Whether bytes begin as CMS SignedData does, with whatever lengths."""
    return head[:1] == b"\x30" and _ID_SIGNED_DATA in head[:24]


def parse(data: bytes) -> SignedData:
    """Read SignedData, in BER or DER; bytes behind it are left to the caller.

    Raises:
        SignedDataError: Something else.
        BERError: Not BER at all.
        LimitError: Larger than `MAX_BYTES`, or with more signers than `MAX_SIGNERS`.
    """
    if len(data) > MAX_BYTES:
        raise errors.LimitError(f"expected CMS of at most {MAX_BYTES} bytes")
    definite, ends_at = ber.to_definite(data)
    try:
        identifier, wrapped = elements(content_of(definite, der.SEQUENCE))
        if identifier != _ID_SIGNED_DATA:
            raise SignedDataError("expected CMS SignedData, got another content type")
        (body,) = elements(content_of(wrapped, 0xA0))
        _, _, encapsulated, *rest = elements(content_of(body, der.SEQUENCE))
        content_type_der, *contents = elements(content_of(encapsulated, der.SEQUENCE))
        octets = None
        if contents:
            (content,) = contents
            (inner,) = elements(content_of(content, 0xA0))
            if inner[0] == _PIECES:
                # X.690 8.7.3.2: pieces may have definite lengths all the way up.
                inner, _ = ber.to_definite(inner)
            octets = content_of(inner, None)
        fields = {one[0]: one for one in rest}
        if [one[0] for one in rest] != [one for one in _FIELDS if one in fields]:
            # Of two fields of a kind, one reader takes the first and another one the last.
            raise SignedDataError("expected the fields of SignedData, each once and in their order")
        signer_list = list(elements(content_of(fields[der.SET], der.SET)))
        certificates, crls = (
            tuple(elements(content_of(fields[tag], None))) if tag in fields else ()
            for tag in (_CERTIFICATES, _CRLS)
        )
    except (ValueError, KeyError, IndexError) as error:
        raise SignedDataError("expected CMS SignedData, got something else") from error
    if len(signer_list) > MAX_SIGNERS:
        raise errors.LimitError(f"expected at most {MAX_SIGNERS} signers in a CMS")
    return SignedData(
        message=definite,
        sent=data[:ends_at],
        encapsulated=encapsulated,
        content_type_der=content_type_der,
        content=octets,
        certificates_field=fields.get(_CERTIFICATES, b""),
        certificates=certificates,
        crls_field=fields.get(_CRLS, b""),
        crls=crls,
        signers=tuple(map(parse_signer, signer_list)),
        ends_at=ends_at,
    )


def parse_signer(raw: bytes) -> Signer:
    """Read a SignerInfo; raises `SignedDataError`."""
    try:
        members = list(elements(content_of(raw, der.SEQUENCE)))
        unsigned = members.pop() if members[-1][0] == _UNSIGNED else b""
        signed = next((one for one in members[3:4] if one[0] == _SIGNED), b"")
        return Signer(
            raw=raw,
            members=tuple(members),
            signature_value=content_of(members[-1], der.OCTET_STRING),
            signed=_attributes(signed),
            unsigned=_attributes(unsigned),
        )
    except (ValueError, IndexError) as error:
        raise SignedDataError("expected a SignerInfo, got something else") from error


def _attributes(field: bytes) -> tuple[Attribute, ...]:
    found = []
    for raw in elements(content_of(field, None)) if field else ():
        type_der, values = elements(content_of(raw, der.SEQUENCE))
        try:
            oid = der.decode_oid(der.read(type_der))
        except der.DERError:
            oid = ""
        found.append(Attribute(oid, type_der, tuple(elements(content_of(values, der.SET))), raw))
    return tuple(found)


def is_attributes(content: originals.Original) -> bool:
    """Whether a content has the form of signed attributes: a SET with type and digest in it."""
    octets = bytearray()
    for piece in originals.pieces(content):
        octets += piece
        head = bytes(octets[:16])
        if head[:1] != bytes((der.SET,)) or len(octets) >= _first_element_size(head):
            break
    try:
        found = _attributes(bytes(octets)) if octets[:1] == bytes((der.SET,)) else ()
    except (ValueError, errors.InputError):
        return False
    names = {one.oid for one in found}
    return {attributes.CONTENT_TYPE, attributes.MESSAGE_DIGEST} <= names


def _first_element_size(octets: bytes) -> int:
    """How long the first element says it is; 0 where it does not, or is no element."""
    try:
        body, size = ber.header(octets, 0, MAX_BYTES)
    except (errors.InputError, IndexError):
        return 0
    return 0 if size is None else body + size


def elements(content: bytes) -> Iterator[bytes]:
    """The elements that follow each other, each whole; lengths need not be the shortest."""
    offset = 0
    while offset < len(content):
        body, size = _bounds(content, offset)
        yield content[offset : body + size]
        offset = body + size


def content_of(element: bytes, tag: int | None) -> bytes:
    """The content of an element, which has to have a tag where one is named."""
    if not element or (tag is not None and element[0] != tag):
        raise ValueError("expected another ASN.1 tag")
    body, size = _bounds(element, 0)
    return element[body : body + size]


def _bounds(data: bytes, offset: int) -> tuple[int, int]:
    body, size = ber.header(data, offset, len(data))
    if size is None:
        raise ValueError("expected a definite length")
    return body, size
