"""XML Signature, hardened: what is signed is found by us, and reported byte for byte.

Canonicalisation is lxml's; everything that decides *what* is canonicalised is here. A reference is
resolved to one node of the parsed tree or to a file that was handed in, never to a second parse and
never over a network. What transforms are carried out is said in `xml_transforms`.
"""

import base64
import collections
import dataclasses
import functools
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from lxml import etree

from pki import algorithms, errors, originals, xml_algorithms, xml_transforms, xml_trees

DS = xml_transforms.DS
NAMESPACES = {"ds": DS}
ENVELOPED = xml_transforms.ENVELOPED
BASE64 = xml_transforms.BASE64
XPATH = xml_transforms.XPATH

MAX_REFERENCES = 1000
"""More references than the largest published test document has (500), and not a work multiplier."""
MAX_CANONICAL_BYTES = 4 * xml_trees.MAX_BYTES
"""All references of one signature together: many references to one big node stay affordable."""
_XADES = "http://uri.etsi.org/01903"
COUNTERSIGNED_TYPE = _XADES + "#CountersignedSignature"
"""The type of a reference to the value of a signature that is countersigned."""
_TYPED = {DS + "Object": "Object", DS + "Manifest": "Manifest"}
"""What references of these types name, inside the signature that holds them."""
_POINTER = re.compile(r"xpointer\(id\((['\"])([^'\"]+)\1\)\)")


class ReferenceDigestError(xml_trees.XMLSignatureError):
    """What a reference names is not what was signed."""

    code = "xml-reference-digest"


class ReferenceTypeError(xml_trees.ReferenceNotFoundError):
    """A reference says what it is to, and that is not there: another element was put in place."""

    code = "xml-reference-type"


class XMLSignatureValueError(xml_trees.XMLSignatureError):
    """The signature value does not verify over SignedInfo."""

    code = "xml-signature-value"


@dataclasses.dataclass(frozen=True)
class SignedReference:
    """One reference whose digest was checked.

    Attributes:
        identifier: The reference's own `Id`.
        uri: As written; None where it is absent.
        type_uri: The reference's `Type`.
        element: The node that was hashed; where transforms chose several parts, the node that is
            named. None for a file handed in beside the document.
        whole_document: It is the document from its root.
        outside_root: What stands outside the root was hashed too.
        is_chosen: A transform chose this element in what the reference names.
        left_out: The elements of it that were not hashed.
        is_partial: Something else than signatures was left out by a transform.
        without_all_signatures: Every signature in it was left out, and not only its own.
        text_only: What was hashed is the text in it, decoded: none of its names and attributes.
        content: Exactly the bytes that were hashed, or the hash that was handed in for a file.
        digest_algorithm: A name hashlib knows.
        file: The name of the file handed in beside the document that it leads to, or None.
    """

    identifier: str | None
    uri: str | None
    type_uri: str | None
    element: etree._Element | None
    whole_document: bool
    outside_root: bool
    is_chosen: bool
    left_out: tuple[etree._Element, ...]
    is_partial: bool
    without_all_signatures: bool
    text_only: bool
    content: originals.Original
    digest_algorithm: str
    file: str | None = None

    @property
    def has_all(self) -> bool:
        """Whether the element was hashed with all that is in it: what it says can be believed."""
        return not (self.left_out or self.is_partial or self.text_only)

    @property
    def octets(self) -> bytes:
        """Exactly the bytes that were hashed.

        Raises:
            originals.OriginalMissingError: They are not here; a hash was handed in.
        """
        return originals.octets(self.content)

    @property
    def pieces(self) -> Iterator[bytes]:
        """The same, in pieces where it lies in a file."""
        return originals.pieces(self.content)


def name(local: str) -> str:
    """Return the qualified name of an XML Signature element."""
    return f"{{{DS}}}{local}"


