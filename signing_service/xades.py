"""XAdES baseline signatures, enveloped (EN 319 132-1): prepare, embed, add a signature time stamp.

Every signature leaves all signatures of the document out of what it covers, by the XPath text
`not(ancestor-or-self::ds:Signature)`. So signatures stand in parallel: a second one neither covers
nor breaks the first, and each may later get time stamps of its own. A document whose existing
signatures leave only themselves out is refused, since a second signature would break them.
"""

import base64
import datetime
import json
import pathlib
import uuid
from collections.abc import Callable, Sequence

from asn1crypto import tsp as asn1_tsp
from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    durable_files,
    errors,
    signature,
    xades_elements,
    xml_algorithms,
    xml_signature,
    xml_trees,
)
from signing_service import documents, parameters

XADES = xades_elements.XADES
SIGNED_PROPERTIES_TYPE = xades_elements.SIGNED_PROPERTIES_TYPE
name = xades_elements.name

_TRANSFORMS = (xml_signature.XPATH, xml_trees.C14N_11)


class NotXMLError(documents.DocumentRefusedError):
    """Not well-formed XML, or with a document type declaration."""

    code = "document-not-xml"


class OtherSignatureError(documents.DocumentRefusedError):
    """The document has a signature that a second one would break."""

    code = "document-signature-would-break"


class AmbiguousDocumentError(documents.DocumentRefusedError):
    """Two elements of the document have the same identifier."""

    code = "document-ambiguous-id"


class TokenMismatchError(errors.PeerError):
    """The time-stamp token is not over the hash that was sent."""

    code = "time-stamp-mismatch"


def check_document(source: pathlib.Path, parameters: parameters.SignatureParameters) -> None:
    """Check that a document can be signed.

    Raises:
        NotXMLError: It cannot be read as XML, or declares a document type.
        OtherSignatureError: It is signed already in a way that a further signature would break.
        LimitError: It is too large.
    """
    _check_packaging(parameters)
    _check_tree(_read(source))


def prepare(
    source: pathlib.Path,
    target: pathlib.Path,
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    parameters: parameters.SignatureParameters,
    at: datetime.datetime,
) -> documents.PreparedSignature:
    """Write the document with a signature that lacks only its value.

    Args:
        source: The document.
        target: Receives the prepared document, in UTF-8.
        certificate: The signing certificate, whose key decides the algorithms.
        chain: Its issuers; those but a root are put beside it for whoever verifies.
        parameters: Commitment and place are signed.
        at: The claimed signing time.
    """
    _check_packaging(parameters)
    tree = _read(source)
    _check_tree(tree)
    root = tree.getroot()
    kind = algorithms.key_kind(certificate.public_key())
    hash_algorithm = kind.hash_algorithm
    # Chosen at random, so that it cannot meet an identifier of the document or another signature.
    identifier = f"S-{uuid.uuid4()}"
    existing = xml_signature.signatures_in(root)
    content = xml_trees.canonicalise(
        xml_trees.without(tree, _outermost(existing)), xml_trees.C14N_11
    )
    reference = xml_signature.build_reference(
        content,
        uri="",
        hash_algorithm=hash_algorithm,
        transforms=_TRANSFORMS,
        identifier=f"{identifier}-document",
    )
    element = etree.SubElement(root, xml_signature.name("Signature"), nsmap=xades_elements.NSMAP)
    element.set("Id", identifier)
    value = etree.SubElement(element, xml_signature.name("SignatureValue"))
    value.set("Id", f"{identifier}-value")
    element.append(xades_elements.key_info([certificate, *chain]))
    qualifying = etree.SubElement(
        etree.SubElement(element, xml_signature.name("Object")),
        name("QualifyingProperties"),
        Target=f"#{identifier}",
    )
    properties = _signed_properties(identifier, certificate, parameters, hash_algorithm, at)
    qualifying.append(properties)
    # Canonicalised in its place, with the namespaces and xml: attributes that the document gives.
    signed_properties = xml_signature.build_reference(
        xml_trees.canonicalise(properties, xml_trees.C14N_11),
        uri=f"#{identifier}-properties",
        hash_algorithm=hash_algorithm,
        transforms=(xml_trees.C14N_11,),
        type_uri=SIGNED_PROPERTIES_TYPE,
    )
    method = xml_algorithms.signature_uri(kind.signature_algorithm, hash_algorithm)
    element.insert(
        0, xml_signature.build_signed_info([reference, signed_properties], signature_method=method)
    )
    data_to_be_signed = xml_signature.signed_info_octets(element)
    # A document whose serialised form reads differently than its tree must not be signed.
    _write(tree, target)
    written = _read(target)
    again = _signature_by_id(written, identifier)
    for one in _outermost(xml_signature.signatures_in(written.getroot())):
        xml_signature.check_references(one)
    if xml_signature.signed_info_octets(again) != data_to_be_signed:
        raise NotXMLError("the document changes when it is written, so it cannot be signed")
    return documents.PreparedSignature(
        format=documents.SignatureFormat.XADES,
        data_to_be_signed=data_to_be_signed,
        hash_algorithm=hash_algorithm,
        context=json.dumps(
            {"signature_id": identifier, "signature_method": method}, sort_keys=True
        ).encode(),
    )


