import concurrent.futures
import contextlib
import datetime
import json
import multiprocessing
import os
import pathlib

import pytest

from pki import algorithms, clock, durable_files, errors, signature
from pki.keystore import logged_store, signature_log, store, time_limit
from pki.keystore.signature_log import Event
from tests.support import disks
from tests.support.hierarchy import MemoryKeyStore

AT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
CERTIFICATE = signature.SignedObject("certificate", "Common Name: TEST", "0a" * 20, "cd" * 32)


def open_log(path: pathlib.Path) -> signature_log.SignatureLog:
    return signature_log.SignatureLog(path, clock.FixedClock(AT))


def representation(
    text: bytes = b"x", stands_for: signature.SignedObject | None = CERTIFICATE
) -> signature.DataToBeSignedRepresentation:
    algorithm = algorithms.HashAlgorithm.SHA256
    return signature.DataToBeSignedRepresentation(algorithm, algorithm.digest(text), stands_for)


class Trouble:
    """A key handle that notes whether the log had its line, and then fails as it is told."""

    def __init__(self, handle: store.KeyHandle, path: pathlib.Path) -> None:
        self._handle = handle
        self._path = path
        self.seen: list[str] = []
        self.fails_with: Exception | None = None

    @property
    def label(self) -> str:
        return self._handle.label

    @property
    def public_key(self) -> algorithms.PublicKey:
        return self._handle.public_key

    def sign(self, asked: signature.DataToBeSignedRepresentation) -> signature.SignatureValue:
        lines = self._path.read_text().splitlines()
        self.seen.append(json.loads(lines[-1])["representation"])
        assert self.seen[-1] == asked.hash.hex()
        if self.fails_with is not None:
            raise self.fails_with
        return self._handle.sign(asked)


def logged_key(handle: store.KeyHandle, log: signature_log.SignatureLog) -> logged_store.LoggedKey:
    return logged_store.LoggedKey(handle, log, time_limit.AnswerWatch())


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "state" / "signatures.log"


@pytest.fixture
def log(path: pathlib.Path) -> signature_log.SignatureLog:
    return open_log(path)


@pytest.fixture
def key(path: pathlib.Path) -> Trouble:
    return Trouble(MemoryKeyStore().generate("ca-citizen", algorithms.KeyKind.P256), path)


def outcomes(path: pathlib.Path) -> list[Event]:
    return [one.outcome for one in signature_log.read_signatures(path)]


def test_the_line_is_there_before_the_key_signs_and_the_outcome_after(
    log: signature_log.SignatureLog, key: Trouble, path: pathlib.Path
) -> None:
    logged = logged_key(key, log)
    value = logged.sign(representation())

    assert len(key.seen) == 1
    (found,) = signature_log.read_signatures(path)
    assert found.key_label == "ca-citizen"
    assert found.signed_object == CERTIFICATE
    assert found.outcome is Event.SIGNED
    digest = algorithms.HashAlgorithm.SHA256.digest(value.value)
    assert found.signature_sha256 == digest.hex()
    assert found.at == AT
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_signature_of_something_else_is_logged_too(
    log: signature_log.SignatureLog, key: Trouble, path: pathlib.Path
) -> None:
    logged_key(key, log).sign(representation(stands_for=None))
    (found,) = signature_log.read_signatures(path)
    assert found.signed_object is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.DeviceError("the session was lost"), Event.UNKNOWN),
        (ZeroDivisionError(), Event.UNKNOWN),
        (store.StoreClosedError("closed"), Event.FAILED),
    ],
)
def test_a_key_that_fails_may_have_signed_unless_it_was_never_asked(
    log: signature_log.SignatureLog,
    key: Trouble,
    path: pathlib.Path,
    error: Exception,
    outcome: Event,
) -> None:
    key.fails_with = error
    with pytest.raises(type(error)):
        logged_key(key, log).sign(representation())
    assert outcomes(path) == [outcome]


