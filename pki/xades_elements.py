"""Elements of XAdES that both signed documents and the trusted list carry (EN 319 132-1)."""

import base64
import datetime
from collections.abc import Sequence

from asn1crypto import tsp as asn1_tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from lxml import etree

from pki import algorithms, certificates, clock, xml_algorithms, xml_signature

XADES = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
NSMAP = {"ds": xml_signature.DS, "xades": XADES}


def name(local: str) -> str:
    """Return the qualified name of a XAdES 1.3.2 element."""
    return f"{{{XADES}}}{local}"


def key_info(chain: Sequence[x509.Certificate]) -> etree._Element:
    """The signing certificate first, then its issuers without a root (EN 319 132-1 6.3)."""
    element = etree.Element(xml_signature.name("KeyInfo"), nsmap=NSMAP)
    data = etree.SubElement(element, xml_signature.name("X509Data"))
    for position, certificate in enumerate(chain):
        if position and certificate.issuer == certificate.subject:
            continue
        holder = etree.SubElement(data, xml_signature.name("X509Certificate"))
        holder.text = base64.b64encode(certificates.to_der(certificate)).decode()
    return element


def add_signing_time(parent: etree._Element, at: datetime.datetime) -> None:
    """Add the claimed signing time, in whole seconds (EN 319 132-1 5.2.1)."""
    moment = clock.whole_seconds(at).strftime("%Y-%m-%dT%H:%M:%SZ")
    etree.SubElement(parent, name("SigningTime")).text = moment


def add_signing_certificate(
    parent: etree._Element,
    certificate: x509.Certificate,
    hash_algorithm: algorithms.HashAlgorithm,
) -> None:
    """Add SigningCertificateV2 with digest and issuer (EN 319 132-1 5.2.2)."""
    der = certificates.to_der(certificate)
    entry = etree.SubElement(etree.SubElement(parent, name("SigningCertificateV2")), name("Cert"))
    digest = etree.SubElement(entry, name("CertDigest"))
    etree.SubElement(
        digest,
        xml_signature.name("DigestMethod"),
        Algorithm=xml_algorithms.digest_uri(hash_algorithm),
    )
    holder = etree.SubElement(digest, xml_signature.name("DigestValue"))
    holder.text = base64.b64encode(hash_algorithm.digest(der)).decode()
    parsed = asn1_x509.Certificate.load(der)
    issuer = asn1_tsp.IssuerSerial(
        {
            "issuer": [asn1_x509.GeneralName("directory_name", parsed.issuer)],
            "serial_number": parsed.serial_number,
        }
    )
    serial = etree.SubElement(entry, name("IssuerSerialV2"))
    serial.text = base64.b64encode(issuer.dump()).decode()


def add_data_object_format(parent: etree._Element, reference: str, mime_type: str) -> None:
    """Add the type of what a reference with an `Id` names (EN 319 132-1 5.2.4)."""
    form = etree.SubElement(parent, name("DataObjectFormat"), ObjectReference=f"#{reference}")
    etree.SubElement(form, name("MimeType")).text = mime_type
