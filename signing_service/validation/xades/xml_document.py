"""XML signatures of a document, XAdES among them: found, resolved and checked (EN 319 132-1).

Properties are read only from the very SignedProperties element whose digest was verified, inside
the signature's own object. Every ds:Signature of the document is judged, wherever it hides: so what
one signature leaves out because it is a signature is itself looked at.
"""

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from pki import errors, originals, xml_algorithms, xml_signature, xml_trees
from signing_service.validation import evidence, findings, report
from signing_service.validation.cms import foreign_keys
from signing_service.validation.xades import (
    xades_details,
    xades_evidence_records,
    xades_properties,
    xades_time_stamps,
)

MAX_SIGNATURES = 100
"""Signatures in one document; each is resolved and hashed."""


_DS = xml_signature.name
_KEY_VALUE_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "urn:oid:1.2.840.10045.3.1.7": ec.SECP256R1,
    "urn:oid:1.3.132.0.34": ec.SECP384R1,
    "urn:oid:1.3.132.0.35": ec.SECP521R1,
}


@dataclasses.dataclass(frozen=True)
class _Signed:
    """What was verified of one signature; `listed` is what its manifests sign."""

    references: tuple[xml_signature.SignedReference, ...]
    properties: etree._Element | None
    method: xml_algorithms.SignatureMethod
    listed: tuple[xml_signature.SignedReference, ...]


def read(
    path: pathlib.Path, name: str, detached: Mapping[str, originals.Original]
) -> findings.FoundDocument:
    """Find every signature and check its cryptography.

    Raises:
        XMLUnreadableError: Not well-formed, or with a document type declaration.
        LimitError: Too large, or more signatures than `MAX_SIGNATURES`.
    """
    if path.stat().st_size > xml_trees.MAX_BYTES:
        raise errors.LimitError(f"expected XML of at most {xml_trees.MAX_BYTES} bytes")
    return read_octets(path.read_bytes(), name, detached)


def read_octets(
    data: bytes, name: str, detached: Mapping[str, originals.Original]
) -> findings.FoundDocument:
    """Find every signature of an XML document in memory, such as one in a container; as `read`."""
    tree = xml_trees.parse(data)
    elements = xml_signature.signatures_in(tree.getroot())
    if len(elements) > MAX_SIGNATURES:
        raise errors.LimitError(f"expected at most {MAX_SIGNATURES} signatures in a document")
    known = evidence.Evidence()
    for element in elements:
        xades_properties.take_evidence(element, known)
    names = {
        element: element.get("Id") or f"signature-{number}"
        for number, element in enumerate(elements, start=1)
    }
    signatures = tuple(_signature(element, names, name, detached, known) for element in elements)
    found = dict(zip(elements, signatures, strict=True))
    signatures = tuple(
        dataclasses.replace(one, enclosing_stamps=_enclosing(element, found))
        for element, one in found.items()
    )
    return findings.FoundDocument("XAdES", signatures, (), known)


