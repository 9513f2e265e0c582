"""XML Signature, hardened: what is signed is found by us, and reported byte for byte.

Canonicalisation is lxml's; everything that decides *what* is canonicalised is here. A reference is
resolved to one node of the parsed tree or to a file that was handed in, never to a second parse and
never over a network. Transforms that run a program (XSLT, any XPath) are refused; the two texts by
which everybody says "without the signatures" are recognised and carried out by hand.
"""

import base64
import binascii
import collections
import dataclasses
import functools
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from lxml import etree

from pki import algorithms, errors, originals, xml_algorithms, xml_trees

DS = "http://www.w3.org/2000/09/xmldsig#"
NAMESPACES = {"ds": DS}

ENVELOPED = DS + "enveloped-signature"
BASE64 = DS + "base64"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XPATH_FILTER_2 = "http://www.w3.org/2002/06/xmldsig-filter2"

WITHOUT_SIGNATURES = "not(ancestor-or-self::ds:Signature)"
"""The one XPath expression that is carried out: it leaves every signature out."""

_ENVELOPED_IN_XPATH = (
    "count(ancestor-or-self::ds:Signature|here()/ancestor::ds:Signature[1])"
    ">count(ancestor-or-self::ds:Signature)"
)

MAX_REFERENCES = 1000
"""More references than the largest published test document has (500), and not a work multiplier."""
MAX_CANONICAL_BYTES = 4 * xml_trees.MAX_BYTES
"""All references of one signature together: many references to one big node stay affordable."""
MAX_TRANSFORMS = 8
"""Per reference."""

