"""Counter-signatures of XAdES signatures: enveloped ones, in the signature whose value they sign.

A counter-signature is a XAdES signature of its own. It lies in the CounterSignature property of the
countersigned one and refers to its ds:SignatureValue (EN 319 132-1 5.2.7.2). Archive time stamps
cover the properties in front of them alone, so one more property at the end breaks none.
"""

from lxml import etree

from pki import algorithms, xades_elements, xml_signature, xml_trees
from signing_service import documents
from signing_service.creation import xades_signature, xades_unsigned


class NoValueIdentifierError(documents.DocumentRefusedError):
    """The signature value has no `Id` by which a counter-signature could refer to it."""

    code = "document-signature-value-without-id"


def identifiers(root: etree._Element) -> dict[str, list[etree._Element]]:
    """Return all signatures of a document by the names that a validation report gives them."""
    found: dict[str, list[etree._Element]] = {}
    for number, element in enumerate(xml_signature.signatures_in(root), start=1):
        found.setdefault(element.get("Id") or f"signature-{number}", []).append(element)
    return found


def find(root: etree._Element, identifier: str) -> etree._Element:
    """Return the only signature of a name.

    Raises:
        UnknownSignatureError: There is none, or several have it.
    """
    found = identifiers(root)
    if len(found.get(identifier, ())) != 1:
        names = [one for one, elements in found.items() for _ in elements]
        raise documents.UnknownSignatureError(identifier, names)
    return found[identifier][0]


def position_of(root: etree._Element, identifier: str) -> documents.ValuePosition:
    """Return the position of the only signature of a name. Raises as `find`."""
    value = xml_trees.read_base64(
        xml_trees.child(find(root, identifier), xml_signature.name("SignatureValue"))
    )
    return documents.ValuePosition(value, value)


def at(root: etree._Element, position: documents.Position) -> etree._Element:
    """Return the signature at a position.

    Raises:
        DocumentRefusedError: There is none.
    """
    signatures = xml_signature.signatures_in(root)
    if isinstance(position, documents.ValuePosition):
        for one in signatures:
            if _value(one) == position.in_xml:
                return one
    else:
        outermost = xades_signature.outermost(signatures)
        if -len(outermost) <= position < len(outermost):
            return outermost[position]
    raise documents.DocumentRefusedError("expected a signed document, found no signature")


def add_place(countersigned: etree._Element) -> etree._Element:
    """Add an empty counter-signature to a signature, behind all that it has, and return it.

    Raises:
        NotXAdESError: The signature has no place for properties.
    """
    holder = etree.SubElement(
        xades_unsigned.unsigned_properties(countersigned),
        xades_elements.name("CounterSignature"),
        nsmap=xades_elements.NSMAP,
    )
    return etree.SubElement(holder, xml_signature.name("Signature"))


def data_object(
    countersigned: etree._Element, hash_algorithm: algorithms.HashAlgorithm
) -> xades_signature.DataObject:
    """Refer to the value of a signature, tags included (EN 319 132-1 5.2.7.1, 5.2.7.2).

    Raises:
        NoValueIdentifierError: It has no `Id`, and giving it one could break time stamps over it.
    """
    value = xml_trees.child(countersigned, xml_signature.name("SignatureValue"))
    identifier = value.get("Id")
    if identifier is None:
        raise NoValueIdentifierError(
            "expected an Id on the signature value, by which a counter-signature refers to it"
        )
    reference = xml_signature.build_reference(
        xml_trees.canonicalise(value, xml_trees.C14N_11),
        uri=f"#{identifier}",
        hash_algorithm=hash_algorithm,
        transforms=(xml_trees.C14N_11,),
        type_uri=xml_signature.COUNTERSIGNED_TYPE,
    )
    return xades_signature.DataObject(reference, None, is_file=False)


def _value(element: etree._Element) -> bytes | None:
    holder = element.find(xml_signature.name("SignatureValue"))
    try:
        return None if holder is None else xml_trees.read_base64(holder)
    except xml_trees.XMLSignatureError:
        # A stranger's signature that cannot be read is not the one that was just made.
        return None
