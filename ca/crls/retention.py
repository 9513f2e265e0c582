"""How long the bytes of old lists are kept; numbers and digests are kept for ever."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from ca.crls import addresses, published, tables


def clean(
    session: orm.Session, scope: addresses.Scope, keep: datetime.timedelta, at: datetime.datetime
) -> tuple[int, ...]:
    """Remove the bytes of lists whose thisUpdate is further back than `keep`.

    What stays whatever its age: the newest full list and the newest delta, and of every day (UTC)
    the last full list, which tells years later what was said then.

    Returns:
        The numbers of the lists whose bytes were removed; the caller commits.
    """
    old = published.rows_of(scope).where(tables.CRLRow.kept, tables.CRLRow.this_update < at - keep)
    rows = session.scalars(old).all()
    if not rows:
        return ()
    spared = {
        one.number
        for delta in (False, True)
        if (one := published.find_newest(session, scope, delta=delta)) is not None
    }
    days: set[datetime.date] = set()
    removed = []
    for row in rows:  # the newest first
        day = row.this_update.date()
        is_full = row.base_number is None and row.tail_der is not None
        if is_full and day not in days:
            days.add(day)
        elif row.number not in spared:
            removed.append(row)
    for row in removed:
        session.execute(
            sqlalchemy.delete(tables.CRLChunkRow).where(tables.CRLChunkRow.crl_id == row.id)
        )
        row.kept = False
    session.flush()
    return tuple(row.number for row in removed)