def signatures_in(root: etree._Element) -> tuple[etree._Element, ...]:
    """All signatures of a document in document order, counter-signatures included."""
    return tuple(root.iter(name("Signature")))


def signed_info_octets(signature: etree._Element) -> bytes:
    """Return the canonical SignedInfo: the data to be signed."""
    signed_info = xml_trees.child(signature, name("SignedInfo"))
    method = xml_trees.child(signed_info, name("CanonicalizationMethod"))
    return xml_trees.canonicalise(
        signed_info,
        xml_trees.algorithm_of(method),
        keep_comments=True,
        prefixes=xml_transforms.inclusive_prefixes(method),
    )


def check_value(signature: etree._Element, public_key: object) -> xml_algorithms.SignatureMethod:
    """Check the signature value over SignedInfo and return the method it was made with.

    Old algorithms are verified too: whether they still may be trusted is the policy's question.

    Raises:
        XMLSignatureValueError: It does not verify.
        xml_trees.UnsupportedXMLSignatureError: An algorithm that is not known here.
    """
    signed_info = xml_trees.child(signature, name("SignedInfo"))
    element = xml_trees.child(signed_info, name("SignatureMethod"))
    try:
        method = xml_algorithms.read_signature_method(element)
        value = xml_trees.read_base64(xml_trees.child(signature, name("SignatureValue")))
        method.verify(public_key, value, signed_info_octets(signature))
    except xml_algorithms.UnknownAlgorithmError as error:
        raise xml_trees.UnsupportedXMLSignatureError(error.message) from error
    except xml_algorithms.ValueMismatchError as error:
        raise XMLSignatureValueError(error.message) from error
    return method


def check_references(
    signature: etree._Element,
    *,
    detached: Mapping[str, originals.Original] | None = None,
    expressions: bool = False,
) -> tuple[SignedReference, ...]:
    """Resolve every reference of a signature and check its digest.

    Args:
        signature: In its own document, whose other nodes its references name.
        detached: Files handed in beside the document, by the name a reference may use. A single
            reference without any URI means the single file.
        expressions: Evaluate the document's own XPath, which belongs in a process with limits on
            time and memory.

    Raises:
        xml_trees.ReferenceNotFoundError: A reference leads nowhere.
        originals.OriginalMissingError: A file is transformed or hashed otherwise than the hash that
            was handed in for it.
        xml_trees.AmbiguousIdError: A reference leads to several elements.
        ReferenceDigestError: A digest differs.
        xml_trees.XMLSignatureError: The signature is not formed as prescribed.
    """
    signed_info = xml_trees.child(signature, name("SignedInfo"))
    references = signed_info.findall(name("Reference"))
    if not 1 <= len(references) <= MAX_REFERENCES:
        raise xml_trees.XMLSignatureError(
            f"expected 1 to {MAX_REFERENCES} references, got {len(references)}"
        )
    _check_children(signed_info, len(references))
    return check_reference_list(signature, references, detached=detached, expressions=expressions)


def check_reference_list(
    signature: etree._Element,
    references: Sequence[etree._Element],
    *,
    detached: Mapping[str, originals.Original] | None = None,
    expressions: bool = False,
) -> tuple[SignedReference, ...]:
    """Check the digests of some references, such as those of a manifest; as `check_references`."""
    resolver = _Resolver(signature, detached or {}, expressions)
    checked = []
    total = 0
    for reference in references:
        signed = resolver.check(reference)
        total += len(signed.content) if isinstance(signed.content, bytes) else 0
        if total > MAX_CANONICAL_BYTES:
            raise errors.LimitError(
                f"expected references to at most {MAX_CANONICAL_BYTES} bytes in all"
            )
        checked.append(signed)
    return tuple(checked)


def verify(
    signature: etree._Element,
    public_key: object,
    *,
    detached: Mapping[str, originals.Original] | None = None,
) -> tuple[SignedReference, ...]:
    """Check value and references, and return exactly what was signed; raises as the checks do."""
    check_value(signature, public_key)
    return check_references(signature, detached=detached)


