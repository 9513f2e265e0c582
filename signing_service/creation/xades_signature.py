"""One ds:Signature with XAdES properties, wherever it stands: built, then given its value.

The files around it, be it the signed document, a container or nothing, are others' business
(`xades`, `asic`).
"""

import base64
import dataclasses
import datetime
import urllib.parse
import uuid
from collections.abc import Sequence

from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    errors,
    signature,
    xades_elements,
    xml_algorithms,
    xml_signature,
    xml_trees,
)
from signing_service import parameters

XADES = xades_elements.XADES
SIGNED_PROPERTIES_TYPE = xades_elements.SIGNED_PROPERTIES_TYPE
NSMAP = xades_elements.NSMAP
name = xades_elements.name

UNKNOWN_TYPE = "application/octet-stream"


@dataclasses.dataclass(frozen=True)
class DataObject:
    """What one reference of a signature names.

    Attributes:
        reference: A ds:Reference without an identifier; it gets one.
        mime_type: What kind of file it is, for DataObjectFormat.
        is_file: It is no other signature's value, of which no format is told.
    """

    reference: etree._Element
    mime_type: str | None
    is_file: bool = True


def new_identifier() -> str:
    """Return an identifier that cannot meet one of the document or of another signature."""
    return f"S-{uuid.uuid4()}"


def file_reference(
    file_name: str, digest: bytes, hash_algorithm: algorithms.HashAlgorithm
) -> etree._Element:
    """Build a reference to a file beside the signature, by its name and the hash of its bytes."""
    reference = etree.Element(xml_signature.name("Reference"), nsmap=xml_signature.NAMESPACES)
    # RFC 3986 4.2: a colon in the first segment would make a scheme of it.
    reference.set("URI", urllib.parse.quote(file_name, safe="/"))
    etree.SubElement(
        reference,
        xml_signature.name("DigestMethod"),
        Algorithm=xml_algorithms.digest_uri(hash_algorithm),
    )
    value = etree.SubElement(reference, xml_signature.name("DigestValue"))
    value.text = base64.b64encode(digest).decode()
    return reference


def build(
    element: etree._Element,
    identifier: str,
    data_objects: Sequence[DataObject],
    *,
    certificate: x509.Certificate,
    chain: Sequence[x509.Certificate],
    chosen: parameters.SignatureParameters,
    at: datetime.datetime,
    enveloped: Sequence[etree._Element] = (),
) -> str:
    """Fill a ds:Signature with everything but its value, and return the signature method.

    Args:
        element: Empty, and in its place: what is above it counts when it is canonicalised.
        identifier: Its `Id`, the beginning of those inside.
        data_objects: What is signed.
        certificate: The signing certificate, whose key decides the algorithms.
        chain: Its issuers; those but a root are put beside it.
        chosen: Commitment, place and role are signed.
        at: The claimed signing time.
        enveloped: ds:Object elements that hold what is signed.
    """
    kind = algorithms.key_kind(certificate.public_key())
    hash_algorithm = kind.hash_algorithm
    element.set("Id", identifier)
    value = etree.SubElement(element, xml_signature.name("SignatureValue"))
    value.set("Id", f"{identifier}-value")
    element.append(xades_elements.key_info([certificate, *chain]))
    qualifying = etree.SubElement(
        etree.SubElement(element, xml_signature.name("Object")),
        name("QualifyingProperties"),
        Target=f"#{identifier}",
    )
    element.extend(enveloped)
    references = []
    for position, one in enumerate(data_objects):
        one.reference.set("Id", f"{identifier}-data-{position}")
        references.append(one.reference)
    properties = _signed_properties(identifier, data_objects, certificate, chosen, at)
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
    signed_info = xml_signature.build_signed_info(
        [*references, signed_properties], signature_method=method
    )
    element.insert(0, signed_info)
    return method


def embed(
    element: etree._Element, data_to_be_signed: bytes, method: str, value: signature.SignatureValue
) -> None:
    """Put the value into a signature that waits for it.

    Args:
        element: The ds:Signature.
        data_to_be_signed: What was to be signed when it was prepared.
        method: The signature method's identifier.
        value: For ECDSA r||s, as XML carries it.

    Raises:
        TamperedError: The signature is not the one that was prepared.
        SignatureValueError: The value was not made by the key of the certificate inside.
    """
    if xml_signature.signed_info_octets(element) != data_to_be_signed:
        raise errors.TamperedError("the prepared document is not the one that was prepared")
    certificate = x509.load_der_x509_certificate(
        xml_trees.read_base64(next(element.iter(xml_signature.name("X509Certificate"))))
    )
    check_value(certificate, data_to_be_signed, method, value)
    holder = xml_trees.child(element, xml_signature.name("SignatureValue"))
    holder.text = base64.b64encode(value.value).decode()


def check_value(
    certificate: x509.Certificate,
    data_to_be_signed: bytes,
    method: str,
    value: signature.SignatureValue,
) -> None:
    """Check a value before it is put in.

    Raises:
        SignatureValueError: Another key made it, or with another method.
    """
    made_with = xml_algorithms.signature_uri(value.algorithm, value.hash_algorithm)
    if made_with != method:
        raise signature.SignatureValueError(
            f"expected a value made with {method}, got one made with {made_with}"
        )
    signature.check_value(
        certificate.public_key(),
        signature.represent(data_to_be_signed, value.hash_algorithm),
        value,
    )


def outermost(signatures: Sequence[etree._Element]) -> list[etree._Element]:
    """Signatures that lie in no other signature (those would be counter-signatures)."""
    tag = xml_signature.name("Signature")
    return [one for one in signatures if next(one.iterancestors(tag), None) is None]


def _signed_properties(
    identifier: str,
    data_objects: Sequence[DataObject],
    certificate: x509.Certificate,
    chosen: parameters.SignatureParameters,
    at: datetime.datetime,
) -> etree._Element:
    """SignedProperties in the order of the schema (EN 319 132-1 4.3.4 to 4.3.6)."""
    properties = etree.Element(name("SignedProperties"), nsmap=xades_elements.NSMAP)
    properties.set("Id", f"{identifier}-properties")
    about_signature = etree.SubElement(properties, name("SignedSignatureProperties"))
    xades_elements.add_signing_time(about_signature, at)
    hash_algorithm = algorithms.key_kind(certificate.public_key()).hash_algorithm
    xades_elements.add_signing_certificate(about_signature, certificate, hash_algorithm)
    if chosen.place is not None:
        place = etree.SubElement(about_signature, name("SignatureProductionPlaceV2"))
        etree.SubElement(place, name("City")).text = chosen.place
    if chosen.role is not None:
        role = etree.SubElement(about_signature, name("SignerRoleV2"))
        claimed = etree.SubElement(role, name("ClaimedRoles"))
        etree.SubElement(claimed, name("ClaimedRole")).text = chosen.role
    about_data = etree.Element(name("SignedDataObjectProperties"))
    for position, one in enumerate(data_objects):
        if one.is_file:
            xades_elements.add_data_object_format(
                about_data, f"{identifier}-data-{position}", one.mime_type or UNKNOWN_TYPE
            )
    if chosen.commitment is not None:
        commitment = etree.SubElement(about_data, name("CommitmentTypeIndication"))
        kind = etree.SubElement(commitment, name("CommitmentTypeId"))
        etree.SubElement(kind, name("Identifier")).text = chosen.commitment.uri
        etree.SubElement(commitment, name("AllSignedDataObjects"))
    if len(about_data):
        properties.append(about_data)
    return properties
