"""How much of a document an XML signature covers, and what a reader has to be told of it."""

import dataclasses
import re
from collections.abc import Collection, Sequence

from lxml import etree

from pki import xml_signature
from signing_service.validation import report
from signing_service.validation.xades import xades_properties

MAX_NAMES = 10
"""Of elements that are left out, in a warning."""

_DS = xml_signature.name
_PARTIAL = report.Finding(
    "partial-scope",
    "there is more than this signature covers: only what `scope` names is signed",
)


@dataclasses.dataclass(frozen=True)
class Scope:
    """What one signature covers.

    Attributes:
        kind: How much of the document that is.
        names: What is signed, as a person would call it.
        warnings: What a reader has to be told.
    """

    kind: report.ScopeKind
    names: tuple[str, ...]
    warnings: tuple[report.Finding, ...]


def read(
    element: etree._Element,
    references: Sequence[xml_signature.SignedReference],
    properties: etree._Element | None,
    name: str,
    files: Collection[str],
) -> Scope:
    """Tell how much of a document a signature covers.

    Args:
        element: The ds:Signature.
        references: What it signs, and what its manifests list.
        properties: The SignedProperties among it.
        name: What the document is called.
        files: Handed in beside it; whoever does so wants to know whether they are signed.
    """
    content = [
        one
        for one in references
        if one.element is not properties
        and not _is_own_machinery(element, one.element)
        and not (one.is_partial and one.content == b"")
    ]
    if not content:
        return Scope(report.ScopeKind.NONE, (), _comments(references, properties))
    is_whole = _is_whole(element, content) and set(files) <= {
        one.file for one in content if not one.is_partial
    }
    return Scope(
        report.ScopeKind.FULL if is_whole else report.ScopeKind.PARTIAL,
        tuple(_name(one, name) for one in content),
        (
            *(() if is_whole else (_PARTIAL,)),
            *_selections(content),
            *_comments(references, properties),
        ),
    )


def _name(one: xml_signature.SignedReference, document: str) -> str:
    if one.whole_document:
        return document
    if one.element is not None and one.is_chosen:
        # The reference names more than was hashed; what was hashed has a place.
        return f"{document} {one.element.getroottree().getpath(one.element)}"
    return one.uri or (document if one.element is not None else "detached document")


def _is_whole(element: etree._Element, content: Sequence[xml_signature.SignedReference]) -> bool:
    root = element.getroottree().getroot()
    covered = [one.element for one in content if _covers_its_element(one)]
    if any(one.is_partial for one in content if one.element is None):
        return False
    if root is element:
        # Enveloping: every object but the one with the properties; detached files add to that.
        return _objects_are_covered(element, covered)
    if any(one is root for one in covered):
        return _objects_are_covered(element, covered) and (
            any(one.outside_root for one in content if one.element is root)
            or not _has_outer_instructions(root)
        )
    # What the root is called says what its parts mean, and only a reference to it signs that.
    shown = [child for child in root.iterchildren(etree.Element) if child.tag != _DS("Signature")]
    return (
        not shown
        and any(one.element is None for one in content)
        and not _shows_something_itself(root)
        and not _has_outer_instructions(root)
        and _objects_are_covered(element, covered)
    )


def _selections(
    content: Sequence[xml_signature.SignedReference],
) -> tuple[report.Finding, ...]:
    """Tell of transforms that leave out something else than signatures."""
    found = [one for one in content if one.is_partial or one.is_chosen]
    if not found:
        return ()
    left_out = sorted({etree.QName(gap).localname for one in found for gap in one.left_out})[
        :MAX_NAMES
    ]
    told = f", such as {', '.join(left_out)}" if left_out else ""
    return (
        report.Finding(
            "partial-selection",
            f"transforms of the signature leave out parts of what it refers to{told}",
        ),
    )


def _is_own_machinery(element: etree._Element, signed: etree._Element | None) -> bool:
    """Whether what is signed is a part of the signature that shows nobody anything: its KeyInfo."""
    if signed is None or element not in signed.iterancestors():
        return False
    return not any(one.tag == _DS("Object") for one in (signed, *signed.iterancestors()))


def _covers_its_element(one: xml_signature.SignedReference) -> bool:
    """Whether the element is signed with its names and attributes, or has nothing but text."""
    if one.element is None or one.is_partial:
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
        or has_text(holder)
        or not _is_plain(qualifying)
    )


def _is_plain(qualifying: etree._Element) -> bool:
    """Whether there is nothing but signed and unsigned properties (EN 319 132-1 4.3.1)."""
    space = etree.QName(qualifying).namespace
    parts = [f"{{{space}}}SignedProperties", f"{{{space}}}UnsignedProperties"]
    found = [one.tag for one in qualifying.iterchildren(etree.Element)]
    return found in (parts[:1], parts[1:], parts) and not has_text(qualifying)


def _shows_something_itself(root: etree._Element) -> bool:
    """Whether an element has attributes or text of its own beside its children."""
    named = bool(root.attrib) and root.tag != _DS("Object")
    return named or has_text(root)


def has_text(element: etree._Element) -> bool:
    """Whether an element has text of its own beside its children."""
    texts = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in texts)


def _comments(
    references: Sequence[xml_signature.SignedReference], properties: etree._Element | None
) -> tuple[report.Finding, ...]:
    """Tell of comments in what was signed that nobody signed: they split the text around them.

    A program that reads the text up to the comment reads another one than was signed.
    """
    for one in references:
        if one.element is None or one.element is properties:
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
