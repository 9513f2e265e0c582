"""Whose key an XML signature was made with, by whatever its KeyInfo says."""

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils
from lxml import etree

from pki import xml_signature, xml_trees
from signing_service.validation import report
from signing_service.validation.xades import xml_document

DS = xml_signature.DS
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
EDDSA = "http://www.w3.org/2021/04/xmldsig-more#eddsa-"
TYPES = {"O": "", "P": ' Type="http://uri.etsi.org/01903#SignedProperties"'}
XADES_111 = "http://uri.etsi.org/01903/v1.1.1#"


def sign(key, method: str, key_info: str, *, objects: str = "", parameters: str = "") -> bytes:
    """A signature of XMLDSig alone around an object, made with a bare key of `cryptography`."""
    root = etree.fromstring(
        f'<ds:Signature xmlns:ds="{DS}" Id="S"><ds:SignedInfo><ds:CanonicalizationMethod'
        f' Algorithm="{xml_trees.C14N_10}"/><ds:SignatureMethod Algorithm="{method}">{parameters}'
        "</ds:SignatureMethod>"
        "</ds:SignedInfo><ds:SignatureValue/>"
        f'<ds:KeyInfo>{key_info}</ds:KeyInfo><ds:Object Id="O">TEST</ds:Object>{objects}'
        "</ds:Signature>"
    )
    for one in root.xpath("//*[@Id='O' or @Id='P']"):
        digest = base64.b64encode(hashlib.sha256(xml_trees.canonicalise(one)).digest()).decode()
        root[0].append(
            etree.fromstring(
                f'<ds:Reference xmlns:ds="{DS}" URI="#{one.get("Id")}"{TYPES[one.get("Id")]}>'
                '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
                f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
            )
        )
    root[1].text = base64.b64encode(value(key, xml_signature.signed_info_octets(root))).decode()
    return etree.tostring(root)


