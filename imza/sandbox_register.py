"""The register of the sandbox: its TEST people, their organisations, and who may act for whom."""

import csv
import pathlib
from collections.abc import Iterable, Sequence

from sqlalchemy import orm

from ca.registers import facts, importing
from imza import people
from pki import clock


def fill(
    sessions: orm.sessionmaker[orm.Session], folder: pathlib.Path, present: clock.Clock
) -> None:
    """Write the files of `imza ca register import` and import them; again changes nothing.

    Args:
        sessions: The CA zone's database.
        folder: Keeps the files, which serve as examples.
        present: The clock.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with sessions() as session:
        for kind, rows in _rows().items():
            path = folder / f"{kind.value}.csv"
            _write(path, importing.FORMATS[kind].columns, rows)
            importing.import_file(session, path, kind, present.now(), actor="system")
        session.commit()


def _rows() -> dict[importing.Kind, list[Sequence[str]]]:
    acting = [(one, one.organisation) for one in people.REGISTERED if one.organisation is not None]
    alive, active = facts.PersonState.ALIVE.value, facts.OrganisationState.ACTIVE.value
    return {
        importing.Kind.PEOPLE: [
            (one.country, one.person_code, one.surname, one.given_name, alive)
            for one in people.REGISTERED
        ],
        importing.Kind.ORGANISATIONS: [
            (one.country, one.code, one.name, kind.value, active)
            for one, kind in (
                (people.MINISTRY, facts.OrganisationKind.STATE_BODY),
                (people.COMPANY, facts.OrganisationKind.LEGAL_ENTITY),
            )
        ],
        importing.Kind.REPRESENTATIVES: [
            (where.country, where.code, one.country, one.person_code, one.title or "", "")
            for one, where in acting
        ],
    }


def _write(path: pathlib.Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
