"""How a status request names a certificate: its issuer's hashes and its number (RFC 6960 4.1.1)."""

import enum
import hashlib
from typing import NamedTuple

from cryptography import x509

from pki import der, der_types


class CertIDHash(enum.Enum):
    """The hashes that name an issuer; SHA-1 serves look-up here, not security."""

    SHA1 = "1.3.14.3.2.26"
    SHA256 = "2.16.840.1.101.3.4.2.1"

    def digest(self, data: bytes) -> bytes:
        """Return the hash of `data`."""
        if self is CertIDHash.SHA1:
            # The requester chooses; most of the world asks with SHA-1 (RFC 5019 2.1.1).
            return hashlib.sha1(data, usedforsecurity=False).digest()
        return hashlib.sha256(data).digest()


class IssuerID(NamedTuple):
    """A certificate issuer as a CertID names it."""

    hash_algorithm: CertIDHash
    name_hash: bytes
    key_hash: bytes


class CertID(NamedTuple):
    """Which certificate is meant (RFC 6960 4.1.1).

    A tuple and no dataclass, as a responder makes one for every request.

    Attributes:
        issuer: The issuer's hashes, or None where the requester used a hash not known here.
        serial_number: The certificate's.
        encoded: The DER as it came: a response echoes it byte for byte.
    """

    issuer: IssuerID | None
    serial_number: int
    encoded: bytes


def key_hash(certificate: x509.Certificate, hash_algorithm: CertIDHash) -> bytes:
    """The hash of a public key's BIT STRING without tag, length and unused bits."""
    parts = der_types.certificate_parts(certificate.tbs_certificate_bytes)
    return hash_algorithm.digest(parts.public_key)


def issuer_id(issuer: x509.Certificate, hash_algorithm: CertIDHash) -> IssuerID:
    """How a CertID names this issuer."""
    parts = der_types.certificate_parts(issuer.tbs_certificate_bytes)
    return IssuerID(
        hash_algorithm,
        hash_algorithm.digest(parts.subject),
        hash_algorithm.digest(parts.public_key),
    )


def name_certificate(
    issuer: x509.Certificate, serial_number: int, hash_algorithm: CertIDHash = CertIDHash.SHA256
) -> CertID:
    """Name a certificate by its issuer and serial number."""
    identity = issuer_id(issuer, hash_algorithm)
    number = der.read(der_types.encode_integer(serial_number)).content
    return CertID(identity, serial_number, encode(identity, number))


def encode(issuer: IssuerID, serial_number: bytes, parameters: bytes = b"\x05\x00") -> bytes:
    """Return a CertID in DER.

    Args:
        issuer: The issuer's hashes.
        serial_number: The content of its INTEGER.
        parameters: Of the hash: NULL, which most requesters send, or nothing.
    """
    return der.encode(
        der.SEQUENCE,
        der.encode(der.SEQUENCE, der.encode_oid(issuer.hash_algorithm.value), parameters),
        der.encode(der.OCTET_STRING, issuer.name_hash),
        der.encode(der.OCTET_STRING, issuer.key_hash),
        der.encode(der.INTEGER, serial_number),
    )


def parse(element: der.Element) -> CertID:
    """Read a CertID.

    Raises:
        InputError: Malformed.
    """
    fields = der_types.Fields(element)
    oid = der_types.decode_algorithm(fields.take())
    name_hash = fields.take().expect(der.OCTET_STRING).content
    own_key_hash = fields.take().expect(der.OCTET_STRING).content
    serial_number = der_types.decode_integer(fields.take())
    fields.end()
    issuer = None
    if oid in {one.value for one in CertIDHash}:
        issuer = IssuerID(CertIDHash(oid), name_hash, own_key_hash)
    return CertID(issuer, serial_number, der.encode(element.tag, element.content))
