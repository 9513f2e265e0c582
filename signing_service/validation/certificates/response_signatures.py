"""Signatures of OCSP responses, by every algorithm that is verified in CMS (RFC 6960 4.2.1).

`cryptography` names the algorithm of a response for PKCS#1 and ECDSA alone, and RSASSA-PSS has its
hash in the parameters, which it does not give.
"""

from asn1crypto import algos as asn1_algos
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp as x509_ocsp

from pki import der, errors
from signing_service.validation.cms import signature_values

ALLOWED_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
"""In signatures of responders, by hashlib's names (TS 119 312)."""


def scheme_of(response: x509_ocsp.OCSPResponse) -> signature_values.Scheme | None:
    """Tell how a response was signed; None where that cannot be read or is not known here."""
    try:
        octets = response.public_bytes(serialization.Encoding.DER)
        _, explicit = der.read(octets).children()
        _, basic = explicit.children()[0].children()
        algorithm = der.read(basic.content).children()[1]
        return signature_values.scheme_of(
            asn1_algos.SignedDigestAlgorithm.load(der.encode(algorithm.tag, algorithm.content)), ""
        )
    except (*signature_values.ASN1_FAULTS, errors.InputError):
        return None


def verifies(signer: x509.Certificate, response: x509_ocsp.OCSPResponse) -> bool:
    """Whether a certificate's key signed a response, with a hash that may be relied on."""
    scheme = scheme_of(response)
    if scheme is None or not scheme.hashes <= ALLOWED_HASHES:
        return False
    try:
        signature_values.verify(
            signer,
            scheme,
            response.signature,
            None,
            signature_values.digest_of(response.tbs_response_bytes),
        )
    except errors.InputError:
        return False
    return True
