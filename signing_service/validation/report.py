"""The validation report: what was found and what it is worth, spelled as EN 319 102-1 spells it."""

import dataclasses
import datetime
import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pki import clock

if TYPE_CHECKING:
    from signing_service.validation import building_blocks
    from signing_service.validation import processes as processes_module
    from signing_service.validation.diagnostics import diagnostic_data


class Indication(enum.Enum):
    """The verdict on a signature (EN 319 102-1 5.1.3); the last one is ours, for documents."""

    TOTAL_PASSED = "TOTAL-PASSED"
    INDETERMINATE = "INDETERMINATE"
    TOTAL_FAILED = "TOTAL-FAILED"
    NO_SIGNATURE = "NO-SIGNATURE"


class SubIndication(enum.Enum):
    """Why a signature did not pass (EN 319 102-1 table 5)."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    SIGNATURE_POLICY_NOT_AVAILABLE = "SIGNATURE_POLICY_NOT_AVAILABLE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    REVOCATION_OUT_OF_BOUNDS_NO_POE = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    NO_POE = "NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"


FAILURES = frozenset(
    {
        SubIndication.FORMAT_FAILURE,
        SubIndication.HASH_FAILURE,
        SubIndication.SIG_CRYPTO_FAILURE,
        SubIndication.REVOKED,
        SubIndication.EXPIRED,
        SubIndication.NOT_YET_VALID,
    }
)
"""The sub-indications of TOTAL-FAILED; all others go with INDETERMINATE."""


MAX_PAGES_TOLD = 20
"""Numbers of pages in one sentence."""


class TimeStampKind(enum.Enum):
    """What a time stamp is over."""

    CONTENT = "content"
    SIGNATURE = "signature"
    ARCHIVE = "archive"
    DOCUMENT = "document"
    CONTAINER = "container"


class ScopeKind(enum.Enum):
    """How much of what a person sees a signature covers."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class Changes(enum.Enum):
    """What was added to a PDF after a signature."""

    NONE = "none"
    PERMITTED = "permitted"
    UNDEFINED = "undefined"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing worth telling, with a code for programs and a sentence for people."""

    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """As the contract writes it."""
        return {"code": self.code, "message": self.message}


@dataclasses.dataclass(frozen=True)
class CertificateSummary:
    """The signing certificate, as the report names it."""

    subject: str
    serial_number: str
    issuer: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """As the contract writes it."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TimeStampReport:
    """One time stamp.

    Attributes:
        intact: Imprint and signature of the token verify; None where that cannot be said.
        time: What the token says; None where it cannot be read.
        problem: Why it proves no time, or None where it does.
        scope: Names of what it covers; told only for a time stamp that belongs to no signature.
        sha256: Of the token, in hex.
        sub_indication: What its problem is called.
        judged_at: As of when its path and algorithms were judged; None where they were not.
        proofs_of_existence: What proves that it is older than the present, the earliest first.
        past_validation: How these decided, where they had to.
    """

    kind: TimeStampKind
    intact: bool | None
    time: datetime.datetime | None
    issuer: str | None
    problem: Finding | None = None
    scope: tuple[str, ...] = ()
    sha256: str | None = None
    sub_indication: SubIndication | None = None
    judged_at: datetime.datetime | None = None
    proofs_of_existence: "tuple[processes_module.ProofOfExistence, ...]" = ()
    past_validation: "processes_module.PastValidation | None" = None

    @property
    def indication(self) -> str:
        """As EN 319 102-1 5.4 has it: PASSED, INDETERMINATE or FAILED."""
        if self.sub_indication is not None:
            return "FAILED" if self.sub_indication in FAILURES else "INDETERMINATE"
        return "PASSED" if self.intact and self.problem is None else "INDETERMINATE"

    def to_json(self, *, alone: bool = False, detailed: bool = False) -> dict[str, object]:
        """As the contract writes it; `alone` for one that belongs to no signature."""
        answer: dict[str, object] = {
            "kind": self.kind.value,
            "intact": self.intact,
            "time": _time(self.time),
            "issuer": self.issuer,
        }
        if alone:
            answer["scope"] = list(self.scope)
            answer["errors"] = [] if self.problem is None else [self.problem.to_json()]
        if detailed:
            past, reason = self.past_validation, self.sub_indication
            answer["indication"] = self.indication
            answer["sub_indication"] = None if reason is None else reason.value
            answer["message"] = None if self.problem is None else self.problem.message
            answer["sha256"] = self.sha256
            answer["judged_at"] = _time(self.judged_at)
            answer["past_validation"] = None if past is None else past.to_json()
        return answer


