"""The transforms of a reference, one after the other (XMLDSig 6.6).

Everything works on the one parsed tree: what a filter leaves out is remembered, not removed. The
texts by which everybody says "without the signatures" are recognised; other XPath is evaluated
where the caller allows it (`xml_selections`). XSLT and all else that is not known is refused.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence

from lxml import etree

from pki import xml_selections, xml_trees

DS = "http://www.w3.org/2000/09/xmldsig#"
ENVELOPED = DS + "enveloped-signature"
BASE64 = DS + "base64"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XPATH_FILTER_2 = "http://www.w3.org/2002/06/xmldsig-filter2"

WITHOUT_SIGNATURES = "not(ancestor-or-self::ds:Signature)"
"""The XPath expression that we write: it leaves every signature out."""

MAX_TRANSFORMS = 8
"""Per reference."""

_ENVELOPED_IN_XPATH = (
    "count(ancestor-or-self::ds:Signature|here()/ancestor::ds:Signature[1])"
    ">count(ancestor-or-self::ds:Signature)"
)
_KNOWN_TEXTS = (
    WITHOUT_SIGNATURES,
    _ENVELOPED_IN_XPATH,
    "/descendant::ds:Signature",
    "//ds:Signature",
    "/*/ds:Signature",
)
_SIGNATURE = f"{{{DS}}}Signature"


def transforms_of(reference: etree._Element) -> Sequence[etree._Element]:
    """Return the transforms of a reference, in order."""
    listed = reference.findall(f"{{{DS}}}Transforms")
    if len(listed) > 1:
        raise xml_trees.XMLSignatureError("expected at most one Transforms in a Reference")
    found = listed[0].findall(f"{{{DS}}}Transform") if listed else []
    if len(found) > MAX_TRANSFORMS:
        raise xml_trees.XMLSignatureError(
            f"expected at most {MAX_TRANSFORMS} transforms, got {len(found)}"
        )
    return found


def inclusive_prefixes(method: etree._Element) -> Sequence[str]:
    """Return the prefixes that an exclusive canonicalisation treats inclusively."""
    listed = method.find(f"{{{xml_trees.C14N_EXCLUSIVE}}}InclusiveNamespaces")
    return () if listed is None else tuple((listed.get("PrefixList") or "").split())


class Chain:
    """What the transforms of one reference have made so far: parts of a document, or octets.

    Attributes:
        kept: The nodes of the signature's document that were hashed; empty for a file.
        left_out: The elements in them that were not.
        is_partial: Something else than signatures of the document was left out of what was read.
        without_all_signatures: Every signature in it was left out, and not only its own.
        text_only: What was hashed is the text in it, decoded: none of its names and attributes.
    """

    def __init__(
        self,
        signature: etree._Element,
        node: xml_trees.Node | None,
        octets: bytes | None,
        keep_comments: bool,
        find: Callable[[str], etree._Element] | None = None,
    ) -> None:
        """Start with what a reference names.

        Args:
            signature: That holds the reference.
            node: What the reference names; None where it leads to a file.
            octets: The file's content.
            keep_comments: Whether comments belong to what the reference names (XMLDSig 4.4.3.3).
            find: Finds the element of the signature's document that has an identifier, for XPath;
                None refuses every expression whose text is not one of those known.
        """
        self._signature = signature
        self._octets = octets
        # XMLDSig 4.4.3.2: octets that are read again give a node-set with its comments.
        self._keep_comments = keep_comments or node is None
        self._find = find
        self._tree: etree._ElementTree | None = None
        self._selection = xml_selections.everything()
        if isinstance(node, etree._Element):
            self._tree = node.getroottree()
            self._selection = xml_selections.elements([node])
        elif node is not None:
            self._tree = node
        self.kept: tuple[xml_trees.Node, ...] = ()
        self.left_out: tuple[etree._Element, ...] = ()
        self.is_partial = False
        self.without_all_signatures = False
        self.text_only = False

    def apply(self, transform: etree._Element) -> None:
        """Carry out the next transform.

        Raises:
            xml_trees.UnsupportedXMLSignatureError: It is not carried out here.
            xml_trees.XMLSignatureError: It does not fit what there is.
        """
        algorithm = xml_trees.algorithm_of(transform)
        if algorithm in xml_trees.METHODS:
            self._canonicalise(algorithm, inclusive_prefixes(transform))
        elif algorithm == BASE64:
            self._decode()
        elif algorithm == ENVELOPED:
            self._leave_own_out()
        elif algorithm == XPATH:
            self._filter(xml_trees.child(transform, f"{{{DS}}}XPath"))
        elif algorithm == XPATH_FILTER_2:
            self._filter_subtrees(transform)
        else:
            raise xml_trees.UnsupportedXMLSignatureError(
                "expected canonicalisation, enveloped-signature, base64 or XPath, got the"
                f" transform {algorithm[:200]!r}"
            )

    def finish(self) -> bytes:
        """Return the octets that are hashed."""
        if self._octets is None:
            self._canonicalise(xml_trees.C14N_10, ())  # XMLDSig 4.4.3.2: the default
        if self._octets is None:
            raise xml_trees.XMLSignatureError("the transforms of a reference gave no bytes")
        return self._octets

    def _canonicalise(self, algorithm: str, prefixes: Sequence[str]) -> None:
        parts = self._take()
        self._octets = b"".join(
            xml_trees.canonicalise(
                one.node,
                algorithm,
                keep_comments=self._keep_comments,
                prefixes=prefixes,
                left_out=one.left_out,
            )
            for one in parts
        )
        self._keep_comments = True

    def _decode(self) -> None:
        # XMLDSig 6.6.2: of a node set, the text of all its text nodes.
        text = self._octets
        if text is None:
            self.text_only = True
            text = b"".join(_text(one) for one in self._take())
        try:
            self._octets = base64.b64decode(re.sub(rb"[ \t\r\n]+", b"", text), validate=True)
        except (binascii.Error, ValueError) as error:
            raise xml_trees.XMLSignatureError(
                "expected base64 in what a reference names"
            ) from error
        self._keep_comments = True

    def _take(self) -> Sequence[xml_selections.Part]:
        """The parts that are in, once they become octets."""
        tree = self._document()
        parts = xml_selections.parts(self._selection, tree)
        gaps = tuple(gap for one in parts for gap in one.left_out)
        if tree.getroot() is self._signature.getroottree().getroot():
            self.kept = tuple(one.node for one in parts)
            self.is_partial = len(parts) != 1 or any(gap.tag != _SIGNATURE for gap in gaps)
        elif len(parts) != 1 or isinstance(parts[0].node, etree._Element) or gaps:
            # Nobody judges the signatures in other documents that a transform leaves out.
            self.is_partial = True
        self.left_out += gaps
        self._tree = None
        return parts

    def _document(self) -> etree._ElementTree:
        """The document that a transform works on; octets are read for it (XMLDSig 4.4.3.2)."""
        if self._tree is None:
            if self._octets is None:
                raise xml_trees.XMLSignatureError("a transform needs a node and has none")
            self._tree = xml_trees.parse(self._octets)
            self._octets = None
            self._selection = xml_selections.everything()
        return self._tree

    def _leave_own_out(self) -> None:
        # XMLDSig 6.6.4: the signature that holds the transform, in the document it is in.
        if self._document().getroot() is not self._signature.getroottree().getroot():
            raise xml_trees.XMLSignatureError("a transform needs a node and has bytes")
        self._subtract([self._signature])

    def _filter(self, holder: etree._Element) -> None:
        text = _known_text(holder)
        root = self._document().getroot()
        if text == WITHOUT_SIGNATURES:
            self.without_all_signatures = True
            self._subtract(_signatures_below(root))
        elif text == _ENVELOPED_IN_XPATH:
            self._leave_own_out()
        else:
            self._selection = self._selection.intersect(
                self._expressions().true_nodes(holder, with_comments=self._keep_comments)
            )

    def _filter_subtrees(self, transform: etree._Element) -> None:
        holders = transform.findall(f"{{{XPATH_FILTER_2}}}XPath")
        if not 1 <= len(holders) <= xml_selections.MAX_FILTERS:
            raise xml_trees.XMLSignatureError(
                f"expected 1 to {xml_selections.MAX_FILTERS} filters in a transform,"
                f" got {len(holders)}"
            )
        root = self._document().getroot()
        chosen = xml_selections.everything()
        without_all = False
        for holder in holders:
            left_out = False
            try:
                mode = xml_selections.FilterMode(holder.get("Filter"))
            except ValueError as error:
                raise xml_trees.XMLSignatureError(
                    "expected a Filter that is intersect, subtract or union"
                ) from error
            text = _known_text(holder)
            if text in ("/descendant::ds:Signature", "//ds:Signature"):
                left_out = mode is xml_selections.FilterMode.SUBTRACT
                named = xml_selections.elements(_signatures_below(root))
            elif text == "/*/ds:Signature":
                named = xml_selections.elements(root.findall(_SIGNATURE))
            else:
                named = self._expressions().subtrees(holder)
            chosen = {
                xml_selections.FilterMode.INTERSECT: chosen.intersect,
                xml_selections.FilterMode.SUBTRACT: chosen.subtract,
                xml_selections.FilterMode.UNION: chosen.union,
            }[mode](named)
            # What is left out stays so until something is put in.
            without_all = left_out or (without_all and mode is not xml_selections.FilterMode.UNION)
        self.without_all_signatures |= without_all
        # XPath Filter 2.0: a filter adds nothing to what came in.
        self._selection = self._selection.intersect(chosen)

    def _subtract(self, found: Sequence[etree._Element]) -> None:
        self._selection = self._selection.subtract(xml_selections.elements(found))

    def _expressions(self) -> xml_selections.Expressions:
        if self._find is None:
            raise xml_trees.UnsupportedXMLSignatureError(
                "expected one of the XPath texts that leave signatures out, got another one"
            )
        return xml_selections.Expressions(self._document(), self._find)


def _signatures_below(root: etree._Element) -> list[etree._Element]:
    """The signatures of a document that lie in no other one."""
    found = list(root.iter(_SIGNATURE))
    return [one for one in found if next(one.iterancestors(_SIGNATURE), None) is None]


def _text(part: xml_selections.Part) -> bytes:
    """The text of all text nodes, those behind comments too."""
    node = xml_trees.without(part.node, part.left_out)
    return str(node.xpath("string()")).encode()


def _known_text(holder: etree._Element) -> str:
    """The known text that an expression is, under whatever prefix and with whatever spaces."""
    text = re.sub(r"\s+", "", xml_trees.read_text(holder))
    prefixes = [prefix for prefix, space in holder.nsmap.items() if prefix and space == DS]
    return next(
        (
            known
            for known in _KNOWN_TEXTS
            if any(text == known.replace("ds:", f"{prefix}:") for prefix in prefixes)
        ),
        "",
    )
