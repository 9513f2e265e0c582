"""Large XML documents: canonicalised while they are read once, without a tree of the whole.

The parser is libxml2's and so is the canonical form, both as in `xml_trees`; nothing is written
here. A document is fed to the parser in pieces. After each, everything that ended before the last
node of the growing tree is canonicalised in its place and taken out of the tree, so that there is
never more in it than a piece and the elements around it. The canonical form of a part of a document
does not depend on what follows it (C14N 1.1 2.3): the parts behind each other are the whole.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from lxml import etree

from pki import errors, xml_trees

PIECE = 2**17

_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"

MAX_AROUND = 2**18
"""Of canonical form that stays around the pieces, and is made anew for each of them."""

_FIRST = 2**12
"""Pieces in which the name of the root is looked for."""


def read(
    source: Callable[[], Iterable[bytes]],
    *,
    write: Callable[[bytes], object],
    identified: Callable[[Sequence[etree._Element]], None],
    refused: Collection[str] = (),
    last: str | None = None,
) -> etree._ElementTree | None:
    """Read a document, and give its canonical form without comments (C14N 1.0 and 1.1) in pieces.

    Args:
        source: Gives the document in pieces, each time from its beginning; read twice up to the
            name of the root.
        write: Takes the canonical form piece by piece.
        identified: Takes the elements that have an identifier, each once, before they are dropped.
        refused: Qualified names of elements that the document must not have.
        last: The name of an empty element which has to be the last one in the root; it is left out.

    Returns:
        The document's root with its attributes and namespaces and nothing in it, or None where the
        document has a refused element, another last one, or much around its parts: what was written
        then means nothing.

    Raises:
        XMLUnreadableError: Not well-formed, nested too deeply, or with a document type declaration.
        UnsupportedXMLSignatureError: The document has no canonical form.
    """
    try:
        name = _root_name(source())
        if name is None or name in refused:
            return None
        # Events of all elements would take more time than the parser.
        parser = _parser((name, *refused))
        window: _Window | None = None
        for piece in source():
            parser.feed(piece)
            for element in _started(parser):
                if element.tag in refused:
                    return None
                if window is None:
                    xml_trees.check_no_document_type(element.getroottree())
                    window = _Window(element, write, identified)
            if window is not None:
                window.move()
                if window.written > MAX_AROUND:
                    return None
        parser.close()
    except (etree.XMLSyntaxError, ValueError) as error:
        raise xml_trees.XMLUnreadableError(f"expected well-formed XML: {error}") from error
    if window is None or not window.finish(last):
        return None
    return window.tree


class _Window:
    """What is in the tree at a time: the piece just read, in the elements that it lies in."""

    def __init__(
        self,
        root: etree._Element,
        write: Callable[[bytes], object],
        identified: Callable[[Sequence[etree._Element]], None],
    ) -> None:
        self._root = root
        self.tree = root.getroottree()
        self._write = write
        self._identified = identified
        self._mark = secrets.token_hex(16)
        self._names: set[str] = set()
        self.written = 0
        """How much of the tree's canonical form was given already: the start tags around."""

    def move(self) -> None:
        """Give and drop what ended before the last node, which may not be whole."""
        around = [self._root]
        while len(around[-1]) and isinstance(around[-1].tag, str):
            around.append(around[-1][-1])
        last = around.pop()
        if not any(len(one) > 1 or one.text for one in around):
            return
        octets, place = self._marked(last)
        self._write(octets[self.written : place])
        self._note_identified({*around, last})
        for one in around:
            one.text = None
            del one[:-1]
        _, self.written = self._marked(last)
        around[-1].text = None

    def finish(self, last: str | None) -> bool:
        """Give what is left of the document; tell whether its last element is the right one."""
        if last is not None:
            end = next(self._root.iterchildren(reversed=True), None)
            if end is None or not str(end.tag).endswith(last) or len(end) or end.attrib or end.text:
                return False
            self._root.remove(end)
        self._write(xml_trees.canonicalise(self.tree)[self.written :])
        self._note_identified(())
        self._root.text = None
        del self._root[:]
        return True

    def _marked(self, last: etree._Element) -> tuple[bytes, int]:
        """The canonical form with a random word in front of the last node, and where that is.

        The text there is whole, and never that of the last node: the parser may add to the last.
        """
        previous, parent = last.getprevious(), last.getparent()
        if previous is not None:
            previous.tail = (previous.tail or "") + self._mark
        elif parent is not None:
            parent.text = (parent.text or "") + self._mark
        octets = xml_trees.canonicalise(self.tree)
        mark = self._mark.encode()
        if octets.count(mark) != 1:
            raise errors.InputError("expected XML that can be canonicalised in pieces")
        return octets, octets.index(mark)

    def _note_identified(self, staying: Collection[etree._Element]) -> None:
        found = [one for one in xml_trees.identified(self._root) if one not in staying]
        for name in filter(None, (one.get(_XML_ID) for one in found)):
            # The parser refuses that too, of elements in the tree together if nothing else follows.
            if name in self._names:
                raise xml_trees.XMLUnreadableError(f"expected one xml:id {name[:200]!r}, got two")
            self._names.add(name)
        if found:
            self._identified(found)


def _root_name(pieces: Iterable[bytes]) -> str | None:
    parser = _parser(None)
    for piece in pieces:
        for start in range(0, len(piece), _FIRST):
            parser.feed(piece[start : start + _FIRST])
            for element in _started(parser):
                return str(element.tag)
    parser.close()
    return None


def _started(parser: etree.XMLPullParser) -> Iterator[etree._Element]:
    for _, element in parser.read_events():
        if isinstance(element, etree._Element):
            yield element


def _parser(names: Sequence[str] | None) -> etree.XMLPullParser:
    return etree.XMLPullParser(events=("start",), tag=names, **xml_trees.HARDENED)
