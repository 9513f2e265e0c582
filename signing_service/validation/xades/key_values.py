"""Bare keys in an XML signature's KeyInfo (XMLDSig 4.5.2)."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from pki import errors, xml_signature, xml_trees

_DS = xml_signature.name
_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "urn:oid:1.2.840.10045.3.1.7": ec.SECP256R1,
    "urn:oid:1.3.132.0.34": ec.SECP384R1,
    "urn:oid:1.3.132.0.35": ec.SECP521R1,
}


def read(element: etree._Element) -> object:
    """The bare key in KeyInfo, to say whether a signature without a certificate is intact."""
    try:
        for value in element.iter(_DS("RSAKeyValue")):
            modulus, exponent = (
                int.from_bytes(xml_trees.read_base64(xml_trees.child(value, _DS(part))), "big")
                for part in ("Modulus", "Exponent")
            )
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        dsig11 = "{http://www.w3.org/2009/xmldsig11#}"
        for value in element.iter(f"{dsig11}ECKeyValue"):
            curve = xml_trees.child(value, f"{dsig11}NamedCurve").get("URI") or ""
            point = xml_trees.read_base64(xml_trees.child(value, f"{dsig11}PublicKey"))
            if curve in _CURVES:
                return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve](), point)
    except (ValueError, errors.InputError):
        return None
    return None
