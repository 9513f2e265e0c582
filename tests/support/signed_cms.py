"""CAdES signatures put together octet by octet, the honest way or not (EN 319 122-1)."""

import dataclasses
import datetime
import hashlib
from collections.abc import Sequence

from pki import algorithms, certificates, der, signature
from tests.support import hierarchy, statuses, time_stamps

DATA = "1.2.840.113549.1.7.1"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
ARCHIVE_TIME_STAMP_V3 = "0.4.0.1733.2.4"
HASH_INDEX_V3 = "0.4.0.19122.1.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
_SHA256 = der.encode(der.SEQUENCE, der.encode_oid("2.16.840.1.101.3.4.2.1"))
_ECDSA_SHA256 = der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.4.3.2"))
_OCSP_RESPONSE = der.encode_oid("1.3.6.1.5.5.7.16.2")


def attribute(oid: str, *values: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, *values))


@dataclasses.dataclass
class Signer:
    """One signer's part; the unsigned attributes may grow."""

    holder: hierarchy.Holder
    content: bytes
    at: datetime.datetime
    content_type: str | None = DATA
    named: hierarchy.Holder | None = None
    without_attributes: bool = False
    order: int = 1
    sent_order: int = 1
    unsigned: list[bytes] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        digest = der.encode(der.OCTET_STRING, hashlib.sha256(self.content).digest())
        certificate = der.encode(
            der.OCTET_STRING, hashlib.sha256((self.named or self.holder).der).digest()
        )
        binding = der.encode(
            der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, certificate))
        )
        attributes = [
            attribute("1.2.840.113549.1.9.4", digest),
            attribute("1.2.840.113549.1.9.5", der.encode_time(self.at)),
            attribute("1.2.840.113549.1.9.16.2.47", binding),
        ]
        if self.content_type is not None:
            attributes.append(attribute("1.2.840.113549.1.9.3", der.encode_oid(self.content_type)))
        self.signed = sorted(attributes)[:: self.order]
        hashed = signature.represent(
            der.encode(der.SET, *self.signed), algorithms.HashAlgorithm.SHA256
        )
        self.value = self.holder.handle.sign(hashed).encoded_for_cms()

    @property
    def members(self) -> list[bytes]:
        serial = self.holder.certificate.serial_number
        number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        return [
            b"\x02\x01\x01",
            der.encode(
                der.SEQUENCE,
                self.holder.certificate.issuer.public_bytes(),
                der.encode(der.INTEGER, number),
            ),
            _SHA256,
            *(
                ()
                if self.without_attributes
                else (der.encode(0xA0, *self.signed[:: self.sent_order]),)
            ),
            _ECDSA_SHA256,
            der.encode(der.OCTET_STRING, self.value),
        ]

    @property
    def raw(self) -> bytes:
        tail = [der.encode(0xA1, *self.unsigned)] if self.unsigned else []
        return der.encode(der.SEQUENCE, *self.members, *tail)


@dataclasses.dataclass
class Cms:
    """A SignedData under construction."""

    content: bytes
    signers: list[Signer]
    attached: bool = True
    certificates: Sequence[bytes] | None = None
    crls: Sequence[bytes] = ()
    content_type: str = DATA

    def all_certificates(self) -> list[bytes]:
        if self.certificates is not None:
            return list(self.certificates)
        found = [
            certificates.to_der(one) for each in self.signers for one in each.holder.chain[:-1]
        ]
        return list(dict.fromkeys(found))

    def encode(self) -> bytes:
        inside = [der.encode(0xA0, der.encode(der.OCTET_STRING, self.content))]
        body = der.encode(
            der.SEQUENCE,
            b"\x02\x01\x01",
            der.encode(der.SET, _SHA256),
            der.encode(
                der.SEQUENCE,
                der.encode_oid(self.content_type),
                *(inside if self.attached else ()),
            ),
            *([der.encode(0xA0, *self.all_certificates())] if self.all_certificates() else ()),
            *([der.encode(0xA1, *self.crls)] if self.crls else ()),
            der.encode(der.SET, *(one.raw for one in self.signers)),
        )
        return der.encode(
            der.SEQUENCE, der.encode_oid("1.2.840.113549.1.7.2"), der.encode(0xA0, body)
        )

    def add_archive_time_stamp(self, unit: hierarchy.Holder, at: datetime.datetime) -> None:
        """EN 319 122-1 5.5.3, for the first signer."""
        signer = self.signers[0]
        values = []
        for raw in signer.unsigned:
            kind, held = der.read(raw).children()
            values += [
                der.encode(kind.tag, kind.content) + der.encode(one.tag, one.content)
                for one in held.children()
            ]
        index = hash_index(self.all_certificates(), self.crls, values)
        covered = b"".join(
            [
                der.encode_oid(self.content_type),
                hashlib.sha256(self.content).digest(),
                *signer.members,
                index,
            ]
        )
        token = with_unsigned(stamp(unit, covered, at), attribute(HASH_INDEX_V3, index))
        signer.unsigned.append(attribute(ARCHIVE_TIME_STAMP_V3, token))


