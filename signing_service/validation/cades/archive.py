"""What the time stamps over a whole CAdES signature are over (EN 319 122-1 5.5, annex A)."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence

from pki import der, errors, originals
from signing_service.validation import findings, report
from signing_service.validation.cades import attributes, signed_data
from signing_service.validation.cms import cms_signature, time_stamp_tokens

ContentDigest = Callable[[str], bytes]
"""The hash of the signed content, by a function's hashlib name."""

_HASH_INDEXES = (attributes.HASH_INDEX_V3, attributes.HASH_INDEX_V2, attributes.HASH_INDEX)
_UNSIGNED = 0xA1
HASH_NAMES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.7": "sha3_224",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
"""The hashes of hash indexes and evidence records, as hashlib names them."""


def time_stamps(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    content_digest: ContentDigest,
    content: originals.Original | None,
) -> list[findings.FoundTimeStamp]:
    """All time stamps among a signer's unsigned attributes.

    Args:
        signed: What the signer is in.
        signer: Whose attributes.
        content_digest: The hash of the content that was signed.
        content: The content itself; None where it is not at hand.
    """
    found = []
    for attribute in signer.unsigned:
        for token in attribute.values:
            stamp = _time_stamp(signed, signer, attribute.oid, token, content_digest, content)
            if stamp is not None:
                found.append(stamp)
    return found


def _time_stamp(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    oid: str,
    token: bytes,
    content_digest: ContentDigest,
    content: originals.Original | None,
) -> findings.FoundTimeStamp | None:
    archive = report.TimeStampKind.ARCHIVE
    if oid == attributes.SIGNATURE_TIME_STAMP:
        return findings.FoundTimeStamp(
            report.TimeStampKind.SIGNATURE, token, over([signer.signature_value])
        )
    if oid == attributes.CADES_C_TIME_STAMP:
        # RFC 5126 6.3.5: the value, then the attributes without their outer tag and length.
        parts = [
            signer.signature_value,
            *_bodies(signer, attributes.SIGNATURE_TIME_STAMP),
            *_bodies(signer, attributes.CERTIFICATE_REFERENCES),
            *_bodies(signer, attributes.REVOCATION_REFERENCES),
        ]
        return findings.FoundTimeStamp(
            archive,
            token,
            over(parts),
            covered_tokens=lambda: frozenset(signer.values_of(attributes.SIGNATURE_TIME_STAMP)),
        )
    if oid == attributes.REFERENCES_TIME_STAMP:
        parts = [
            *_bodies(signer, attributes.CERTIFICATE_REFERENCES),
            *_bodies(signer, attributes.REVOCATION_REFERENCES),
        ]
        return findings.FoundTimeStamp(
            archive,
            token,
            over(parts),
            # RFC 5126 6.3.6: over the references alone.
            problem=report.Finding(
                "time-stamp-references", "it covers references and not the signature itself"
            ),
        )
    if oid == attributes.ARCHIVE_TIME_STAMP_V3:
        found = findings.FoundTimeStamp(
            archive,
            token,
            functools.cache(lambda name: _version_3(signed, signer, token, content_digest, name)),
            holder=oid,
        )
        return dataclasses.replace(found, covered_tokens=lambda: _indexed(found, signer))
    if oid in (attributes.ARCHIVE_TIME_STAMP_V2, attributes.ARCHIVE_TIME_STAMP):

        @functools.cache
        def reading(name: str) -> tuple[bytes, tuple[signed_data.Attribute, ...]]:
            return _version_2(signed, signer, token, content, name)

        return findings.FoundTimeStamp(
            archive,
            token,
            lambda name: reading(name)[0],
            covered_tokens=lambda: _kept_tokens(reading, token),
        )
    return None


def _indexed(stamp: findings.FoundTimeStamp, signer: signed_data.Signer) -> frozenset[bytes]:
    """The values of unsigned attributes, tokens among them, that a hash index has."""
    return frozenset(
        value for one in signer.unsigned for value in one.values if covers_value(stamp, one, value)
    )


