"""The wire shapes of the registration API (`/ra/v1`)."""

import base64
from typing import Annotated

import pydantic

from ca import generations, subjects
from ca.applications import certification
from pki import audit, certificates, clock, profiles, registration, registry

Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=subjects.MAX_NAME)]
Country = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z]{2}$")]


class Body(pydantic.BaseModel):
    """A JSON object."""

    # An unknown field is a misunderstanding that should be noticed, not ignored.
    model_config = pydantic.ConfigDict(extra="forbid", str_strip_whitespace=False)


class RevocationBody(Body):
    """`POST /ra/v1/certificates/{serial}/revoke`."""

    reason: Text
    invalidity_date: pydantic.AwareDatetime | None = None


def issued(value: certification.Issued) -> dict[str, object]:
    """An issued certificate with its chain."""
    return {
        "serial_number": certificates.serial_text(value.record.serial_number),
        "certificate": _base64(value.certificate_der),
        "chain": [_base64(one) for one in value.chain_der],
    }


def certificate(record: registry.CertificateRecord) -> dict[str, object]:
    """A line of the list."""
    revoked_at = record.status.revoked_at
    reason = record.status.reason
    held = reason is not None and reason.name == "certificateHold"
    return {
        "serial_number": certificates.serial_text(record.serial_number),
        "issuer": record.issuer_name,
        "profile": record.profile,
        "role": _role(record),
        "organisation": record.organisation_identifier,
        "subject": record.subject,
        "not_before": clock.time_text(record.not_before),
        "not_after": clock.time_text(record.not_after),
        "status": "good" if revoked_at is None else "held" if held else "revoked",
        "reason": reason.name if reason else None,
        "revoked_at": clock.time_text(revoked_at) if revoked_at else None,
    }


def _role(record: registry.CertificateRecord) -> str | None:
    """In what role a subscriber has a certificate; None for the services' own."""
    if record.profile in profiles.ORGANISATION_NAMES:
        return registration.Category.ORGANISATION.value
    if record.profile in profiles.PERSON_NAMES:
        return generations.role_of(record.issuer_name)
    return None


def certificate_in_full(record: registry.CertificateRecord) -> dict[str, object]:
    """One certificate with its bytes."""
    der = record.certificate_der
    return {**certificate(record), "certificate": _base64(der) if der else None}


def page(value: registry.CertificatePage) -> dict[str, object]:
    """A page of the list."""
    cursor = None if value.next_cursor is None else str(value.next_cursor)
    return {
        "certificates": [certificate(one) for one in value.certificates],
        "next_cursor": cursor,
    }


def audit_head(value: audit.AuditHead) -> dict[str, object]:
    """A verified audit log's head."""
    return {"entries": value.number, "head": value.hash}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
