import dataclasses
import datetime
import logging

import pytest
import sqlalchemy

from ca import revocation
from ca.notices import delivery, occasions, tables
from pki import audit, registry, status
from tests.support.notice_desk import Desk

DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


def _states(desk: Desk) -> dict[tuple[str, str], str]:
    with desk.world.sessions() as session:
        rows = session.scalars(sqlalchemy.select(tables.NoticeRow)).all()
    return {(one.occasion.rpartition("-")[0], one.channel): one.state for one in rows}


def _end(desk: Desk, serial: int) -> datetime.datetime:
    with desk.world.sessions() as session:
        return registry.find(session, serial).not_after


def test_an_end_is_told_sixty_thirty_and_seven_days_before_and_once_each(desk: Desk) -> None:
    serial = desk.certify()
    end = _end(desk, serial)
    desk.run(desk.world.at)
    desk.mail.letters.clear()
    desk.gateway.taken.clear()
    for days in range(70, -2, -1):
        desk.run(end - days * DAY)
    subjects = [one["Subject"] for one in desk.mail.letters]
    assert len(subjects) == 3
    assert {end.strftime("%d.%m.%Y") in one for one in subjects} == {True}
    sent = [one["Date"].datetime for one in desk.mail.letters]
    assert [(end - one).days for one in sent] == [60, 30, 7]


def test_after_a_standstill_only_the_nearest_is_told(desk: Desk) -> None:
    serial = desk.certify()
    desk.run(desk.world.at)
    desk.mail.letters.clear()
    desk.run(_end(desk, serial) - 5 * DAY)
    assert len(desk.mail.letters) == 1


def test_who_has_renewed_or_revoked_is_not_told_of_the_end(desk: Desk) -> None:
    renewed, revoked = desk.certify("sign"), desk.certify("authenticate")
    at = _end(desk, renewed) - 20 * DAY
    second = desk.world.application()
    desk.world.certify(second, "sign", at=at)
    with desk.world.sessions() as session:
        revocation.revoke(
            session, revoked, status.RevocationReason.superseded, desk.world.at, actor="test"
        )
        session.commit()
    occasions.record_ends(desk.world.sessions, desk.post.settings, at)
    assert not any(kind == "expires" for kind, _ in _states(desk))


@pytest.mark.parametrize(
    ("language", "word"), [("az", "sertifikat"), ("ka", "სერტიფიკატი"), ("en", "certificate")]
)
def test_a_letter_is_in_the_readers_language_and_has_no_link(
    desk: Desk, language: str, word: str
) -> None:
    desk.tell(desk.world.at, email="gunay@example.az", language=language)
    serial = desk.certify()
    assert desk.run(desk.world.at) == 1
    (letter,) = desk.mail.letters
    text = letter.get_content()
    assert word in letter["Subject"] + text
    assert f"{serial:x}"[-8:] in text
    assert "http" not in text
    assert "TEST Mərkəz" in text
    assert letter["To"] == "gunay@example.az"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Content-Language"] == language
    assert letter["Message-ID"].endswith("@pki.example>")


def test_an_owner_is_told_of_every_change_by_letter_and_by_sms(desk: Desk) -> None:
    serial = desk.certify()
    with desk.world.sessions() as session:
        revocation.hold(session, serial, desk.world.at, actor="test")
        revocation.release(session, serial, desk.world.at, actor="test")
        revocation.revoke(
            session, serial, status.RevocationReason.keyCompromise, desk.world.at, actor="test"
        )
        session.commit()
    assert desk.run(desk.world.at) == 8
    assert desk.run(desk.world.at + DAY) == 0
    kinds = {kind for kind, _ in _states(desk)}
    assert kinds == {"issued", "held", "released", "revoked"}
    assert set(_states(desk).values()) == {delivery.SENT}
    assert len({one for one, _ in desk.gateway.taken}) == 4
    assert {body["data"]["to"] for _, body in desk.gateway.taken} == {"+994501234567"}  # type: ignore[index]
    with desk.world.sessions() as session:
        entries = audit.entries(session, after=0, limit=1000)
        audit.verify(session)
    assert [one.event for one in entries].count("notice.sent") == 8


