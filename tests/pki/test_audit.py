import datetime
from collections.abc import Callable

import pytest
import sqlalchemy
from sqlalchemy import orm

from pki import audit, database, errors

AT = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.UTC)


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    made = database.session_factory(engine)
    with made() as session:
        for number in range(5):
            audit.append(
                session,
                audit.AuditEvent.CERTIFICATE_ISSUED,
                AT + datetime.timedelta(seconds=number),
                actor="test",
                details={"serial_number": f"{number:040x}", "note": None},
            )
        session.commit()
    return made


def test_an_unbroken_log_verifies(sessions: orm.sessionmaker[orm.Session]) -> None:
    with sessions() as session:
        found = audit.verify(session)
        assert found.number == 5
        assert audit.verify(session, anchored=found) == found


TAMPERING: dict[str, Callable[[orm.Session], object]] = {
    "edited": lambda s: s.execute(
        sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 2).values(details="{}")
    ),
    "time changed": lambda s: s.execute(
        sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 2).values(at=AT)
    ),
    "actor changed": lambda s: s.execute(
        sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 5).values(actor="other")
    ),
    "removed": lambda s: s.execute(
        sqlalchemy.delete(audit.EntryRow).where(audit.EntryRow.number == 3)
    ),
    "cut off": lambda s: s.execute(
        sqlalchemy.delete(audit.EntryRow).where(audit.EntryRow.number == 5)
    ),
    "emptied": lambda s: s.execute(sqlalchemy.delete(audit.EntryRow)),
    "head removed": lambda s: s.execute(sqlalchemy.delete(audit.HeadRow)),
    "reordered": lambda s: (
        s.execute(
            sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 3).values(number=30)
        ),
        s.execute(
            sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 4).values(number=3)
        ),
        s.execute(
            sqlalchemy.update(audit.EntryRow).where(audit.EntryRow.number == 30).values(number=4)
        ),
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_detected(sessions: orm.sessionmaker[orm.Session], name: str) -> None:
    with sessions() as session:
        TAMPERING[name](session)
        session.commit()
    with sessions() as session, pytest.raises(audit.AuditTamperedError):
        audit.verify(session)


def test_a_log_rewritten_as_a_whole_is_detected_by_an_anchored_head(
    sessions: orm.sessionmaker[orm.Session],
) -> None:
    with sessions() as session:
        anchored = audit.head(session)
        session.execute(sqlalchemy.delete(audit.EntryRow))
        session.execute(sqlalchemy.delete(audit.HeadRow))
        for _ in range(6):
            audit.append(
                session, audit.AuditEvent.KEY_GENERATED, AT, actor="test", details={"label": "x"}
            )
        session.commit()
        audit.verify(session)
        with pytest.raises(audit.AuditTamperedError):
            audit.verify(session, anchored=anchored)


def test_a_change_that_is_rolled_back_leaves_no_entry(
    sessions: orm.sessionmaker[orm.Session],
) -> None:
    with sessions() as session:
        audit.append(session, audit.AuditEvent.KEY_GENERATED, AT, actor="test", details={})
        session.rollback()
    with sessions() as session:
        assert audit.verify(session).number == 5


def test_details_are_short(sessions: orm.sessionmaker[orm.Session]) -> None:
    with sessions() as session, pytest.raises(errors.LimitError):
        audit.append(
            session,
            audit.AuditEvent.KEY_GENERATED,
            AT,
            actor="test",
            details={"document": "x" * audit.MAX_DETAILS_BYTES},
        )


def test_events_are_a_noun_and_a_past_verb() -> None:
    for event in audit.AuditEvent:
        noun, verb = event.value.split(".")
        assert noun.replace("-", "").isalpha()
        assert verb.endswith("ed") or verb in {"held", "sent"}