def test_a_line_without_an_outcome_may_have_been_signed(
    log: signature_log.SignatureLog, path: pathlib.Path
) -> None:
    log.intend("ca-citizen", representation())
    assert outcomes(path) == [Event.UNKNOWN]


def test_another_process_goes_on_where_the_first_one_is(path: pathlib.Path) -> None:
    one, other = open_log(path), open_log(path)
    for log in (one, other, other, one):
        log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)
    assert [line.number for line in signature_log.read_lines(path)] == list(range(1, 9))
    assert outcomes(path) == [Event.SIGNED] * 4


def test_processes_and_threads_write_one_whole_log(path: pathlib.Path) -> None:
    open_log(path).close()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_from_threads, args=(path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert outcomes(path) == [Event.SIGNED] * 2 * 4 * 25


def _write_from_threads(path: pathlib.Path) -> None:
    log = open_log(path)

    def write(_: int) -> None:
        for _ in range(25):
            log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))


@pytest.mark.parametrize("cut", [1, 2, 50, 200])
def test_a_half_written_line_is_marked_and_the_log_goes_on(path: pathlib.Path, cut: int) -> None:
    log = open_log(path)
    log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)
    log.intend("ca-citizen", representation())
    log.close()
    os.truncate(path, path.stat().st_size - cut)
    assert outcomes(path) == [Event.SIGNED]

    again = open_log(path)
    again.conclude(again.intend("ca-business", representation()), Event.SIGNED)
    events = [line.event for line in signature_log.read_lines(path)]
    # Where nothing but the line end was missing, the line counts: its key may have signed.
    found, ended = (Event.INTENDED, [Event.UNKNOWN]) if cut == 1 else (Event.TORN, [])
    expected = [Event.INTENDED, Event.SIGNED, found, Event.INTENDED, Event.SIGNED]
    assert events == expected
    assert outcomes(path) == [Event.SIGNED, Event.SIGNED, *ended]


def test_a_log_that_holds_half_a_line_alone_begins_there(path: pathlib.Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"at":"2026')
    log = open_log(path)
    log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)
    assert outcomes(path) == [Event.SIGNED]


def test_a_long_log_is_opened_at_its_end(path: pathlib.Path) -> None:
    log = open_log(path)
    for _ in range(300):
        log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)
    assert path.stat().st_size > 4 * signature_log.MAX_LINE_BYTES
    again = open_log(path)
    again.conclude(again.intend("ca-citizen", representation()), Event.SIGNED)
    assert len(outcomes(path)) == 301


def _edit(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b"ca-citizen", b"ca-officer")


def _edit_last(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].replace(b"signed", b"failed", 1)


def _remove(lines: list[bytes]) -> None:
    del lines[2:4]


def _swap(lines: list[bytes]) -> None:
    lines[0:2], lines[2:4] = lines[2:4], lines[0:2]


def _add(lines: list[bytes]) -> None:
    lines.insert(2, b"\n")


def _repeat(lines: list[bytes]) -> None:
    lines.insert(2, lines[1])


@pytest.mark.parametrize("attack", [_edit, _edit_last, _remove, _swap, _add, _repeat])
def test_a_log_that_was_changed_is_found_out(
    log: signature_log.SignatureLog, path: pathlib.Path, attack: object
) -> None:
    for _ in range(3):
        log.conclude(log.intend("ca-citizen", representation()), Event.SIGNED)
    lines = path.read_bytes().splitlines(keepends=True)
    attack(lines)  # type: ignore[operator]
    path.write_bytes(b"".join(lines))
    with pytest.raises(signature_log.SignatureLogTamperedError):
        outcomes(path)


@pytest.mark.slow
def test_a_file_that_is_no_log_is_not_gone_on_with(path: pathlib.Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"another program's line\n" * 1_000_000)
    with pytest.raises(signature_log.SignatureLogTamperedError):
        open_log(path)