def test_who_left_no_address_is_not_told_and_not_looked_for_again(desk: Desk) -> None:
    other = desk.world.application()
    desk.world.certify(other)
    assert desk.run(desk.world.at) == 0
    assert set(_states(desk).values()) == {occasions.UNADDRESSED}


def test_who_takes_the_address_back_is_told_nothing_more(desk: Desk) -> None:
    desk.certify()
    occasions.record_changes(desk.world.sessions, desk.post.settings, desk.world.at)
    desk.tell(desk.world.at)
    assert delivery.deliver_due(desk.post, desk.world.at) == 0
    assert set(_states(desk).values()) == {delivery.GIVEN_UP}


def test_a_refusal_for_now_is_tried_again_under_the_same_id_and_then_given_up(desk: Desk) -> None:
    desk.certify()
    desk.mail.refuses = "450 greylisted"
    desk.gateway.status = 503
    at = desk.world.at
    assert desk.run(at) == 0
    assert desk.run(at + 0.5 * MINUTE) == 0  # Not due yet.
    desk.gateway.status = 204
    assert desk.run(at + MINUTE) == 1  # The gateway took it; the mail server did not.
    assert desk.run(at + 3 * MINUTE) == 0
    assert _states(desk) == {("issued", "email"): "given-up", ("issued", "sms"): "sent"}
    desk.mail.refuses = None
    assert desk.run(at + DAY) == 0
    with desk.world.sessions() as session:
        (entry,) = (
            one
            for one in audit.entries(session, after=0, limit=1000)
            if one.event == "notice.abandoned"
        )
    assert "example.az" not in entry.details


def test_a_final_refusal_is_not_repeated(desk: Desk) -> None:
    desk.certify()
    desk.mail.refuses = "550 no such mailbox"
    desk.gateway.status = 410
    assert desk.run(desk.world.at) == 0
    assert set(_states(desk).values()) == {delivery.GIVEN_UP}


def test_a_server_that_is_away_costs_no_attempt_and_old_news_is_dropped(desk: Desk) -> None:
    desk.certify()
    smtp = desk.post.settings.smtp
    assert smtp is not None
    away = dataclasses.replace(
        desk.post,
        settings=dataclasses.replace(
            desk.post.settings, smtp=dataclasses.replace(smtp, port=1), sms=None
        ),
    )
    occasions.record_changes(desk.world.sessions, desk.post.settings, desk.world.at)
    for hour in range(10):
        at = desk.world.at + datetime.timedelta(hours=hour)
        assert delivery.deliver_due(away, at) == 0
    assert _states(desk)["issued", "email"] == occasions.WAITING
    assert desk.run(desk.world.at + DAY) == 2
    desk.certify("authenticate")
    occasions.record_changes(desk.world.sessions, desk.post.settings, desk.world.at)
    assert desk.run(desk.world.at + 15 * DAY) == 0


def test_a_process_that_dies_after_sending_sends_the_same_id_again(desk: Desk) -> None:
    desk.certify()
    desk.tell(desk.world.at, phone_number="+994501234567")
    occasions.record_changes(desk.world.sessions, desk.post.settings, desk.world.at)
    assert delivery.deliver_due(desk.post, desk.world.at) == 1
    with desk.world.sessions() as session:
        # As if the process had died before it could note that the message was sent.
        session.execute(sqlalchemy.update(tables.NoticeRow).values(state=occasions.WAITING))
        session.commit()
    assert delivery.deliver_due(desk.post, desk.world.at) == 0  # Claimed until its next attempt.
    assert delivery.deliver_due(desk.post, desk.world.at + MINUTE) == 1
    first, second = desk.gateway.taken
    assert first[0] == second[0]


def test_the_log_holds_no_address(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ca")
    desk.certify()
    desk.mail.refuses = "550 gunay@example.az does not live here"
    desk.gateway.status = 400
    desk.run(desk.world.at)
    assert "given_up" in caplog.text
    assert "gunay" not in caplog.text
    assert "994501234567" not in caplog.text
