import contextlib
import pathlib

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from ca.registers import importing, local_register, tables
from pki import audit, clock, database

PEOPLE = "country,person_code,surname,given_name,state\n"
GOOD = PEOPLE + "AZ,5AB12CD,TEST Əliyeva,Günay,alive\nGE,01234567890,TEST გიორგაძე,ნინო,deceased\n"


def _import(
    sessions: orm.sessionmaker[orm.Session],
    path: pathlib.Path,
    content: str | bytes,
    kind: importing.Kind = importing.Kind.PEOPLE,
) -> int:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with sessions() as session:
        count = importing.import_file(session, path, kind, clock.SystemClock().now(), actor="test")
        session.commit()
    return count


def _people(sessions: orm.sessionmaker[orm.Session]) -> list[str]:
    with sessions() as session:
        return sorted(
            session.scalars(sqlalchemy.select(tables.RegisteredPersonRow.person_code)).all()
        )


def test_people_are_imported_and_found(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    assert _import(sessions, tmp_path / "p.csv", GOOD) == 2
    found = local_register.LocalRegister(sessions).find_person("AZ", "5AB12CD")
    assert found is not None
    assert (found.surname, found.given_name, found.state.value) == (
        "TEST Əliyeva",
        "Günay",
        "alive",
    )
    assert local_register.LocalRegister(sessions).find_person("GE", "5AB12CD") is None
    with sessions() as session:
        assert session.scalars(
            sqlalchemy.select(audit.EntryRow).where(
                audit.EntryRow.event == audit.AuditEvent.REGISTER_IMPORTED.value
            )
        ).one()


def test_the_same_file_again_changes_nothing_and_a_newer_one_replaces(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    for _ in range(2):
        _import(sessions, tmp_path / "p.csv", GOOD)
    assert len(_people(sessions)) == 2
    _import(sessions, tmp_path / "p.csv", PEOPLE + "AZ,5AB12CD,TEST Əliyeva,Günay,deceased\n")
    found = local_register.LocalRegister(sessions).find_person("AZ", "5AB12CD")
    assert found is not None
    assert found.state.value == "deceased"
    assert len(_people(sessions)) == 2


def test_organisations_and_representatives_are_imported(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    _import(
        sessions,
        tmp_path / "o.csv",
        'country,code,name,kind,state\nAZ,1400000021,"TEST ""Gənclik"", MMC",legal_entity,active\n',
        importing.Kind.ORGANISATIONS,
    )
    _import(
        sessions,
        tmp_path / "r.csv",
        "organisation_country,organisation_code,person_country,person_code,title,valid_until\n"
        "AZ,1400000021,AZ,5AB12CD,Direktor,2030-12-31\nAZ,1400000021,AZ,7XY34ZK,Mühasib,\n",
        importing.Kind.REPRESENTATIVES,
    )
    register = local_register.LocalRegister(sessions)
    organisation = register.find_organisation("AZ", "1400000021")
    assert organisation is not None
    assert organisation.name == 'TEST "Gənclik", MMC'
    first = register.find_representative(("AZ", "1400000021"), ("AZ", "5AB12CD"))
    second = register.find_representative(("AZ", "1400000021"), ("AZ", "7XY34ZK"))
    assert first is not None
    assert second is not None
    assert str(first.valid_until) == "2030-12-31"
    assert second.valid_until is None


WRONG = {
    "another header": ("country,surname\n", "line 1"),
    "an empty file": ("", "line 1"),
    "a field too few": (PEOPLE + "AZ,5AB12CD,TEST A,B\n", "line 2: expected 5 fields"),
    "a field too many": (PEOPLE + "AZ,5AB12CD,TEST A,B,alive,x\n", "line 2: expected 5 fields"),
    "a FIN with O": (GOOD + "AZ,5AB12CO,TEST A,B,alive\n", "line 4: expected 7 digits"),
    "an unknown country": (PEOPLE + "XX,5AB12CD,TEST A,B,alive\n", "line 2"),
    "an unknown state": (PEOPLE + "AZ,5AB12CD,TEST A,B,asleep\n", "line 2: expected a state of"),
    "no surname": (PEOPLE + "AZ,5AB12CD,,B,alive\n", "line 2: expected surname"),
    "a name not in NFC": (PEOPLE + "AZ,5AB12CD,Ali\u0301,B,alive\n", "line 2"),
    "a direction override": (PEOPLE + "AZ,5AB12CD,A\u202eB,B,alive\n", "line 2"),
    "a number twice": (GOOD + "AZ,5AB12CD,TEST Başqa,B,alive\n", "line 4: the same number"),
    "an open quote": (PEOPLE + 'AZ,5AB12CD,"TEST A,B,alive\n', "cannot be read"),
    "a NUL": (PEOPLE + "AZ,5AB12CD,TEST\0A,B,alive\n", "NUL"),
    "a huge line": (PEOPLE + "AZ," + "x" * 10_000 + "\n", "at most"),
    "another encoding": ((PEOPLE + "AZ,5AB12CD,TEST Ə,B,alive\n").encode("utf-16"), "UTF-8"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_named_and_nothing_is_imported(
    name: str, sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    content, said = WRONG[name]
    with pytest.raises(importing.RegisterFileError, match=said) as refused:
        _import(sessions, tmp_path / "p.csv", content)
    assert "5AB12C" not in refused.value.message
    assert _people(sessions) == []


def test_the_mistakes_of_many_lines_are_told_together_but_not_without_end(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    content = PEOPLE + "AZ,WRONG,TEST A,B,alive\n" * 500
    with pytest.raises(importing.RegisterFileError) as refused:
        _import(sessions, tmp_path / "p.csv", content)
    assert refused.value.message.count("line ") == importing.MAX_MISTAKES


def test_a_file_of_many_batches_is_imported_whole(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    rows = "".join(
        f"GE,{number:011d},TEST {number},B,alive\n" for number in range(importing.BATCH * 2 + 5)
    )
    assert _import(sessions, tmp_path / "p.csv", PEOPLE + rows) == importing.BATCH * 2 + 5
    assert len(_people(sessions)) == importing.BATCH * 2 + 5


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_imported_or_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(PEOPLE.encode() + content)
    engine = database.connect(f"sqlite:///{tmp_path}/empty.sqlite")
    database.Base.metadata.create_all(engine)
    with database.session_factory(engine)() as session:
        # Anything else that is raised fails the test.
        with contextlib.suppress(importing.RegisterFileError):
            importing.import_file(
                session, path, importing.Kind.PEOPLE, clock.SystemClock().now(), actor="test"
            )
        session.rollback()
    engine.dispose()
