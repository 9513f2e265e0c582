"""Who signed an OCSP response, by every algorithm that is verified in CMS (RFC 6960 4.2.1).

`cryptography` names the algorithm of a response for PKCS#1 and ECDSA alone, and RSASSA-PSS has its
hash in the parameters, which it does not give.
"""

from asn1crypto import algos as asn1_algos
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp as x509_ocsp

from pki import certificates, der, errors
from signing_service.validation.certificates import foreign_certificates
from signing_service.validation.cms import foreign_keys, signature_values

ALLOWED_HASHES = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
"""In signatures of responders, by hashlib's names (TS 119 312)."""

MIN_RSA_BITS, MIN_ECDSA_BITS = 2048, 256
"""Of the keys of responders: an old one that was broken since would answer for today."""
MAX_SENT = 500
"""Certificates of one response that are looked at."""


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


def is_responder(
    candidate: x509.Certificate, issuer: x509.Certificate, response: x509_ocsp.OCSPResponse
) -> bool:
    """Whether a certificate is a responder's of an issuer, and its key signed a response.

    RFC 6960 4.2.2.2: certified for this by the very issuer it answers for, and by no other.
    """
    return (
        candidate.issuer == issuer.subject
        and _may_answer(candidate)
        and candidate.not_valid_before_utc
        <= response.produced_at_utc
        <= candidate.not_valid_after_utc
        and foreign_certificates.is_issued_by(candidate, issuer)
        and _has_strong_key(candidate)
        and verifies(candidate, response)
    )


def sent_along(response: x509_ocsp.OCSPResponse) -> list[x509.Certificate]:
    """The certificates in a response, where they and their keys can be read."""
    try:
        return [
            foreign_certificates.read_certificate(certificates.to_der(one))
            for one in response.certificates[:MAX_SENT]
        ]
    except (*foreign_certificates.FAULTS, errors.InputError):
        return []


def _may_answer(responder: x509.Certificate) -> bool:
    try:
        usages = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except foreign_certificates.FAULTS:
        return False
    return x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _has_strong_key(responder: x509.Certificate) -> bool:
    """TS 119 312 8; the keys of issuers are judged with the path."""
    key = foreign_keys.of_certificate(responder)
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= MIN_ECDSA_BITS
