"""Bare keys in an XML signature's KeyInfo (XMLDSig 4.5.2, XMLDSig 1.1 4.5.10)."""

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from lxml import etree

from pki import errors, xml_signature, xml_trees

_DS = xml_signature.name
_DSIG11 = "{http://www.w3.org/2009/xmldsig11#}"
_URN = "urn:oid:"


def read(element: etree._Element) -> object:
    """The bare key in KeyInfo, to say whether a signature without a certificate is intact."""
    info = element.find(_DS("KeyInfo"))
    if info is None:
        return None
    try:
        for value in info.iter(_DS("RSAKeyValue")):
            numbers = rsa.RSAPublicNumbers(_number(value, "Exponent"), _number(value, "Modulus"))
            return numbers.public_key()
        for value in info.iter(_DS("DSAKeyValue")):
            parameters = dsa.DSAParameterNumbers(*(_number(value, one) for one in "PQG"))
            return dsa.DSAPublicNumbers(_number(value, "Y"), parameters).public_key()
        for value in info.iter(f"{_DSIG11}ECKeyValue"):
            name = xml_trees.child(value, f"{_DSIG11}NamedCurve").get("URI") or ""
            curve = ec.get_curve_for_oid(x509.ObjectIdentifier(name.removeprefix(_URN)))
            point = xml_trees.read_base64(xml_trees.child(value, f"{_DSIG11}PublicKey"))
            return ec.EllipticCurvePublicKey.from_encoded_point(curve(), point)
        for value in info.iter(f"{_DSIG11}DEREncodedKeyValue"):
            return serialization.load_der_public_key(xml_trees.read_base64(value))
    except (ValueError, LookupError, exceptions.UnsupportedAlgorithm, errors.InputError):
        # A key that cannot be read verifies nothing; that no key was found is told.
        return None
    return None


def _number(value: etree._Element, local: str) -> int:
    return int.from_bytes(xml_trees.read_base64(xml_trees.child(value, _DS(local))), "big")
