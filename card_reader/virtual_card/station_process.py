"""The process inside the namespaces: it runs pcscd, holds the cards and obeys a control socket.

Started by `reader_station` as `python -m card_reader.virtual_card.station_process FOLDER READERS`.
It ends when its standard input ends, so it cannot outlive the process that started it; the kernel
kills pcscd when this process dies.

The control socket takes one JSON object a line and answers one: `insert`, `remove`, `pull-at`. It
lies in a folder that only its owner can enter, and no PIN travels over it.
"""

import contextlib
import json
import os
import pathlib
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from card_reader import readers
from card_reader.virtual_card import applet, card_file, namespaces, wire
from pki import errors

SOCKET_NAME = "pcscd.comm"
CONTROL_NAME = "control.sock"
FRIENDLY_NAME = "imza virtual reader"
MAX_READERS = 16
"""pcscd's own limit (PCSCLITE_MAX_READERS_CONTEXTS)."""

START_TIMEOUT_S = 8.0
CARD_TIMEOUT_S = 3.0
"""pcscd looks for a card every 0.4 s; on a loaded machine it takes longer."""

REMOVAL_TIMEOUT_S = 10.0
"""A card that was lost is put in again; one that went away can only be waited for."""

INSERT_ATTEMPTS = 4

_SERVICE_FOLDER = pathlib.Path("/run/pcscd")
_DRIVERS = (
    pathlib.Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so"),
    pathlib.Path("/usr/local/lib/pcsc/drivers/serial/libifdvpcd.so"),
    pathlib.Path("/usr/lib64/pcsc/drivers/serial/libifdvpcd.so"),
)
_FIRST_PORT = 35963
_SLOTS_PER_DRIVER = 2
_MAX_LINE = 65536


class Station:
    """pcscd, its slots and the cards in them."""

    def __init__(self, folder: pathlib.Path, reader_count: int) -> None:
        """Start pcscd and wait until it answers and all readers are there.

        Raises:
            ReaderStationError: Something is missing, or pcscd does not come up.
        """
        self._folder = folder
        self._cards: dict[str, wire.InsertedCard] = {}
        self._paths: dict[str, pathlib.Path] = {}
        drivers = (reader_count + _SLOTS_PER_DRIVER - 1) // _SLOTS_PER_DRIVER
        self._service = _start_service(folder, drivers)
        self.names = self._wait_for_readers(drivers * _SLOTS_PER_DRIVER)
        self._ports = {name: _FIRST_PORT + index for index, name in enumerate(self.names)}

    @property
    def service_pid(self) -> int:
        """The process id of pcscd."""
        return self._service.pid

    def insert(self, name: str, path: pathlib.Path) -> None:
        """Put a card into a reader and wait until pcscd has seen it."""
        port = self._port(name)
        if name in self._cards:
            self.remove(name)
        if any(one == path and self._cards[where].inserted for where, one in self._paths.items()):
            raise errors.StateError(f"the card {path.name} is in another reader: remove it first")
        card = card_file.CardFile.load(path)
        # Another kind of card answers to reset with other historical bytes.
        other = card.state.applet == card_file.OTHER_APPLET
        atr = wire.answer_to_reset(b"otherBNK") if other else wire.answer_to_reset()
        application = applet.applet_of(card)
        for _ in range(INSERT_ATTEMPTS):
            before = _changes(name)
            try:
                self._cards[name] = wire.InsertedCard(port, application, atr)
            except OSError as error:
                raise readers.ReaderServiceDownError(f"the reader {name!r} is gone") from error
            self._paths[name] = path
            if self._notices(name, since=before, present=True):
                return
            # vpcd loses a card that comes while pcscd resets the one that was pulled: as a person
            # would, take it out and put it in again.
            self.remove(name)
        raise self._unnoticed(name)

    def remove(self, name: str) -> None:
        """Take the card out of a reader and wait until pcscd has seen it; none there is fine."""
        self._port(name)
        card = self._cards.pop(name, None)
        self._paths.pop(name, None)
        if card is not None:
            card.remove()
            if not self._notices(name, present=False):
                raise self._unnoticed(name)

    def pull_at(self, name: str, pull: wire.Pull | None) -> None:
        """Arm the removal of a card at a command."""
        self._port(name)
        if name not in self._cards:
            raise readers.NoCardError(f"no card is in the reader {name!r}")
        self._cards[name].pull_at(pull)

    def stop(self) -> None:
        """Take all cards out and end pcscd."""
        for card in self._cards.values():
            card.remove()
        self._service.terminate()
        try:
            self._service.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._service.kill()
            self._service.wait()
        clear_sockets(self._folder)

    def _port(self, name: str) -> int:
        try:
            return self._ports[name]
        except KeyError:
            raise readers.NoReaderError(f"no virtual reader is called {name!r}") from None

    def _wait_for_readers(self, count: int) -> list[str]:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if self._service.poll() is not None:
                break
            with contextlib.suppress(errors.DeviceError):
                names = [one.name for one in readers.list_readers()]
                if len(names) == count:
                    return names
            time.sleep(0.01)
        raise namespaces.ReaderStationError(
            f"pcscd did not bring up {count} virtual readers: see {self._folder}/pcscd.log"
        )

    def _notices(self, name: str, *, present: bool, since: int | None = None) -> bool:
        """Wait for pcscd to see a card or none, and with `since` to have counted its coming.

        A client's reset shows pcscd a new card before its own look does; were the card taken out
        before that look, pcscd would call it present for ever.
        """
        end = time.monotonic() + (CARD_TIMEOUT_S if present else REMOVAL_TIMEOUT_S)
        while time.monotonic() < end:
            found = next((one for one in readers.list_readers() if one.name == name), None)
            if found is not None and found.card_present is present and found.changes != since:
                return True
            time.sleep(0.01)
        return False

    @staticmethod
    def _unnoticed(name: str) -> namespaces.ReaderStationError:
        return namespaces.ReaderStationError(
            f"pcscd does not notice that a card came into or went out of {name!r}"
        )


