"""The audit log as a file that proves itself: JSON, one value a line.

A header, every entry, the anchors, and the head at the end. `ca.audit_log.proof` reads it back
without any database.
"""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import TextIO

from ca.audit_log import anchors
from pki import audit, durable_files, errors

FORMAT = "imza-audit-export-1"


class EmptyLogError(errors.StateError):
    """There is nothing to export."""

    code = "audit-empty"


def entry_json(entry: audit.AuditEntry) -> dict[str, object]:
    """An entry as exports and the API have it; its time is what its hash covers, to the letter."""
    return {**dataclasses.asdict(entry), "at": entry.at.isoformat()}


def write(
    target: pathlib.Path,
    entries: Iterable[dict[str, object]],
    known: Sequence[anchors.Anchor],
    at: datetime.datetime,
) -> int:
    """Write an export and return how many entries it has.

    Args:
        target: Replaced as a whole.
        entries: As `entry_json` gives them, from the first on.
        known: The anchors that there are.
        at: The present time.

    Raises:
        EmptyLogError: There are none.
    """
    with durable_files.replacing(target) as partial, partial.open("w", encoding="ascii") as out:
        _line(out, {"kind": "header", "format": FORMAT, "exported_at": at.isoformat()})
        last: dict[str, object] | None = None
        count = 0
        for last in entries:
            _line(out, {"kind": "entry", **last})
            count += 1
        if last is None:
            raise EmptyLogError("the audit log has no entries")
        for one in known:
            _line(out, {"kind": "anchor", **anchors.as_json(one)})
        _line(out, {"kind": "head", "number": last["number"], "hash": last["hash"]})
    return count


def _line(out: TextIO, value: dict[str, object]) -> None:
    out.write(f"{json.dumps(value, ensure_ascii=True, separators=(',', ':'))}\n")
