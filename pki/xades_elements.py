"""Elements of XAdES that both signed documents and the trusted list carry (EN 319 132-1)."""

import base64
import datetime
from collections.abc import Sequence

from cryptography import x509
from lxml import etree

from pki import algorithms, certificates, clock, der, xml_algorithms, xml_signature

XADES = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
_VERSION, _DIRECTORY_NAME = 0xA0, 0xA4
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
    entry = etree.SubElement(etree.SubElement(parent, name("SigningCertificateV2")), name("Cert"))
    digest = etree.SubElement(entry, name("CertDigest"))
    etree.SubElement(
        digest,
        xml_signature.name("DigestMethod"),
        Algorithm=xml_algorithms.digest_uri(hash_algorithm),
    )
    holder = etree.SubElement(digest, xml_signature.name("DigestValue"))
    holder.text = base64.b64encode(hash_algorithm.digest(certificates.to_der(certificate))).decode()
    serial = etree.SubElement(entry, name("IssuerSerialV2"))
    serial.text = base64.b64encode(_issuer_and_serial(certificate)).decode()


def _issuer_and_serial(certificate: x509.Certificate) -> bytes:
    """IssuerSerial of RFC 5035 4, whose issuer is one directory name (RFC 5280 4.2.1.6)."""
    body = certificate.tbs_certificate_bytes
    (tbs,) = der.spans(body)
    fields = der.spans(body, tbs.content, tbs.end)
    if fields[0].tag == _VERSION:
        del fields[0]
    serial, _, issuer, *_ = (body[one.start : one.end] for one in fields)
    names = der.encode(der.SEQUENCE, der.encode(_DIRECTORY_NAME, issuer))
    return der.encode(der.SEQUENCE, names, serial)


def add_data_object_format(parent: etree._Element, reference: str, mime_type: str) -> None:
    """Add the type of what a reference with an `Id` names (EN 319 132-1 5.2.4)."""
    form = etree.SubElement(parent, name("DataObjectFormat"), ObjectReference=f"#{reference}")
    etree.SubElement(form, name("MimeType")).text = mime_type
