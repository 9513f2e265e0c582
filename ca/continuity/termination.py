"""The end of a CA: everything that somebody must keep, so that old signatures can be judged.

A folder with every certificate, every status, each authority's last CRL, the audit log and the
trusted list, and a manifest of their digests that is signed. The last CRLs have no end, so they
need nobody who publishes another.
"""

import csv
import datetime
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import orm

from ca.audit_log import export
from pki import audit, certificates, clock, durable_files, errors, registry

FORMAT = "imza-termination-1"
MANIFEST = "manifest.json"
PAGE = 1000

_COLUMNS = (
    "issuer", "serial_number", "state", "profile", "not_before", "not_after", "revoked_at",
    "reason", "invalidity_date", "sha256",
)  # fmt: skip

Tell = Callable[[str, int], None]
"""Hears what is written and how much of it."""


class NotATargetError(errors.InputError):
    """The folder holds something already."""

    code = "termination-target"


def write_records(
    sessions: orm.sessionmaker[orm.Session], folder: pathlib.Path, at: datetime.datetime, tell: Tell
) -> None:
    """Write authorities, certificates with their statuses, and the audit log into a folder.

    `certificates.pem` has each certificate that was issued, `certificates.csv` each one that may
    exist with its status; both in the order of their recording. Names stand in the certificates
    alone.

    Raises:
        NotATargetError: The folder is not empty.
        OSError: The disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise NotATargetError(f"expected an empty folder, got {folder}")
    with sessions() as session:
        issuers = registry.issuers(session)
        head = audit.head(session)
    for one in issuers:
        durable_files.create(folder / f"{one.name}.cer", certificates.to_der(one.certificate))
    with (
        (folder / "certificates.csv").open("x", encoding="ascii", newline="") as table,
        (folder / "certificates.pem").open("x", encoding="ascii") as bundle,
    ):
        writer = csv.writer(table)
        writer.writerow(_COLUMNS)
        for count, row in enumerate(_rows(sessions), 1):
            writer.writerow(_line(row))
            if row["certificate_der"] is not None:
                bundle.write(certificates.to_pem(certificates.parse(row["certificate_der"])))
            if count % PAGE == 0:
                tell("certificates", count)
    export.write(folder / "audit.jsonl", _audit(sessions, head.number), (), at)


def add(folder: pathlib.Path, name: str, content: bytes) -> None:
    """Add a file, such as a CRL or the trusted list.

    Raises:
        FileExistsError: It is there.
    """
    durable_files.create(folder / name, content)


def write_manifest(folder: pathlib.Path, facts: Mapping[str, Any], at: datetime.datetime) -> bytes:
    """Write the digests of everything in the folder, and return the manifest's bytes."""
    files = {
        one.name: {"bytes": one.stat().st_size, "sha256": _sha256(one)}
        for one in sorted(folder.iterdir())
    }
    content = json.dumps(
        {"format": FORMAT, "written_at": clock.time_text(at), **facts, "files": files},
        indent=1, ensure_ascii=True,
    ).encode("ascii")  # fmt: skip
    durable_files.create(folder / MANIFEST, content)
    return content


def _rows(sessions: orm.sessionmaker[orm.Session]) -> Iterator[Mapping[str, Any]]:
    row = registry.CertificateRow.__table__
    columns = [
        row.c[name]
        for name in (
            "id", "issuer_name", "serial_number", "state", "profile", "not_before", "not_after",
            "revoked_at", "reason", "invalidity_date", "certificate_der",
        )
    ]  # fmt: skip
    after = 0
    while True:
        query = sqlalchemy.select(*columns).where(row.c.id > after).order_by(row.c.id).limit(PAGE)
        with sessions() as session:
            page = [dict(one) for one in session.execute(query).mappings()]
        if not page:
            return
        yield from page
        after = page[-1]["id"]


def _line(row: Mapping[str, Any]) -> list[str]:
    def time(name: str) -> str:
        return "" if row[name] is None else clock.time_text(row[name])

    data = row["certificate_der"]
    return [
        row["issuer_name"], row["serial_number"], row["state"], row["profile"],
        time("not_before"), time("not_after"), time("revoked_at"), row["reason"] or "",
        time("invalidity_date"), "" if data is None else hashlib.sha256(data).hexdigest(),
    ]  # fmt: skip


def _audit(sessions: orm.sessionmaker[orm.Session], last: int) -> Iterator[dict[str, object]]:
    after = 0
    while after < last:
        with sessions() as session:
            page = audit.entries(session, after=after, limit=PAGE)
        if not page:
            return
        yield from (export.entry_json(one) for one in page if one.number <= last)
        after = page[-1].number


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
