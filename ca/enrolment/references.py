"""References and secrets with which an applicant enrols for the first time (RFC 9810 4.2.1.2).

A reference leads to an approved application. Its secret is derived from one secret of the
installation, so that the database holds none, and a copy of it lets nobody in.
"""

import base64
import dataclasses
import datetime
import hmac
import re
import secrets

from sqlalchemy import orm

from ca.enrolment import messages, tables
from pki import audit, clock, errors, profiles

_REFERENCE = re.compile(r"[0-9a-f]{32}")


PROFILES = (profiles.AUTHENTICATE.name,)
"""What can be enrolled for from afar. That a key for qualified signatures is in a secure device,
nobody can see from here (EN 319 411-2 6.5.1): those are certified where cards and SIMs are made."""


class ReferenceProfileError(errors.PolicyError):
    """No certificate of the profile is given to whom enrols from afar."""

    code = "reference-profile-refused"


class ReusableReferenceError(errors.PolicyError):
    """A reference for any number of enrolments is for test installations."""

    code = "reusable-reference-refused"


@dataclasses.dataclass(frozen=True)
class Reference:
    """A reference and what it is good for."""

    reference: str
    application_id: str
    profile: str
    reusable: bool
    expires_at: datetime.datetime


class Secrets:
    """Derives the secret of each reference; `repr` shows nothing."""

    def __init__(self, secret: bytes) -> None:
        """Take the installation's secret."""
        self._secret = secret

    def of(self, reference: str) -> bytes:
        """The secret of a reference: text, as people type it."""
        value = hmac.digest(self._secret, b"enrolment reference " + reference.encode(), "sha256")
        return base64.urlsafe_b64encode(value).rstrip(b"=")


def record_reference(
    session: orm.Session,
    application_id: str,
    profile: str,
    validity: datetime.timedelta,
    at: datetime.datetime,
    *,
    actor: str,
    reusable: bool = False,
    test: bool = False,
) -> Reference:
    """Record a reference for an approved application; the caller commits.

    Args:
        session: The transaction.
        application_id: Whose application; the caller has checked that it is approved.
        profile: What certificates it gives.
        validity: How long it can be used.
        at: The present.
        actor: Which client or officer asks.
        reusable: Good for any number of enrolments.
        test: The installation is a sandbox.

    Raises:
        ReusableReferenceError: `reusable` outside a sandbox.
        ReferenceProfileError: Not one that can be enrolled for.
    """
    if reusable and not test:
        raise ReusableReferenceError("expected a reference for one enrolment")
    if profile not in PROFILES:
        raise ReferenceProfileError(f"expected a profile of {', '.join(PROFILES)} for enrolment")
    row = tables.ReferenceRow(
        reference=secrets.token_hex(16),
        application_id=application_id,
        profile=profile,
        reusable=reusable,
        expires_at=clock.whole_seconds(at) + validity,
        used_by=None,
        recorded_at=at,
    )
    session.add(row)
    session.flush()
    audit.append(
        session,
        audit.AuditEvent.REFERENCE_RECORDED,
        at,
        actor=actor,
        details={"application": application_id, "profile": profile, "reference": row.reference},
    )
    return _reference(row)


def find(session: orm.Session, key_id: bytes | None) -> Reference | None:
    """Return the reference that a message names, whether it may still be used or not."""
    text = (key_id or b"").decode("ascii", "replace")
    if not _REFERENCE.fullmatch(text):
        return None
    row = session.get(tables.ReferenceRow, text)
    return None if row is None else _reference(row)


def use(session: orm.Session, reference: str, transaction_id: str, at: datetime.datetime) -> None:
    """Use a reference for a new certificate; the caller commits.

    Raises:
        RefusedError: It has expired, or was used.
    """
    row = session.get(tables.ReferenceRow, reference, with_for_update=True)
    if row is None or at > row.expires_at or row.used_by is not None:
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized,
            "the reference was used or has expired: ask for a new one",
        )
    if not row.reusable:
        row.used_by = transaction_id


def give_back(session: orm.Session, reference: str, transaction_id: str) -> None:
    """Let a reference be used again whose use gave no certificate; the caller commits."""
    row = session.get(tables.ReferenceRow, reference, with_for_update=True)
    if row is not None and row.used_by == transaction_id:
        row.used_by = None


def _reference(row: tables.ReferenceRow) -> Reference:
    return Reference(row.reference, row.application_id, row.profile, row.reusable, row.expires_at)