def value(key, octets: bytes) -> bytes:
    sha256 = hashes.SHA256()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PSS(padding.MGF1(hashes.SHA512()), 20), sha256)
    if isinstance(key, dsa.DSAPrivateKey):
        return joined(key.sign(octets, sha256), 32)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return joined(key.sign(octets, ec.ECDSA(sha256)), key.key_size // 8)
    return key.sign(octets)


def joined(der: bytes, size: int) -> bytes:
    return b"".join(part.to_bytes(size, "big") for part in utils.decode_dss_signature(der))


def found(document: bytes, supplied: tuple[x509.Certificate, ...] = ()):
    (one,) = xml_document.read_octets(document, "TEST.xml", {}, supplied).signatures
    return one


def listed(*holders) -> str:
    ders = (base64.b64encode(one.der).decode() for one in holders)
    certificates = "".join(f"<ds:X509Certificate>{one}</ds:X509Certificate>" for one in ders)
    return f"<ds:X509Data>{certificates}</ds:X509Data>"


def bare(key) -> str:
    """The key in KeyInfo in the form that its kind has there."""
    public = key.public_key()
    space = 'xmlns:n="http://www.w3.org/2009/xmldsig11#"'
    if isinstance(public, dsa.DSAPublicKey):
        numbers = public.public_numbers()
        parameters = numbers.parameter_numbers
        parts = {"P": parameters.p, "Q": parameters.q, "G": parameters.g, "Y": numbers.y}
        inside = "".join(f"<ds:{name}>{number(one)}</ds:{name}>" for name, one in parts.items())
        return f"<ds:KeyValue><ds:DSAKeyValue>{inside}</ds:DSAKeyValue></ds:KeyValue>"
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return (
            f'<ds:KeyValue><n:ECKeyValue {space}><n:NamedCurve URI="urn:oid:1.3.36.3.3.2.8.1.1.7"/>'
            f"<n:PublicKey>{base64.b64encode(point).decode()}</n:PublicKey></n:ECKeyValue>"
            "</ds:KeyValue>"
        )
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    encoded = base64.b64encode(der).decode()
    return f"<n:DEREncodedKeyValue {space}>{encoded}</n:DEREncodedKeyValue>"


def number(one: int) -> str:
    return base64.b64encode(one.to_bytes((one.bit_length() + 7) // 8, "big")).decode()


@pytest.mark.clause("XML Signature", "4.5.2")
@pytest.mark.parametrize(
    ("make", "method"),
    [
        (lambda: dsa.generate_private_key(2048), "http://www.w3.org/2009/xmldsig11#dsa-sha256"),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), MORE + "ecdsa-sha256"),
        (ed25519.Ed25519PrivateKey.generate, EDDSA + "ed25519"),
        (ed448.Ed448PrivateKey.generate, EDDSA + "ed448"),
    ],
)
def test_signature_with_a_bare_key_is_intact_and_nobody_s(make, method):
    key = make()
    one = found(sign(key, method, bare(key)))
    assert (one.intact, one.failure, one.certificate) == (True, None, None)
    assert found(sign(make(), method, bare(key))).failure[0] is (
        report.SubIndication.SIG_CRYPTO_FAILURE
    )


@pytest.mark.clause("RFC 9231", "2.3.9")
def test_pss_may_generate_its_mask_by_another_hash():
    key = rsa.generate_private_key(65537, 2048)
    more = "http://www.w3.org/2007/05/xmldsig-more#"
    parameters = (
        f'<p:RSAPSSParams xmlns:p="{more}"><p:SaltLength>20</p:SaltLength>'
        f'<p:MaskGenerationFunction Algorithm="{more}MGF1"><ds:DigestMethod'
        ' Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/></p:MaskGenerationFunction>'
        "</p:RSAPSSParams>"
    )
    assert found(sign(key, more + "rsa-pss", bare(key), parameters=parameters)).intact
    other = parameters.replace("sha512", "sha256")
    assert found(sign(key, more + "rsa-pss", bare(key), parameters=other)).intact is False


@pytest.mark.clause("XML Signature", "4.5.4")
def test_certificates_may_stand_in_any_order(hierarchy):
    signer, other = hierarchy.signer(), hierarchy.signer("9ZZ99ZZ")
    method = MORE + "ecdsa-sha256"
    for holders in ((signer, other), (other, signer)):
        one = found(sign(signer.key, method, listed(*holders)))
        assert one.intact
        assert one.certificate == signer.certificate
    one = found(sign(signer.key, method, listed(other, hierarchy.issuing)))
    assert one.failure[0] is report.SubIndication.SIG_CRYPTO_FAILURE


def test_key_of_a_signature_inside_is_not_the_key_of_the_one_around_it():
    key = ed25519.Ed25519PrivateKey.generate()
    inside = f"<ds:Object><ds:KeyInfo>{bare(key)}</ds:KeyInfo></ds:Object>"
    one = found(sign(key, EDDSA + "ed25519", "", objects=inside))
    assert one.intact is None


@pytest.mark.parametrize("how", ["ski", "serial", "subject"])
def test_trusted_person_s_certificate_is_found_by_its_description(hierarchy, how):
    signer, other = hierarchy.signer(), hierarchy.signer("9ZZ99ZZ")
    certificate = signer.certificate
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    description = {
        "ski": f"<ds:X509SKI>{base64.b64encode(identifier.value.digest).decode()}</ds:X509SKI>",
        "serial": "<ds:X509IssuerSerial><ds:X509IssuerName>CN=TEST</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial>",
        "subject": f"<ds:X509SubjectName>{certificate.subject.rfc4514_string()}"
        "</ds:X509SubjectName>",
    }[how]
    document = sign(signer.key, MORE + "ecdsa-sha256", f"<ds:X509Data>{description}</ds:X509Data>")
    assert found(document).intact is None
    assert found(document, (other.certificate,)).certificate is None
    one = found(document, (other.certificate, certificate))
    assert one.intact
    assert one.certificate == certificate


@pytest.mark.clause("TS 101 903", "7.2.2")
def test_oldest_xades_names_its_certificate_in_its_own_namespace(hierarchy):
    signer = hierarchy.signer()
    digest = base64.b64encode(hashlib.sha256(signer.der).digest()).decode()
    properties = (
        f'<ds:Object><x:QualifyingProperties xmlns:x="{XADES_111}" Target="#S">'
        '<x:SignedProperties Id="P"><x:SignedSignatureProperties>'
        "<x:SigningTime>2026-01-01T00:00:00Z</x:SigningTime><x:SigningCertificate><x:Cert>"
        '<x:CertDigest><x:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<x:DigestValue>{digest}</x:DigestValue></x:CertDigest></x:Cert></x:SigningCertificate>"
        "</x:SignedSignatureProperties></x:SignedProperties></x:QualifyingProperties></ds:Object>"
    )
    one = found(sign(signer.key, MORE + "ecdsa-sha256", listed(signer), objects=properties))
    assert (one.intact, one.is_bound, one.failure, one.level) == (True, True, None, "XAdES-BES")
