"""What an XML signature says of itself, for diagnostic data (EN 319 132-1 5.2)."""

import base64
from collections.abc import Mapping, Sequence

from lxml import etree

from pki import errors, originals, xml_signature, xml_trees
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.validation.xades import xades_properties

MAX_TEXT = 1000
MAX_PARTS = 50

_DS = xml_signature.name
_ROLES = ("ClaimedRole",)
_PLACES = (
    "SignatureProductionPlace",
    "SignatureProductionPlaceV2",
)


def read(
    element: etree._Element,
    qualifying: etree._Element | None,
    checked: Sequence[xml_signature.SignedReference] | None,
    detached: Mapping[str, originals.Original],
    expressions: bool = False,
) -> diagnostic_data.SignatureDetails:
    """Tell what a signature says.

    Args:
        element: The ds:Signature.
        qualifying: Its QualifyingProperties.
        checked: Its references, where all of them were verified.
        detached: Files beside the document, where they were not: each is tried alone then.
        expressions: Evaluate the document's own XPath for that.
    """
    info = element.find(_DS("SignedInfo"))
    method = None if info is None else info.find(_DS("SignatureMethod"))
    properties = _signed_properties(qualifying)
    return diagnostic_data.SignatureDetails(
        signature_algorithm=None if method is None else method.get("Algorithm"),
        references=_references(element, info, checked, detached, expressions),
        signed_properties=tuple(
            sorted({etree.QName(one).localname for one in _grandchildren(properties)})
        ),
        unsigned_properties=tuple(
            sorted({etree.QName(one).localname for one in xades_properties.unsigned(qualifying)})
        ),
        claimed_roles=_texts(properties, _ROLES),
        production_place=tuple(
            text
            for place in _named(properties, _PLACES)
            for part in place.iterchildren(etree.Element)
            if (text := _text(part))
        )[:MAX_PARTS],
        commitments=tuple(
            text
            for one in _named(properties, ("CommitmentTypeId",))
            for part in one.iterchildren(etree.Element)
            if etree.QName(part).localname == "Identifier" and (text := _text(part))
        )[:MAX_PARTS],
        signature_policy=next(
            (
                text
                for one in _named(properties, ("SigPolicyId",))
                for part in one.iterchildren(etree.Element)
                if etree.QName(part).localname == "Identifier" and (text := _text(part))
            ),
            None,
        ),
    )


def _references(
    element: etree._Element,
    info: etree._Element | None,
    checked: Sequence[xml_signature.SignedReference] | None,
    detached: Mapping[str, originals.Original],
    expressions: bool,
) -> tuple[diagnostic_data.SignatureReference, ...]:
    listed = [] if info is None else info.findall(_DS("Reference"))
    left = xml_signature.MAX_CANONICAL_BYTES
    found = []
    for one in listed[: xml_signature.MAX_REFERENCES]:
        matches: bool | None = True
        if checked is None:
            matches, used = _matches(element, one, detached, expressions) if left > 0 else (None, 0)
            left -= used
        found.append(_reference(one, matches))
    return tuple(found)


def _matches(
    element: etree._Element,
    reference: etree._Element,
    detached: Mapping[str, originals.Original],
    expressions: bool,
) -> tuple[bool | None, int]:
    """Whether one reference's digest is right, and how much was hashed for it."""
    try:
        (signed,) = xml_signature.check_reference_list(
            element, [reference], detached=detached, expressions=expressions
        )
    except xml_signature.ReferenceDigestError:
        # What was hashed is not known here; a tenth of the limit for each that is wrong.
        return False, xml_signature.MAX_CANONICAL_BYTES // 10
    except errors.InputError:
        return None, 0
    return True, len(signed.octets)


def _reference(
    reference: etree._Element, matches: bool | None
) -> diagnostic_data.SignatureReference:
    method = reference.find(_DS("DigestMethod"))
    digest = None
    try:
        value = xml_trees.read_base64(xml_trees.child(reference, _DS("DigestValue")))
        digest = base64.b64encode(value).decode("ascii")
    except errors.InputError:
        # A digest that cannot be read matches nothing, which is told.
        digest = None
    return diagnostic_data.SignatureReference(
        source="signature",
        uri=reference.get("URI"),
        type=reference.get("Type"),
        transforms=tuple(
            one.get("Algorithm", "")
            for one in reference.iterfind(f"{_DS('Transforms')}/{_DS('Transform')}")
        )[:MAX_PARTS],
        digest_algorithm=None if method is None else method.get("Algorithm"),
        digest=digest,
        matches=matches,
    )


def _signed_properties(qualifying: etree._Element | None) -> etree._Element | None:
    if qualifying is None:
        return None
    return qualifying.find(f"{{{etree.QName(qualifying).namespace}}}SignedProperties")


def _grandchildren(parent: etree._Element | None) -> list[etree._Element]:
    """What is in SignedSignatureProperties and in SignedDataObjectProperties."""
    if parent is None:
        return []
    return [
        one
        for group in parent.iterchildren(etree.Element)
        for one in group.iterchildren(etree.Element)
    ]


def _named(parent: etree._Element | None, names: tuple[str, ...]) -> list[etree._Element]:
    if parent is None:
        return []
    return [one for one in parent.iter(etree.Element) if etree.QName(one).localname in names]


def _texts(parent: etree._Element | None, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for one in _named(parent, names) if (text := _text(one)))[:MAX_PARTS]


def _text(element: etree._Element) -> str:
    return "".join(str(one) for one in element.itertext()).strip()[:MAX_TEXT]
