"""Attacks on CMS signatures: attributes, certificates, fields, encodings and what is moved in."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pki import certificates, der
from tests.support import hierarchy, signed_cms
from tests.support.attacks.attacker import CONTENT, REFUSED, Attack, Attacker
from tests.support.signed_cms import attribute

_DIGEST, _TYPE = "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.3"
_BINDING, _BINDING_1 = "1.2.840.113549.1.9.16.2.47", "1.2.840.113549.1.9.16.2.12"
_TIME = "1.2.840.113549.1.9.5"

Edit = Callable[[Attacker], bytes]


@dataclasses.dataclass
class _Crafty(signed_cms.Signer):
    """A signer who signs other attributes than an honest one."""

    extra: Sequence[bytes] = ()
    without: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        left_out = tuple(map(der.encode_oid, self.without))
        kept = [one for one in self.signed if not any(named in one[:30] for named in left_out)]
        self.signed = sorted([*kept, *self.extra])
        hashed = signed_cms.signature.represent(
            der.encode(der.SET, *self.signed), signed_cms.algorithms.HashAlgorithm.SHA256
        )
        self.value = self.holder.handle.sign(hashed).encoded_for_cms()


def _crafted(
    extra: Callable[[Attacker], Sequence[bytes]] = lambda who: (), without: Sequence[str] = ()
) -> Edit:
    def make(who: Attacker) -> bytes:
        signer = _Crafty(who.victim, CONTENT, who.at, extra=extra(who), without=without)
        return signed_cms.Cms(CONTENT, [signer]).encode()

    return make


def _digest(octets: bytes) -> bytes:
    return der.encode(der.OCTET_STRING, hashlib.sha256(octets).digest())


def _binding(holder: hierarchy.Holder) -> bytes:
    inside = der.encode(der.SEQUENCE, _digest(holder.der))
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, inside))


def _numbered(who: Attacker, holder: hierarchy.Holder) -> bytes:
    """The digest of the victim's certificate, with the issuer and number of somebody's."""
    name = der.encode(der.SEQUENCE, der.encode(0xA4, holder.certificate.issuer.public_bytes()))
    serial = holder.certificate.serial_number
    number = der.encode(der.INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
    inside = der.encode(
        der.SEQUENCE, _digest(who.victim.der), der.encode(der.SEQUENCE, name, number)
    )
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, inside))


def _sha1_binding(holder: hierarchy.Holder) -> bytes:
    digest = hashlib.sha1(holder.der, usedforsecurity=False).digest()
    inside = der.encode(der.SEQUENCE, der.encode(der.OCTET_STRING, digest))
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, inside))


# --- certificates ------------------------------------------------------------------------------


def _twin(who: Attacker, holder: hierarchy.Holder) -> bytes:
    """A certificate with the issuer's name and the number of another one, made by nobody."""
    original = holder.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(original.subject)
        .issuer_name(original.issuer)
        .serial_number(original.serial_number)
        .not_valid_before(original.not_valid_before_utc)
        .not_valid_after(original.not_valid_after_utc)
        .public_key(who.mallory.key.public_key())
    )
    made = builder.sign(who.mallory.key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def forged_twin(who: Attacker) -> bytes:
    """The attacker signs, under a certificate with the victim's name and number."""
    signer = signed_cms.Signer(who.mallory, CONTENT, who.at)
    made = signed_cms.Cms(CONTENT, [signer])
    made.certificates = [_twin(who, who.victim), *made.all_certificates()]
    signer.holder = dataclasses.replace(who.victim, key=who.mallory.key)
    return made.encode()


def wrong_number(who: Attacker) -> bytes:
    made = who.cms()
    made.certificates = made.all_certificates()
    signer = made.signers[0]
    signer.holder = who.mallory
    return made.encode()


def no_certificate(who: Attacker) -> bytes:
    made = who.cms()
    made.certificates = [certificates.to_der(one) for one in who.victim.issuers[:-1]]
    return made.encode()


def certificate_of_same_key(who: Attacker) -> bytes:
    """Another certificate of the same key: its owner may use it for something else."""
    other = dataclasses.replace(who.world.signer("5AB12CD"), key=who.victim.key)
    signer = signed_cms.Signer(who.victim, CONTENT, who.at, named=who.mallory)
    del other
    return signed_cms.Cms(CONTENT, [signer]).encode()


# --- fields and encodings ----------------------------------------------------------------------


def _body(change: Callable[[list[bytes]], list[bytes]]) -> Edit:
    """The fields of SignedData, changed."""

    def make(who: Attacker) -> bytes:
        identifier, wrapped = _members(who.cms().encode())
        (body,) = _members(wrapped)
        fields = change(_members(body))
        return der.encode(
            der.SEQUENCE, identifier, der.encode(0xA0, der.encode(der.SEQUENCE, *fields))
        )

    return make


def _members(element: bytes) -> list[bytes]:
    return [der.encode(one.tag, one.content) for one in der.read(element).children()]


def _other_content(fields: list[bytes]) -> list[bytes]:
    """A second content beside the signed one."""
    kind, content = _members(fields[2])
    other = der.encode(0xA0, der.encode(der.OCTET_STRING, CONTENT.replace(b"100", b"900")))
    fields[2] = der.encode(der.SEQUENCE, kind, other, content)
    return fields


def _content_in_pieces(who: Attacker, *more: bytes) -> bytes:
    """A content in pieces of known length, and some more pieces."""
    half = len(CONTENT) // 2
    parts = (CONTENT[:half], CONTENT[half:], *more)
    pieces = b"".join(der.encode(der.OCTET_STRING, one) for one in parts)

    def change(fields: list[bytes]) -> list[bytes]:
        kind, _ = _members(fields[2])
        content = der.encode(0xA0, b"\x24" + der.encode(0, pieces)[1:])
        fields[2] = der.encode(der.SEQUENCE, kind, content)
        return fields

    return _body(change)(who)


def _all_pieces(who: Attacker) -> bytes:
    return _content_in_pieces(who)


def empty_content(who: Attacker) -> bytes:
    made = who.cms()
    made.content = b""
    return made.encode()


def attributes_as_content(who: Attacker) -> bytes:
    """The signed attributes are shown as a document, by the same value."""
    signer = signed_cms.Signer(who.victim, CONTENT, who.at)
    made = signed_cms.Cms(der.encode(der.SET, *signer.signed), [signer])
    signer.without_attributes = True
    return made.encode()


def content_of_attributes(who: Attacker) -> bytes:
    """The other way: a content without attributes becomes attributes over another content."""
    chosen = signed_cms.Signer(who.victim, b"TEST other content", who.at)
    made = signed_cms.Cms(b"TEST other content", [chosen])
    chosen.value = who.victim.handle.sign(
        signed_cms.signature.represent(CONTENT, signed_cms.algorithms.HashAlgorithm.SHA256)
    ).encoded_for_cms()
    return made.encode()


def bare_without_type(who: Attacker) -> bytes:
    signer = signed_cms.Signer(who.victim, CONTENT, who.at)
    signer.without_attributes = True
    signer.value = who.victim.handle.sign(
        signed_cms.signature.represent(CONTENT, signed_cms.algorithms.HashAlgorithm.SHA256)
    ).encoded_for_cms()
    return signed_cms.Cms(CONTENT, [signer], content_type="1.2.840.113549.1.7.3").encode()


def reordered(who: Attacker) -> bytes:
    made = who.cms()
    made.signers[0].signed = made.signers[0].signed[::-1]
    return made.encode()


# --- what is moved in --------------------------------------------------------------------------


def _unsigned(value: Callable[[Attacker, signed_cms.Cms], bytes], oid: str) -> Edit:
    def make(who: Attacker) -> bytes:
        made = who.cms()
        made.signers[0].unsigned.append(attribute(oid, value(who, made)))
        return made.encode()

    return make


def _counter(who: Attacker, made: signed_cms.Cms, over: bytes, kind: str | None = None) -> bytes:
    signer = signed_cms.Signer(who.mallory, over, who.at, content_type=kind)
    made.certificates = [
        *made.all_certificates(),
        *(certificates.to_der(one) for one in who.mallory.chain[:-1]),
    ]
    return signer.raw


def archived_then_changed(who: Attacker) -> bytes:
    """An attribute that an archive time stamp covers is taken out."""
    made = who.cms()
    signer = made.signers[0]
    token = signed_cms.stamp(who.unit, signer.value, who.at)
    signer.unsigned.append(attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    made.add_archive_time_stamp(who.unit, who.at)
    del signer.unsigned[0]
    return made.encode()


def archive_without_index(who: Attacker) -> bytes:
    made = who.cms()
    token = signed_cms.stamp(who.unit, made.signers[0].value, who.at)
    made.signers[0].unsigned.append(attribute(signed_cms.ARCHIVE_TIME_STAMP_V3, token))
    return made.encode()


def list_of_another(who: Attacker) -> bytes:
    """A revocation list of another authority makes no long-term level."""
    made = who.cms()
    token = signed_cms.stamp(who.unit, b"TEST another value", who.at)
    made.signers[0].unsigned.append(attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    made.crls = [who.world.crl(who.world.infrastructure, at=who.at)]
    return made.encode()


GALLERY = (
    Attack(
        _crafted(lambda who: [attribute(_DIGEST, _digest(b"TEST other"))]),
        "two digests in two attributes",
        "FORMAT_FAILURE",
    ),
    Attack(
        _crafted(lambda who: [attribute(_DIGEST, _digest(CONTENT), _digest(b"TEST"))], [_DIGEST]),
        "two digests in one attribute",
        "FORMAT_FAILURE",
    ),
    Attack(_crafted(without=[_DIGEST]), "no digest of the content", "FORMAT_FAILURE"),
    Attack(_crafted(without=[_TYPE]), "no type of the content", "FORMAT_FAILURE"),
    Attack(
        _crafted(lambda who: [attribute(_TYPE, der.encode_oid(signed_cms.DATA))]),
        "two types of the content",
        "FORMAT_FAILURE",
    ),
    Attack(_crafted(without=[_BINDING]), "no digest of the certificate", "SIG_CONSTRAINTS CMS-NOT"),
    Attack(
        _crafted(lambda who: [attribute(_BINDING, _binding(who.mallory))]),
        "digests of two certificates",
        "NO_SIGNING_CERTIFICATE_FOUND",
    ),
    Attack(
        _crafted(lambda who: [attribute(_BINDING_1, _sha1_binding(who.mallory))]),
        "digests of two certificates in two versions",
        "NO_SIGNING_CERTIFICATE_FOUND",
    ),
    Attack(
        _crafted(lambda who: [attribute(_BINDING, _numbered(who, who.mallory))], [_BINDING]),
        "the number of another certificate beside the digest",
        "signing-certificate-number",
    ),
    Attack(
        _crafted(lambda who: [attribute(_BINDING, b"\x04\x01x")], [_BINDING]),
        "no digest where the certificate's should be",
        "NO_SIGNING_CERTIFICATE_FOUND",
    ),
    Attack(
        _crafted(lambda who: [attribute(_DIGEST, b"\x30\x00")], [_DIGEST]),
        "no digest where the content's should be",
        "FORMAT_FAILURE",
    ),
    Attack(certificate_of_same_key, "the digest of another certificate", "NO_SIGNING_CERTIFICATE"),
    Attack(forged_twin, "a certificate with the victim's name and number", "NO_SIGNING_CERT"),
    Attack(wrong_number, "the number of a certificate that is not there", "NO_SIGNING_CERT"),
    Attack(no_certificate, "no certificate of the signer", "NO_SIGNING_CERTIFICATE_FOUND"),
    Attack(_body(lambda fields: [*fields, fields[-1]]), "the signers twice", REFUSED),
    Attack(_body(lambda fields: [*fields[:4], *fields[3:]]), "the certificates twice", REFUSED),
    Attack(_body(lambda fields: [*fields, b"\x04\x01x"]), "a field that nobody knows", REFUSED),
    Attack(_body(lambda fields: fields[:-1]), "no field of signers", REFUSED),
    Attack(_body(lambda fields: [*fields[:-1], b"\x31\x00"]), "no signer", "NO-SIGNATURE"),
    Attack(_body(_other_content), "two contents", REFUSED),
    Attack(
        lambda who: _content_in_pieces(who, b" TEST 900"),
        "one more piece of the content",
        "HASH_FAILURE",
    ),
    Attack(empty_content, "an empty content", "HASH_FAILURE"),
    Attack(attributes_as_content, "attributes for a content", "attributes-as-content"),
    Attack(content_of_attributes, "a content for attributes", "SIG_CRYPTO_FAILURE"),
    Attack(bare_without_type, "no attributes over something else than data", "FORMAT_FAILURE"),
    Attack(lambda who: who.cms().encode() + b"TEST", "bytes behind", "partial bytes-behind"),
    Attack(lambda who: who.cms().encode() + who.cms().encode(), "a second CMS behind", "partial"),
    Attack(
        _unsigned(lambda who, made: _counter(who, made, b"TEST"), signed_cms.COUNTER_SIGNATURE),
        "a counter-signature of another value",
        "HASH_FAILURE",
    ),
    Attack(
        _unsigned(
            lambda who, made: _counter(who, made, made.signers[0].value, signed_cms.DATA),
            signed_cms.COUNTER_SIGNATURE,
        ),
        "a signature of a document as a counter-signature",
        "FORMAT_FAILURE",
    ),
    Attack(
        _unsigned(
            lambda who, made: signed_cms.stamp(who.unit, b"TEST other", who.at),
            signed_cms.SIGNATURE_TIME_STAMP,
        ),
        "the time stamp of another signature",
        "content-digest",
    ),
    Attack(
        _unsigned(
            lambda who, made: signed_cms.sign(made.signers[0].value, who.mallory, who.at).encode(),
            signed_cms.SIGNATURE_TIME_STAMP,
        ),
        "a signature for a time stamp",
        "cms-format",
    ),
    Attack(archived_then_changed, "a covered attribute taken out", "content-digest"),
    Attack(archived_then_changed, "an archive time stamp alone for a level", "CAdES-BASELINE-B"),
    Attack(archive_without_index, "an archive time stamp without its index", "cms-format"),
    Attack(list_of_another, "a list of another authority for a level", "CAdES-BASELINE-T "),
)


def _indefinite(who: Attacker) -> bytes:
    return signed_cms.indefinite(who.cms().encode())


def _padded(who: Attacker) -> bytes:
    return who.cms().encode() + bytes(100)


def _with_stranger(who: Attacker) -> bytes:
    """Certificates of other people, one with the same name and number, lie in front."""
    made = who.cms()
    made.certificates = [_twin(who, who.victim), who.mallory.der, *made.all_certificates()]
    return made.encode()


def _both_versions(who: Attacker) -> bytes:
    return _crafted(lambda who: [attribute(_BINDING_1, _sha1_binding(who.victim))])(who)


HARMLESS = (
    Attack(_indefinite, "lengths left open, a content in pieces", ""),
    Attack(_padded, "zeros behind", ""),
    Attack(_with_stranger, "strangers' certificates in front", ""),
    Attack(_both_versions, "the certificate's digest in both versions", ""),
    Attack(reordered, "attributes in another order", ""),
    Attack(_crafted(without=[_TIME]), "no claimed time", ""),
    Attack(_all_pieces, "a content in pieces of known length", ""),
    Attack(
        _crafted(lambda who: [attribute(_BINDING, _numbered(who, who.victim))], [_BINDING]),
        "the issuer and number of the certificate beside its digest",
        "",
    ),
    Attack(
        _crafted(lambda who: [attribute("1.2.840.113583.1.1.8", b"\x04\x01x")]),
        "a signed attribute that is not what its type wants",
        "",
    ),
)