def _changes(name: str) -> int | None:
    return next((one.changes for one in readers.list_readers() if one.name == name), None)


def clear_sockets(folder: pathlib.Path) -> None:
    """Remove what a killed pcscd left, since a new one refuses to start beside it."""
    for name in (SOCKET_NAME, CONTROL_NAME, "pcscd.pid", "pcscd.pub"):
        (folder / name).unlink(missing_ok=True)


def main() -> int:
    """Run until standard input ends; the first line of output says ready, or why not."""
    # Ctrl-C reaches the whole terminal group; the process that owns this one decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder, reader_count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    try:
        namespaces.enter()
        namespaces.bind(folder, _SERVICE_FOLDER)
        # Inside, the socket has its short built-in path, whatever was set outside.
        os.environ["PCSCLITE_CSOCK_NAME"] = str(_SERVICE_FOLDER / SOCKET_NAME)
        station = Station(folder, reader_count)
    except errors.ImzaError as error:
        _print({"error": error.message, "code": error.code})
        return 1
    try:
        with _listen() as control:
            _print({"readers": station.names, "service_pid": station.service_pid})
            _obey(station, control)
    finally:
        station.stop()
    return 0


def _start_service(folder: pathlib.Path, drivers: int) -> subprocess.Popen[bytes]:
    program = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    driver = next((path for path in _DRIVERS if path.exists()), None)
    if program is None or driver is None:
        missing = "pcscd" if program is None else "vsmartcard-vpcd"
        raise namespaces.ReaderStationError(f"{missing} is not installed: apt install {missing}")
    clear_sockets(folder)
    empty = folder / "no-usb-drivers"
    empty.mkdir(exist_ok=True)
    configuration = folder / "reader.conf"
    configuration.write_text(_reader_configuration(folder, driver, drivers))
    command = [program, "--foreground", "--config", str(configuration)]
    # Builds with polkit would ask a session bus that the namespaces do not have.
    help_text = subprocess.run([program, "--help"], capture_output=True, check=False)  # noqa: S603
    if b"--disable-polkit" in help_text.stdout:
        command.append("--disable-polkit")
    # The machine's own USB readers belong to its own pcscd: this one gets no USB driver.
    environment = {**os.environ, "PCSCLITE_HP_DROPDIR": str(empty)}
    with (folder / "pcscd.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - the program was found on fixed paths
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=namespaces.die_with_parent,
        )


def _reader_configuration(folder: pathlib.Path, driver: pathlib.Path, count: int) -> str:
    """Describe `count` drivers; each needs a file of its own, since vpcd keeps global state."""
    entries = []
    for index in range(count):
        copy = folder / f"libifdvpcd-{index}.so"
        shutil.copyfile(driver, copy)
        channel = f"0x{_FIRST_PORT + index * _SLOTS_PER_DRIVER:X}"
        entries.append(
            f'FRIENDLYNAME "{FRIENDLY_NAME} {chr(ord("A") + index)}"\n'
            f"DEVICENAME /dev/null:{channel}\nLIBPATH {copy}\nCHANNELID {channel}\n"
        )
    return "\n".join(entries)


def _listen() -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = _SERVICE_FOLDER / CONTROL_NAME
    path.unlink(missing_ok=True)
    control.bind(str(path))
    control.listen()
    return control


def _obey(station: Station, control: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    _answer_caller(station, control)
                elif not os.read(sys.stdin.fileno(), 4096):
                    return


def _answer_caller(station: Station, control: socket.socket) -> None:
    connection, _ = control.accept()
    # A caller that goes away or stays silent costs two seconds, not the station.
    with connection, contextlib.suppress(OSError):
        connection.settimeout(2)
        with connection.makefile("rb") as lines:
            line = lines.readline(_MAX_LINE)
        try:
            _act(station, json.loads(line))
            answer: Mapping[str, object] = {"done": True}
        except errors.ImzaError as error:
            answer = {"error": error.message, "code": error.code}
        except (ValueError, KeyError, TypeError, RecursionError):
            answer = {"error": "expected a command of the station", "code": "invalid-input"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _act(station: Station, request: Mapping[str, object]) -> None:
    reader = str(request["reader"])
    match request["command"]:
        case "insert":
            station.insert(reader, pathlib.Path(str(request["card"])))
        case "remove":
            station.remove(reader)
        case "pull-at":
            station.pull_at(reader, wire.pull_from_json(request["pull"]))
        case _:
            raise ValueError("unknown command")


def _print(message: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
