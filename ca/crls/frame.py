"""Everything of a list but its entries, and both put together (RFC 5280 5.1, 5.2).

The frame is a list without entries, built by `cryptography` and signed by a throw-away key. Its
parts are taken over byte for byte, so that names, times and extensions are encoded by one library
alone; the entries, which may be a million, are put between them.
"""

import dataclasses
import datetime
import functools
import hashlib
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import authority, throwaway
from ca.crls import entries
from pki import der, oids, signature

EXPIRED_CERTS = x509.ObjectIdentifier(oids.EXPIRED_CERTS_ON_CRL)

_BEFORE_ENTRIES = 5  # version, signature, issuer, thisUpdate, nextUpdate


@dataclasses.dataclass(frozen=True)
class Header:
    """What a list says besides its entries.

    Attributes:
        number: The CRL number; full and delta lists of one scope share one sequence.
        base_number: The full list that a delta is applied to; None in a full list.
        this_update: When the statuses were read.
        next_update: When a newer list is there at the latest.
        distribution_point: The address in certificates of this partition; None where the list
            speaks of every certificate of its issuer.
        delta_url: Where deltas on this full list are; None where there are none.
    """

    number: int
    base_number: int | None
    this_update: datetime.datetime
    next_update: datetime.datetime
    distribution_point: str | None
    delta_url: str | None


@dataclasses.dataclass(frozen=True)
class ToBeSigned:
    """The to-be-signed bytes of a list, in pieces of about a megabyte."""

    pieces: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(len(one) for one in self.pieces)

    @functools.cached_property
    def sha256(self) -> str:
        """Their SHA-256 in hex, by which the audit log names them."""
        digest = hashlib.sha256()
        for one in self.pieces:
            digest.update(one)
        return digest.hexdigest()

    def represent(self, issuer: authority.Issuer) -> signature.DataToBeSignedRepresentation:
        """Their hash as the issuer's key signs it: made once, over pieces."""
        algorithm = issuer.key_kind.hash_algorithm
        digest = hashlib.new(algorithm.short_name)
        for one in self.pieces:
            digest.update(one)
        return signature.DataToBeSignedRepresentation(algorithm, digest.digest())


def build(issuing: authority.CertificationAuthority, header: Header) -> bytes:
    """Return the list without entries, signed by a throw-away key of the issuer's kind, in DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.issuer.subject)
        .last_update(header.this_update)
        .next_update(header.next_update)
    )
    for extension, critical in extensions(issuing, header):
        builder = builder.add_extension(extension, critical)
    kind = issuing.issuer.key_kind
    twin = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
    return twin.public_bytes(serialization.Encoding.DER)


def extensions(
    issuing: authority.CertificationAuthority, header: Header
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """The extensions of a list, each with its criticality (RFC 5280 5.2)."""
    key = issuing.issuer.key.public_key
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(key), False
    yield x509.CRLNumber(header.number), False
    if header.base_number is not None:
        yield x509.DeltaCRLIndicator(header.base_number), True
    if header.distribution_point is not None:
        yield _issuing_distribution_point(header.distribution_point), True
    if header.delta_url is not None:
        uri = x509.UniformResourceIdentifier(header.delta_url)
        yield x509.FreshestCRL([x509.DistributionPoint([uri], None, None, None)]), False
    # X.509 9.5.2.8: entries stay when their certificates expire, so that old signatures can be
    # judged (EN 319 411-2 6.3.10).
    since = issuing.certificate.not_valid_before_utc.strftime("%Y%m%d%H%M%SZ").encode("ascii")
    value = der.encode(der.GENERALIZED_TIME, since)
    yield x509.UnrecognizedExtension(EXPIRED_CERTS, value), False


def join(frame_der: bytes, joined: entries.JoinedEntries) -> ToBeSigned:
    """Return the to-be-signed bytes of a frame with entries in it.

    Without any the field is absent, as RFC 5280 5.1.2.6 wants it.
    """
    to_be_signed = der.read(authority.to_be_signed(frame_der))
    parts = [der.encode(one.tag, one.content) for one in to_be_signed.children()]
    before, after = b"".join(parts[:_BEFORE_ENTRIES]), b"".join(parts[_BEFORE_ENTRIES:])
    if joined.count:
        before += der.encode_header(der.SEQUENCE, joined.size)
    start = der.encode_header(der.SEQUENCE, len(before) + joined.size + len(after)) + before
    return ToBeSigned((start, *joined.pieces, after))


def whole(to_be_signed: ToBeSigned, tail_der: bytes) -> bytes:
    """Return a list as one piece: its to-be-signed bytes, its algorithm and its signature."""
    header = der.encode_header(der.SEQUENCE, to_be_signed.size + len(tail_der))
    return b"".join((header, *to_be_signed.pieces, tail_der))


def _issuing_distribution_point(url: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
