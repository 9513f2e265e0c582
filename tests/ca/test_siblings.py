"""Several processes of one authority: a start ends what the dead left and spares the living."""

import concurrent.futures
import datetime
import multiprocessing
import os
import pathlib
import signal
import threading
import time

import pytest
import sqlalchemy

from ca import drafts, hierarchy, intents, issuance, orders, subjects
from pki import (
    algorithms,
    audit,
    clock,
    database,
    failpoints,
    profiles,
    registration,
    registry,
    signature,
)
from pki.keystore import logged_store, signature_log, store, under_way
from tests.support import ca_world
from tests.support.hierarchy import make_key


@pytest.fixture
def log(tmp_path: pathlib.Path) -> signature_log.SignatureLog:
    return signature_log.SignatureLog(tmp_path / "signatures.log", clock.SystemClock())


@pytest.fixture
def guarded(
    engine: sqlalchemy.Engine, at: datetime.datetime, log: signature_log.SignatureLog
) -> tuple[ca_world.World, logged_store.LoggedKeyStore]:
    """An authority whose keys are logged, and its key store."""
    made: list[logged_store.LoggedKeyStore] = []

    def guard(keys: store.KeyStore) -> store.KeyStore:
        made.append(logged_store.LoggedKeyStore(keys, log, lambda label: label == "ca-citizen"))
        return made[0]

    world = ca_world.make_world(database.session_factory(engine), at, guard=guard)
    return world, made[0]


def _order(world: ca_world.World, name: str) -> orders.Order:
    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
    draft = drafts.draft_certificate(
        profiles.SIGN,
        world.hierarchy.authorities["citizen"].issuer,
        subjects.subject_name(applicant, world.settings),
        make_key(algorithms.KeyKind.P256).public_key(),
        world.settings,
        world.at,
    )
    return orders.Order(draft, orders.IssuanceRequest(name, "test"))


def _states(world: ca_world.World, name: str) -> list[str]:
    with world.sessions() as session:
        audit.verify(session)
        return list(
            session.scalars(
                sqlalchemy.select(registry.CertificateRow.state).where(
                    registry.CertificateRow.request_key == name
                )
            )
        )


class _Gate:
    """Holds a key back until it is opened."""

    def __init__(self, key: ca_world.CountingKey) -> None:
        self.asked, self.opened = threading.Event(), threading.Event()
        self._sign = key.sign
        key.sign = self.sign  # type: ignore[method-assign]

    def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        value = self._sign(asked)
        self.asked.set()
        assert self.opened.wait(30)
        return value


def test_a_start_waits_for_a_certificate_that_another_process_issues(
    guarded: tuple[ca_world.World, logged_store.LoggedKeyStore],
) -> None:
    world, keys = guarded
    gate = _Gate(world.keys.counted["ca-citizen"])
    order = _order(world, "living")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        issued = pool.submit(
            issuance.issue_certificates, world.sessions, [order], world.settings, world.at
        )
        assert gate.asked.wait(30)
        started = pool.submit(hierarchy.start, world.sessions, keys, world.settings, world.at)
        with pytest.raises(concurrent.futures.TimeoutError):
            started.result(0.3)
        gate.opened.set()
        (outcome,) = issued.result(30)
        started.result(30)
    assert isinstance(outcome, registry.CertificateRecord)
    assert _states(world, "living") == ["issued"]


def test_a_start_that_may_not_wait_longer_ends_only_what_is_old(
    guarded: tuple[ca_world.World, logged_store.LoggedKeyStore],
    log: signature_log.SignatureLog,
) -> None:
    world, _ = guarded
    order = _order(world, "slow")
    judged = issuance.judge(drafts.build_twin(order.draft), order, world.settings, world.at)
    with log.processes.issuing():
        intents.record(world.sessions, {0: judged}, world.at)
        with under_way.UnderWay(log.path).alone(0.05) as is_alone:
            assert not is_alone
        # The same through the start's own door, for a store whose others do not come to an end.
        patient = logged_store.LoggedKeyStore(world.keys, log, lambda _: True)
        with logged_store.alone(patient, 0.05) as is_alone:
            assert not is_alone
        assert (
            intents.reconcile(
                world.sessions, world.at, recorded_before=world.at - intents.OPEN_LIMIT
            )
            == ()
        )
    assert intents.end_left_open(world.sessions, patient, world.at) == (order.draft.serial_number,)


def test_who_starts_is_not_kept_waiting_by_those_who_go_on_issuing(
    log: signature_log.SignatureLog,
) -> None:
    stop = threading.Event()
    issued = [0, 0, 0]

    def issue(place: int) -> None:
        while not stop.is_set():
            with log.processes.issuing():
                time.sleep(0.002)
            issued[place] += 1

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = [pool.submit(issue, place) for place in range(3)]
        try:
            for _ in range(5):
                time.sleep(0.02)
                with log.processes.alone(10) as is_alone:
                    assert is_alone
                    before = list(issued)
                    time.sleep(0.02)
                    # Whoever was done already may still count; nobody begins anew.
                    assert all(one <= other + 1 for one, other in zip(issued, before, strict=True))
        finally:
            stop.set()
        for one in running:
            one.result(10)
    assert all(issued)