def _signature(
    element: etree._Element,
    names: Mapping[etree._Element, str],
    name: str,
    detached: Mapping[str, originals.Original],
    known: evidence.Evidence,
) -> findings.FoundSignature:
    countersigned = xades_properties.countersigned(element)
    base = findings.FoundSignature(
        identifier=names[element],
        format="XAdES",
        level="UNKNOWN",
        intact=None,
        failure=None,
        certificate=None,
        is_bound=None,
        digest_algorithms=frozenset(),
        claimed_signing_time=None,
        time_stamps=(),
        scope_kind=report.ScopeKind.NONE,
        scope_names=(),
        counter_signature_of=None if countersigned is None else names[countersigned],
    )
    qualifying = xades_properties.qualifying_properties(element)
    certificate, is_bound = xades_properties.signing_certificate(element, qualifying)
    context = xades_time_stamps.Context(element, qualifying, None, None)
    base = dataclasses.replace(
        base,
        level=xades_properties.level(element, qualifying, certificate),
        certificate=certificate,
        is_bound=is_bound,
        time_stamps=xades_time_stamps.unsigned(context),
        evidence_records=xades_evidence_records.records(context, (), (base.identifier,), known),
        claimed_signing_time=xades_properties.signing_time(qualifying),
        details=lambda: xades_details.read(element, qualifying, None, detached),
    )
    key = _key_value(element) if certificate is None else foreign_keys.of_certificate(certificate)
    intact: bool | None = None
    try:
        signed = _check(element, key, detached)
        intact = True
    except xml_signature.ReferenceDigestError as error:
        return _failed(base, False, report.SubIndication.HASH_FAILURE, error)
    except xml_signature.XMLSignatureValueError as error:
        return _failed(base, False, report.SubIndication.SIG_CRYPTO_FAILURE, error)
    except (xml_trees.ReferenceNotFoundError, originals.OriginalMissingError) as error:
        return _failed(base, None, report.SubIndication.SIGNED_DATA_NOT_FOUND, error)
    except xml_trees.UnsupportedXMLSignatureError as error:
        return _failed(base, None, report.SubIndication.SIG_CONSTRAINTS_FAILURE, error)
    except xml_trees.AmbiguousIdError as error:
        # Which of the elements was signed cannot be said: that is how content is smuggled in.
        return _failed(base, None, report.SubIndication.FORMAT_FAILURE, error)
    except errors.LimitError:
        raise
    except errors.InputError as error:
        return _failed(base, None, report.SubIndication.FORMAT_FAILURE, error)
    if signed is None:
        return base
    kind, covered = _scope(element, signed, name)
    files = {one.file for one in (*signed.references, *signed.listed) if one.file is not None}
    if kind is report.ScopeKind.FULL and not files.issuperset(detached):
        # Whoever hands a document in wants to know whether it is signed.
        kind = report.ScopeKind.PARTIAL
    context = xades_time_stamps.Context(element, qualifying, signed.references, signed.properties)
    stamps = (*xades_time_stamps.content(context), *xades_time_stamps.unsigned(context))
    found = dataclasses.replace(
        base,
        intact=intact,
        digest_algorithms=frozenset(
            {
                signed.method.digest_algorithm,
                *(one.digest_algorithm for one in (*signed.references, *signed.listed)),
            }
        ),
        scope_kind=kind,
        scope_names=covered,
        signed_files=tuple(sorted(files)),
        is_counter=countersigned is not None,
        counter_signature_of=base.counter_signature_of or _elsewhere(signed, names),
        details=lambda: xades_details.read(element, qualifying, signed.references, detached),
        time_stamps=stamps,
        evidence_records=xades_evidence_records.records(
            context, signed.listed, (base.identifier, *covered), known
        ),
        warnings=(*_warnings(kind, covered), *_comments(signed)),
    )
    if qualifying is not None and signed.properties is None:
        problem = report.Finding(
            "signed-properties", "the XAdES properties are not covered by the signature"
        )
        return dataclasses.replace(
            found,
            failure=(report.SubIndication.FORMAT_FAILURE, problem),
            is_bound=None,
            claimed_signing_time=None,
        )
    return found


def _check(
    element: etree._Element, key: object, detached: Mapping[str, originals.Original]
) -> _Signed | None:
    """Verify value and references; None where there is no key to verify with."""
    _check_form(element)
    references = xml_signature.check_references(element, detached=detached)
    listed: list[xml_signature.SignedReference] = []
    for one in references:
        if one.element is not None and one.element.tag == _DS("Manifest"):
            # XMLDSig 5.1: what a manifest lists is signed through it.
            entries = one.element.findall(_DS("Reference"))
            if not 1 <= len(entries) <= xml_signature.MAX_REFERENCES:
                raise xml_trees.XMLSignatureError("expected references in a Manifest")
            listed += xml_signature.check_reference_list(element, entries, detached=detached)
    if key is None:
        return None
    method = xml_signature.check_value(element, key)
    _check_counter_signature(element, references)
    properties = _signed_properties(element, references)
    return _Signed(references, properties, method, tuple(listed))


def _check_form(element: etree._Element) -> None:
    """Check that a signature has the parts that XMLDSig 4.1 gives it, and no others.

    What stands in it beside them is signed by nobody, and of two of a kind each reader takes its
    own.
    """
    names = [one.tag for one in element.iterchildren(etree.Element)]
    once = [_DS(one) for one in ("SignedInfo", "SignatureValue", "KeyInfo")]
    known = {*once, _DS("Object")}
    if not known.issuperset(names) or any(names.count(one) > 1 for one in once):
        raise xml_trees.XMLSignatureError("expected the parts of a signature, each once")
    if _has_text(element):
        raise xml_trees.XMLSignatureError("expected the parts of a signature, got text")
    holders = [
        one
        for holder in element.findall(_DS("Object"))
        for space in xades_properties.XADES_NAMESPACES
        for one in holder.iter(f"{{{space}}}QualifyingProperties")
        if next(one.iterancestors(_DS("Signature"))) is element
    ]
    if len(holders) > 1:
        # EN 319 132-1 4.4.1: all properties of a signature are in one.
        raise xml_trees.XMLSignatureError("expected one QualifyingProperties in a signature")
    for one in holders:
        space = etree.QName(one).namespace
        if len(one.findall(f"{{{space}}}SignedProperties")) > 1:
            raise xml_trees.XMLSignatureError("expected one SignedProperties in a signature")


