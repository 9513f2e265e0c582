"""Diagnostic data: everything that was found in a document, before any of it was judged.

Plain values of the same pass that the verdict came from. The field names are the JSON's, and are
described by `docs/diagnostic-data.schema.json`. Objects are named by the SHA-256 of their DER, in
hex; times are UTC.
"""

import dataclasses
import datetime
import enum

VERSION = "1"


class Extent(enum.Enum):
    """How much is collected."""

    NONE = "none"
    """Nothing: most callers want the verdict alone."""
    NAMES = "names"
    """Everything, certificates and revocation data by their digests."""
    VALUES = "values"
    """Those with their DER too."""


@dataclasses.dataclass(frozen=True)
class SignatureReference:
    """One thing that a signature, or a manifest under it, has the digest of.

    Attributes:
        source: `signature`, or the name of the manifest.
        uri: As written; a file's name for a manifest; null where there is none.
        type: The kind that the reference says it is of.
        transforms: By their identifiers, in order.
        digest: In base64.
        matches: The digest is that of what it leads to; null where that was not found out.
    """

    source: str
    uri: str | None
    type: str | None
    transforms: tuple[str, ...]
    digest_algorithm: str | None
    digest: str | None
    matches: bool | None


@dataclasses.dataclass(frozen=True)
class SignatureDetails:
    """What a signature says of itself; nothing of it is believed for standing there.

    Attributes:
        signature_algorithm: By its identifier or name.
        byte_range: Of a PDF: offsets and lengths, in turn.
        signed_properties: The signed attributes or properties that are there, by name or OID.
        unsigned_properties: The unsigned ones.
        claimed_roles: What the signer says to sign as.
        production_place: Where the signer says to have signed, in parts.
        commitments: By their identifiers.
        signature_policy: The identifier of the policy that the signer names.
        reason: Of a PDF.
    """

    signature_algorithm: str | None = None
    references: tuple[SignatureReference, ...] = ()
    byte_range: tuple[int, ...] = ()
    signed_properties: tuple[str, ...] = ()
    unsigned_properties: tuple[str, ...] = ()
    claimed_roles: tuple[str, ...] = ()
    production_place: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()
    signature_policy: str | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        id: As in the report.
        file: The file of a container that it is in.
        digest_algorithms: The hashes that were relied on; empty where nothing verified.
        certificate_is_named: The signed attributes name the certificate by its digest; null: none.
        signed_files: Files beside the signature whose digests it signs.
        counter_signature_of: The id of the signature whose value it signs, or in which it lies.
        time_stamps: SHA-256 of its own tokens, in the order found.
    """

    id: str
    format: str
    level: str
    file: str | None
    intact: bool | None
    signing_certificate: str | None
    certificate_is_named: bool | None
    digest_algorithms: tuple[str, ...]
    claimed_signing_time: datetime.datetime | None
    is_counter_signature: bool
    counter_signature_of: str | None
    scope: str
    scope_names: tuple[str, ...]
    signed_files: tuple[str, ...]
    changes_after_signing: str
    time_stamps: tuple[str, ...]
    details: SignatureDetails


@dataclasses.dataclass(frozen=True)
class TimeStamp:
    """One time-stamp token.

    Attributes:
        kind: `content`, `signature`, `archive`, `document`, `container`, or `evidence-record`.
        signature: The id of the signature that it is in; null of one over a document.
        generated_at: What the token states; null where it cannot be read.
        imprint: The hash that it is over, in base64.
        covers: What existed at its time, by name.
        covers_bytes: Of a PDF: everything before this offset.
        unit_certificate: Of the time-stamping unit.
    """

    sha256: str
    kind: str
    signature: str | None
    file: str | None
    generated_at: datetime.datetime | None
    imprint_algorithm: str | None
    imprint: str | None
    covers: tuple[str, ...]
    covers_bytes: int | None
    unit_certificate: str | None


@dataclasses.dataclass(frozen=True)
class QualifiedStatements:
    """What a certificate says of itself (EN 319 412-5)."""

    compliance: bool
    qualified_device: bool
    types: tuple[str, ...]
    legislation: tuple[str, ...]
    others: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One certificate.

    Attributes:
        readable: False where an extension cannot be read; what follows from those is empty then.
        key: Kind and size, such as `EC secp256r1` or `RSA 3072`.
        signature_hash: Of the issuer's signature over it.
        origins: Where it was found: `document`, `fetched`, `trust-anchor`, `trusted-list`.
        der: In base64; only where values were asked for.
    """

    sha256: str
    subject: str
    issuer: str
    serial_number: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    key: str
    signature_hash: str | None
    readable: bool
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    policies: tuple[str, ...]
    is_authority: bool
    statements: QualifiedStatements | None
    origins: tuple[str, ...]
    der: str | None


