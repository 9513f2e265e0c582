"""XML that is signed: parsed without surprises, canonicalised, and looked into without doubt.

Canonicalisation is lxml's. lxml leaves out the `xml:` attributes that a part of a document inherits
from above it, which inclusive canonicalisation must render: they are added here.
"""

import base64
import binascii
import contextlib
import copy
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, TypeAlias

from lxml import etree

from pki import errors

C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
C14N_10 = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

MAX_BYTES = 50 * 2**20
"""Largest XML document read: a parsed tree takes about ten times its file."""

Node: TypeAlias = etree._Element | etree._ElementTree
"""A part of a document, or a document with what stands outside its root."""

METHODS = {
    method + suffix: (method, bool(suffix))
    for method, mark in (
        (C14N_11, "#WithComments"),
        (C14N_10, "#WithComments"),
        (C14N_EXCLUSIVE, "WithComments"),
    )
    for suffix in ("", mark)
}
_XML = "{http://www.w3.org/XML/1998/namespace}"
_WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
ID_NAMES = ("Id", "ID", "id", _XML + "id", _WSU + "Id")
"""Attributes that are identifiers without a document type saying so."""

_IDENTIFIERS = tuple(
    etree.XPath(
        f"descendant-or-self::*/@{one.replace(_XML, 'xml:').replace(_WSU, 'wsu:')}",
        namespaces={"wsu": _WSU[1:-1]},
    )
    for one in ID_NAMES
)
"""One path for each spelling, which is what libxml2 is fast at: a predicate on every element takes
five times as long, and a union takes the square of what it finds."""


class XMLUnreadableError(errors.InputError):
    """Not well-formed XML, or XML with a document type declaration."""

    code = "xml-unreadable"


class XMLSignatureError(errors.InputError):
    """The signature does not have the form that XML Signature prescribes."""

    code = "xml-signature-format"


class UnsupportedXMLSignatureError(XMLSignatureError):
    """A transform or algorithm that is not carried out here."""

    code = "xml-signature-unsupported"


class AmbiguousIdError(XMLSignatureError):
    """More than one element answers to the identifier that a reference names."""

    code = "xml-ambiguous-id"


class ReferenceNotFoundError(XMLSignatureError):
    """A reference names something that is neither in the document nor handed in with it."""

    code = "xml-reference-not-found"


HARDENED: Final[Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "attribute_defaults": False,
    # Keeps libxml2's own limits: 256 levels, 10 MB of text in one node.
    "huge_tree": False,
    "strip_cdata": False,
}
"""How a stranger's XML is parsed, whole or in pieces."""


def parse(data: bytes) -> etree._ElementTree:
    """Parse XML without entities, document types, networks or unlimited sizes.

    Raises:
        XMLUnreadableError: Not well-formed, nested too deeply, or with a document type declaration.
        LimitError: Larger than `MAX_BYTES`.
    """
    if len(data) > MAX_BYTES:
        raise errors.LimitError(f"expected XML of at most {MAX_BYTES} bytes, got {len(data)} bytes")
    parser = etree.XMLParser(**HARDENED)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XMLUnreadableError(f"expected well-formed XML: {error}") from error
    tree = root.getroottree()
    check_no_document_type(tree)
    return tree


def check_no_document_type(tree: etree._ElementTree) -> None:
    """Refuse a document type declaration; raises `XMLUnreadableError`.

    Entities and attribute defaults would make the signed text differ from the text shown.
    """
    if tree.docinfo.internalDTD is not None or tree.docinfo.doctype:
        raise XMLUnreadableError("expected XML without a document type declaration, got one")