@dataclasses.dataclass(frozen=True)
class EvidenceRecordReport:
    """One evidence record (RFC 4998, RFC 6283).

    Attributes:
        intact: Its hash trees and time stamps lead to what it is about; None: not judged.
        time: Of its first time stamp.
        scope: Names of what it is about.
        problem: Why it is not intact, or None.
        time_stamps: Those that were judged, the oldest first.
    """

    intact: bool | None
    time: datetime.datetime | None
    scope: tuple[str, ...]
    problem: Finding | None = None
    time_stamps: tuple[TimeStampReport, ...] = ()

    def to_json(self, *, detailed: bool = False) -> dict[str, object]:
        """As the contract writes it; with its time stamps where it is to be detailed."""
        answer: dict[str, object] = {
            "intact": self.intact,
            "time": _time(self.time),
            "scope": list(self.scope),
            "errors": [] if self.problem is None else [self.problem.to_json()],
        }
        if detailed:
            answer["time_stamps"] = [one.to_json(detailed=True) for one in self.time_stamps]
        return answer


@dataclasses.dataclass(frozen=True)
class SignedRevision:
    """A revision of a PDF that a signature covers, after which something drawn may have come.

    Attributes:
        identifier: The signature's.
        ends_at: Its number of bytes.
    """

    identifier: str
    ends_at: int


@dataclasses.dataclass(frozen=True)
class PageAppearance:
    """How a PDF looks now, beside how it looked when a signature was made.

    Attributes:
        pages_before: Number of pages that were signed.
        pages_after: Number of pages now.
        compared: Number of pages that were drawn and compared, from the first.
        different: Numbers of the pages that look different, from 1.
    """

    pages_before: int
    pages_after: int
    compared: int
    different: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        """As the report writes it."""
        return dataclasses.asdict(self) | {"different": list(self.different)}

    def findings(self) -> tuple[Finding, ...]:
        """The same in sentences."""
        found = []
        if self.pages_before != self.pages_after:
            found.append(
                Finding(
                    "page-count-changed",
                    f"{self.pages_before} page(s) were signed, and there are {self.pages_after}",
                )
            )
        if self.different:
            numbers = ", ".join(str(one) for one in self.different[:MAX_PAGES_TOLD])
            more = ", ..." if len(self.different) > MAX_PAGES_TOLD else ""
            found.append(
                Finding(
                    "page-appearance-changed",
                    f"looks different from what was signed: page {numbers}{more}",
                )
            )
        elif self.compared:
            found.append(
                Finding(
                    "page-appearance-same",
                    f"{self.compared} page(s) drawn look as they did when they were signed",
                )
            )
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class PageAppearances:
    """The appearances of several signed revisions, with the signatures' identifiers."""

    found: tuple[tuple[str, PageAppearance], ...]