@dataclasses.dataclass(frozen=True)
class StatedStatus:
    """What an OCSP response or a CRL states of one certificate; `state` as RFC 6960 2.2 has it."""

    serial_number: str
    state: str
    this_update: datetime.datetime
    next_update: datetime.datetime | None
    revoked_at: datetime.datetime | None
    reason: str | None


@dataclasses.dataclass(frozen=True)
class RevocationDatum:
    """One OCSP response or CRL; whether it is genuine is judged elsewhere.

    Attributes:
        kind: `OCSP` or `CRL`.
        issuer: The responder, by name or by the hash of its key; or the issuer of the list.
        produced_at: Of a response.
        statements: Of a list only those about certificates that are told here.
        revoked_count: How many certificates a list revokes.
    """

    sha256: str
    kind: str
    issuer: str
    produced_at: datetime.datetime | None
    this_update: datetime.datetime | None
    next_update: datetime.datetime | None
    signature_hash: str | None
    statements: tuple[StatedStatus, ...]
    revoked_count: int | None
    origins: tuple[str, ...]
    der: str | None


@dataclasses.dataclass(frozen=True)
class EvidenceRecord:
    """One evidence record (RFC 4998, RFC 6283).

    Attributes:
        time_stamps: SHA-256 of its tokens, the oldest first; empty of one that is not intact.
    """

    file: str | None
    intact: bool | None
    time: datetime.datetime | None
    covers: tuple[str, ...]
    time_stamps: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ExistenceProof:
    """What proves that an object existed at a time (EN 319 102-1 5.6.2.3).

    Attributes:
        source: `time-stamp` or `evidence-record`.
        kind: What the time stamp is over; null of an evidence record.
        time_stamp: SHA-256 of the token; of an evidence record, of its first one.
    """

    time: datetime.datetime
    source: str
    kind: str | None
    time_stamp: str


@dataclasses.dataclass(frozen=True)
class KnownExistence:
    """One object that is proven to be older than the present, and so was judged as of then.

    Attributes:
        object: `signature` or `time-stamp`.
        id: Of a signature as in the report; of a time stamp its SHA-256.
        control_time: As of when it was judged (EN 319 102-1 5.6.2.2).
        proofs: The earliest first.
        judged_in_the_past: Past signature validation (5.6.2.4) decided, and not the present.
    """

    object: str
    id: str
    control_time: datetime.datetime
    proofs: tuple[ExistenceProof, ...]
    judged_in_the_past: bool


@dataclasses.dataclass(frozen=True)
class ContainerFile:
    """One file of a container, as its directory names it."""

    name: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class TrustedService:
    """A service of a trusted list that a certificate told here belongs to (TS 119 612).

    Attributes:
        type: Its type's address.
        status: The address of the status at the time judged; null before the service began.
        since: Since when it has that status.
        certificates: SHA-256 of those told here.
    """

    type: str
    status: str | None
    since: datetime.datetime | None
    additional: tuple[str, ...]
    certificates: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Document:
    """The document that was handed in."""

    name: str
    sha256: str
    format: str
    container_files: tuple[ContainerFile, ...]


@dataclasses.dataclass(frozen=True)
class DiagnosticData:
    """Everything that was found, in the order found; certificates and statuses by their SHA-256."""

    version: str
    document: Document
    validated_at: datetime.datetime
    policy: str
    signatures: tuple[Signature, ...]
    time_stamps: tuple[TimeStamp, ...]
    evidence_records: tuple[EvidenceRecord, ...]
    certificates: tuple[Certificate, ...]
    revocation_data: tuple[RevocationDatum, ...]
    trusted_services: tuple[TrustedService, ...]
    existence: tuple[KnownExistence, ...] = ()
