"""Room for a signature in an XML document, whose own bytes stay as its owner wrote them.

The signature is put in front of the end tag of the root. What is parsed, and then canonicalised and
signed, has an empty element there: so the place is known to be right, and the document is parsed
once and never written anew. A large one that nobody signed yet is never held: it is canonicalised
while it is parsed, and its bytes are copied. Only where the place is not to be had, as in UTF-16 or
behind a root without an end tag, is the document written in UTF-8 and compared with what it was.
"""

import dataclasses
import hashlib
import itertools
import pathlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from pki import algorithms, errors, originals, xml_signature, xml_streams, xml_trees
from signing_service import documents
from signing_service.creation import xades_signature

_END_TAG = re.compile(rb"</([^<>/?\s]+)[ \t\r\n]*>[ \t\r\n]*")
_NAMESPACE = re.compile(rb' xmlns(?::([^=\s"]+))?="[^"]*"')
_KEPT_PREFIXES = frozenset(one.encode() for one in xades_signature.NSMAP)
_SIGNATURE = xml_signature.name("Signature")
_END_BYTES = 2**10
"""Where the end tag of a large document is looked for."""

STREAMED_BYTES = 2**22
"""Documents up to this size are parsed into a tree, which takes about ten times as much."""

CheckIdentified = Callable[[Sequence[etree._Element]], None]

_ASCII_LIKE = ("UTF-8", "ASCII", "US-ASCII")


class NotXMLError(documents.DocumentRefusedError):
    """Not well-formed XML, or with a document type declaration."""

    code = "document-not-xml"


@dataclasses.dataclass(frozen=True)
class Room:
    """A document that was parsed with an empty element where its signature goes.

    Attributes:
        tree: The document, without that element; of a large one the root alone.
        head: The bytes before the place.
        tail: The bytes behind it.
        content: The hash of the canonical form of a large document.
    """

    tree: etree._ElementTree
    head: originals.Original
    tail: bytes
    content: originals.HashedOriginal | None = None

    def filled(self, element: etree._Element, data_to_be_signed: bytes) -> Iterator[bytes]:
        """Give the document's bytes with a signature that was built in the tree, in pieces.

        Args:
            element: The last child of the root; its last reference is to its signed properties.
            data_to_be_signed: Its canonical SignedInfo.

        Raises:
            NotXMLError: The signature reads differently once it is written.
        """
        written = _without_inherited(etree.tostring(element, encoding="UTF-8", with_tail=False))
        again = xml_signature.signatures_in(_read_in_place(self.tree.getroot(), written))[0]
        # What it says must be what was built, in the place where a reader will meet it.
        if xml_signature.signed_info_octets(again) != data_to_be_signed:
            raise NotXMLError("the signature changes when it is written, so it cannot be made")
        signed_info = xml_trees.child(again, xml_signature.name("SignedInfo"))
        references = signed_info.findall(xml_signature.name("Reference"))
        xml_signature.check_reference_list(again, references[-1:])
        return itertools.chain(originals.pieces(self.head), (written, self.tail))


def find(
    source: pathlib.Path,
    hash_algorithm: algorithms.HashAlgorithm,
    new_check: Callable[[], CheckIdentified],
) -> Room:
    """Parse a document and find the place for its signature.

    Args:
        source: The document.
        hash_algorithm: Of the digest, if the document is large.
        new_check: Makes what takes the elements with identifiers, all in one or more calls; a
            document that cannot be signed while it is streamed is read, and checked, once more.

    Raises:
        NotXMLError: It cannot be read as XML, declares a document type, or would change when it
            is written.
        LimitError: It is too large.
    """
    size = source.stat().st_size
    check_size(size)
    name = f"room-{uuid.uuid4().hex}"
    try:
        room = None
        if size > STREAMED_BYTES:
            room = _streamed(source, name, hash_algorithm, new_check())
        if room is None:
            data = source.read_bytes()
            room = _before_end_tag(data, name) or _written_anew(data, name)
            new_check()(xml_trees.identified(room.tree.getroot()))
    except xml_trees.XMLUnreadableError as error:
        raise NotXMLError(error.message) from error
    return room


