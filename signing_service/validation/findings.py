"""What the readers of the formats find, before anybody judges it."""

import dataclasses
import datetime
from collections.abc import Callable

from cryptography import x509

from signing_service.validation import evidence as evidence_module
from signing_service.validation import report
from signing_service.validation.diagnostics import diagnostic_data


@dataclasses.dataclass(frozen=True)
class FoundTimeStamp:
    """A time-stamp token and what it has to be over.

    Attributes:
        token: DER.
        digest_of: Gives the hash of what it has to be over, by a function's hashlib name.
        covers_to: Of a document time stamp: everything before this offset existed at its time.
        problem: Why it proves nothing whatever its token says, or None.
        file: Its own name in a container.
        covers: Names of the files in a container that existed at its time.
        is_broken: What it is over is there and lists files that are not what they were.
        holder: The property or attribute that has it, as its format's reader knows it.
        covered_tokens: Gives the tokens among the signature's own that existed at its time.
    """

    kind: report.TimeStampKind
    token: bytes
    digest_of: Callable[[str], bytes]
    covers_to: int = 0
    problem: report.Finding | None = None
    file: str = ""
    covers: frozenset[str] = frozenset()
    is_broken: bool = False
    holder: object = None
    covered_tokens: Callable[[], frozenset[bytes]] = frozenset


@dataclasses.dataclass(frozen=True)
class FoundEvidenceRecord:
    """An evidence record whose hash trees were checked over what it is about.

    Attributes:
        report: What is told of it; its problem says why it is not intact.
        stamps: Its time stamps, the oldest first, each over the root of its tree; empty where the
            record is not intact.
        file: Its own name in a container.
        covers: Names of the files in a container that existed at its time.
        is_over_document: The whole document existed at its time.
        covered_tokens: Of a record that a signature carries: which of its time stamps existed at
            its time; None: all.
    """

    report: report.EvidenceRecordReport
    stamps: tuple[FoundTimeStamp, ...] = ()
    file: str = ""
    covers: frozenset[str] = frozenset()
    is_over_document: bool = False
    covered_tokens: frozenset[bytes] | None = None


@dataclasses.dataclass(frozen=True)
class FoundSignature:
    """A signature as it was read and cryptographically checked.

    Attributes:
        level: The name of what is really present.
        intact: Value and every digest verify; None where that cannot be said.
        failure: Why not, and what EN 319 102-1 calls that; None where intact.
        certificate: The signing certificate, or None.
        is_bound: The signed attributes name the certificate by its digest; None: they name none.
        digest_algorithms: The hashes that were relied on.
        ends_at: Its place in a PDF: a document time stamp that covers this proves it existed.
        time_stamps: Its own, in the order found.
        file: The file of a container that it is in.
        signed_files: Files beside the signature whose digests it signs.
        is_counter: It was checked to sign the value of another signature, and not a document.
        may_look_different: Something that is drawn came after it in a PDF.
        evidence_records: Those over this very signature, that it carries.
        counter_signature_of: The identifier of the signature in which it lies as a
            counter-signature, be it a good one or not, or whose value it signs from elsewhere.
        enclosing_stamps: Archive time stamps of the signatures it lies in that cover it too.
        details: What it says of itself, for diagnostic data; put together when it is asked for.
    """

    identifier: str
    format: str
    level: str
    intact: bool | None
    failure: tuple[report.SubIndication, report.Finding] | None
    certificate: x509.Certificate | None
    is_bound: bool | None
    digest_algorithms: frozenset[str]
    claimed_signing_time: datetime.datetime | None
    time_stamps: tuple[FoundTimeStamp, ...]
    scope_kind: report.ScopeKind
    scope_names: tuple[str, ...]
    changes: report.Changes = report.Changes.NONE
    ends_at: int = 0
    warnings: tuple[report.Finding, ...] = ()
    info: tuple[report.Finding, ...] = ()
    file: str = ""
    signed_files: tuple[str, ...] = ()
    is_counter: bool = False
    may_look_different: bool = False
    evidence_records: tuple[FoundEvidenceRecord, ...] = ()
    counter_signature_of: str | None = None
    enclosing_stamps: tuple[FoundTimeStamp, ...] = ()
    details: Callable[[], diagnostic_data.SignatureDetails] = diagnostic_data.SignatureDetails


@dataclasses.dataclass(frozen=True)
class FoundDocument:
    """All signatures of a document, its document time stamps, and the evidence it carries.

    Attributes:
        evidence_records: Those that no signature carries.
        files: The names of a container's files and their sizes in bytes.
    """

    format: str
    signatures: tuple[FoundSignature, ...]
    document_time_stamps: tuple[FoundTimeStamp, ...]
    evidence: evidence_module.Evidence
    evidence_records: tuple[FoundEvidenceRecord, ...] = ()
    files: tuple[tuple[str, int], ...] = ()