_XADES = "http://uri.etsi.org/01903"
COUNTERSIGNED_TYPE = _XADES + "#CountersignedSignature"
"""The type of a reference to the value of a signature that is countersigned."""
_TYPED = {DS + "Object": "Object", DS + "Manifest": "Manifest"}
"""What references of these types name, inside the signature that holds them."""
_POINTER = re.compile(r"#xpointer\(id\((['\"])([^'\"]+)\1\)\)")


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
        element: The node it names; None for a file handed in beside the document.
        whole_document: It names the document from its root.
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
    without_all_signatures: bool
    text_only: bool
    content: originals.Original
    digest_algorithm: str
    file: str | None = None

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
        prefixes=_inclusive_prefixes(method),
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
    signature: etree._Element, *, detached: Mapping[str, originals.Original] | None = None
) -> tuple[SignedReference, ...]:
    """Resolve every reference of a signature and check its digest.

    Args:
        signature: In its own document, whose other nodes its references name.
        detached: Files handed in beside the document, by the name a reference may use. A single
            reference without any URI means the single file.

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
    return check_reference_list(signature, references, detached=detached)


def check_reference_list(
    signature: etree._Element,
    references: Sequence[etree._Element],
    *,
    detached: Mapping[str, originals.Original] | None = None,
) -> tuple[SignedReference, ...]:
    """Check the digests of some references, such as those of a manifest; raises as above."""
    resolver = _Resolver(signature, detached or {})
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
    octets: bytes,
    *,
    uri: str,
    hash_algorithm: algorithms.HashAlgorithm,
    transforms: Sequence[str],
    identifier: str | None = None,
    type_uri: str | None = None,
) -> etree._Element:
    """Build a reference to what was canonicalised into `octets`; `XPATH` is our one expression."""
    reference = etree.Element(name("Reference"), nsmap=NAMESPACES)
    for attribute, value in (("Id", identifier), ("Type", type_uri), ("URI", uri)):
        if value is not None:
            reference.set(attribute, value)
    listed = etree.SubElement(reference, name("Transforms"))
    for transform in transforms:
        element = etree.SubElement(listed, name("Transform"), Algorithm=transform)
        if transform == XPATH:
            etree.SubElement(element, name("XPath")).text = WITHOUT_SIGNATURES
    etree.SubElement(
        reference, name("DigestMethod"), Algorithm=xml_algorithms.digest_uri(hash_algorithm)
    )
    digest = etree.SubElement(reference, name("DigestValue"))
    digest.text = base64.b64encode(hash_algorithm.digest(octets)).decode()
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
        self, signature: etree._Element, detached: Mapping[str, originals.Original]
    ) -> None:
        self._signature = signature
        self._tree = signature.getroottree()
        self._root = self._tree.getroot()
        self._detached = detached

    def check(self, reference: etree._Element) -> SignedReference:
        uri = reference.get("URI")
        file = self._file(uri)
        transforms = _transforms_of(reference)
        given = None if file is None else self._detached[file]
        if given is not None:
            node, keep_comments = None, False
        else:
            node, keep_comments = self._dereference(uri)
        if isinstance(node, etree._Element):
            _check_type(self._signature, reference.get("Type") or "", node)
        without_all_signatures = text_only = False
        if given is not None and not transforms:
            content = given
        else:
            octets = None if given is None else originals.octets(given)
            state = _State(self._signature, node, octets, keep_comments)
            for transform in transforms:
                state.apply(transform)
            content = state.finish()
            without_all_signatures, text_only = state.without_all_signatures, state.text_only
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
        return SignedReference(
            identifier=reference.get("Id"),
            uri=uri,
            type_uri=reference.get("Type"),
            element=self._root if node is self._tree else node,  # type: ignore[arg-type]
            whole_document=node is self._tree or node is self._root,
            without_all_signatures=without_all_signatures,
            text_only=text_only,
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
        pointer = _POINTER.fullmatch(uri)
        if pointer:
            return xml_trees.only(self._by_id.get(pointer[2], []), pointer[2]), True
        if uri.startswith("#"):
            identifier = urllib.parse.unquote(uri[1:])
            return xml_trees.only(self._by_id.get(identifier, []), identifier), False
        # Never fetched: a signature must not choose what this machine connects to.
        raise xml_trees.ReferenceNotFoundError(
            f"the detached document {uri[:200]!r} was not handed in with the signature"
        )


class _State:
    """What a chain of transforms has made so far: a node and what to leave out, or octets."""

    def __init__(
        self,
        signature: etree._Element,
        node: etree._Element | etree._ElementTree | None,
        octets: bytes | None,
        keep_comments: bool,
    ) -> None:
        self._signature = signature
        self._node = node
        self._octets = octets
        self._keep_comments = keep_comments
        self._left_out: list[etree._Element] = []
        self.without_all_signatures = False
        self.text_only = False

    def apply(self, transform: etree._Element) -> None:
        algorithm = xml_trees.algorithm_of(transform)
        if algorithm in xml_trees.METHODS:
            self._canonicalise(algorithm, _inclusive_prefixes(transform))
        elif algorithm == BASE64:
            self._decode()
        elif algorithm == ENVELOPED or _leaves_own_signature_out(transform, algorithm):
            self._leave_out([self._signature])
        elif _leaves_signatures_out(transform, algorithm):
            self.without_all_signatures = True
            self._leave_out(None)
        elif _leaves_outer_signatures_out(transform, algorithm):
            root = self._signature.getroottree().getroot()
            self._leave_out(root.findall(name("Signature")))
        else:
            raise xml_trees.UnsupportedXMLSignatureError(
                f"expected canonicalisation, enveloped-signature or base64, got the transform"
                f" {algorithm[:200]!r}"
            )

    def finish(self) -> bytes:
        if self._octets is None:
            self._canonicalise(xml_trees.C14N_10, ())  # XMLDSig 4.4.3.2: the default
        if self._octets is None:
            raise xml_trees.XMLSignatureError("the transforms of a reference gave no bytes")
        return self._octets

    def _canonicalise(self, algorithm: str, prefixes: Sequence[str]) -> None:
        node = self._node if self._octets is None else xml_trees.parse(self._octets)
        if node is None:
            raise xml_trees.XMLSignatureError("a transform needs a node and has none")
        self._octets = xml_trees.canonicalise(
            node,
            algorithm,
            keep_comments=self._keep_comments,
            prefixes=prefixes,
            left_out=self._left_out,
        )
        self._node, self._left_out = None, []

    def _decode(self) -> None:
        # XMLDSig 6.6.2: of a node set, the text of all its text nodes.
        text = self._octets
        if text is None:
            self.text_only = True
            element = xml_trees.without(self._element(), self._left_out)
            if not isinstance(element, etree._Element):
                raise xml_trees.XMLSignatureError("expected an element to decode")
            text = "".join(str(part) for part in element.itertext(etree.Element)).encode()
        try:
            self._octets = base64.b64decode(re.sub(rb"[ \t\r\n]+", b"", text), validate=True)
        except (binascii.Error, ValueError) as error:
            raise xml_trees.XMLSignatureError(
                "expected base64 in what a reference names"
            ) from error
        self._node, self._left_out = None, []

    def _leave_out(self, signatures: Sequence[etree._Element] | None) -> None:
        element = self._element()
        found = [one for one in element.iter(name("Signature")) if one is not element]
        if signatures is not None:
            # XMLDSig 6.6.4: the signature that holds the transform, if it is inside what is named.
            found = [one for one in found if one in signatures]
        # Those inside another one go with it.
        left_out = dict.fromkeys([*self._left_out, *found])
        self._left_out = [
            one for one in left_out if not any(above in left_out for above in one.iterancestors())
        ]

    def _element(self) -> etree._Element:
        if isinstance(self._node, etree._ElementTree):
            return self._node.getroot()
        if self._node is None:
            raise xml_trees.XMLSignatureError("a transform needs a node and has bytes")
        return self._node


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


def _leaves_signatures_out(transform: etree._Element, algorithm: str) -> bool:
    """Recognise the texts that say "without the signatures", and no other expression."""
    return _says(transform, algorithm, XPATH, WITHOUT_SIGNATURES) or any(
        _says(transform, algorithm, XPATH_FILTER_2, text)
        for text in ("/descendant::ds:Signature", "//ds:Signature")
    )


def _leaves_own_signature_out(transform: etree._Element, algorithm: str) -> bool:
    """Recognise the text that XMLDSig 6.6.4 gives for the enveloped-signature transform."""
    return _says(transform, algorithm, XPATH, _ENVELOPED_IN_XPATH)


def _leaves_outer_signatures_out(transform: etree._Element, algorithm: str) -> bool:
    """Recognise the text that says "without the signatures right below the root"."""
    return _says(transform, algorithm, XPATH_FILTER_2, "/*/ds:Signature")


def _says(transform: etree._Element, algorithm: str, wanted: str, expression: str) -> bool:
    """Whether a transform is of an algorithm and has an expression, under whatever prefix."""
    if algorithm != wanted:
        return False
    space = DS if algorithm == XPATH else XPATH_FILTER_2
    element = xml_trees.child(transform, f"{{{space}}}XPath")
    if algorithm == XPATH_FILTER_2 and element.get("Filter") != "subtract":
        return False
    text = re.sub(r"\s+", "", xml_trees.read_text(element))
    return any(
        text == expression.replace("ds:", f"{key}:")
        for key, value in element.nsmap.items()
        if key and value == DS
    )


def _transforms_of(reference: etree._Element) -> Sequence[etree._Element]:
    listed = reference.findall(name("Transforms"))
    if len(listed) > 1:
        raise xml_trees.XMLSignatureError("expected at most one Transforms in a Reference")
    found = listed[0].findall(name("Transform")) if listed else []
    if len(found) > MAX_TRANSFORMS:
        raise xml_trees.XMLSignatureError(
            f"expected at most {MAX_TRANSFORMS} transforms, got {len(found)}"
        )
    return found


def _check_children(signed_info: etree._Element, references: int) -> None:
    """Refuse elements in SignedInfo that nobody would look at (XMLDSig 4.4)."""
    xml_trees.child(signed_info, name("CanonicalizationMethod"))
    xml_trees.child(signed_info, name("SignatureMethod"))
    if len(signed_info.findall("*")) != references + 2:
        raise xml_trees.XMLSignatureError("expected only methods and references in SignedInfo")


def _inclusive_prefixes(method: etree._Element) -> Sequence[str]:
    listed = method.find(f"{{{xml_trees.C14N_EXCLUSIVE}}}InclusiveNamespaces")
    return () if listed is None else tuple((listed.get("PrefixList") or "").split())