def embed(
    prepared: documents.PreparedSignature,
    source: pathlib.Path,
    target: pathlib.Path,
    value: signature.SignatureValue,
) -> None:
    """Put the signature value into a prepared document: B-B.

    Args:
        prepared: What `prepare` returned.
        source: The prepared document.
        target: Receives the signed document.
        value: For ECDSA r||s, as XML carries it.

    Raises:
        TamperedError: The prepared document is not the one that was prepared.
        SignatureValueError: The value was not made by the key of the certificate inside.
    """
    context = json.loads(prepared.context)
    tree = _read(source)
    element = _signature_by_id(tree, context["signature_id"])
    if xml_signature.signed_info_octets(element) != prepared.data_to_be_signed:
        raise errors.TamperedError("the prepared document is not the one that was prepared")
    method = xml_algorithms.signature_uri(value.algorithm, value.hash_algorithm)
    if method != context["signature_method"]:
        raise signature.SignatureValueError(
            f"expected a value made with {context['signature_method']}, got {method}"
        )
    certificate = x509.load_der_x509_certificate(
        xml_trees.read_base64(next(element.iter(xml_signature.name("X509Certificate"))))
    )
    signature.check_value(
        certificate.public_key(),
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm),
        value,
    )
    holder = xml_trees.child(element, xml_signature.name("SignatureValue"))
    holder.text = base64.b64encode(value.value).decode()
    _write(tree, target)


def add_signature_time_stamp(
    source: pathlib.Path,
    target: pathlib.Path,
    request_token: Callable[[signature.DataToBeSignedRepresentation], bytes],
) -> None:
    """Add a time stamp to the newest signature of a document: B-T (EN 319 132-1 5.3).

    Args:
        source: The signed document.
        target: Receives the document with the time stamp.
        request_token: Gives a time-stamp token, in DER, over the hash it gets.

    Raises:
        TokenMismatchError: The token is over another hash.
    """
    tree = _read(source)
    signatures = _outermost(xml_signature.signatures_in(tree.getroot()))
    if not signatures:
        raise documents.DocumentRefusedError("expected a signed document, found no signature")
    element = signatures[-1]
    value = xml_trees.child(element, xml_signature.name("SignatureValue"))
    # EN 319 132-1 5.3: over the canonical ds:SignatureValue element, tags included.
    representation = signature.represent(
        xml_trees.canonicalise(value, xml_trees.C14N_11), algorithms.HashAlgorithm.SHA256
    )
    token = request_token(representation)
    _check_imprint(token, representation)
    qualifying = next(element.iter(name("QualifyingProperties")), None)
    if qualifying is None:
        raise documents.DocumentRefusedError("expected a XAdES signature, found none")
    unsigned = _descend(_descend(qualifying, "UnsignedProperties"), "UnsignedSignatureProperties")
    stamp = etree.SubElement(unsigned, name("SignatureTimeStamp"), Id=f"TS-{uuid.uuid4()}")
    etree.SubElement(
        stamp, xml_signature.name("CanonicalizationMethod"), Algorithm=xml_trees.C14N_11
    )
    etree.SubElement(stamp, name("EncapsulatedTimeStamp")).text = base64.b64encode(token).decode()
    _write(tree, target)


def _check_packaging(chosen: parameters.SignatureParameters) -> None:
    if chosen.packaging is not parameters.Packaging.ENVELOPED:
        raise parameters.UnsupportedFormatError(
            f"expected the packaging enveloped for XAdES, got {chosen.packaging.value}",
            field="packaging",
        )


