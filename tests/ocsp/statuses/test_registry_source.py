"""The view follows the registry without gaps, whatever the order of its transactions."""

import contextlib
import datetime
import pathlib
import random
import sqlite3
import tempfile
import threading
import time

import hypothesis
import pytest
import sqlalchemy
from hypothesis import strategies as st
from sqlalchemy import orm

from ocsp.statuses import contents as views
from ocsp.statuses import registry_source, view
from pki import clock, database, registry, registry_reader, status, status_file
from tests.support import histories

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["issue", "intend", "change", "change", "abandon"]),
        st.sampled_from(["commit", "commit", "roll back"]),
        st.booleans(),
    ),
    max_size=30,
)


def _said(
    contents: views.Contents, history: histories.History
) -> dict[int, status.CertificateStatus | None]:
    return {
        serial: contents.find(history.issuer_of(serial), serial.to_bytes(20, "big"))
        for serial in history.serials
    }


@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(steps=STEPS, seed=st.integers(0, 2**32), merges=st.booleans())
def test_after_any_history_the_view_says_what_the_registry_says(
    steps: list[tuple[str, str, bool]], seed: int, merges: bool
) -> None:
    chance = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as held:
        path = pathlib.Path(folder)
        engine = database.connect(f"sqlite:///{path}/ca.sqlite")
        held.callback(engine.dispose)
        database.Base.metadata.create_all(engine)
        history = histories.History(database.session_factory(engine), AT)
        source = held.enter_context(
            contextlib.closing(histories.source_of(history.sessions, path / "statuses"))
        )
        contents = source.update(None, AT)
        for kind, ending, is_read in steps:
            if kind == "abandon":
                history.abandon()
            else:
                with history.sessions() as session:
                    for _ in range(chance.randrange(1, 4)):
                        if kind == "change" and history.serials:
                            history.change(session, chance)
                        else:
                            history.issue(session, intended=kind == "intend")
                    (session.commit if ending == "commit" else session.rollback)()
            if is_read:
                contents = source.update(contents, AT)
                assert _said(contents, history) == history.expected()
            if is_read and merges and chance.randrange(3) == 0:
                if chance.randrange(2):
                    status_file.write(path / "statuses", contents.merged())
                else:
                    contents = views.merge(contents)
        contents = source.update(contents, AT)
        assert _said(contents, history) == history.expected()
        # Whoever starts now finds the same, from the file and what came after it.
        with contextlib.closing(histories.source_of(history.sessions, path / "statuses")) as other:
            assert _said(other.update(None, AT), history) == history.expected()