def canonicalise(
    node: etree._Element | etree._ElementTree,
    method: str = C14N_11,
    *,
    keep_comments: bool = False,
    prefixes: Sequence[str] = (),
    left_out: Collection[etree._Element] = (),
) -> bytes:
    """Canonicalise an element, or a document with its outer processing instructions.

    Args:
        node: What is canonicalised.
        method: The identifier of the method.
        keep_comments: Keep them, where the method does.
        prefixes: For the exclusive method: those that are treated inclusively.
        left_out: Elements inside, none an ancestor of another; text around them is kept.

    Raises:
        UnsupportedXMLSignatureError: Another method, `xml:base` above an element, or XML without
            a canonical form, such as one with relative namespace addresses.
    """
    try:
        base, with_comments = METHODS[method]
    except KeyError as error:
        raise UnsupportedXMLSignatureError(
            f"expected Canonical XML 1.0, 1.1 or exclusive, got {method[:200]!r}"
        ) from error
    if left_out:
        with _marked(left_out) as mark:
            octets = canonicalise(node, method, keep_comments=keep_comments, prefixes=prefixes)
        marks = [found.span() for found in re.finditer(mark, octets)]
        if len(marks) != 2 * len(left_out):
            raise XMLSignatureError("expected what is left out inside of what is canonicalised")
        starts = [0, *(end for _, end in marks[1::2])]
        ends = [*(start for start, _ in marks[::2]), len(octets)]
        view = memoryview(octets)  # Large documents are copied once, not twice.
        return b"".join(view[start:end] for start, end in zip(starts, ends, strict=True))
    exclusive = base == C14N_EXCLUSIVE
    inherited = contextlib.nullcontext()
    if isinstance(node, etree._Element) and not exclusive:
        inherited = _with_inherited_attributes(node, base)  # type: ignore[assignment]
    with inherited:
        if isinstance(node, etree._Element) and not exclusive:
            node = _standing_alone(node)
        try:
            # lxml takes prefixes for the exclusive method alone.
            return etree.tostring(
                node,
                method="c14n",
                exclusive=exclusive,
                with_comments=with_comments and keep_comments,
                inclusive_ns_prefixes=list(prefixes) if exclusive and prefixes else None,
            )
        except etree.C14NError as error:
            # Relative namespace addresses have no canonical form (C14N 1.0 section 4.6).
            raise UnsupportedXMLSignatureError(
                "expected XML that has a canonical form, got some that has none"
            ) from error


def _standing_alone(element: etree._Element) -> etree._Element:
    """An element, or a copy of it as a document's root where the library would write it wrongly.

    libxml2 2.14 undoes the default namespace of a part of a document from its grandchildren on
    (`xmlns=""`), where it was declared on the part or above it. A root without what stands around
    it is such a part too. Written out and read again, the
    part has all its namespaces itself, and is canonicalised as the whole documents are.
    """
    is_alone = element.getprevious() is None and element.getnext() is None
    if (element.getparent() is None and is_alone) or None not in element.nsmap:
        return element
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, strip_cdata=False
    )
    return etree.fromstring(etree.tostring(element, with_tail=False, encoding="UTF-8"), parser)


def find_by_id(root: etree._Element, identifier: str) -> etree._Element:
    """Return the one element with an identifier.

    Raises:
        AmbiguousIdError: Several elements have it, by whatever spelling of the attribute.
        ReferenceNotFoundError: None has it.
    """
    return only([one for one in identified(root) if identifier in identifiers(one)], identifier)


def identified(root: etree._Element) -> list[etree._Element]:
    """Return the elements that have an identifier, by whatever spelling, each once."""
    found: dict[etree._Element, None] = {}
    for path in _IDENTIFIERS:
        attributes = path(root)
        if not isinstance(attributes, list):
            raise TypeError("a path to attributes gave something else")
        for one in attributes:
            if not isinstance(one, etree._ElementUnicodeResult):
                raise TypeError("a path to attributes gave something else than their values")
            element = one.getparent()
            if element is not None:
                found[element] = None
    return list(found)


def identifiers(element: etree._Element) -> set[str]:
    """Return the identifiers that an element answers to."""
    return {value for value in map(element.get, ID_NAMES) if value is not None}


def only(found: Sequence[etree._Element], identifier: str) -> etree._Element:
    """Return the one element that was found; raises as `find_by_id` does."""
    if len(found) > 1:
        raise AmbiguousIdError(
            f"{len(found)} elements answer to the identifier {identifier[:200]!r}: which one was"
            " signed cannot be said"
        )
    if not found:
        raise ReferenceNotFoundError(f"no element has the identifier {identifier[:200]!r}")
    return found[0]


def read_text(element: etree._Element) -> str:
    """Return the text of an element that has nothing but text.

    A comment inside would split the text in two, and readers disagree on which part counts.
    """
    if len(element):
        raise XMLSignatureError(f"expected only text in {_local(element)}, got other nodes in it")
    return (element.text or "").strip()


def read_base64(element: etree._Element) -> bytes:
    """Return the bytes of an element whose text is base64."""
    text = re.sub(r"[ \t\r\n]+", "", read_text(element))
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise XMLSignatureError(f"expected base64 in {_local(element)}") from error