def _read(source: pathlib.Path) -> etree._ElementTree:
    if source.stat().st_size > xml_trees.MAX_BYTES:
        raise errors.LimitError(f"expected XML of at most {xml_trees.MAX_BYTES} bytes")
    try:
        return xml_trees.parse(source.read_bytes())
    except xml_trees.XMLUnreadableError as error:
        raise NotXMLError(error.message) from error


def _write(tree: etree._ElementTree, target: pathlib.Path) -> None:
    with durable_files.replacing(target) as partial, partial.open("wb") as file:
        tree.write(file, xml_declaration=True, encoding="UTF-8")


def _check_tree(tree: etree._ElementTree) -> None:
    root = tree.getroot()
    if root.tag == xml_signature.name("Signature"):
        raise OtherSignatureError("expected a document, got a signature without one around it")
    seen = set()
    for element in root.iter(etree.Element):
        identifier = element.get("Id")
        if identifier is not None and identifier in seen:
            raise AmbiguousDocumentError(
                f"two elements have the identifier {identifier[:200]!r}; a signature over such a"
                " document could be turned against its reader"
            )
        seen.add(identifier)
    for existing in _outermost(xml_signature.signatures_in(root)):
        if not _survives_another(existing):
            raise OtherSignatureError(
                "the document is signed in a way that covers further signatures too, so a second"
                " one would break it: sign the original, or keep the signatures apart"
            )


def _survives_another(existing: etree._Element) -> bool:
    """Whether a signature stays valid when another one is put beside it."""
    try:
        references = xml_signature.check_references(existing)
    except errors.InputError:
        return False
    root = existing.getroottree().getroot()
    return all(
        one.without_all_signatures or (one.element is not None and one.element is not root)
        for one in references
    )


def _outermost(signatures: Sequence[etree._Element]) -> list[etree._Element]:
    """Signatures that lie in no other signature (those would be counter-signatures)."""
    tag = xml_signature.name("Signature")
    return [one for one in signatures if next(one.iterancestors(tag), None) is None]


def _signature_by_id(tree: etree._ElementTree, identifier: str) -> etree._Element:
    found = xml_trees.find_by_id(tree.getroot(), identifier)
    if found.tag != xml_signature.name("Signature"):
        raise errors.TamperedError("the prepared document does not hold the prepared signature")
    return found


def _signed_properties(
    identifier: str,
    certificate: x509.Certificate,
    parameters: parameters.SignatureParameters,
    hash_algorithm: algorithms.HashAlgorithm,
    at: datetime.datetime,
) -> etree._Element:
    """SignedProperties in the order of the schema (EN 319 132-1 4.3.4 to 4.3.6)."""
    properties = etree.Element(name("SignedProperties"), nsmap=xades_elements.NSMAP)
    properties.set("Id", f"{identifier}-properties")
    about_signature = etree.SubElement(properties, name("SignedSignatureProperties"))
    xades_elements.add_signing_time(about_signature, at)
    xades_elements.add_signing_certificate(about_signature, certificate, hash_algorithm)
    if parameters.place is not None:
        place = etree.SubElement(about_signature, name("SignatureProductionPlaceV2"))
        etree.SubElement(place, name("City")).text = parameters.place
    about_document = etree.SubElement(properties, name("SignedDataObjectProperties"))
    xades_elements.add_data_object_format(about_document, f"{identifier}-document", "text/xml")
    if parameters.commitment is not None:
        commitment = etree.SubElement(about_document, name("CommitmentTypeIndication"))
        kind = etree.SubElement(commitment, name("CommitmentTypeId"))
        etree.SubElement(kind, name("Identifier")).text = parameters.commitment.uri
        etree.SubElement(commitment, name("AllSignedDataObjects"))
    return properties


def _check_imprint(token: bytes, representation: signature.DataToBeSignedRepresentation) -> None:
    try:
        imprint = (
            asn1_tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
            .parsed["message_imprint"]["hashed_message"]
            .native
        )
    except (ValueError, TypeError, KeyError) as error:
        raise TokenMismatchError("expected a time-stamp token") from error
    if imprint != representation.hash:
        raise TokenMismatchError("the time-stamp token is over another hash than the one sent")


def _descend(parent: etree._Element, local: str) -> etree._Element:
    found = parent.find(name(local))
    return etree.SubElement(parent, name(local)) if found is None else found
