"""Closing an authority: from then on nothing is certified by it, in whichever process."""

import dataclasses
import datetime
from typing import cast

import sqlalchemy
from sqlalchemy import orm

from ca.continuity import tables
from pki import audit, clock, errors, profiles, registry_lock, status


class AuthorityClosedError(errors.StateError):
    """The authority certifies nobody any more."""

    code = "authority-closed"


@dataclasses.dataclass(frozen=True)
class Closure:
    """A closed authority.

    Attributes:
        issuer_name: Which.
        reason: `cACompromise`, or what else its own certificate was revoked for.
        closed_at: Since when it certifies nobody.
        invalidity_date: Since when its key may have been in wrong hands.
        revoked: How many of its certificates were revoked because of it.
        completed_at: When all of them were; None while some are left, or where they stay good.
    """

    issuer_name: str
    reason: status.RevocationReason
    closed_at: datetime.datetime
    invalidity_date: datetime.datetime | None
    revoked: int
    completed_at: datetime.datetime | None


_CLOSURES = cast(sqlalchemy.Table, tables.ClosureRow.__table__)
_STANDING = sqlalchemy.select(
    registry_lock.LOCKED_AT.label("locked_at"),
    registry_lock.REASON.label("lock_reason"),
    sqlalchemy.select(_CLOSURES.c.reason)
    .where(_CLOSURES.c.issuer_name == sqlalchemy.bindparam("issuer"))
    .scalar_subquery()
    .label("closure_reason"),
)
"""One question, since every certificate asks it."""


def close(
    session: orm.Session,
    issuer_name: str,
    reason: status.RevocationReason,
    at: datetime.datetime,
    *,
    actor: str,
    invalidity_date: datetime.datetime | None = None,
) -> Closure:
    """Close an authority for good; one that is closed stays as it is. The caller commits.

    An authority closed for another reason that turns out to be compromised becomes so.

    Raises:
        InputError: The invalidity date is in the future.
    """
    at = clock.whole_seconds(at)
    if invalidity_date is not None and clock.require_utc(invalidity_date) > at:
        raise errors.InputError("expected an invalidity date that is not in the future")
    row = session.get(tables.ClosureRow, issuer_name)
    worse = status.RevocationReason.cACompromise
    if row is not None and (row.reason == worse.name or reason is not worse):
        return _to_closure(row)
    if row is None:
        row = tables.ClosureRow(issuer_name=issuer_name, closed_at=at, revoked=0)
        session.add(row)
    row.reason = reason.name
    row.invalidity_date = None if invalidity_date is None else clock.whole_seconds(invalidity_date)
    audit.append(
        session,
        audit.AuditEvent.AUTHORITY_CLOSED,
        at,
        actor=actor,
        details={
            "issuer": issuer_name,
            "reason": reason.name,
            "invalidity_date": None
            if invalidity_date is None
            else clock.time_text(invalidity_date),
        },
    )
    return _to_closure(row)


def find(session: orm.Session, issuer_name: str) -> Closure | None:
    """Return the closure of an authority; None for one that is open."""
    row = session.get(tables.ClosureRow, issuer_name)
    return None if row is None else _to_closure(row)


def check_open(
    session: orm.Session | sqlalchemy.Connection, issuer_name: str, profile_name: str
) -> None:
    """Check that an authority may certify.

    Its own responder is certified for as long as the authority has a key: relying parties go on
    asking for what it issued, and the answer is `revoked` (RFC 6960 2.7).

    Raises:
        AuthorityClosedError: It may not.
        RegistryLockedError: No authority may, until the registry was reconciled.
    """
    standing = session.execute(_STANDING, {"issuer": issuer_name}).one()
    registry_lock.refuse(standing.locked_at, standing.lock_reason)
    if profile_name == profiles.OCSP_RESPONDER.name:
        return
    if standing.closure_reason is not None:
        raise AuthorityClosedError(
            f"the authority {issuer_name!r} is closed ({standing.closure_reason}):"
            " certify with its next generation"
        )


def _to_closure(row: tables.ClosureRow) -> Closure:
    return Closure(
        row.issuer_name,
        status.RevocationReason.from_name(row.reason),
        row.closed_at,
        row.invalidity_date,
        row.revoked,
        row.completed_at,
    )