def build_reference(
    content: originals.Original,
    *,
    uri: str,
    hash_algorithm: algorithms.HashAlgorithm,
    transforms: Sequence[str],
    identifier: str | None = None,
    type_uri: str | None = None,
) -> etree._Element:
    """Build a reference to content that was canonicalised; `XPATH` is our one expression."""
    reference = etree.Element(name("Reference"), nsmap=NAMESPACES)
    for attribute, value in (("Id", identifier), ("Type", type_uri), ("URI", uri)):
        if value is not None:
            reference.set(attribute, value)
    listed = etree.SubElement(reference, name("Transforms"))
    for transform in transforms:
        element = etree.SubElement(listed, name("Transform"), Algorithm=transform)
        if transform == XPATH:
            etree.SubElement(element, name("XPath")).text = xml_transforms.WITHOUT_SIGNATURES
    etree.SubElement(
        reference, name("DigestMethod"), Algorithm=xml_algorithms.digest_uri(hash_algorithm)
    )
    digest = etree.SubElement(reference, name("DigestValue"))
    hashed = originals.digest(content, hash_algorithm.short_name)
    digest.text = base64.b64encode(hashed).decode()
    return reference


def build_signed_info(
    references: Sequence[etree._Element],
    *,
    signature_method: str,
    canonicalisation: str = xml_trees.C14N_11,
) -> etree._Element:
    """Build SignedInfo over references."""
    signed_info = etree.Element(name("SignedInfo"), nsmap=NAMESPACES)
    etree.SubElement(signed_info, name("CanonicalizationMethod"), Algorithm=canonicalisation)
    etree.SubElement(signed_info, name("SignatureMethod"), Algorithm=signature_method)
    signed_info.extend(references)
    return signed_info