def _kept_tokens(
    reading: Callable[[str], tuple[bytes, tuple[signed_data.Attribute, ...]]], token: bytes
) -> frozenset[bytes]:
    """The values of unsigned attributes, tokens among them, by the reading that fits a token."""
    try:
        read = time_stamp_tokens.read_token(token)
        digest, kept = reading(read.hash_name)
    except errors.InputError:
        return frozenset()
    if digest != read.imprint:
        return frozenset()
    return frozenset(value for one in kept for value in one.values)


def covers_value(
    stamp: findings.FoundTimeStamp, attribute: signed_data.Attribute, value: bytes
) -> bool:
    """Whether the hash index of an archive time stamp has a value of an unsigned attribute.

    The index is an unsigned attribute of the token, which anybody can add to any: it counts in
    archive-time-stamp-v3 alone, which is over it (EN 319 122-1 5.5.3).
    """
    if stamp.holder != attributes.ARCHIVE_TIME_STAMP_V3:
        return False
    try:
        version, index = _hash_index(stamp.token)
        name, _, _, unsigned = _index_parts(index)
    except errors.LimitError:
        raise
    except (ValueError, errors.InputError):
        return False
    known = attribute.type_der + value if version == attributes.HASH_INDEX_V3 else attribute.raw
    return name in hashlib.algorithms_available and _hash(name, known) in unsigned


def over(parts: Iterable[bytes]) -> Callable[[str], bytes]:
    """Hashes octets that follow each other."""
    octets = b"".join(parts)
    return lambda name: _hash(name, octets)


def _version_3(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    token: bytes,
    content_digest: ContentDigest,
    name: str,
) -> bytes:
    """EN 319 122-1 5.5.3: content type, content hash, the signer's fields, the hash index."""
    index = _hash_index(token)
    problem = _index_problem(signed, signer, *index)
    if problem is not None:
        raise cms_signature.DigestMismatchError(problem)
    parts = [signed.content_type_der, content_digest(name), *signer.members, index[1]]
    return _hash(name, b"".join(parts))


def _hash_index(token: bytes) -> tuple[str, bytes]:
    """The one hash index among the unsigned attributes of a token, and its version's identifier."""
    stamp = signed_data.parse(token)
    found = [
        (one.oid, value)
        for signer in stamp.signers
        for one in signer.unsigned
        if one.oid in _HASH_INDEXES
        for value in one.values
    ]
    if len(found) != 1:
        raise cms_signature.CMSFormatError(
            f"expected one hash index in an archive time stamp, got {len(found)}"
        )
    return found[0]


def _index_problem(
    signed: signed_data.SignedData, signer: signed_data.Signer, version: str, index: bytes
) -> str | None:
    """Say which hash of an index belongs to nothing that is there (EN 319 122-1 5.5.2)."""
    name, certificates, crls, unsigned = _index_parts(index)
    if version == attributes.HASH_INDEX_V3:
        values = [one.type_der + value for one in signer.unsigned for value in one.values]
    else:
        values = [one.raw for one in signer.unsigned]
    for wanted, present, what in (
        (certificates, signed.certificates, "certificate"),
        (crls, signed.crls, "revocation list or response"),
        (unsigned, values, "unsigned attribute"),
    ):
        hashes = {_hash(name, one) for one in present}
        if not hashes.issuperset(wanted):
            return f"a {what} that the archive time stamp covers was changed or taken out"
    return None