def _check_counter_signature(
    element: etree._Element, references: Sequence[xml_signature.SignedReference]
) -> None:
    """A counter-signature signs the value of the signature it lies in (EN 319 132-1 5.2.7.2)."""
    parent = element.getparent()
    if parent is None or etree.QName(parent).localname != "CounterSignature":
        return
    countersigned = xades_properties.countersigned(element)
    if countersigned is None:
        raise xml_trees.XMLSignatureError(
            "the counter-signature lies elsewhere than among the properties of a signature"
        )
    value = countersigned.find(_DS("SignatureValue"))
    if not any(one.element is value and value is not None for one in references):
        raise xml_trees.XMLSignatureError(
            "the counter-signature does not sign the value of the signature it lies in"
        )


def _elsewhere(signed: _Signed, names: Mapping[etree._Element, str]) -> str | None:
    """The signature that one which lies in none says to countersign (EN 319 132-1 5.2.7.1)."""
    for one in signed.references:
        if one.type_uri == xml_signature.COUNTERSIGNED_TYPE and one.element is not None:
            return names.get(one.element.getparent())  # type: ignore[arg-type]
    return None


def _enclosing(
    element: etree._Element, found: Mapping[etree._Element, findings.FoundSignature]
) -> tuple[findings.FoundTimeStamp, ...]:
    """The archive time stamps behind a counter-signature, in the signatures it lies in (5.5.2)."""
    stamps: tuple[findings.FoundTimeStamp, ...] = ()
    within, outside = element, xades_properties.countersigned(element)
    while outside is not None:
        behind = xades_time_stamps.archives_behind(outside, within)
        stamps += tuple(
            stamp
            for stamp in found[outside].time_stamps
            if any(stamp.holder is one for one in behind)
        )
        within, outside = outside, xades_properties.countersigned(outside)
    return stamps


def _signed_properties(
    element: etree._Element, references: Sequence[xml_signature.SignedReference]
) -> etree._Element | None:
    """The SignedProperties of this very signature, if its digest was verified."""
    qualifying = xades_properties.qualifying_properties(element)
    if qualifying is None:
        return None
    space = etree.QName(qualifying).namespace
    own = qualifying.find(f"{{{space}}}SignedProperties")
    for one in references:
        # EN 319 132-1 4.4.2: by this type a reader knows that they are signed.
        named = (one.type_uri or "").endswith(f"#{xades_properties.SIGNED_PROPERTIES_SUFFIX}")
        if own is not None and one.element is own and named:
            return own
    return None


def _scope(
    element: etree._Element, signed: _Signed, name: str
) -> tuple[report.ScopeKind, tuple[str, ...]]:
    """How much of the document a signature covers."""
    tree = element.getroottree()
    root = tree.getroot()
    content = [
        one
        for one in (*signed.references, *signed.listed)
        if one.element is not signed.properties and not _is_own_machinery(element, one.element)
    ]
    if not content:
        return report.ScopeKind.NONE, ()
    names = tuple(
        name if one.whole_document else (one.uri or "detached document") for one in content
    )
    covered = [one.element for one in content if _covers_its_element(one)]
    if root is element:
        # Enveloping: every object but the one with the properties; detached files add to that.
        whole = _objects_are_covered(element, covered)
    elif any(one is root for one in covered):
        whole = _objects_are_covered(element, covered) and (
            any(one.uri in ("", "#xpointer(/)") for one in content)
            or not _has_outer_instructions(root)
        )
    else:
        # What the root is called says what its parts mean, and only a reference to it signs that.
        shown = [
            child for child in root.iterchildren(etree.Element) if child.tag != _DS("Signature")
        ]
        whole = (
            not shown
            and any(one.element is None for one in content)
            and not _shows_something_itself(root)
            and not _has_outer_instructions(root)
            and _objects_are_covered(element, covered)
        )
    return (report.ScopeKind.FULL if whole else report.ScopeKind.PARTIAL), names


def _warnings(kind: report.ScopeKind, names: Sequence[str]) -> tuple[report.Finding, ...]:
    if kind is not report.ScopeKind.PARTIAL:
        return ()
    return (
        report.Finding(
            "partial-scope",
            "there is more than this signature covers: only what `scope` names is signed",
        ),
    )


def _is_own_machinery(element: etree._Element, signed: etree._Element | None) -> bool:
    """Whether what is signed is a part of the signature that shows nobody anything: its KeyInfo."""
    if signed is None or element not in signed.iterancestors():
        return False
    return not any(one.tag == _DS("Object") for one in (signed, *signed.iterancestors()))


