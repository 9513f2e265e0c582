"""The report on one certificate: what it is, where it leads, and what it is worth at a time."""

import dataclasses
import datetime
import enum

from pki import clock, oids, qc_statements
from signing_service.validation import building_blocks, report
from signing_service.validation.certificates import (
    certificate_status,
    certificate_uses,
    qualification,
)

_PURPOSES = {"ForeSignatures": "eSignature", "ForeSeals": "eSeal"}
_QC_TYPES = {oids.QC_TYPE_ESIGN: "eSignature", oids.QC_TYPE_ESEAL: "eSeal"}


class StatusWord(enum.Enum):
    """RFC 6960 2.2."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class DescribedCertificate:
    """A certificate by its names."""

    subject: str
    issuer: str
    serial_number: str
    sha256: str
    not_before: datetime.datetime
    not_after: datetime.datetime

    def to_json(self) -> dict[str, object]:
        """As the API shows it."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "serial_number": self.serial_number,
            "sha256": self.sha256,
            "not_before": clock.time_text(self.not_before),
            "not_after": clock.time_text(self.not_after),
        }


@dataclasses.dataclass(frozen=True)
class CertificateStatus:
    """What is known of a certificate's status, and by which statement."""

    word: StatusWord
    statement: certificate_status.Status | None

    def to_json(self) -> dict[str, object]:
        """As the API shows it."""
        said = self.statement
        revoked = said if self.word is StatusWord.REVOKED else None
        return {
            "state": self.word.value,
            "revoked_at": _time(None if revoked is None else revoked.revoked_at),
            "reason": None if revoked is None else revoked.reason,
            "source": None
            if said is None
            else {
                "kind": said.source,
                "sha256": said.source_sha256,
                "produced_at": _time(said.produced_at),
                "this_update": _time(said.this_update),
                "next_update": _time(said.next_update),
            },
        }


@dataclasses.dataclass(frozen=True)
class PathMember:
    """One certificate of the path; an anchor's status is nobody's to state."""

    certificate: DescribedCertificate
    is_anchor: bool
    status: CertificateStatus | None

    def to_json(self) -> dict[str, object]:
        """As the API shows it."""
        return self.certificate.to_json() | {
            "trust_anchor": self.is_anchor,
            "status": None if self.status is None else self.status.to_json(),
        }


@dataclasses.dataclass(frozen=True)
class CertificateReport:
    """The verdict on one certificate.

    Attributes:
        holder: What to call its subject.
        sub_indication: None of one that passed.
        problem: Why it did not pass.
        path: The certificate first, a trust anchor last; empty where there is no path.
        uses: What it may be used for.
        statements: What it says of itself (EN 319 412-5).
        qualification: What the trusted lists say of it.
        revoked_later_at: A certificate of the path was revoked after the time judged.
    """

    certificate: DescribedCertificate
    holder: str
    person_code: str | None
    organisation: str | None
    validated_at: datetime.datetime
    policy: str
    sub_indication: report.SubIndication | None
    problem: report.Finding | None
    path: tuple[PathMember, ...]
    uses: tuple[certificate_uses.Use, ...]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    policies: tuple[str, ...]
    statements: qc_statements.QcStatements
    qualification: qualification.CertificateVerdict
    revoked_later_at: datetime.datetime | None = None

    @property
    def indication(self) -> building_blocks.BlockIndication:
        """What the sub-indication goes with; there is no signature that could pass in total."""
        return building_blocks.indication_of(self.sub_indication)

    def to_json(self) -> dict[str, object]:
        """The answer of `POST /api/v1/certificates/validations`."""
        unknown = CertificateStatus(StatusWord.UNKNOWN, None)
        own = self.path[0].status if self.path else unknown
        return {
            "certificate": self.certificate.to_json(),
            "holder": {
                "name": self.holder,
                "person_code": self.person_code,
                "organisation": self.organisation,
            },
            "validated_at": clock.time_text(self.validated_at),
            "policy": self.policy,
            "indication": self.indication.value,
            "sub_indication": None if self.sub_indication is None else self.sub_indication.value,
            "status": None if own is None else own.to_json(),
            "usage": {
                "allowed_for": [one.value for one in self.uses],
                "key_usage": list(self.key_usage),
                "extended_key_usage": list(self.extended_key_usage),
                "policies": list(self.policies),
            },
            "qualification": self._qualification(),
            "path": [one.to_json() for one in self.path],
            "revoked_later_at": _time(self.revoked_later_at),
            "errors": [] if self.problem is None else [self.problem.to_json()],
        }

    def _qualification(self) -> dict[str, object]:
        """By the lists (TS 119 615), and what the certificate says of itself (EN 319 412-5)."""
        found = self.qualification
        judged = found.note is None or found.note.code != qualification.NO_LIST
        return {
            "qualified": found.purpose is not None if judged else None,
            "for": None if found.purpose is None else _PURPOSES[found.purpose],
            "qualified_device": found.secure_device if found.purpose is not None else None,
            "note": None if found.note is None else found.note.to_json(),
            "statements": {
                "compliance": self.statements.compliance,
                "qualified_device": self.statements.secure_device,
                "types": [_QC_TYPES.get(one, one) for one in self.statements.types],
                "legislation": list(self.statements.legislation),
            },
        }


def _time(at: datetime.datetime | None) -> str | None:
    return None if at is None else clock.time_text(at)
