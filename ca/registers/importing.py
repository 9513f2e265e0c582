"""Filling the local register from CSV: all of a file, or none of it.

A file is read twice: once to find every mistake, with its line number, and once to write, in one
transaction. Rows are written over what is there under the same numbers, so the same file again
changes nothing; what a file does not name stays.
"""

import contextlib
import csv
import dataclasses
import datetime
import enum
import itertools
import json
import pathlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite

from ca import subjects
from ca.registers import facts, tables
from pki import audit, database, errors, person_codes

BATCH = 1000
"""Rows of one statement; a file of millions never lies in memory."""

MAX_LINE = 4096
"""Characters in one line: a row has at most six short fields."""

MAX_MISTAKES = 20
"""How many mistakes are told before the reading stops."""


class RegisterFileError(errors.InputError):
    """The file is not what the format says; nothing was imported.

    The message names lines and fields, never what they hold.
    """

    code = "register-file"


class Kind(enum.Enum):
    """What a file lists."""

    PEOPLE = "people"
    ORGANISATIONS = "organisations"
    REPRESENTATIVES = "representatives"


@dataclasses.dataclass(frozen=True)
class Format:
    """What a file of one kind holds.

    Attributes:
        columns: Its header, in this order.
        read: Turns a line's fields into a row's values, or raises `InputError`.
        table: Where rows are written.
    """

    columns: tuple[str, ...]
    read: Callable[[Mapping[str, str]], Mapping[str, Any]]
    table: type[database.Base]


def import_file(
    session: orm.Session, path: pathlib.Path, kind: Kind, at: datetime.datetime, *, actor: str
) -> int:
    """Import a file; the caller commits.

    Args:
        session: The transaction.
        path: CSV in UTF-8 with a header (RFC 4180).
        kind: What it lists.
        at: The present.
        actor: Who imports, for the audit log.

    Returns:
        How many rows it has.

    Raises:
        RegisterFileError: The file cannot be read, or a line of it is wrong.
    """
    form = FORMATS[kind]
    _check(path, form)
    count = 0
    rows = (dict(values) for _, values in _rows(path, form))
    while batch := list(itertools.islice(rows, BATCH)):
        session.execute(_upsert(session, form.table), batch)
        count += len(batch)
    audit.append(
        session,
        audit.AuditEvent.REGISTER_IMPORTED,
        at,
        actor=actor,
        details={"kind": kind.value, "rows": count},
    )
    return count


def _check(path: pathlib.Path, form: Format) -> None:
    """Read a whole file and tell its mistakes, a number of them at once."""
    keys = [one.name for one in sqlalchemy.inspect(form.table).primary_key]
    mistakes: list[str] = []
    # A nameless database of SQLite's own goes to the disk when it grows, and is gone afterwards.
    with contextlib.closing(sqlite3.connect("")) as seen:
        seen.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")
        for line, values in _rows(path, form, mistakes):
            key = json.dumps([str(values[name]) for name in keys])
            if seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 0:
                mistakes.append(f"line {line}: the same number as a line before")
            if len(mistakes) >= MAX_MISTAKES:
                break
    if mistakes:
        more = " (and perhaps others)" if len(mistakes) >= MAX_MISTAKES else ""
        raise RegisterFileError(f"nothing was imported: {'; '.join(mistakes)}{more}")


def _rows(
    path: pathlib.Path, form: Format, mistakes: list[str] | None = None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Give each row with its line's number; mistakes are collected, or raised without a list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(_lines(file), strict=True)
            header = tuple(next(reader, ()))
            if header != form.columns:
                raise RegisterFileError(
                    f"line 1: expected the columns {','.join(form.columns)}, got others"
                )
            for fields in reader:
                try:
                    yield reader.line_num, _read(fields, form)
                except errors.InputError as error:
                    if mistakes is None:
                        raise
                    mistakes.append(f"line {reader.line_num}: {error.message}")
                    if len(mistakes) >= MAX_MISTAKES:
                        return
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RegisterFileError(
            f"expected a CSV file in UTF-8, got one that cannot be read ({type(error).__name__})"
        ) from error


def _lines(file: Any) -> Iterator[str]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise RegisterFileError(f"expected lines of at most {MAX_LINE} characters")
        if "\0" in line:
            raise RegisterFileError("expected text, got a NUL character")
        yield line


def _read(fields: list[str], form: Format) -> Mapping[str, Any]:
    if len(fields) != len(form.columns):
        raise errors.InputError(f"expected {len(form.columns)} fields, got {len(fields)}")
    return form.read(dict(zip(form.columns, fields, strict=True)))


def _person(fields: Mapping[str, str]) -> Mapping[str, Any]:
    person_codes.check_person_code(fields["country"], fields["person_code"])
    for name in ("surname", "given_name"):
        subjects.check_text(name, fields[name])
    return {**fields, "state": _one_of(facts.PersonState, "state", fields)}


def _organisation(fields: Mapping[str, str]) -> Mapping[str, Any]:
    person_codes.check_organisation_code(fields["country"], fields["code"])
    subjects.check_text("name", fields["name"])
    return {
        **fields,
        "kind": _one_of(facts.OrganisationKind, "kind", fields),
        "state": _one_of(facts.OrganisationState, "state", fields),
    }


def _representative(fields: Mapping[str, str]) -> Mapping[str, Any]:
    person_codes.check_organisation_code(
        fields["organisation_country"], fields["organisation_code"]
    )
    person_codes.check_person_code(fields["person_country"], fields["person_code"])
    subjects.check_text("title", fields["title"])
    until = None
    if fields["valid_until"]:
        try:
            until = datetime.date.fromisoformat(fields["valid_until"])
        except ValueError as error:
            raise errors.InputError("expected valid_until as YYYY-MM-DD, or nothing") from error
    return {**fields, "valid_until": until}


def _one_of(kind: type[enum.Enum], name: str, fields: Mapping[str, str]) -> str:
    known = [str(one.value) for one in kind]
    if fields[name] not in known:
        raise errors.InputError(f"expected a {name} of {', '.join(known)}")
    return fields[name]


def _upsert(session: orm.Session, table: type[database.Base]) -> Any:
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    mapped = sqlalchemy.inspect(table)
    keys = [one.name for one in mapped.primary_key]
    statement = insert(table)
    others = {
        one.name: statement.excluded[one.name] for one in mapped.columns if one.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


FORMATS: Mapping[Kind, Format] = {
    Kind.PEOPLE: Format(
        ("country", "person_code", "surname", "given_name", "state"),
        _person,
        tables.RegisteredPersonRow,
    ),
    Kind.ORGANISATIONS: Format(
        ("country", "code", "name", "kind", "state"),
        _organisation,
        tables.RegisteredOrganisationRow,
    ),
    Kind.REPRESENTATIVES: Format(
        (
            "organisation_country",
            "organisation_code",
            "person_country",
            "person_code",
            "title",
            "valid_until",
        ),
        _representative,
        tables.RegisteredRepresentativeRow,
    ),
}
"""The three files of a register."""