def test_files_that_cannot_be_locked_let_nothing_be_signed(
    guarded: tuple[ca_world.World, logged_store.LoggedKeyStore], tmp_path: pathlib.Path
) -> None:
    world, keys = guarded
    gate = tmp_path / "signatures.log.gate"
    gate.unlink(missing_ok=True)
    gate.mkdir()
    signatures = world.keys.signatures
    with pytest.raises(under_way.UnderWayError):
        issuance.issue_certificates(
            world.sessions, [_order(world, "locked")], world.settings, world.at
        )
    with pytest.raises(under_way.UnderWayError):
        intents.end_left_open(world.sessions, keys, world.at)
    assert world.keys.signatures == signatures
    assert _states(world, "locked") == []


@pytest.mark.slow
def test_processes_that_issue_start_and_die_leave_nothing_open_and_end_nothing_of_each_other(
    tmp_path: pathlib.Path, at: datetime.datetime
) -> None:
    url = f"sqlite:///{tmp_path}/ca.sqlite"
    engine = database.connect(url)
    database.Base.metadata.create_all(engine)
    spawn = multiprocessing.get_context("spawn")
    founding = spawn.Process(target=_serve, args=(url, str(tmp_path), "founder", 0, None))
    founding.start()
    founding.join(120)
    assert founding.exitcode == 0
    living = [
        spawn.Process(target=_serve, args=(url, str(tmp_path), f"living-{one}", 25, None))
        for one in range(2)
    ]
    for one in living:
        one.start()
    for number, place in enumerate(("intent", "sign", "audit")):
        dying = spawn.Process(
            target=_serve, args=(url, str(tmp_path), f"dying-{number}", 5, f"{place}:2")
        )
        dying.start()
        dying.join(120)
        assert dying.exitcode == -signal.SIGKILL
    for one in living:
        one.join(300)
        assert one.exitcode == 0
    last = spawn.Process(target=_serve, args=(url, str(tmp_path), "last", 1, None))
    last.start()
    last.join(120)
    assert last.exitcode == 0

    sessions = database.session_factory(engine)
    with sessions() as session:
        audit.verify(session)
        rows = session.execute(
            sqlalchemy.select(registry.CertificateRow.state, registry.CertificateRow.request_key)
        ).all()
    states = [row.state for row in rows]
    # What was abandoned is what the dead left: the living issued all that they were asked for.
    assert registry.CertificateState.INTENDED.value not in states
    assert states.count(registry.CertificateState.ABANDONED.value) == 3
    for one in range(2):
        names = {f"living-{one}/{number}" for number in range(25)}
        assert names <= {row.request_key for row in rows if row.state == "issued"}
    engine.dispose()


class _SlowKeys:
    """A store whose keys take their time, so that there is an intent under way at any moment."""

    def __init__(self, keys: store.KeyStore) -> None:
        self._keys = keys
        self.generate, self.labels = keys.generate, keys.labels
        self.describe_key, self.close = keys.describe_key, keys.close

    def open_key(self, label: str) -> "_SlowKey":
        return _SlowKey(self._keys.open_key(label))


class _SlowKey:
    def __init__(self, handle: store.KeyHandle) -> None:
        self._handle = handle
        self.label, self.public_key = handle.label, handle.public_key

    def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        time.sleep(0.2)
        return self._handle.sign(asked)


def _serve(url: str, folder: str, name: str, count: int, failpoint: str | None) -> None:
    """A process of an authority: it starts as any other, issues, and may die of it."""
    from ca import foundation
    from pki.keystore import file_store, passphrase

    present = clock.SystemClock()
    at = clock.whole_seconds(present.now())
    engine = database.connect(url)
    sessions = database.session_factory(engine)
    log = signature_log.SignatureLog(pathlib.Path(folder) / "signatures.log", present)
    secret = passphrase.Passphrase("a passphrase for tests")
    files = file_store.FileKeyStore(pathlib.Path(folder) / "keys", secret, kdf_rounds=1000)
    held = logged_store.LoggedKeyStore(_SlowKeys(files), log, lambda _: True)
    if name == "founder":
        foundation.initialise(sessions, held, ca_world.SETTINGS, at)
    world_hierarchy = hierarchy.start(sessions, held, ca_world.SETTINGS, at)
    if failpoint is not None:
        place, _, arrivals = failpoint.partition(":")
        failpoints.arm(place, int(arrivals))
    issuer = world_hierarchy.authorities["citizen"].issuer
    applicant = subjects.Applicant(registration.Category.CITIZEN, ca_world.CITIZEN)
    for number in range(count):
        draft = drafts.draft_certificate(
            profiles.SIGN,
            issuer,
            subjects.subject_name(applicant, ca_world.SETTINGS),
            make_key(algorithms.KeyKind.P256).public_key(),
            ca_world.SETTINGS,
            at,
        )
        issuance.issue_certificate(
            sessions,
            draft,
            orders.IssuanceRequest(f"{name}/{number}", "test"),
            ca_world.SETTINGS,
            at,
        )
    engine.dispose()
    os._exit(0)
