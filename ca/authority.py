"""A certification authority: its name, its key handle, its certificate; and its signature."""

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Sequence

from asn1crypto import x509 as asn1_x509
from cryptography import x509

from ca import serials
from pki import algorithms, certificates, der, errors, oids, signature
from pki.keystore import logged_store, store

_VERSION = 0xA0
_CRL_EXTENSIONS = 0xA0


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

    @functools.cached_property
    def key_kind(self) -> algorithms.KeyKind:
        """The kind of its key."""
        return algorithms.key_kind(self.key.public_key)

    @functools.cached_property
    def key_identifier(self) -> bytes:
        """What its certificates say of its key (RFC 5280 4.2.1.1)."""
        return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key).digest

    @functools.cached_property
    def subject_der(self) -> bytes:
        """Its distinguished name as its certificates have it."""
        return self.subject.public_bytes()

    @functools.cached_property
    def subject_text(self) -> str:
        """Its distinguished name for people."""
        return certificates.name_text(self.subject)


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
    return signed_der[part.start : part.end]


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
    unsigned = _unsigned(twin_der, key)
    return _assemble(unsigned, key, key.sign(unsigned.representation))


def sign_all_like(twins_der: Sequence[bytes], key: store.KeyHandle) -> list[bytes | Exception]:
    """Sign several twins as one use of the key; in their order, what `sign_like` gives or raises.

    Raises:
        StorageError: What must be written first cannot be; the key signed none.
    """
    unsigned = [_unsigned(one, key) for one in twins_der]
    return logged_store.sign_all(
        key,
        [one.representation for one in unsigned],
        lambda place, value: _assemble(unsigned[place], key, value),
    )


@dataclasses.dataclass(frozen=True)
class _Unsigned:
    """A twin without its signature, and the hash that the authority's key is given."""

    to_be_signed_der: bytes
    algorithm_der: bytes
    representation: signature.DataToBeSignedRepresentation


def _unsigned(twin_der: bytes, key: store.KeyHandle) -> _Unsigned:
    part, algorithm, _ = _three_parts(twin_der)
    expected = twin_der[part.start : part.end]
    hash_algorithm = algorithms.key_kind(key.public_key).hash_algorithm
    representation = signature.DataToBeSignedRepresentation(
        hash_algorithm, hash_algorithm.digest(expected), signed_object(expected)
    )
    return _Unsigned(expected, twin_der[algorithm.start : algorithm.end], representation)


def _assemble(unsigned: _Unsigned, key: store.KeyHandle, value: signature.SignatureValue) -> bytes:
    tail_der = _checked_tail(unsigned.algorithm_der, key, unsigned.representation, value)
    signed_der = der.encode(der.SEQUENCE, unsigned.to_be_signed_der, tail_der)
    if to_be_signed(signed_der) != unsigned.to_be_signed_der:
        raise SignedBytesError("the signed bytes are not the linted ones: issuance halts")
    return signed_der


def signed_object(to_be_signed_der: bytes) -> signature.SignedObject:
    """Tell the log of signatures what to-be-signed bytes are (RFC 5280 4.1.2, 5.1.2).

    Raises:
        DERError: They are neither a certificate's nor a CRL's.
    """
    data = to_be_signed_der
    fields = _inside(data, der.SEQUENCE)
    digest = hashlib.sha256(data).hexdigest()
    # Version 3 of a certificate stands in a tag of its own, version 2 of a CRL does not.
    if len(fields) > 3 and fields[0].tag == _VERSION and fields[1].tag == der.INTEGER:
        serial_number = int.from_bytes(data[fields[1].content : fields[1].end], "big")
        return signature.SignedObject(
            "certificate",
            _name_text(data[fields[3].start : fields[3].end]),
            f"{serial_number:0{2 * serials.MAX_OCTETS}x}",
            digest,
        )
    if len(fields) > 3 and fields[-1].tag == _CRL_EXTENSIONS:
        extensions = der.Element(fields[-1].tag, data[fields[-1].content : fields[-1].end])
        issuer = _name_text(data[fields[2].start : fields[2].end])
        return signature.SignedObject("crl", issuer, str(_crl_number(extensions)), digest)
    raise der.DERError("expected a certificate of version 3 or a CRL of version 2")


def _crl_number(extensions: der.Element) -> int:
    (listed,) = extensions.children()
    for extension in listed.expect(der.SEQUENCE).children():
        parts = extension.expect(der.SEQUENCE).children()
        if parts and der.decode_oid(parts[0]) == oids.CRL_NUMBER:
            number = der.read(parts[-1].expect(der.OCTET_STRING).content).expect(der.INTEGER)
            return int.from_bytes(number.content, "big")
    raise der.DERError("expected a CRL with a number")


@functools.lru_cache(maxsize=64)
def _name_text(name_der: bytes) -> str:
    """An authority's name as text; reading it takes longer than signing, and there are few."""
    return str(asn1_x509.Name.load(name_der).human_friendly)


def tail(signed_der: bytes) -> bytes:
    """Return what follows the to-be-signed part: the algorithm and the signature value."""
    part, _, _ = _three_parts(signed_der)
    return signed_der[part.end :]


def sign_tail(
    twin_der: bytes, key: store.KeyHandle, representation: signature.DataToBeSignedRepresentation
) -> bytes:
    """Sign the hash of to-be-signed bytes and return the algorithm and the signature value in DER.

    Args:
        twin_der: Signed by a throw-away key of the same kind: gives the algorithm.
        key: The authority's.
        representation: The hash of what is signed, which may be too large to be copied about.

    Raises:
        SignatureValueError: The key's answer does not verify with its own public half.
        DeviceError: The key store failed; whether it signed is unknown.
    """
    _, algorithm, _ = _three_parts(twin_der)
    algorithm_der = twin_der[algorithm.start : algorithm.end]
    return _checked_tail(algorithm_der, key, representation, key.sign(representation))


def _checked_tail(
    algorithm_der: bytes,
    key: store.KeyHandle,
    representation: signature.DataToBeSignedRepresentation,
    value: signature.SignatureValue,
) -> bytes:
    signature.check_value(key.public_key, representation, value)
    return algorithm_der + der.encode(der.BIT_STRING, b"\x00", value.encoded_for_cms())


def _three_parts(signed_der: bytes) -> tuple[der.Span, der.Span, der.Span]:
    parts = _inside(signed_der, der.SEQUENCE)
    if len(parts) != 3:
        raise der.DERError(f"expected to-be-signed, algorithm and signature, got {len(parts)}")
    return parts[0], parts[1], parts[2]


def _inside(data: bytes, tag: int) -> list[der.Span]:
    """Where the elements lie that the one element in `data` has inside it."""
    found = der.spans(data)
    if len(found) != 1 or found[0].tag != tag:
        raise der.DERError(f"expected one DER element of the tag {tag:#04x}")
    return der.spans(data, found[0].content, found[0].end)