@pytest.mark.slow
def test_a_reader_beside_writers_that_commit_late_or_never_misses_nothing(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    history = histories.History(sessions, at)
    with sessions() as session:
        for _ in range(20):
            history.issue(session)
        session.commit()
    stopping = threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        while not stopping.is_set():
            try:
                with sessions() as session:
                    for _ in range(chance.randrange(1, 4)):
                        if chance.randrange(2) == 0:
                            history.issue(session)
                        else:
                            history.change(session, chance)
                    # The number is taken; others wait, or go on with what is not numbered.
                    time.sleep(chance.random() / 50)
                    (session.rollback if chance.randrange(4) == 0 else session.commit)()
            except (sqlalchemy.exc.OperationalError, database.DatabaseError):
                continue  # Two that wait for each other's rows: one of them is refused.
            except BaseException as error:
                failures.append(error)
                raise

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for one in writers:
        one.start()
    with contextlib.closing(histories.source_of(sessions)) as source:
        contents = source.update(None, at)
        ends = time.monotonic() + 6
        numbers = [contents.position.number]
        while time.monotonic() < ends:
            contents = source.update(contents, at)
            numbers.append(contents.position.number)
        stopping.set()
        for one in writers:
            one.join(30)
        contents = source.update(contents, at)
        assert not failures
        assert numbers == sorted(numbers)
        assert len(set(numbers)) > 10
        assert _said(contents, history) == history.expected()


def test_a_registry_that_was_restored_is_read_anew(
    history: histories.History, sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    chance = random.Random(1)  # noqa: S311
    with sessions() as session:
        for _ in range(10):
            history.issue(session)
        session.commit()
    backup = histories.saved(sessions)
    with contextlib.closing(histories.source_of(sessions)) as source:
        with sessions() as session:
            for _ in range(20):
                history.change(session, chance)
            session.commit()
        before = source.update(None, at)
        assert _said(before, history) == history.expected()
        histories.restore_from(sessions, backup)
        # It even grows beyond what was known, on another way.
        with sessions() as session:
            for _ in range(60):
                history.issue(session)
            session.commit()
        after = source.update(before, at)
        assert after.position.number > before.position.number
        assert _said(after, history) == history.expected()


def test_a_status_file_of_another_registry_is_not_taken(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    tmp_path: pathlib.Path,
) -> None:
    with sessions() as session:
        serial = history.issue(session)
        session.commit()
    path = tmp_path / "statuses"
    foreign = {"citizen": {(99).to_bytes(20, "big"): status.CertificateStatus()}}
    header = status_file.Header(registry_reader.Position(1, "f" * 64), at)
    status_file.write(path, status_file.build(header, foreign))
    with contextlib.closing(histories.source_of(sessions, path)) as source:
        contents = source.update(None, at)
        assert contents.find("citizen", (99).to_bytes(20, "big")) is None
        assert _said(contents, history) == {serial: status.CertificateStatus()}


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"IMZASTA1" + bytes(200)])
def test_a_damaged_status_file_costs_time_and_nothing_else(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    tmp_path: pathlib.Path,
    damage: bytes,
) -> None:
    with sessions() as session:
        history.issue(session)
        session.commit()
    path = tmp_path / "statuses"
    path.write_bytes(damage)
    with contextlib.closing(histories.source_of(sessions, path)) as source:
        assert _said(source.update(None, at), history) == history.expected()


def test_invariant_5_what_was_committed_a_moment_ago_is_not_unknown(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    present: clock.FixedClock,
) -> None:
    """Delivered implies stored implies OCSP does not say unknown, between two polls as well."""
    looking = view.StatusView(histories.source_of(sessions), present)
    with contextlib.closing(looking):
        looking.update()
        looking.start()
        for _ in range(20):
            with sessions() as session:
                serial = history.issue(session)
                session.commit()
            assert looking.look_up(history.issuer_of(serial), serial) == status.CertificateStatus()
        # And what nobody issued is unknown, now that the registry was asked.
        assert looking.look_up("citizen", 5) is None


def test_invariant_6_every_serial_has_an_answer_whatever_failed_afterwards(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    present: clock.FixedClock,
) -> None:
    """An intent that nobody ended is unknown; one that was abandoned is revoked."""
    looking = view.StatusView(histories.source_of(sessions), present)
    with contextlib.closing(looking):
        looking.update()
        with sessions() as session:
            serial = history.issue(session, intended=True)
            session.commit()
        assert looking.look_up(history.issuer_of(serial), serial) is None
        history.abandon()
        looking.update()
        found = looking.look_up(history.issuer_of(serial), serial)
        assert found is not None
        assert found.reason is status.RevocationReason.unspecified


def _flood(looking: view.StatusView) -> None:
    for unknown in range(1, 20 * view.MISSES_PER_SECOND):
        assert looking.look_up("citizen", unknown) is None


def test_a_flood_of_serials_that_nobody_issued_is_put_off_and_harms_nobody_else(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    present: clock.FixedClock,
) -> None:
    with sessions() as session:
        serial = history.issue(session)
        session.commit()
    looking = view.StatusView(histories.source_of(sessions), present)
    with contextlib.closing(looking):
        looking.update()
        with pytest.raises(view.StatusNotYetKnownError, match="too many") as refused:
            _flood(looking)
        assert refused.value.retriable
        assert looking.look_up(history.issuer_of(serial), serial) == status.CertificateStatus()