@dataclasses.dataclass(frozen=True)
class SignatureReport:
    """One signature and the verdict on it; the contract's section 4 explains the fields.

    Attributes:
        building_blocks: How the verdict came about; told by the detailed report alone.
        processes: Basic validation, with time and long-term, with each one's conclusion.
        proofs_of_existence: What proves since when it exists, the earliest first.
        past_validation: How these decided what was open without them, where they had to.
        certificate_path: SHA-256 of each certificate from the signer's to the trust anchor; empty
            where no path was found, or was looked for.
        page_appearance: Of a PDF to which something that is drawn was added; None elsewhere.
    """

    identifier: str
    format: str
    level: str
    indication: Indication
    sub_indication: SubIndication | None
    intact: bool | None
    signing_certificate: CertificateSummary | None
    signed_by: str | None
    person_code: str | None
    organisation: str | None
    qualified: str | None
    claimed_signing_time: datetime.datetime | None
    best_signature_time: datetime.datetime | None
    time_stamps: tuple[TimeStampReport, ...]
    scope_kind: ScopeKind
    scope_names: tuple[str, ...]
    changes_after_signing: Changes
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    info: tuple[Finding, ...]
    building_blocks: "tuple[building_blocks.Block, ...]" = ()
    processes: "tuple[processes_module.Process, ...]" = ()
    proofs_of_existence: "tuple[processes_module.ProofOfExistence, ...]" = ()
    past_validation: "processes_module.PastValidation | None" = None
    counter_signature_of: str | None = None
    page_appearance: PageAppearance | None = None
    certificate_path: tuple[str, ...] = ()

    def to_json(self, *, detailed: bool = False) -> dict[str, object]:
        """As the contract writes it; with the building blocks where it is to be detailed."""
        certificate = self.signing_certificate
        answer: dict[str, object] = {
            "id": self.identifier,
            "format": self.format,
            "level": self.level,
            "indication": self.indication.value,
            "sub_indication": None if self.sub_indication is None else self.sub_indication.value,
            "intact": self.intact,
            "signing_certificate": None if certificate is None else certificate.to_json(),
            "signed_by": self.signed_by,
            "person_code": self.person_code,
            "organisation": self.organisation,
            "qualified": self.qualified,
            "claimed_signing_time": _time(self.claimed_signing_time),
            "best_signature_time": _time(self.best_signature_time),
            "time_stamps": [one.to_json(detailed=detailed) for one in self.time_stamps],
            "scope": {"kind": self.scope_kind.value, "names": list(self.scope_names)},
            "changes_after_signing": self.changes_after_signing.value,
            "errors": [one.to_json() for one in self.errors],
            "warnings": [one.to_json() for one in self.warnings],
            "info": [one.to_json() for one in self.info],
        }
        if self.counter_signature_of is not None:
            answer["counter_signature_of"] = self.counter_signature_of
        if self.page_appearance is not None:
            answer["page_appearance"] = self.page_appearance.to_json()
        if detailed:
            past = self.past_validation
            answer["certificate_path"] = list(self.certificate_path)
            answer["processes"] = [one.to_json() for one in self.processes]
            answer["proofs_of_existence"] = [one.to_json() for one in self.proofs_of_existence]
            answer["past_validation"] = None if past is None else past.to_json()
            answer["building_blocks"] = [one.to_json() for one in self.building_blocks]
        return answer


@dataclasses.dataclass(frozen=True)
class ValidationReport:
    """The verdict on one document.

    Attributes:
        diagnostic: What it was made of, where that was asked for; no part of `to_json`.
        judged_on: The real present, where `validated_at` is another time that was asked for.
    """

    document_name: str
    document_sha256: str
    document_format: str
    validated_at: datetime.datetime
    policy: str
    signatures: tuple[SignatureReport, ...]
    time_stamps: tuple[TimeStampReport, ...] = ()
    evidence_records: tuple[EvidenceRecordReport, ...] = ()
    diagnostic: "diagnostic_data.DiagnosticData | None" = None
    judged_on: datetime.datetime | None = None

    @property
    def overall(self) -> Indication:
        """The worst of the signatures."""
        found = {one.indication for one in self.signatures}
        for indication in (Indication.TOTAL_FAILED, Indication.INDETERMINATE):
            if indication in found:
                return indication
        return Indication.TOTAL_PASSED if found else Indication.NO_SIGNATURE

    def to_json(self, *, detailed: bool = False) -> dict[str, object]:
        """The report exactly as section 4 of the contract; detailed has `building_blocks` too."""
        return {
            "document": {
                "name": self.document_name,
                "sha256": self.document_sha256,
                "format": self.document_format,
            },
            "validated_at": _time(self.validated_at),
            "policy": self.policy,
            "overall": self.overall.value,
            "signatures": [one.to_json(detailed=detailed) for one in self.signatures],
            "time_stamps": [one.to_json(alone=True, detailed=detailed) for one in self.time_stamps],
            "evidence_records": [one.to_json(detailed=detailed) for one in self.evidence_records],
        }


def _time(at: datetime.datetime | None) -> str | None:
    return None if at is None else clock.time_text(at)


def worst(indications: Sequence[Indication]) -> Indication:
    """The worst verdict of several documents: a failed or unsigned one counts before a doubtful."""
    order = (
        Indication.TOTAL_FAILED,
        Indication.NO_SIGNATURE,
        Indication.INDETERMINATE,
        Indication.TOTAL_PASSED,
    )
    return next(one for one in order if one in indications)
