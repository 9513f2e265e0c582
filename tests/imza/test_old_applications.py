"""Applications of the first version after the migration: what was approved then stays approved."""

import hashlib
import json
import pathlib

import pytest
import sqlalchemy
from alembic import command

from ca.applications import states
from imza import schema
from pki import audit, clock, database

BEFORE = "0012"
ROW = {
    "id": "a" * 32,
    "state": "approved",
    "category": "business",
    "country": "AZ",
    "person_code": "5AB12CD",
    "surname": "TEST Əliyeva",
    "given_name": "Günay",
    "organisation_country": "AZ",
    "organisation_code": "1400000021",
    "organisation_name": "TEST Gənclik MMC",
    "title": "Direktor",
    "vetting_method": "in_person",
    "vetting_officer": "A. Officer",
    "vetting_document": "AZE 1234567",
    "recorded_by": "client:office",
    "approved_by": "B. Officer",
}


def _hash_of_then() -> str:
    value = {
        "category": ROW["category"],
        "person": {one: ROW[one] for one in ("country", "person_code", "surname", "given_name")},
        "organisation": {one: ROW[f"organisation_{one}"] for one in ("country", "code", "name")},
        "title": ROW["title"],
        "vetting": {one: ROW[f"vetting_{one}"] for one in ("officer", "document", "method")},
    }
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@pytest.fixture
def engine_of_then(tmp_path: pathlib.Path) -> sqlalchemy.Engine:
    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    with engine.begin() as connection:
        command.upgrade(schema._configure(connection), BEFORE)
        now = clock.SystemClock().now()
        hashed = _hash_of_then()
        row = {
            **ROW,
            "request_hash": hashed,
            "approved_hash": hashed,
            "recorded_at": now.replace(tzinfo=None),
            "approved_at": now.replace(tzinfo=None),
        }
        connection.execute(
            sqlalchemy.text(
                f"INSERT INTO applications ({', '.join(row)})"  # noqa: S608 - names of columns
                f" VALUES ({', '.join(f':{one}' for one in row)})"
            ),
            row,
        )
    with database.session_factory(engine)() as session:
        audit.append(
            session,
            audit.AuditEvent.APPLICATION_APPROVED,
            now,
            actor="client:office",
            details={"application": ROW["id"], "request_hash": hashed},
        )
        session.commit()
    return engine


def test_what_was_approved_before_the_migration_still_is(
    engine_of_then: sqlalchemy.Engine,
) -> None:
    schema.upgrade(engine_of_then)
    with database.session_factory(engine_of_then)() as session:
        applicant = states.approved_applicant(session, ROW["id"])
        case = states.find(session, ROW["id"])
    assert applicant.person.surname == ROW["surname"]
    assert applicant.profile_names == ("authenticate", "sign")
    assert case.vetting == {
        "method": "in_person",
        "officer": "A. Officer",
        "document": "AZE 1234567",
    }
    engine_of_then.dispose()


def test_what_was_altered_is_found_after_the_migration_too(
    engine_of_then: sqlalchemy.Engine,
) -> None:
    schema.upgrade(engine_of_then)
    with engine_of_then.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE applications SET title = 'Müdir'"))
    with (
        database.session_factory(engine_of_then)() as session,
        pytest.raises(states.ApplicationAlteredError),
    ):
        states.approved_applicant(session, ROW["id"])
    engine_of_then.dispose()