def test_without_its_database_the_view_answers_until_it_is_too_old(
    tmp_path: pathlib.Path, present: clock.FixedClock, at: datetime.datetime
) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    sessions = database.session_factory(engine)
    histories.add_issuers(sessions)
    history = histories.History(sessions, at)
    with sessions() as session:
        serial = history.issue(session)
        session.commit()
    looking = view.StatusView(histories.source_of(sessions), present)
    name = history.issuer_of(serial)
    with contextlib.closing(looking):
        looking.update()
        engine.dispose()
        for one in tmp_path.glob("ca.sqlite*"):
            one.rename(tmp_path / f"away-{one.name}")
        looking._source.close()
        with pytest.raises(registry_reader.RegistryUnreadableError):
            looking.update()
        present.move(view.DEFAULT_MAX_AGE)
        assert looking.look_up(name, serial) == status.CertificateStatus()
        with pytest.raises(view.StatusNotYetKnownError):
            looking.look_up(name, serial + 1)
        present.move(datetime.timedelta(seconds=1))
        with pytest.raises(view.StatusesUnavailableError, match="601 s old"):
            looking.look_up(name, serial)
        for one in tmp_path.glob("away-*"):
            one.rename(tmp_path / one.name.removeprefix("away-"))
        looking.update()
        assert looking.look_up(name, serial) == status.CertificateStatus()
        # A clock that was set back would make old statuses young again.
        present.move(-datetime.timedelta(seconds=6))
        with pytest.raises(view.StatusesUnavailableError):
            looking.look_up(name, serial)


def test_a_database_that_does_not_answer_holds_up_one_request_for_a_moment_and_no_other(
    tmp_path: pathlib.Path, present: clock.FixedClock, at: datetime.datetime
) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    sessions = database.session_factory(engine)
    histories.add_issuers(sessions)
    history = histories.History(sessions, at)
    with sessions() as session:
        serial = history.issue(session)
        session.commit()
    engine.dispose()
    name = history.issuer_of(serial)
    looking = view.StatusView(histories.source_of(sessions), present)
    with contextlib.closing(looking):
        looking.update()
        looking._source.close()
        # Whoever opens the database now waits for as long as the driver waits.
        alone = sqlite3.connect(tmp_path / "ca.sqlite")
        alone.execute("PRAGMA locking_mode=EXCLUSIVE")
        alone.execute("UPDATE issuers SET key_label = 'x'")
        alone.commit()
        looking.start()
        start = time.monotonic()
        for _ in range(50):
            with pytest.raises(view.StatusNotYetKnownError):
                looking.look_up(name, serial + 1)
            assert looking.look_up(name, serial) == status.CertificateStatus()
        assert time.monotonic() - start < 10 * view.MISS_LIMIT_S
        alone.close()
        deadline = time.monotonic() + 20
        while True:
            try:
                assert looking.look_up(name, serial + 1) is None
                break
            except view.StatusNotYetKnownError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def test_before_anything_is_known_nothing_is_told(
    tmp_path: pathlib.Path, present: clock.FixedClock
) -> None:
    source = registry_source.RegistrySource(f"sqlite:///{tmp_path}/missing.sqlite")
    looking = view.StatusView(source, present)
    with pytest.raises(registry_reader.RegistryUnreadableError):
        looking.update()
    with pytest.raises(view.StatusesUnavailableError) as refused:
        looking.look_up("citizen", 1)
    assert refused.value.retriable
    assert "cannot be read" in refused.value.message


def test_a_locked_registry_tells_no_status(
    history: histories.History,
    sessions: orm.sessionmaker[orm.Session],
    present: clock.FixedClock,
    at: datetime.datetime,
) -> None:
    from pki import registry_lock

    with sessions() as session:
        serial = history.issue(session)
        session.commit()
    looking = view.StatusView(histories.source_of(sessions), present)
    with contextlib.closing(looking):
        looking.update()
        with sessions() as session:
            registry_lock.lock(session, "restored", at)
            session.commit()
        looking.update()
        with pytest.raises(view.RegistryNotReconciledError):
            looking.look_up(history.issuer_of(serial), serial)
        with sessions() as session:
            registry_lock.release(session)
            session.commit()
        looking.update()
        assert looking.look_up(history.issuer_of(serial), serial) == status.CertificateStatus()


def test_a_reader_cannot_write(
    sessions: orm.sessionmaker[orm.Session],
) -> None:
    with (
        contextlib.closing(histories.reader_of(sessions)) as reader,
        pytest.raises(registry_reader.RegistryUnreadableError),
    ):
        reader.rows("DELETE FROM certificates")
    with sessions() as session:
        assert session.scalars(sqlalchemy.select(registry.CertificateRow)).all() == []
