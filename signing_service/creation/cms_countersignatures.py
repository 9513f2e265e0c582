"""Counter-signatures of CMS signatures: unsigned attributes with a SignerInfo (RFC 5652 11.4).

The SignerInfo signs the octets of the signature value it lies under. What leads to it is written
anew, and nothing else: an archive time stamp hashes each attribute as it is.
"""

import dataclasses
from collections.abc import Callable, Iterator

from pki import der
from signing_service import documents
from signing_service.creation import cms, cms_archive, cms_files

_ID_COUNTERSIGNATURE = der.encode_oid("1.2.840.113549.1.9.6")
_UNSIGNED = 0xA1

MAX_DEPTH = 5
"""Counter-signatures of counter-signatures; the validator reads no more."""


def identifiers(signed: cms_files.SignedDataFile, prefix: str = "") -> list[tuple[str, bytes]]:
    """Return the values of all signatures, each with the name that a report gives it.

    Args:
        signed: The signatures.
        prefix: Goes before the names, as in a container.
    """
    found: list[tuple[str, bytes]] = []
    for number, raw in enumerate(signed.signers, start=1):
        found += _identifiers(raw, f"{prefix}signer-{number}", 0)
    return found


def find(signed: cms_files.SignedDataFile, identifier: str, prefix: str = "") -> cms.Signer:
    """Return the signer of a name.

    Raises:
        UnknownSignatureError: There is none.
        CmsError: It has no signed attributes.
    """
    named = identifiers(signed, prefix)
    for name, value in named:
        if name == identifier:
            return signer_with(signed, value)
    raise documents.UnknownSignatureError(identifier, [name for name, _ in named])


def signer_with(signed: cms_files.SignedDataFile, value: bytes) -> cms.Signer:
    """Return the signer whose signature value is `value`, wherever it is.

    Raises:
        CmsError: There is none.
    """
    found: list[cms.Signer] = []

    def keep(signer: cms.Signer) -> cms.Signer:
        found.append(signer)
        return signer

    change(signed, value, keep)
    return found[0]


def outermost_with(signed: cms_files.SignedDataFile, value: bytes) -> int:
    """Return the place of the signer that has a signature value, or a counter-signature with it.

    Raises:
        CmsError: There is none.
    """
    for place, raw in enumerate(signed.signers):
        if any(value == one for _, one in _identifiers(raw, "", 0)):
            return place
    raise _missing()


def change(
    signed: cms_files.SignedDataFile, value: bytes, changed: Callable[[cms.Signer], cms.Signer]
) -> cms_files.SignedDataFile:
    """Change the signer that has a signature value, wherever it is.

    Raises:
        CmsError: There is none.
    """
    place = outermost_with(signed, value)
    signers = list(signed.signers)
    signers[place] = _change(signers[place], value, changed)
    return dataclasses.replace(signed, signers=tuple(signers))


def add(
    signed: cms_files.SignedDataFile, countersigned: bytes, counter_signature: bytes
) -> cms_files.SignedDataFile:
    """Add a counter-signature to the signer with a signature value.

    Every one is an attribute of its own, which RFC 5652 11.4 allows, so that those of others keep
    their bytes.

    Raises:
        CmsError: There is no such signer.
        OldArchiveError: It, or the signature it belongs to, has an archive time stamp that covers
            every attribute that is ever added.
    """
    cms_archive.check_extensible(signed.signer(outermost_with(signed, countersigned)))
    attribute = cms.attribute(_ID_COUNTERSIGNATURE, counter_signature)

    def added(signer: cms.Signer) -> cms.Signer:
        cms_archive.check_extensible(signer)
        return signer.with_attribute(attribute)

    return change(signed, countersigned, added)


def _identifiers(raw: bytes, name: str, depth: int) -> Iterator[tuple[str, bytes]]:
    yield name, _signature_value(raw)
    values = cms.attribute_values(_unsigned(raw), _ID_COUNTERSIGNATURE)
    if values and depth == MAX_DEPTH:
        raise cms.CmsError(f"expected at most {MAX_DEPTH} levels of counter-signatures")
    for number, value in enumerate(values, start=1):
        yield from _identifiers(value, f"{name}-counter-{number}", depth + 1)


def _change(raw: bytes, value: bytes, changed: Callable[[cms.Signer], cms.Signer]) -> bytes:
    """A signer with one changed in it; the very bytes of one that neither is nor has it."""
    if _signature_value(raw) == value:
        return changed(cms.parse_signer(der.read(raw))).encoded()
    attributes = [_changed_attribute(one, value, changed) for one in _unsigned(raw)]
    if not attributes or attributes == list(_unsigned(raw)):
        return raw
    *members, _ = der.read(raw).children()
    return der.encode(
        der.SEQUENCE, *map(cms.whole, members), der.encode(_UNSIGNED, *sorted(attributes))
    )


def _changed_attribute(
    attribute: bytes, value: bytes, changed: Callable[[cms.Signer], cms.Signer]
) -> bytes:
    held = cms.attribute_values((attribute,), _ID_COUNTERSIGNATURE)
    written = [_change(one, value, changed) for one in held]
    if written == list(held):
        return attribute
    return der.encode(der.SEQUENCE, _ID_COUNTERSIGNATURE, der.encode(der.SET, *sorted(written)))


def _unsigned(raw: bytes) -> tuple[bytes, ...]:
    members = der.read(raw).expect(der.SEQUENCE).children()
    if not members or members[-1].tag != _UNSIGNED:
        return ()
    return tuple(map(cms.whole, members[-1].children()))


def _signature_value(raw: bytes) -> bytes:
    members = der.read(raw).expect(der.SEQUENCE).children()
    octets = [one.content for one in members[-2:] if one.tag == der.OCTET_STRING]
    if len(octets) != 1:
        raise cms.CmsError("expected a signer with one signature value (RFC 5652 5.3)")
    return octets[0]


def _missing() -> cms.CmsError:
    return cms.CmsError("expected a signature with a certain value, found none")