def _covers_its_element(one: xml_signature.SignedReference) -> bool:
    """Whether the element is signed with its names and attributes, or has nothing but text."""
    if one.element is None:
        return False
    if not one.text_only:
        return True
    return one.element.tag == _DS("Object") and not len(one.element)


def _objects_are_covered(element: etree._Element, covered: Sequence[etree._Element | None]) -> bool:
    """Whether every object of a signature is signed; the one with the properties has its own rule.

    Whoever holds the document can add an object without breaking anything: a reference to what is
    around the signature leaves the signature out.
    """
    qualifying = xades_properties.qualifying_properties(element)
    inside = [
        one
        for one in covered
        if one is not None and (one is element or element in one.iterancestors())
    ]
    return all(
        _is_within(holder, inside)
        for holder in element.findall(_DS("Object"))
        if qualifying is None
        or list(holder.iterchildren(etree.Element)) != [qualifying]
        or _has_text(holder)
        or not _is_plain(qualifying)
    )


def _is_plain(qualifying: etree._Element) -> bool:
    """Whether there is nothing but signed and unsigned properties (EN 319 132-1 4.3.1)."""
    space = etree.QName(qualifying).namespace
    parts = [f"{{{space}}}SignedProperties", f"{{{space}}}UnsignedProperties"]
    found = [one.tag for one in qualifying.iterchildren(etree.Element)]
    return found in (parts[:1], parts[1:], parts) and not _has_text(qualifying)


def _shows_something_itself(root: etree._Element) -> bool:
    """Whether an element has attributes or text of its own beside its children."""
    named = bool(root.attrib) and root.tag != _DS("Object")
    return named or _has_text(root)


def _has_text(element: etree._Element) -> bool:
    """Whether an element has text of its own beside its children."""
    texts = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in texts)


def _comments(signed: _Signed) -> tuple[report.Finding, ...]:
    """Tell of comments in what was signed that nobody signed: they split the text around them.

    A program that reads the text up to the comment reads another one than was signed.
    """
    for one in (*signed.references, *signed.listed):
        if one.element is None or one.element is signed.properties:
            continue
        text = re.search(rb"<!--", one.octets)
        if text is None and any(_splits_text(each) for each in one.element.iter(etree.Comment)):
            return (
                report.Finding(
                    "unsigned-comment",
                    "a comment splits a text that was signed without it: read the text as a whole",
                ),
            )
    return ()


def _splits_text(comment: etree._Element) -> bool:
    """Whether there is text on both sides of a comment."""
    previous, parent = comment.getprevious(), comment.getparent()
    before = parent.text if previous is None and parent is not None else None
    if previous is not None:
        before = previous.tail
    return bool((before or "").strip()) and bool((comment.tail or "").strip())


def _has_outer_instructions(root: etree._Element) -> bool:
    """Whether a processing instruction, such as a style sheet's, stands outside the root."""
    return any(
        isinstance(one, etree._ProcessingInstruction)
        for preceding in (True, False)
        for one in root.itersiblings(preceding=preceding)
    )


def _is_within(holder: etree._Element, covered: Sequence[etree._Element | None]) -> bool:
    children = list(holder.iterchildren(etree.Element))
    if any(one is holder for one in covered):
        return True
    if any(above is one for above in holder.iterancestors() for one in covered):
        return True
    return (
        bool(children)
        and not _shows_something_itself(holder)
        and all(any(one is child for one in covered) for child in children)
    )


def _key_value(element: etree._Element) -> object:
    """The bare key in KeyInfo, to say whether a signature without a certificate is intact."""
    try:
        for value in element.iter(_DS("RSAKeyValue")):
            modulus, exponent = (
                int.from_bytes(xml_trees.read_base64(xml_trees.child(value, _DS(part))), "big")
                for part in ("Modulus", "Exponent")
            )
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        dsig11 = "{http://www.w3.org/2009/xmldsig11#}"
        for value in element.iter(f"{dsig11}ECKeyValue"):
            curve = xml_trees.child(value, f"{dsig11}NamedCurve").get("URI") or ""
            point = xml_trees.read_base64(xml_trees.child(value, f"{dsig11}PublicKey"))
            if curve in _KEY_VALUE_CURVES:
                return ec.EllipticCurvePublicKey.from_encoded_point(
                    _KEY_VALUE_CURVES[curve](), point
                )
    except (ValueError, errors.InputError):
        return None
    return None


def _failed(
    found: findings.FoundSignature,
    intact: bool | None,
    sub_indication: report.SubIndication,
    error: errors.ImzaError,
) -> findings.FoundSignature:
    # Signed properties of a signature that does not verify are nobody's claims.
    return dataclasses.replace(
        found, intact=intact, failure=(sub_indication, report.Finding(error.code, error.message))
    )
