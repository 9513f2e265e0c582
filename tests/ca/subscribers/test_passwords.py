import dataclasses
import datetime
import threading

import pytest
import sqlalchemy

from ca.applications import states
from ca.subscribers import passwords, sources, tables
from ca.subscribers import settings as subscriber_settings
from pki import audit
from tests.support import ca_world

SETTINGS = subscriber_settings.Settings(password_tries=3)
PERSON = "PNOAZ-5AB12CD"


def _renew(world: ca_world.World) -> passwords.RevocationPassword:
    application = world.application()
    with world.sessions() as session:
        made = passwords.renew(session, application, world.at, actor="test")
        session.commit()
    return made


def _is_right(
    world: ca_world.World,
    password: passwords.RevocationPassword | str,
    *,
    person: str | None = PERSON,
    at: datetime.datetime | None = None,
    missed_before: bool = False,
) -> bool:
    if isinstance(password, str):
        password = passwords.RevocationPassword(password)
    return passwords.is_right(
        world.sessions,
        person,
        password,
        SETTINGS,
        at or world.at,
        actor="test",
        missed_before=missed_before,
    )


def test_a_password_is_told_once_and_kept_as_a_hash(world: ca_world.World) -> None:
    made = _renew(world)
    assert made.text not in repr(made)
    with world.sessions() as session:
        (row,) = session.scalars(sqlalchemy.select(tables.RevocationPasswordRow))
        entries = audit.entries(session, after=0, limit=1000)
    plain = made.text.replace("-", "").encode()
    assert plain not in row.hash + row.salt
    assert not any(made.text in one.details or "5AB12CD" in one.details for one in entries)
    assert _is_right(world, made)
    # As people type it.
    assert _is_right(world, made.text.lower().replace("-", " "))


def test_a_new_password_ends_the_one_before(world: ca_world.World) -> None:
    first = _renew(world)
    second = _renew(world)
    assert first.text != second.text
    assert not _is_right(world, first)
    assert _is_right(world, second)


def test_passwords_have_sixty_bits_and_no_letter_that_looks_like_another() -> None:
    assert len(passwords.ALPHABET) == 32
    assert not set("01IO") & set(passwords.ALPHABET)
    made = {passwords.make().text for _ in range(200)}
    assert len(made) == 200
    assert all(len(one.replace("-", "")) == 12 for one in made)


def test_whoever_knows_a_number_keeps_nobody_from_revoking(world: ca_world.World) -> None:
    made = _renew(world)
    for _ in range(4 * SETTINGS.password_tries):
        assert not _is_right(world, "AAAA-AAAA-AAAA", missed_before=True)
    # From an address that has missed, even the right one is not listened to for a while.
    assert not _is_right(world, made, missed_before=True)
    assert _is_right(world, made)
    assert _is_right(world, made, missed_before=True)
    with world.sessions() as session:
        events = [one.event for one in audit.entries(session, after=0, limit=1000)]
    # Told at three misses; while the strangers wait nothing more is counted.
    assert events.count("revocation-password.missed") == 1


def test_the_wait_about_a_person_doubles_and_ends(world: ca_world.World) -> None:
    made = _renew(world)
    at = world.at
    for misses in range(1, 26):
        assert not _is_right(world, "wrong", at=at, missed_before=True)
        wait = sources.progressive_wait(misses, SETTINGS)
        assert wait <= SETTINGS.password_delay
        if wait:
            assert not _is_right(
                world, made, at=at + wait - datetime.timedelta(seconds=1), missed_before=True
            )
        at += wait
    assert wait == SETTINGS.password_delay
    assert _is_right(world, made, at=at, missed_before=True)
    with world.sessions() as session:
        events = [one.event for one in audit.entries(session, after=0, limit=1000)]
    # At 3, 6, 12 and 24 misses: whoever misses for ever does not fill the log.
    assert events.count("revocation-password.missed") == 4


def test_an_operators_try_is_neither_counted_nor_kept_waiting(world: ca_world.World) -> None:
    made = _renew(world)
    for _ in range(2 * SETTINGS.password_tries):
        assert not passwords.is_right(
            world.sessions, PERSON, passwords.RevocationPassword("x"), SETTINGS, world.at,
            actor="operator:x", counts=False,
        )  # fmt: skip
    assert _is_right(world, made, missed_before=True)


def test_a_right_one_forgives_the_wrong_ones_before(world: ca_world.World) -> None:
    made = _renew(world)
    for _ in range(3):
        for _ in range(SETTINGS.password_tries - 1):
            assert not _is_right(world, "wrong")
        assert _is_right(world, made)


def test_many_guesses_at_once_are_all_counted(world: ca_world.World) -> None:
    made = _renew(world)
    told: list[bool] = []
    guesses = [
        threading.Thread(target=lambda: told.append(_is_right(world, "wrong"))) for _ in range(6)
    ]
    for one in guesses:
        one.start()
    for one in guesses:
        one.join()
    assert told == [False] * 6
    with world.sessions() as session:
        (row,) = session.scalars(sqlalchemy.select(tables.RevocationPasswordRow))
    assert row.failures == 6
    assert not _is_right(world, made, missed_before=True)


def test_nobody_and_somebody_without_a_password_are_wrong(world: ca_world.World) -> None:
    assert not _is_right(world, "AAAA-AAAA-AAAA")
    assert not _is_right(world, "AAAA-AAAA-AAAA", person=None)
    with world.sessions() as session, pytest.raises(states.ApplicationNotFoundError):
        passwords.renew(session, "no such application", world.at, actor="test")


def test_a_sandbox_limits_nothing(world: ca_world.World) -> None:
    made = _renew(world)
    unlimited = dataclasses.replace(SETTINGS, password_tries=0)
    for _ in range(8):
        passwords.is_right(
            world.sessions, PERSON, passwords.RevocationPassword("x"), unlimited, world.at,
            actor="test",
        )  # fmt: skip
    assert _is_right(world, made)
