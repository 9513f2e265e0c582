"""XAdES signatures over whatever is wanted, made with `lxml` and a key, the honest way or not."""

import base64
import dataclasses
import hashlib

from lxml import etree

from pki import algorithms, certificates, signature, xml_algorithms, xml_signature, xml_trees
from tests.support import hierarchy

DS = xml_signature.DS
XADES = "http://uri.etsi.org/01903/v1.3.2#"
_HASH = algorithms.HashAlgorithm.SHA256


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One reference to make."""

    uri: str | None
    type_uri: str | None = None
    transforms: tuple[str, ...] = ()
    octets: bytes | None = None


def sign(
    document: str,
    holder: hierarchy.Holder,
    *wanted: Wanted,
    objects: str = "",
    key_info: str = "",
    method: str | None = None,
    named: hierarchy.Holder | None = None,
    alone: bool = False,
) -> bytes:
    """Append a signature to a document's root.

    Args:
        document: The root element as text.
        holder: Whose key signs.
        wanted: The references; the one to the signed properties is added.
        objects: Further ds:Object elements of the signature, as text.
        key_info: Stands in KeyInfo before the signer's certificate.
        method: Another signature method than the honest one.
        named: Whose certificate the signed properties name, if it is not the signer's.
        alone: The signature is the document.
    """
    digest = base64.b64encode(hashlib.sha256((named or holder).der).digest()).decode()
    along = "".join(
        f"<ds:X509Certificate>{base64.b64encode(certificates.to_der(one)).decode()}"
        "</ds:X509Certificate>"
        for one in holder.issuers[:-1]
    )
    text = (
        f'<ds:Signature xmlns:ds="{DS}" Id="S"><ds:SignatureValue Id="V"/><ds:KeyInfo Id="K">'
        f"{key_info}<ds:X509Data><ds:X509Certificate>{base64.b64encode(holder.der).decode()}"
        f"</ds:X509Certificate>{along}</ds:X509Data></ds:KeyInfo>"
        f'<ds:Object><x:QualifyingProperties xmlns:x="{XADES}" Target="#S">'
        '<x:SignedProperties Id="P"><x:SignedSignatureProperties>'
        "<x:SigningTime>2026-01-01T00:00:00Z</x:SigningTime>"
        "<x:SigningCertificateV2><x:Cert><x:CertDigest>"
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></x:CertDigest></x:Cert>"
        "</x:SigningCertificateV2></x:SignedSignatureProperties></x:SignedProperties>"
        f"</x:QualifyingProperties></ds:Object>{objects}</ds:Signature>"
    )
    if alone:
        tree = xml_trees.parse(text.encode())
        element = tree.getroot()
    else:
        tree = xml_trees.parse(document.encode())
        element = etree.fromstring(text)
        tree.getroot().append(element)
    kind = algorithms.key_kind(holder.key.public_key())
    uri = method or xml_algorithms.signature_uri(kind.signature_algorithm, kind.hash_algorithm)
    properties = Wanted("#P", "http://uri.etsi.org/01903#SignedProperties")
    references = [_reference(tree, element, one) for one in (*wanted, properties)]
    element.insert(0, xml_signature.build_signed_info(references, signature_method=uri))
    value = holder.handle.sign(
        signature.represent(xml_signature.signed_info_octets(element), kind.hash_algorithm)
    )
    element.find(xml_signature.name("SignatureValue")).text = base64.b64encode(value.value).decode()
    return etree.tostring(tree, encoding="UTF-8")


def sign_files(holder: hierarchy.Holder, *wanted: Wanted) -> bytes:
    """A signature over files beside it, in the element that an ASiC container wants."""
    root = '<a:XAdESSignatures xmlns:a="http://uri.etsi.org/02918/v1.2.1#"/>'
    return sign(root, holder, *wanted)


def _reference(tree: etree._ElementTree, element: etree._Element, one: Wanted) -> etree._Element:
    octets = one.octets
    if octets is None:
        if one.uri == "":
            octets = xml_trees.canonicalise(xml_trees.without(tree, [element]))
        else:
            octets = xml_trees.canonicalise(xml_trees.find_by_id(tree.getroot(), one.uri[1:]))
    transforms = one.transforms
    if not transforms and one.octets is None:
        transforms = (xml_trees.C14N_11,)
        if one.uri == "":
            transforms = (xml_signature.ENVELOPED, xml_trees.C14N_11)
    return xml_signature.build_reference(
        octets,
        uri=one.uri,  # type: ignore[arg-type]
        hash_algorithm=_HASH,
        transforms=transforms,
        type_uri=one.type_uri,
    )
