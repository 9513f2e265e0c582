"""Revocation passwords: made here, told once, kept as a hash.

A person has one, whatever number of certificates: who lost a card knows their own number and this
password, and no serial. Sixty random bits cannot be guessed online, and the hash holds against
who has a copy of the database.
"""

import dataclasses
import datetime
import hashlib
import hmac
import secrets
import threading

from sqlalchemy import orm

from ca import tables as ca_tables
from ca.applications import states
from ca.subscribers import settings as subscriber_settings
from ca.subscribers import sources, tables
from pki import audit, errors, person_codes

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Digits and letters that nobody takes for one another, on paper or on the phone."""

LENGTH = 12
GROUP = 4

MAX_SENT = 64
"""Longest password that is looked at."""

_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 64 * 2**20, "dklen": 32}
"""RFC 7914 2: 32 MiB and about a tenth of a second each."""

_AT_ONCE = 2
_PATIENCE_S = 10.0
_derivations = threading.BoundedSemaphore(_AT_ONCE)
"""Strangers start these; more at once would take the processors and the memory from the CA."""

_NOBODY = bytes(16)

MAX_COUNTED = 2**30
"""What a column of 32 bits holds."""


class BusyError(errors.StateError):
    """Too many passwords are being checked."""

    code = "revocation-busy"
    retriable = True


@dataclasses.dataclass(frozen=True)
class RevocationPassword:
    """A password as its owner reads it: groups of four with dashes between them."""

    text: str = dataclasses.field(repr=False)

    def canonical(self) -> bytes:
        """What is hashed: upper case, and neither dashes nor spaces."""
        kept = "".join(one for one in self.text[:MAX_SENT].upper() if one not in "- ")
        return kept.encode("utf-8", "surrogatepass")


def make() -> RevocationPassword:
    """Make a new password."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return RevocationPassword(
        "-".join(text[start : start + GROUP] for start in range(0, LENGTH, GROUP))
    )


def renew(
    session: orm.Session, application_id: str, at: datetime.datetime, *, actor: str
) -> RevocationPassword:
    """Give the person of an application a new password, which ends any before; the caller commits.

    Returns:
        What the person is told this once.

    Raises:
        ApplicationNotFoundError: No such application.
    """
    states.find(session, application_id)
    application = session.get(ca_tables.ApplicationRow, application_id)
    if application is None:
        raise states.ApplicationNotFoundError("no application has this id")
    identifier = person_codes.person_identifier(application.country, application.person_code)
    password = make()
    salt = secrets.token_bytes(16)
    row = session.get(tables.RevocationPasswordRow, identifier, with_for_update=True)
    if row is None:
        row = tables.RevocationPasswordRow(person_identifier=identifier)
        session.add(row)
    row.salt = salt
    row.hash = _derive(password, salt)
    row.failures = 0
    row.locked_until = None
    row.recorded_at = at
    audit.append(
        session,
        audit.AuditEvent.REVOCATION_PASSWORD_CHANGED,
        at,
        actor=actor,
        details={"application": application_id},
    )
    return password


def is_right(
    sessions: orm.sessionmaker[orm.Session],
    person_identifier: str | None,
    password: RevocationPassword,
    settings: subscriber_settings.Settings,
    at: datetime.datetime,
    *,
    actor: str,
    missed_before: bool = False,
    counts: bool = True,
) -> bool:
    """Tell whether a password is the person's; count it where it is not.

    An unknown person (None, or one without a password) takes as long as a wrong password and is
    told no other way. Where a person's password was missed often, those who have missed before are
    not listened to for a while: whoever comes with the right one first is never kept out.

    Args:
        sessions: The database.
        person_identifier: Whose password it should be.
        password: What was sent.
        settings: How often it may be missed.
        at: The present.
        actor: Who asks.
        missed_before: Whether wrong ones came from the same address before.
        counts: Whether a wrong one is counted; not where an operator tries it, who is known.

    Raises:
        BusyError: Too many are being checked at this moment.
    """
    with sessions() as session:
        row = session.get(tables.RevocationPasswordRow, person_identifier or "")
        salt = _NOBODY if row is None else row.salt
    # Outside of any transaction: on SQLite one keeps every other writer waiting.
    derived = _derive(password, salt)
    with sessions() as session:
        row = session.get(
            tables.RevocationPasswordRow, person_identifier or "", with_for_update=True
        )
        waits = row is not None and row.locked_until is not None and at < row.locked_until
        if row is None or (waits and missed_before):
            return False
        right = hmac.compare_digest(row.hash, derived)
        if right:
            row.failures, row.locked_until = 0, None
        elif counts and settings.password_tries:
            row.failures = min(row.failures + 1, MAX_COUNTED)
            row.locked_until = at + sources.progressive_wait(row.failures, settings)
            if _is_told(row.failures, settings.password_tries):
                audit.append(
                    session,
                    audit.AuditEvent.REVOCATION_PASSWORD_MISSED,
                    at,
                    actor=actor,
                    details={"tries": row.failures},
                )
        session.commit()
    return right


def _is_told(misses: int, tries: int) -> bool:
    """Whether the audit log hears of it: at the limit, and each time that the number doubled.

    A stranger who misses on and on must not fill the log.
    """
    times, rest = divmod(misses, tries)
    return rest == 0 and times.bit_count() == 1


def _derive(password: RevocationPassword, salt: bytes) -> bytes:
    if not _derivations.acquire(timeout=_PATIENCE_S):
        raise BusyError("too many requests at this moment: try again, or call the hotline")
    try:
        return hashlib.scrypt(password.canonical(), salt=salt, **_SCRYPT)
    finally:
        _derivations.release()
