"""Public keys in strangers' certificates, some of which are not written as X.690 has it.

A key is read for verifying only. Whatever is read leniently is told, and nothing is guessed: a
curve that is spelled out instead of named (RFC 5480 2.1.1 forbids it) is taken only where the
library finds it to be a named one in every part, since a generator of one's own makes somebody
else's key one's own.
"""

from cryptography import exceptions, x509
from cryptography.hazmat.primitives.asymmetric import rsa

from pki import der, errors

MAX_RSA_BITS = 16_384
"""Of a modulus that is read here; larger ones only cost time."""

_RSA = der.encode_oid("1.2.840.113549.1.1.1")
_RSA_PSS = der.encode_oid("1.2.840.113549.1.1.10")
_VERSION = 0xA0
_FAULTS = (ValueError, TypeError, exceptions.UnsupportedAlgorithm)


def of_certificate(certificate: x509.Certificate) -> object | None:
    """The key of a certificate as `cryptography` has it, or None where it cannot be used.

    An RSA modulus or exponent that lacks its leading zero octet, and so is a negative number by
    X.690 8.3, is read as the positive number that was meant, as most programs read it.
    """
    try:
        return certificate.public_key()
    except _FAULTS:
        return _lenient(certificate)


def oddity(certificate: x509.Certificate) -> str | None:
    """Say how the key is written otherwise than it should be, or None."""
    try:
        certificate.public_key()
    except _FAULTS:
        if _lenient(certificate) is not None:
            return (
                "the RSA key in the certificate is written with negative numbers (X.690 8.3); it"
                " was read as the key that is meant"
            )
    return None


def is_for_pss_alone(certificate: x509.Certificate) -> bool:
    """Whether the key is marked for RSASSA-PSS and must verify nothing else (RFC 4055 1.2)."""
    return certificate.public_key_algorithm_oid.dotted_string == "1.2.840.113549.1.1.10"


def key_bits(certificate: x509.Certificate) -> bytes:
    """The value of the subjectPublicKey BIT STRING as it was sent, which RFC 6960 4.1.1 hashes.

    Raises:
        DERError: The certificate is not DER.
    """
    _, bits = der.read(_key_info(certificate)).children()
    return bits.expect(der.BIT_STRING).content[1:]


def _lenient(certificate: x509.Certificate) -> rsa.RSAPublicKey | None:
    try:
        algorithm, bits = der.read(_key_info(certificate)).children()
        kind = algorithm.expect(der.SEQUENCE).children()[0]
        if der.encode(kind.tag, kind.content) not in (_RSA, _RSA_PSS):
            return None
        unused, encoded = bits.expect(der.BIT_STRING).content[:1], bits.content[1:]
        if unused != b"\0":
            return None
        modulus, exponent = (
            int.from_bytes(one.expect(der.INTEGER).content, "big")
            for one in der.read(encoded).expect(der.SEQUENCE).children()
        )
        if not 512 <= modulus.bit_length() <= MAX_RSA_BITS:
            return None
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except (*_FAULTS, IndexError, errors.InputError):
        return None


def _key_info(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo as it was sent (RFC 5280 4.1)."""
    fields = der.read(certificate.tbs_certificate_bytes).children()
    # version, which may be left out, serialNumber, signature, issuer, validity, subject, this.
    info = fields[6 if fields[0].tag == _VERSION else 5]
    return der.encode(info.tag, info.content)
