"""A certification authority: its name, its key handle, its certificate; and its signature."""

import dataclasses
import datetime

from cryptography import x509

from pki import algorithms, certificates, der, errors, signature
from pki.keystore import store


class SignedBytesError(errors.TamperedError):
    """What was signed is not what was linted: the authority halts."""

    code = "signed-bytes-differ"


@dataclasses.dataclass(frozen=True)
class Issuer:
    """Who signs: all that there is of a root before it has certified itself.

    Attributes:
        name: The short name in addresses and in the registry.
        subject: Its distinguished name.
        key: The handle of its private key.
        not_after: Nothing that it signs may outlive this.
    """

    name: str
    subject: x509.Name
    key: store.KeyHandle
    not_after: datetime.datetime

    @property
    def key_kind(self) -> algorithms.KeyKind:
        """The kind of its key."""
        return algorithms.key_kind(self.key.public_key)


@dataclasses.dataclass(frozen=True)
class CertificationAuthority:
    """An issuer with its certificate and the certificates above it (nearest first, root last)."""

    issuer: Issuer
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @property
    def name(self) -> str:
        """The short name in addresses and in the registry."""
        return self.issuer.name

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """Its certificate first, the root last."""
        return tuple(certificates.to_der(one) for one in (self.certificate, *self.above))


def to_be_signed(signed_der: bytes) -> bytes:
    """Return the to-be-signed part of a certificate or a CRL (RFC 5280 4.1, 5.1)."""
    part, _, _ = _three_parts(signed_der)
    return der.encode(part.tag, part.content)


def sign_like(twin_der: bytes, key: store.KeyHandle) -> bytes:
    """Sign what a twin says with the authority's key.

    Args:
        twin_der: A certificate or CRL signed by a throw-away key of the same kind: its
            to-be-signed bytes, its algorithm, another signature.
        key: The authority's.

    Raises:
        SignedBytesError: The result does not hold exactly the twin's to-be-signed bytes.
        SignatureValueError: The key's answer does not verify with its own public half.
        DeviceError: The key store failed; whether it signed is unknown.
    """
    _, algorithm, _ = _three_parts(twin_der)
    expected = to_be_signed(twin_der)
    representation = signature.represent(
        expected, algorithms.key_kind(key.public_key).hash_algorithm
    )
    value = key.sign(representation)
    signature.check_value(key.public_key, representation, value)
    signed_der = der.encode(
        der.SEQUENCE,
        expected,
        der.encode(algorithm.tag, algorithm.content),
        der.encode(der.BIT_STRING, b"\x00", value.encoded_for_cms()),
    )
    if to_be_signed(signed_der) != expected:
        raise SignedBytesError("the signed bytes are not the linted ones: issuance halts")
    return signed_der


def _three_parts(signed_der: bytes) -> tuple[der.Element, der.Element, der.Element]:
    parts = der.read(signed_der).expect(der.SEQUENCE).children()
    if len(parts) != 3:
        raise der.DERError(f"expected to-be-signed, algorithm and signature, got {len(parts)}")
    return parts[0], parts[1], parts[2]