def is_unsigned(source: pathlib.Path, check: CheckIdentified) -> bool:
    """Whether a document is large and has no signature; otherwise it is to be read as a tree.

    Raises:
        NotXMLError: It cannot be read as XML, or declares a document type.
        LimitError: It is too large.
    """
    size = source.stat().st_size
    check_size(size)
    if size <= STREAMED_BYTES:
        return False
    try:
        tree = xml_streams.read(
            lambda: originals.of_file(source).pieces(),
            write=len,
            identified=check,
            refused=(_SIGNATURE,),
        )
    except xml_trees.XMLUnreadableError as error:
        raise NotXMLError(error.message) from error
    return tree is not None


def _streamed(
    source: pathlib.Path,
    name: str,
    hash_algorithm: algorithms.HashAlgorithm,
    check: CheckIdentified,
) -> Room | None:
    """Digest a document while it is parsed, if it has no signature and ends with an end tag."""
    size = source.stat().st_size
    with source.open("rb") as file:
        start = file.seek(max(size - _END_BYTES, 0))
        end = file.read()
    place = end.rfind(b"</")
    if place < 0 or not _END_TAG.fullmatch(end, place):
        return None
    tail = end[place:]
    head = originals.of_parts(source, [(0, start + place)])
    hasher = hashlib.new(hash_algorithm.short_name)
    tree = xml_streams.read(
        lambda: itertools.chain(head.pieces(), (f"<{name}/>".encode(), tail)),
        write=hasher.update,
        identified=check,
        refused=(_SIGNATURE,),
        last=name,
    )
    if tree is None or not _is_ascii_like(tree):
        return None
    hashes = {hash_algorithm.short_name: hasher.digest()}
    return Room(tree, head, tail, originals.HashedOriginal(hashes))


def _before_end_tag(data: bytes, name: str) -> Room | None:
    """Take the last end tag for the root's, and see from the parsed tree whether it is."""
    place = data.rfind(b"</")
    if place < 0 or not _END_TAG.fullmatch(data, place):
        return None
    head, tail = data[:place], data[place:]
    try:
        tree = xml_trees.parse(b"".join((head, f"<{name}/>".encode(), tail)))
    except xml_trees.XMLUnreadableError:
        return None
    if not _is_ascii_like(tree):
        return None
    root = tree.getroot()
    last = next(root.iterchildren(reversed=True), None)
    if last is None or not str(last.tag).endswith(name):
        return None
    root.remove(last)
    return Room(tree, head, tail)


def _is_ascii_like(tree: etree._ElementTree) -> bool:
    # XML 1.0 4.3.3: names of encodings are the same in large and small letters.
    return (tree.docinfo.encoding or "UTF-8").upper() in _ASCII_LIKE


def _written_anew(data: bytes, name: str) -> Room:
    original = xml_trees.parse(data)
    content = xml_trees.canonicalise(original)
    etree.SubElement(original.getroot(), name)
    written = etree.tostring(original, xml_declaration=True, encoding="UTF-8")
    tree = xml_trees.parse(written)
    root = tree.getroot()
    root.remove(root[-1])
    if xml_trees.canonicalise(tree) != content:
        raise NotXMLError("the document changes when it is written, so it cannot be signed")
    head, tail = re.split(rb"<%s[^<>]*/>" % name.encode(), written)
    return Room(tree, head, tail)


def _without_inherited(written: bytes) -> bytes:
    """Drop the namespaces that the library repeats from above; those of a signature stay."""
    end = written.index(b">")
    start_tag = _NAMESPACE.sub(
        lambda found: found[0] if found[1] in _KEPT_PREFIXES else b"", written[:end]
    )
    return start_tag + written[end:]


def _read_in_place(root: etree._Element, written: bytes) -> etree._Element:
    """Parse a child of an element under that element alone, with its namespaces and attributes."""
    shell = etree.Element(root.tag, attrib=dict(root.items()), nsmap=root.nsmap)  # type: ignore[arg-type]
    shell.text = "x"
    start, _, end = etree.tostring(shell, encoding="UTF-8").rpartition(b">x</")
    return xml_trees.parse(b"".join((start, b">", written, b"</", end))).getroot()


def check_size(size: int) -> None:
    """Refuse a document that is too large to be parsed; raises `LimitError`."""
    if size > xml_trees.MAX_BYTES:
        raise errors.LimitError(f"expected XML of at most {xml_trees.MAX_BYTES} bytes")