def _index_parts(index: bytes) -> tuple[str, list[bytes], list[bytes], list[bytes]]:
    """The function of a hash index, and its hashes of certificates, CRLs and attributes."""
    try:
        members = list(signed_data.elements(signed_data.content_of(index, der.SEQUENCE)))
        name = "sha256"
        if len(members) == 4:
            algorithm = next(signed_data.elements(signed_data.content_of(members.pop(0), 0x30)))
            name = HASH_NAMES.get(der.decode_oid(der.read(algorithm)), "")
        certificates, crls, unsigned = (
            [signed_data.content_of(one, der.OCTET_STRING) for one in _inside(member)]
            for member in members
        )
    except (ValueError, StopIteration, errors.InputError) as error:
        raise cms_signature.CMSFormatError("expected a hash index that can be read") from error
    return name, certificates, crls, unsigned


def _inside(element: bytes) -> Sequence[bytes]:
    return list(signed_data.elements(signed_data.content_of(element, der.SEQUENCE)))


def _version_2(
    signed: signed_data.SignedData,
    signer: signed_data.Signer,
    token: bytes,
    content: originals.Original | None,
    name: str,
) -> tuple[bytes, tuple[signed_data.Attribute, ...]]:
    """TS 101 733 6.4.1: the fields as they were, so without the archive time stamps after this.

    Which attributes were there when it was made is not written anywhere, and neither is whether
    the unsigned attributes were counted with their tag: the readings in use are tried, and the one
    that fits the token is taken, and told by the attributes that it has.
    """
    if signed.content is None and content is None:
        raise cms_signature.UnsupportedCMSError("what the archive time stamp is over is not here")
    imprint = _imprint(token)
    hasher = _hasher(name)
    for piece in originals.pieces(signed.encapsulated):
        hasher.update(piece)
    if signed.content is None and content is not None:
        for piece in originals.pieces(content):
            hasher.update(piece)
    hasher.update(b"".join((signed.certificates_field, signed.crls_field, *signer.members)))
    digest = b""
    kept: tuple[signed_data.Attribute, ...] = ()
    for kept in _kept_attributes(signer, token):
        body = b"".join(one.raw for one in kept)
        ordered = b"".join(sorted(one.raw for one in kept))
        for tail in (der.encode(_UNSIGNED, body), body, der.encode(_UNSIGNED, ordered)):
            whole = hasher.copy()
            whole.update(tail if kept else b"")
            digest = whole.digest()
            if digest == imprint:
                return digest, kept
    return digest, kept


def _kept_attributes(
    signer: signed_data.Signer, token: bytes
) -> Iterable[tuple[signed_data.Attribute, ...]]:
    """The unsigned attributes that can have been there when a token was made, likeliest first."""
    archive = (
        attributes.ARCHIVE_TIME_STAMP,
        attributes.ARCHIVE_TIME_STAMP_V2,
        attributes.ARCHIVE_TIME_STAMP_V3,
    )
    at = _time(token)
    own = [one for one in signer.unsigned if one.oid in archive and token in one.values]
    later = [
        one
        for one in signer.unsigned
        if one.oid in archive and any(_time(value) >= at for value in one.values)
    ]
    for left_out in (later, own, [one for one in signer.unsigned if one.oid in archive]):
        yield tuple(one for one in signer.unsigned if one not in left_out)


def _time(token: bytes) -> str:
    try:
        return time_stamp_tokens.read_token(token).time.isoformat()
    except errors.InputError:
        return ""


def _imprint(token: bytes) -> bytes:
    try:
        return time_stamp_tokens.read_token(token).imprint
    except errors.InputError:
        return b""


def _bodies(signer: signed_data.Signer, oid: str) -> list[bytes]:
    """Attributes of a type without their outer tag and length."""
    return [
        signed_data.content_of(one.raw, der.SEQUENCE) for one in signer.unsigned if one.oid == oid
    ]


def _hash(name: str, octets: bytes) -> bytes:
    hasher = _hasher(name)
    hasher.update(octets)
    return originals.finish(hasher, name)


def _hasher(name: str) -> "hashlib._Hash":
    if name not in hashlib.algorithms_available:
        raise cms_signature.UnsupportedCMSError(f"the hash {name!r} is not known")
    return hashlib.new(name, usedforsecurity=False)