def hash_index(
    certificates: Sequence[bytes], crls: Sequence[bytes], values: Sequence[bytes]
) -> bytes:
    """ATSHashIndexV3 over certificates, CRLs, and the types and values of attributes."""
    return der.encode(
        der.SEQUENCE,
        _SHA256,
        *(
            der.encode(
                der.SEQUENCE,
                *(der.encode(der.OCTET_STRING, hashlib.sha256(one).digest()) for one in some),
            )
            for some in (certificates, crls, values)
        ),
    )


def sign(content: bytes, holder: hierarchy.Holder, at: datetime.datetime) -> Cms:
    """A CAdES signature of level B-B by one signer."""
    return Cms(content, [Signer(holder, content, at)])


def long_term(
    content: bytes, world: hierarchy.Hierarchy, holder: hierarchy.Holder, at: datetime.datetime
) -> Cms:
    """B-LT: a time stamp, and statuses of everybody beside the certificates."""
    made = sign(content, holder, at)
    token = stamp(world.time_stamping_unit(), made.signers[0].value, at)
    made.signers[0].unsigned.append(attribute(SIGNATURE_TIME_STAMP, token))
    good = statuses.ocsp_response(
        holder.certificate, world.issuing.certificate, world.ocsp_responder(), at
    )
    made.crls = (
        world.crl(world.root, at=at),
        world.crl(world.infrastructure, at=at),
        ocsp_entry(good),
    )
    return made


def stamp(unit: hierarchy.Holder, octets: bytes, at: datetime.datetime) -> bytes:
    """A token over octets."""
    wanted = signature.represent(octets, algorithms.HashAlgorithm.SHA256)
    return time_stamps.time_stamp_token(unit, wanted, at)


def ocsp_entry(response: bytes) -> bytes:
    """An OCSP response as SignedData.crls holds it (RFC 5652 10.2.1)."""
    return der.encode(0xA1, _OCSP_RESPONSE, response)


def with_unsigned(message: bytes, added: bytes) -> bytes:
    """A CMS message whose only signer has an unsigned attribute."""
    identifier, wrapped = der.read(message).children()
    (body,) = wrapped.children()
    *before, signers = body.children()
    (signer,) = signers.children()
    infos = der.encode(der.SET, der.encode(der.SEQUENCE, signer.content, der.encode(0xA1, added)))
    return der.encode(
        der.SEQUENCE,
        der.encode(identifier.tag, identifier.content),
        der.encode(
            0xA0,
            der.encode(der.SEQUENCE, *(der.encode(one.tag, one.content) for one in before), infos),
        ),
    )


def without_certificates(message: bytes) -> bytes:
    """A CMS message without its field of certificates."""
    identifier, wrapped = der.read(message).children()
    (body,) = wrapped.children()
    kept = (der.encode(one.tag, one.content) for one in body.children() if one.tag != 0xA0)
    return der.encode(
        der.SEQUENCE,
        der.encode(identifier.tag, identifier.content),
        der.encode(0xA0, der.encode(der.SEQUENCE, *kept)),
    )


def indefinite(message: bytes) -> bytes:
    """The same message as a stream would write it: no lengths, the content in pieces."""

    def element(one: der.Element, depth: int) -> bytes:
        if depth < 7 and one.tag in (0x30, 0x31, 0xA0):
            inside = b"".join(element(child, depth + 1) for child in one.children())
            return bytes((one.tag, 0x80)) + inside + b"\x00\x00"
        if one.tag == der.OCTET_STRING and depth == 5:
            half = len(one.content) // 2
            pieces = (one.content[:half], one.content[half:])
            return b"\x24\x80" + b"".join(der.encode(4, piece) for piece in pieces) + b"\x00\x00"
        return der.encode(one.tag, one.content)

    return element(der.read(message), 0)