class _Resolver:
    """Finds and hashes what the references of one signature name."""

    def __init__(
        self,
        signature: etree._Element,
        detached: Mapping[str, originals.Original],
        expressions: bool,
    ) -> None:
        self._signature = signature
        self._tree = signature.getroottree()
        self._root = self._tree.getroot()
        self._detached = detached
        self._expressions = expressions

    def check(self, reference: etree._Element) -> SignedReference:
        uri = reference.get("URI")
        transforms = xml_transforms.transforms_of(reference)
        if uri is None and transforms and transforms[0].get("Algorithm") == ENVELOPED:
            # XMLDSig 6.6.4: only the document that the signature is in can be meant.
            uri = ""
        file = self._file(uri)
        given = None if file is None else self._detached[file]
        if given is not None:
            node, keep_comments = None, False
        else:
            node, keep_comments = self._dereference(uri)
        if isinstance(node, etree._Element):
            _check_type(self._signature, reference.get("Type") or "", node)
        octets = None if given is None or not transforms else originals.octets(given)
        chain = xml_transforms.Chain(
            self._signature,
            node,
            octets,
            keep_comments,
            self._find if self._expressions else None,
        )
        for transform in transforms:
            chain.apply(transform)
        content = given if given is not None and not transforms else chain.finish()
        digest_method = xml_trees.child(reference, name("DigestMethod"))
        try:
            digest_algorithm = xml_algorithms.read_digest_method(digest_method)
        except xml_algorithms.UnknownAlgorithmError as error:
            raise xml_trees.UnsupportedXMLSignatureError(error.message) from error
        expected = xml_trees.read_base64(xml_trees.child(reference, name("DigestValue")))
        if originals.digest(content, digest_algorithm) != expected:
            raise ReferenceDigestError(
                f"the content of the reference {(uri or '')[:200]!r} is not what was signed"
            )
        one_part = len(chain.kept) == 1
        hashed = chain.kept[0] if one_part else node
        return SignedReference(
            identifier=reference.get("Id"),
            uri=reference.get("URI"),
            type_uri=reference.get("Type"),
            element=self._root if hashed is self._tree else hashed,  # type: ignore[arg-type]
            whole_document=one_part and (hashed is self._tree or hashed is self._root),
            outside_root=one_part and hashed is self._tree,
            is_chosen=one_part and hashed is not node and hashed is not self._root,
            left_out=chain.left_out,
            is_partial=chain.is_partial,
            without_all_signatures=chain.without_all_signatures,
            text_only=chain.text_only,
            content=content,
            digest_algorithm=digest_algorithm,
            file=file,
        )

    @functools.cached_property
    def _by_id(self) -> Mapping[str, list[etree._Element]]:
        index = collections.defaultdict(list)
        for element in xml_trees.identified(self._root):
            for identifier in xml_trees.identifiers(element):
                index[identifier].append(element)
        return index

    def _find(self, identifier: str) -> etree._Element:
        return xml_trees.only(self._by_id.get(identifier, []), identifier)

    def _file(self, uri: str | None) -> str | None:
        """The file beside the document that a reference leads to, if it leads out of it."""
        if uri is None and len(self._detached) == 1:
            return next(iter(self._detached))
        if uri is None or uri == "" or uri.startswith("#"):
            return None
        # RFC 3986 5.2.4: a dot segment in front changes nothing.
        plain = uri.removeprefix("./")
        for candidate in (uri, plain, urllib.parse.unquote(plain)):
            if candidate in self._detached:
                return candidate
        return None

    def _dereference(self, uri: str | None) -> tuple[etree._Element | etree._ElementTree, bool]:
        """Return a node, and whether comments belong to it (XMLDSig 4.4.3.3)."""
        if uri is None:
            raise xml_trees.ReferenceNotFoundError(
                "a reference without a URI can be judged with exactly one detached document"
            )
        if uri in ("", "#xpointer(/)"):
            return self._tree, uri != ""
        if uri.startswith("#"):
            identifier = urllib.parse.unquote(uri[1:])
            pointer = _POINTER.fullmatch(identifier)
            return self._find(pointer[2] if pointer else identifier), pointer is not None
        # Never fetched: a signature must not choose what this machine connects to.
        raise xml_trees.ReferenceNotFoundError(
            f"the detached document {uri[:200]!r} was not handed in with the signature"
        )


def _check_type(signature: etree._Element, type_uri: str, node: etree._Element) -> None:
    """Check that a reference to a part of this signature leads there (EN 319 132-1 4.4).

    XMLDSig 4.4.3.1 leaves the type unchecked. But whoever moves a signed object out of its
    signature, to show another one in its place, leaves a type behind that no longer fits.
    """
    if type_uri == COUNTERSIGNED_TYPE and node.tag != name("SignatureValue"):
        # EN 319 132-1 5.2.7.1: what is signed is the value of the countersigned signature.
        raise ReferenceTypeError(
            "a reference to the value of a countersigned signature leads to another element"
        )
    local = _TYPED.get(type_uri)
    if local is None and type_uri.startswith(_XADES) and type_uri.endswith("#SignedProperties"):
        local = "SignedProperties"
    if local is None:
        return
    holder = (
        node.getparent()
        if local == "Object"
        else next((one for one in node.iterancestors(name("Signature"))), None)
    )
    if etree.QName(node).localname != local or holder is not signature:
        raise ReferenceTypeError(
            f"a reference to the {local} of its own signature leads to another element"
        )


def _check_children(signed_info: etree._Element, references: int) -> None:
    """Refuse elements in SignedInfo that nobody would look at (XMLDSig 4.4)."""
    xml_trees.child(signed_info, name("CanonicalizationMethod"))
    xml_trees.child(signed_info, name("SignatureMethod"))
    if len(signed_info.findall("*")) != references + 2:
        raise xml_trees.XMLSignatureError("expected only methods and references in SignedInfo")
