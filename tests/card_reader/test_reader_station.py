import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest
from smartcard import scard

from card_reader import apdu, readers
from card_reader.virtual_card import card_file, namespaces, reader_station, wire
from pki import errors
from tests.support import card_station

pytestmark = pytest.mark.card

Station = reader_station.ReaderStation

VERIFY_NO_PIN = apdu.Command(apdu.Instruction.VERIFY, 0, 0x80, b"\xff" * 8).encode()
"""A verification with data, as only these count as one."""


@pytest.fixture
def blank(tmp_path: pathlib.Path) -> pathlib.Path:
    reader_station.make_blank_card(tmp_path / "blank.json")
    return tmp_path / "blank.json"


def test_readers_are_there_at_once_and_match_by_name(station: Station) -> None:
    assert len(station.reader_names) == 2
    assert tuple(one.name for one in readers.list_readers()) == station.reader_names
    assert not any(one.card_present for one in readers.list_readers())


def test_only_the_owner_enters_the_folder_of_the_sockets(station: Station) -> None:
    assert stat.S_IMODE(station.socket_path.parent.stat().st_mode) == 0o700


def test_the_reader_drivers_port_is_closed_outside(station: Station) -> None:
    """vpcd listens on every address and asks nobody who calls: only inside the namespace."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 35963), timeout=1)


def test_a_card_comes_and_goes(station: Station, blank: pathlib.Path) -> None:
    name = station.reader_names[0]
    seen: list[readers.Event] = []

    def look() -> None:
        for event in readers.watch(timeout_s=3):
            seen.append(event)
            if len(seen) == 4:
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    deadline = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    station.insert(name, blank)
    assert card_station.present(name)
    assert readers.find_card().name == name
    station.remove(name)
    assert not card_station.present(name)
    watcher.join()
    kinds = [(one.kind, one.reader) for one in seen]
    attached = readers.EventKind.READER_ATTACHED
    assert kinds[:2] == [(attached, one) for one in station.reader_names]
    assert kinds[2:] == [
        (readers.EventKind.CARD_INSERTED, name),
        (readers.EventKind.CARD_REMOVED, name),
    ]
    assert seen[2].atr == wire.answer_to_reset()


def test_a_card_pulled_in_a_command_can_be_put_back_at_once(
    station: Station, blank: pathlib.Path
) -> None:
    name = station.reader_names[0]
    station.insert(name, blank)
    station.pull_at(name, wire.Pull(apdu.Instruction.VERIFY, answered=False))
    with (
        readers.Connection(name) as connection,
        pytest.raises(readers.CardRemovedError),
    ):
        connection.transmit(VERIFY_NO_PIN)
    station.insert(name, blank)
    assert card_station.present(name)
    station.remove(name)


def test_a_watcher_is_told_that_the_service_died(station: Station) -> None:
    events = readers.watch(timeout_s=10)
    assert next(events).kind is readers.EventKind.READER_ATTACHED
    assert next(events).kind is readers.EventKind.READER_ATTACHED
    threading.Timer(0.3, os.kill, (station.service_pid, signal.SIGKILL)).start()
    with pytest.raises(readers.ReaderServiceDownError):
        next(events)
    station.stop()
    station.start()


def test_a_pulled_card_may_go_into_another_reader(station: Station, blank: pathlib.Path) -> None:
    first, second = station.reader_names
    station.insert(first, blank)
    station.pull_at(first, wire.Pull(apdu.Instruction.VERIFY, answered=True))
    with readers.Connection(first) as connection:
        status = connection.transmit(VERIFY_NO_PIN)
        assert len(status) == 2
        with pytest.raises(readers.CardRemovedError):
            connection.transmit(VERIFY_NO_PIN)
    station.insert(second, blank)
    assert readers.find_card().name == second
    station.remove(second)


def test_one_card_is_in_one_reader(station: Station, blank: pathlib.Path) -> None:
    station.insert(station.reader_names[0], blank)
    with pytest.raises(errors.StateError, match="in another reader"):
        station.insert(station.reader_names[1], blank)
    station.remove(station.reader_names[0])


def test_wrong_commands_are_told(station: Station, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.StateError, match="no virtual reader"):
        station.insert("TEST none", tmp_path / "none.json")
    with pytest.raises(errors.StateError, match="no card file"):
        station.insert(station.reader_names[0], tmp_path / "none.json")
    with pytest.raises(errors.StateError, match="no card is in"):
        station.pull_at(station.reader_names[0], wire.Pull(0x20, answered=True))


@pytest.mark.parametrize(
    "line", [b"", b"\xff\n", b"[]\n", b"{}\n", b'{"reader": 1}\n', b"9" * 70000]
)
def test_nonsense_on_the_control_socket_does_not_stop_the_station(
    station: Station, line: bytes
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(station.socket_path.with_name("control.sock")))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert b"invalid-input" in connection.recv(4096)


def test_a_busy_card_is_told(station: Station, blank: pathlib.Path) -> None:
    name = station.reader_names[0]
    station.insert(name, blank)
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    _, handle, _ = scard.SCardConnect(
        context, name, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T1
    )
    with pytest.raises(readers.CardBusyError):
        readers.Connection(name)
    scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
    scard.SCardReleaseContext(context)
    station.remove(name)


def test_everything_dies_with_the_process_that_started_it(tmp_path: pathlib.Path) -> None:
    card_station.require_programs()
    program = (
        "import pathlib, sys, time\n"
        "from card_reader.virtual_card import reader_station\n"
        "station = reader_station.ReaderStation(pathlib.Path(sys.argv[1]))\n"
        "station.start()\n"
        "print(station.service_pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        service = int(owner.stdout.readline() or b"0")
        if not service:
            card_station.require("the machine refuses the reader station")
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while pathlib.Path(f"/proc/{service}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not pathlib.Path(f"/proc/{service}").exists()


def test_two_stations_run_side_by_side(station: Station, tmp_path: pathlib.Path) -> None:
    with reader_station.ReaderStation(tmp_path, reader_count=5) as other:
        assert len(other.reader_names) == 6
        assert other.service_pid != station.service_pid
    assert len(readers.list_readers()) == 2


def test_a_stale_socket_of_a_killed_station_is_no_obstacle(tmp_path: pathlib.Path) -> None:
    card_station.require_programs()
    one = reader_station.ReaderStation(tmp_path)
    try:
        one.start()
    except namespaces.ReaderStationError as error:
        card_station.require(error.message)
    os.kill(one.service_pid, signal.SIGKILL)
    one.stop()
    (tmp_path / "pcscd" / "pcscd.comm").touch()
    (tmp_path / "pcscd" / "control.sock").touch()
    with one:
        assert len(one.reader_names) == 2


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: pathlib.Path) -> None:
    station = reader_station.ReaderStation(tmp_path / ("x" * 100))
    with pytest.raises(namespaces.ReaderStationError, match="nearer to the root") as refused:
        station.start()
    assert refused.value.code == "reader-station-refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give its rights away")
def test_a_machine_that_refuses_namespaces_is_told() -> None:
    """A process that gave up its rights without a new program may not map users (proc(5))."""
    program = (
        "import os\n"
        "from card_reader.virtual_card import namespaces\n"
        "os.setgid(65534)\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    namespaces.enter()\n"
        "except namespaces.ReaderStationError as error:\n"
        "    print(error.code, error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.startswith(b"reader-station-refused the machine refuses")


def test_reader_counts_beyond_the_services_limit_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.InputError):
        reader_station.ReaderStation(tmp_path, reader_count=17)


def test_a_bank_card_has_another_atr(station: Station, tmp_path: pathlib.Path) -> None:
    other = card_file.CardFile.create(tmp_path / "bank.json", card_file.OTHER_APPLET)
    station.insert(station.reader_names[1], other.path)
    found = next(one for one in readers.list_readers() if one.card_present)
    assert found.name == station.reader_names[1]
    assert found.atr != wire.answer_to_reset()
    station.remove(station.reader_names[1])
