"""What the time stamps of a XAdES signature are over (EN 319 132-1 5.2.8, 5.3, 5.5, annex A).

The octets are put together when a token asks for them, since each element is canonicalised anew.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from pki import errors, originals, xml_signature, xml_trees
from signing_service.validation import findings, report
from signing_service.validation.cms import cms_signature
from signing_service.validation.xades import xades_properties

MAX_TOKENS = 50
"""Time stamps of one signature; each may be over the whole document again."""

_DS = xml_signature.name
_SIGNATURE_TOO = frozenset({"SigAndRefsTimeStamp", "SigAndRefsTimeStampV2"})
_REFERENCES = frozenset(
    {
        "CompleteCertificateRefs",
        "CompleteCertificateRefsV2",
        "CompleteRevocationRefs",
        "AttributeCertificateRefs",
        "AttributeCertificateRefsV2",
        "AttributeRevocationRefs",
    }
)


@dataclasses.dataclass(frozen=True)
class Context:
    """A signature and what was verified of it.

    Attributes:
        element: The ds:Signature.
        qualifying: Its QualifyingProperties.
        references: What its SignedInfo signs, in order; None where that was not verified.
        properties: The SignedProperties among it.
    """

    element: etree._Element
    qualifying: etree._Element | None
    references: Sequence[xml_signature.SignedReference] | None
    properties: etree._Element | None


def unsigned(context: Context) -> tuple[findings.FoundTimeStamp, ...]:
    """The time stamps among the unsigned properties."""
    stamps: list[findings.FoundTimeStamp] = []
    for holder in xades_properties.unsigned(context.qualifying):
        local = etree.QName(holder).localname
        if local == "SignatureTimeStamp":
            stamps += _stamps(report.TimeStampKind.SIGNATURE, holder, context, _value_octets)
        elif local == "ArchiveTimeStamp":
            stamps += _stamps(report.TimeStampKind.ARCHIVE, holder, context, _archive_octets)
        elif local in _SIGNATURE_TOO:
            stamps += _stamps(report.TimeStampKind.ARCHIVE, holder, context, _references_octets)
        elif local in ("RefsOnlyTimeStamp", "RefsOnlyTimeStampV2"):
            problem = report.Finding(
                "time-stamp-references", "it covers references and not the signature itself"
            )
            stamps += [
                dataclasses.replace(one, problem=problem)
                for one in _stamps(
                    report.TimeStampKind.ARCHIVE, holder, context, _references_octets
                )
            ]
    if len(stamps) > MAX_TOKENS:
        raise errors.LimitError(f"expected at most {MAX_TOKENS} time stamps of a signature")
    return tuple(stamps)


def archives_behind(element: etree._Element, within: etree._Element) -> list[etree._Element]:
    """The archive time stamps of a signature behind a counter-signature in it: they cover it.

    Args:
        element: The signature.
        within: The counter-signature.
    """
    qualifying = xades_properties.qualifying_properties(element)
    properties = xades_properties.unsigned(qualifying)
    place = next(at for at, one in enumerate(properties) if one is within.getparent())
    return [one for one in properties[place:] if etree.QName(one).localname == "ArchiveTimeStamp"]


def content(context: Context) -> tuple[findings.FoundTimeStamp, ...]:
    """Time stamps over what is signed, themselves signed (EN 319 132-1 5.2.8)."""
    if context.properties is None:
        return ()
    kind = report.TimeStampKind.CONTENT
    space = etree.QName(context.properties).namespace
    stamps: list[findings.FoundTimeStamp] = []
    for holder in context.properties.iter(f"{{{space}}}AllDataObjectsTimeStamp"):
        stamps += _stamps(kind, holder, context, _all_objects_octets)
    for holder in context.properties.iter(f"{{{space}}}IndividualDataObjectsTimeStamp"):
        stamps += _stamps(kind, holder, context, _individual_octets)
    if len(stamps) > MAX_TOKENS:
        raise errors.LimitError(f"expected at most {MAX_TOKENS} time stamps of a signature")
    return tuple(stamps)


def tokens(holder: etree._Element) -> list[bytes]:
    """The tokens in a time-stamp property; an empty one for what cannot be read."""
    found = []
    for space in xades_properties.XADES_NAMESPACES:
        for one in holder.iter(f"{{{space}}}EncapsulatedTimeStamp"):
            try:
                found.append(xml_trees.read_base64(one))
            except errors.InputError:
                # Kept, so that the report tells of a time stamp that is broken.
                found.append(b"")
    return found


_Octets = Callable[[Context, etree._Element], Iterator[bytes]]


def _stamps(
    kind: report.TimeStampKind, holder: etree._Element, context: Context, octets: _Octets
) -> list[findings.FoundTimeStamp]:
    @functools.cache
    def digest_of(name: str) -> bytes:
        hasher = hashlib.new(name, usedforsecurity=False)
        try:
            for part in octets(context, holder):
                hasher.update(part)
        except (xml_trees.XMLSignatureError, originals.OriginalMissingError) as error:
            raise cms_signature.UnsupportedCMSError(
                f"what the time stamp is over cannot be said: {error.message}"
            ) from error
        return hasher.digest()

    def covered_tokens() -> frozenset[bytes]:
        return tokens_before(context, holder)

    covered = covered_tokens if kind is report.TimeStampKind.ARCHIVE else frozenset
    return [
        findings.FoundTimeStamp(kind, token, digest_of, holder=holder, covered_tokens=covered)
        for token in tokens(holder)
    ]


def tokens_before(context: Context, holder: etree._Element) -> frozenset[bytes]:
    """The tokens in the unsigned properties in front of one, which it covers if it is an archive's.

    SigAndRefsTimeStamp has the signature time stamps among them alone (EN 319 132-1 A.1.5.1).
    """
    references = etree.QName(holder).localname in _SIGNATURE_TOO
    return frozenset(
        token
        for one in before(context, holder)
        if not references or etree.QName(one).localname == "SignatureTimeStamp"
        for token in tokens(one)
    )


def _canonical(holder: etree._Element, element: etree._Element) -> bytes:
    """An element in the canonical form that a time stamp names; C14N 1.0 where it names none."""
    method = holder.find(_DS("CanonicalizationMethod"))
    algorithm = xml_trees.C14N_10 if method is None else method.get("Algorithm") or ""
    return xml_trees.canonicalise(element, algorithm)


def _value(context: Context) -> etree._Element:
    return xml_trees.child(context.element, _DS("SignatureValue"))


def _value_octets(context: Context, holder: etree._Element) -> Iterator[bytes]:
    """EN 319 132-1 5.3."""
    yield _canonical(holder, _value(context))


def _references_octets(context: Context, holder: etree._Element) -> Iterator[bytes]:
    """EN 319 132-1 A.1.5: the value and the time stamps over it (not for RefsOnly), references."""
    with_value = etree.QName(holder).localname in _SIGNATURE_TOO
    if with_value:
        yield _canonical(holder, _value(context))
    for one in before(context, holder):
        local = etree.QName(one).localname
        if local in _REFERENCES or (with_value and local == "SignatureTimeStamp"):
            yield _canonical(holder, one)


def _archive_octets(context: Context, holder: etree._Element) -> Iterator[bytes]:
    """EN 319 132-1 5.5.2.2: what is signed, the signature, what was added before, the objects."""
    if context.references is None:
        raise xml_trees.XMLSignatureError("the references of the signature do not verify")
    for signed in context.references:
        yield from signed.pieces
    for local in ("SignedInfo", "SignatureValue", "KeyInfo"):
        for one in context.element.findall(_DS(local)):
            yield _canonical(holder, one)
    for one in before(context, holder):
        yield _canonical(holder, one)
    for one in context.element.findall(_DS("Object")):
        # The object with the properties is covered in parts; the others whole (5.5.2.2 step 5).
        if context.qualifying is None or context.qualifying.getparent() is not one:
            yield _canonical(holder, one)


def _all_objects_octets(context: Context, holder: etree._Element) -> Iterator[bytes]:
    """EN 319 132-1 5.2.8.1: every reference but the one to the signed properties."""
    for signed in context.references or ():
        if signed.element is not context.properties or signed.element is None:
            yield from signed.pieces


def _individual_octets(context: Context, holder: etree._Element) -> Iterator[bytes]:
    """EN 319 132-1 5.2.8.2: the references that the time stamp includes, in its order."""
    by_id = {one.identifier: one for one in context.references or () if one.identifier}
    space = etree.QName(holder).namespace
    included = holder.findall(f"{{{space}}}Include")
    if not included:
        raise xml_trees.XMLSignatureError("it includes no reference")
    for one in included:
        signed = by_id.get((one.get("URI") or "").removeprefix("#"))
        if signed is None or one.get("referencedData") != "true":
            raise xml_trees.XMLSignatureError("it includes something else than a reference")
        yield from signed.pieces


def before(context: Context, holder: etree._Element) -> Iterator[etree._Element]:
    """The unsigned properties in front of one."""
    for one in xades_properties.unsigned(context.qualifying):
        if one is holder:
            return
        yield one
