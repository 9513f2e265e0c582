"""Sign the list with an enveloped XAdES baseline-B signature (TS 119 612 5.7.1 and annex B)."""

import base64
import datetime
import uuid

from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    certificates,
    errors,
    signature,
    xades_elements,
    xml_algorithms,
    xml_signature,
    xml_trees,
)
from pki.keystore import store

MIME_TYPE = "application/vnd.etsi.tsl+xml"

# Annex B: the enveloped signature alone is left out, and the canonical form is the exclusive one.
_TRANSFORMS = (xml_signature.ENVELOPED, xml_trees.C14N_EXCLUSIVE)


class SignedListError(errors.TamperedError):
    """The list that was signed does not read as the list that was built."""

    code = "trusted-list-signature"


def sign(
    root: etree._Element,
    certificate: x509.Certificate,
    key: store.KeyHandle,
    at: datetime.datetime,
) -> bytes:
    """Return the list with its signature, as the bytes to publish.

    Args:
        root: The list; the signature is appended to it.
        certificate: The signer's; it alone stands in KeyInfo (TS 119 612 5.7.1).
        key: Its private key.
        at: The claimed signing time.

    Raises:
        SignedListError: The result does not verify: nothing is published.
        SignatureValueError: The key is not that of the certificate.
        DeviceError: The key store failed.
    """
    kind = algorithms.key_kind(certificate.public_key())
    hash_algorithm = kind.hash_algorithm
    identifier = f"S-{uuid.uuid4()}"
    reference = xml_signature.build_reference(
        xml_trees.canonicalise(root.getroottree(), xml_trees.C14N_EXCLUSIVE),
        uri="",
        hash_algorithm=hash_algorithm,
        transforms=_TRANSFORMS,
        identifier=f"{identifier}-list",
    )
    element = etree.SubElement(root, xml_signature.name("Signature"), nsmap=xades_elements.NSMAP)
    element.set("Id", identifier)
    value = etree.SubElement(element, xml_signature.name("SignatureValue"))
    value.set("Id", f"{identifier}-value")
    element.append(xades_elements.key_info([certificate]))
    properties = _add_properties(element, identifier, certificate, hash_algorithm, at)
    signed_properties = xml_signature.build_reference(
        xml_trees.canonicalise(properties, xml_trees.C14N_EXCLUSIVE),
        uri=f"#{identifier}-properties",
        hash_algorithm=hash_algorithm,
        transforms=(xml_trees.C14N_EXCLUSIVE,),
        type_uri=xades_elements.SIGNED_PROPERTIES_TYPE,
    )
    element.insert(
        0,
        xml_signature.build_signed_info(
            [reference, signed_properties],
            signature_method=xml_algorithms.signature_uri(kind.signature_algorithm, hash_algorithm),
            canonicalisation=xml_trees.C14N_EXCLUSIVE,
        ),
    )
    representation = signature.represent(xml_signature.signed_info_octets(element), hash_algorithm)
    signed = key.sign(representation)
    signature.check_value(certificate.public_key(), representation, signed)
    value.text = base64.b64encode(signed.value).decode("ascii")
    list_xml = etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8")
    _check(list_xml, certificate)
    return list_xml


def _add_properties(
    element: etree._Element,
    identifier: str,
    certificate: x509.Certificate,
    hash_algorithm: algorithms.HashAlgorithm,
    at: datetime.datetime,
) -> etree._Element:
    qualifying = etree.SubElement(
        etree.SubElement(element, xml_signature.name("Object")),
        xades_elements.name("QualifyingProperties"),
        Target=f"#{identifier}",
    )
    properties = etree.SubElement(
        qualifying, xades_elements.name("SignedProperties"), Id=f"{identifier}-properties"
    )
    about_signature = etree.SubElement(properties, xades_elements.name("SignedSignatureProperties"))
    xades_elements.add_signing_time(about_signature, at)
    xades_elements.add_signing_certificate(about_signature, certificate, hash_algorithm)
    about_list = etree.SubElement(properties, xades_elements.name("SignedDataObjectProperties"))
    xades_elements.add_data_object_format(about_list, f"{identifier}-list", MIME_TYPE)
    return properties


def _check(list_xml: bytes, certificate: x509.Certificate) -> None:
    """Read what will be published as a stranger would, and verify it."""
    root = xml_trees.parse(list_xml).getroot()
    found = xml_signature.signatures_in(root)
    if len(found) != 1:
        raise SignedListError(f"expected one signature in the list, got {len(found)}")
    try:
        signed = xml_signature.verify(found[0], certificates.public_key(certificate))
    except xml_trees.XMLSignatureError as error:
        raise SignedListError(f"the list does not verify: {error.message}") from error
    if not any(one.whole_document for one in signed):
        raise SignedListError("the signature does not cover the whole list")