def test_a_log_that_is_cut_or_replaced_while_in_use_stops_the_signing(
    log: signature_log.SignatureLog, key: Trouble, path: pathlib.Path
) -> None:
    logged = logged_key(key, log)
    logged.sign(representation())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    os.truncate(path, 100)
    with pytest.raises(signature_log.SignatureLogTamperedError):
        logged.sign(representation())
    path.rename(path.with_suffix(".old"))
    path.write_bytes(whole)
    with pytest.raises(signature_log.SignatureLogError, match="replaced"):
        logged.sign(representation())
    path.unlink()
    with pytest.raises(signature_log.SignatureLogError):
        log.check_writable()
    assert len(key.seen) == 1


def test_a_full_disk_stops_the_signing_until_there_is_room(
    key: Trouble, tmp_path: pathlib.Path
) -> None:
    with disks.small(tmp_path / "disk") as disk:
        path = disk.folder / "signatures.log"
        key._path = path
        log = open_log(path)
        logged = logged_key(key, log)
        logged.sign(representation())
        log.check_writable()
        disk.fill()
        # The last block of the file has room for a few lines.
        with contextlib.suppress(signature_log.SignatureLogError):
            for _ in range(20):
                logged.sign(representation())
        signed = len(key.seen)
        with pytest.raises(errors.StorageError, match="full"):
            log.check_writable()
        with pytest.raises(signature_log.SignatureLogError, match="make room"):
            logged.sign(representation())
        assert len(key.seen) == signed

        disk.make_room()
        log.check_writable()
        logged.sign(representation())
        assert len(key.seen) == signed + 1
        assert outcomes(path).count(Event.SIGNED) >= signed
        log.close()


def test_a_read_only_disk_stops_the_signing(key: Trouble, tmp_path: pathlib.Path) -> None:
    with disks.small(tmp_path / "disk") as disk:
        path = disk.folder / "signatures.log"
        open_log(path).close()
        with (
            disk.read_only(),
            pytest.raises(signature_log.SignatureLogError, match="nothing is signed"),
        ):
            open_log(path)
        open_log(path).close()


def test_a_closed_log_lets_nothing_be_signed(log: signature_log.SignatureLog, key: Trouble) -> None:
    log.close()
    log.close()
    with pytest.raises(signature_log.SignatureLogError):
        logged_key(key, log).sign(representation())
    assert key.seen == []


def test_only_the_chosen_keys_of_a_store_are_logged(
    log: signature_log.SignatureLog, path: pathlib.Path
) -> None:
    keys = logged_store.LoggedKeyStore(MemoryKeyStore(), log, lambda label: label == "root")
    keys.generate("root", algorithms.KeyKind.P256)
    keys.generate("ocsp-citizen", algorithms.KeyKind.P256)
    assert keys.labels() == ("ocsp-citizen", "root")
    keys.open_key("ocsp-citizen").sign(representation())
    assert outcomes(path) == []
    keys.open_key("root").sign(representation())
    assert outcomes(path) == [Event.SIGNED]
    keys.check_ready()
    keys.close()
    with pytest.raises(signature_log.SignatureLogError):
        log.check_writable()


def test_a_key_is_not_asked_while_something_is_missing_that_it_needs(
    log: signature_log.SignatureLog, path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    anchors = tmp_path / "anchors"
    keys = logged_store.LoggedKeyStore(
        MemoryKeyStore(), log, lambda _: True, needs=[lambda: durable_files.check_room(anchors)]
    )
    key = keys.generate("root", algorithms.KeyKind.P256)
    for ask in (
        keys.check_ready,
        lambda: logged_store.check_ready(key),
        lambda: key.sign(representation()),
    ):
        with pytest.raises(errors.StorageError, match="anchors"):
            ask()
    assert outcomes(path) == []
    anchors.mkdir()
    keys.check_ready()
    key.sign(representation())
    assert outcomes(path) == [Event.SIGNED]
