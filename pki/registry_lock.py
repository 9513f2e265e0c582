"""Whether the registry may be relied on, and up to where the signature log agrees with it.

A registry that was restored from an older backup does not know the last certificates, revocations
and CRLs. Until it was reconciled with the signature log it is locked: no authority signs, and the
responders answer `tryLater` rather than `good`.
"""

import dataclasses
import datetime
from typing import cast

import sqlalchemy
from sqlalchemy import orm

from pki import database, errors
from pki.keystore import signature_log

_ID = 1


class RegistryLockedError(errors.StateError):
    """The registry is locked: nothing is signed until it is reconciled and released."""

    code = "registry-locked"


class RegistryLockRow(database.Base):
    """The one row; a registry without it was never compared with a log."""

    __tablename__ = "registry_lock"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    # The last line of the signature log up to which every certificate and CRL is known here.
    log_number: orm.Mapped[int] = orm.mapped_column()
    log_hash: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64))
    log_start: orm.Mapped[int] = orm.mapped_column(sqlalchemy.BigInteger)
    locked_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    reason: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(64))
    reconciled_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    reconciled_by: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(128))


_LOCK = cast(sqlalchemy.Table, RegistryLockRow.__table__)
LOCKED_AT = sqlalchemy.select(_LOCK.c.locked_at).where(_LOCK.c.id == _ID).scalar_subquery()
REASON = sqlalchemy.select(_LOCK.c.reason).where(_LOCK.c.id == _ID).scalar_subquery()
"""Since when and why the registry is locked, to be asked within another question."""

# By columns: a session that saw the row before must see what another process did to it.
_STATE = sqlalchemy.select(
    RegistryLockRow.log_number,
    RegistryLockRow.log_hash,
    RegistryLockRow.log_start,
    RegistryLockRow.locked_at,
    RegistryLockRow.reason,
    RegistryLockRow.reconciled_at,
    RegistryLockRow.reconciled_by,
).where(RegistryLockRow.id == _ID)


@dataclasses.dataclass(frozen=True)
class LockState:
    """What the row says.

    Attributes:
        mark: The last line that was compared; None before the first time.
        locked_at: Since when the registry is locked; None where it is not.
        reason: Why.
        reconciled_at: When it was reconciled since.
        reconciled_by: By whom; another person releases the lock.
    """

    mark: signature_log.Position | None = None
    locked_at: datetime.datetime | None = None
    reason: str | None = None
    reconciled_at: datetime.datetime | None = None
    reconciled_by: str | None = None


def state(session: orm.Session) -> LockState:
    """Return what the row says."""
    row = session.execute(_STATE).first()
    if row is None:
        return LockState()
    mark = (
        signature_log.Position(row.log_number, row.log_hash, row.log_start)
        if row.log_number
        else None
    )
    return LockState(mark, row.locked_at, row.reason, row.reconciled_at, row.reconciled_by)


def check_open(session: orm.Session) -> None:
    """Check that the registry is not locked.

    Raises:
        RegistryLockedError: It is.
    """
    found = state(session)
    refuse(found.locked_at, found.reason)


def refuse(locked_at: datetime.datetime | None, reason: str | None) -> None:
    """Raise where the registry is locked, as `LOCKED_AT` and `REASON` tell.

    Raises:
        RegistryLockedError: It is.
    """
    if locked_at is not None:
        raise RegistryLockedError(
            f"the registry is locked since {locked_at.isoformat()} ({reason}):"
            " nothing is signed until `imza ca restore --reconcile` and `--release`"
        )


def lock(session: orm.Session, reason: str, at: datetime.datetime) -> bool:
    """Lock the registry; False where it was locked before. The caller commits."""
    row = _row(session)
    if row.locked_at is not None:
        return False
    row.locked_at, row.reason = at, reason
    row.reconciled_at = row.reconciled_by = None
    return True


def set_reconciled(session: orm.Session, by: str, at: datetime.datetime) -> None:
    """Record that a locked registry was reconciled; it stays locked. The caller commits."""
    row = _row(session)
    row.reconciled_at, row.reconciled_by = at, by


def release(session: orm.Session) -> None:
    """End the lock. The caller commits."""
    row = _row(session)
    row.locked_at = row.reason = row.reconciled_at = row.reconciled_by = None


def set_mark(session: orm.Session, mark: signature_log.Position | None) -> None:
    """Record up to which line the log was compared; None begins anew. The caller commits."""
    row = _row(session)
    if mark is None:
        row.log_number, row.log_hash, row.log_start = 0, "", 0
    else:
        row.log_number, row.log_hash, row.log_start = mark.number, mark.hash, mark.start


def _row(session: orm.Session) -> RegistryLockRow:
    row = session.get(RegistryLockRow, _ID, with_for_update=True, populate_existing=True)
    if row is None:
        row = RegistryLockRow(id=_ID, log_number=0, log_hash="", log_start=0)
        session.add(row)
        session.flush()
    return row