def child(parent: etree._Element, qualified_name: str) -> etree._Element:
    """Return the one child with a name.

    Raises:
        XMLSignatureError: It is missing or there are several.
    """
    found = parent.findall(qualified_name)
    if len(found) != 1:
        raise XMLSignatureError(
            f"expected one {etree.QName(qualified_name).localname} in {_local(parent)},"
            f" got {len(found)}"
        )
    return found[0]


def algorithm_of(element: etree._Element) -> str:
    """Return the `Algorithm` of a method or transform."""
    algorithm = element.get("Algorithm")
    if not algorithm:
        raise XMLSignatureError(f"expected an Algorithm on {_local(element)}")
    return algorithm


def without(node: Node, elements: Collection[etree._Element]) -> Node:
    """Return a copy of a node's document without some elements; text around them is kept.

    The document itself is not touched: lxml rewrites the namespace declarations of what it takes
    out of a tree and puts back, which changes the canonical form of signed properties inside.

    Args:
        node: A document, or an element of one.
        elements: Of the same document; none is an ancestor of another one.

    Returns:
        The same node in the copy, or `node` itself where nothing is taken out.
    """
    if not elements:
        return node
    tree = node.getroottree() if isinstance(node, etree._Element) else node
    copied = copy.deepcopy(tree)
    # Found before anything is taken out, since that moves the positions.
    leaving = _twins(tree.getroot(), copied.getroot(), elements)
    staying = (
        _twins(tree.getroot(), copied.getroot(), [node]) if isinstance(node, etree._Element) else []
    )
    for one in leaving:
        _remove(one)
    return staying[0] if staying else copied


def _twins(
    root: etree._Element, copied: etree._Element, elements: Collection[etree._Element]
) -> list[etree._Element]:
    """The elements of a copy that stand where some of the original do."""
    wanted = set(elements)
    # Among those of the same name only: each element that is looked at becomes an object.
    return [
        twin
        for tag in {one.tag for one in elements}
        for one, twin in zip(root.iter(tag), copied.iter(tag), strict=True)
        if one in wanted
    ]


def _remove(element: etree._Element) -> None:
    parent, previous = element.getparent(), element.getprevious()
    if parent is None:
        raise XMLSignatureError("expected a signature inside the document that it leaves out")
    tail = element.tail or ""
    element.tail = None
    if previous is None:
        parent.text = (parent.text or "") + tail or None
    else:
        previous.tail = (previous.tail or "") + tail or None
    parent.remove(element)


@contextlib.contextmanager
def _marked(elements: Collection[etree._Element]) -> Iterator[bytes]:
    """Put a random word before and behind each element for a while.

    What stands between two marks in the canonical form is what an element adds to it: the form of
    what is around does not depend on it (C14N 1.1 2.3). So nothing needs to be taken out of the
    tree, which would take a copy of it.
    """
    mark = secrets.token_hex(16)
    changed: list[tuple[etree._Element, bool, str | None]] = []

    def put(element: etree._Element, is_tail: bool, text: str) -> None:
        changed.append((element, is_tail, element.tail if is_tail else element.text))
        _set_text(element, is_tail, text)

    try:
        for one in elements:
            parent, previous = one.getparent(), one.getprevious()
            if parent is None:
                raise XMLSignatureError(
                    "expected a signature inside the document that it leaves out"
                )
            if previous is None:
                put(parent, False, (parent.text or "") + mark)
            else:
                put(previous, True, (previous.tail or "") + mark)
            put(one, True, mark + (one.tail or ""))
        yield mark.encode()
    finally:
        for element, is_tail, text in reversed(changed):
            _set_text(element, is_tail, text)


def _set_text(element: etree._Element, is_tail: bool, text: str | None) -> None:
    if is_tail:
        element.tail = text
    else:
        element.text = text


@contextlib.contextmanager
def _with_inherited_attributes(element: etree._Element, method: str) -> Iterator[None]:
    """Give an element the `xml:` attributes it inherits, which lxml leaves out (C14N 1.1 2.4)."""
    added = []
    for ancestor in element.iterancestors():
        for attribute, value in ancestor.attrib.items():
            key = str(attribute)
            if not key.startswith(_XML):
                continue
            if key == _XML + "base" and method == C14N_11:
                # C14N 1.1 2.4 joins all of them to one address; 1.0 takes the nearest as it is.
                raise UnsupportedXMLSignatureError("xml:base above a signed element")
            if key in element.attrib or (key == _XML + "id" and method == C14N_11):
                continue
            element.set(key, str(value))
            added.append(key)
    try:
        yield
    finally:
        for key in added:
            del element.attrib[key]


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname
