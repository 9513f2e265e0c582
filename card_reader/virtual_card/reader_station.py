"""Virtual card readers: a private pcscd and the cards in its slots, as one object.

Programs reach the readers by setting `PCSCLITE_CSOCK_NAME` to `ReaderStation.socket_path`;
nothing they do differs from a real reader. The cards are software: no plastic card was tried.
"""

import dataclasses
import json
import os
import pathlib
import select
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from card_reader.virtual_card import card_file, namespaces, station_process, wire
from pki import errors

MAX_SOCKET_PATH = 107
"""A Unix socket's path has 107 bytes at most (sun_path of unix(7))."""

_ANSWER_TIMEOUT_S = 30.0


class ReaderStation:
    """The virtual readers of one folder; they stop with the process that started them."""

    def __init__(self, directory: pathlib.Path, *, reader_count: int = 2) -> None:
        """Name the folder; its subfolder `pcscd` gets the sockets.

        Args:
            directory: The world's folder (DIR of `imza sandbox`).
            reader_count: How many readers; rounded up to an even number, 16 at most.
        """
        if not 1 <= reader_count <= station_process.MAX_READERS:
            raise errors.InputError(
                f"expected 1 to {station_process.MAX_READERS} readers, got {reader_count}"
            )
        self._folder = directory.absolute() / "pcscd"
        self._reader_count = reader_count
        self._process: subprocess.Popen[bytes] | None = None
        self._names: tuple[str, ...] = ()
        self._service_pid = 0

    @property
    def socket_path(self) -> pathlib.Path:
        """What PCSCLITE_CSOCK_NAME must be for a program to see these readers."""
        return self._folder / station_process.SOCKET_NAME

    @property
    def reader_names(self) -> tuple[str, ...]:
        """The readers' names as programs see them; empty before the start."""
        return self._names

    @property
    def service_pid(self) -> int:
        """The process id of this station's pcscd."""
        return self._service_pid

    def start(self) -> None:
        """Start pcscd and wait until all readers are there (0.3 s).

        Raises:
            ReaderStationError: The machine refuses namespaces, or something is not installed.
        """
        if self._process is not None:
            raise errors.StateError("the reader station runs already")
        control = self._folder / station_process.CONTROL_NAME
        for path in (self.socket_path, control):
            if len(os.fsencode(path)) > MAX_SOCKET_PATH:
                raise namespaces.ReaderStationError(
                    f"expected a socket path of at most {MAX_SOCKET_PATH} bytes, got {path}:"
                    " choose a folder nearer to the root"
                )
        # Who can enter the folder can use the cards: the owner alone.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [
                sys.executable,
                "-P",  # a card_reader folder where somebody happens to stand is not ours
                "-m",
                "card_reader.virtual_card.station_process",
                str(self._folder),
                str(self._reader_count),
            ],
            # The pipe's other end closes when this process dies in any way: the station sees it.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            ready = self._read_first_line()
        except BaseException:
            self.stop()
            raise
        # pcscd opens its folder to everybody when it starts; before any card is in, that ends.
        self._folder.chmod(0o700)
        names, pid = ready["readers"], ready["service_pid"]
        if not isinstance(names, list) or not isinstance(pid, int):
            raise errors.DeviceError("expected the reader station's names, got something else")
        self._names = tuple(str(name) for name in names)
        self._service_pid = pid

    def stop(self) -> None:
        """Take all cards out and end pcscd; stopping twice is fine."""
        process, self._process, self._names = self._process, None, ()
        if process is None:
            return
        if process.stdin is None or process.stdout is None:
            raise errors.StateError("expected the station's pipes")
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def insert(self, reader: str, card: pathlib.Path) -> None:
        """Put the card of a file into a reader, and wait until programs can see it (0.4 s).

        Raises:
            StateError: No such reader or card file, the card is elsewhere, or pcscd is down.
            ReaderStationError: pcscd does not notice the card, or the station is gone.
        """
        self._ask({"command": "insert", "reader": reader, "card": str(card.absolute())})

    def remove(self, reader: str) -> None:
        """Take the card out of a reader, and wait until programs can see it (0.4 s)."""
        self._ask({"command": "remove", "reader": reader})

    def pull_at(self, reader: str, pull: wire.Pull | None) -> None:
        """Have the card in a reader taken out at a command, for tests of what then happens."""
        value = None if pull is None else dataclasses.asdict(pull)
        self._ask({"command": "pull-at", "reader": reader, "pull": value})

    def __enter__(self) -> Self:
        """Start, for a `with` block."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _read_first_line(self) -> Mapping[str, object]:
        if self._process is None or self._process.stdout is None:
            raise errors.StateError("the reader station does not run")
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_TIMEOUT_S)
        line = self._process.stdout.readline() if ready else b""
        return _read_answer(line)

    def _ask(self, request: Mapping[str, object]) -> None:
        if self._process is None:
            raise errors.StateError("the reader station does not run: start it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_TIMEOUT_S)
            try:
                connection.connect(str(self._folder / station_process.CONTROL_NAME))
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    line = lines.readline()
            except OSError as error:
                raise namespaces.ReaderStationError(
                    "the reader station does not answer: start it again"
                ) from error
        _read_answer(line)


def _read_answer(line: bytes) -> Mapping[str, object]:
    """Return the station's answer, or raise the error it tells of."""
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise namespaces.ReaderStationError("the reader station ended without a word") from error
    if not isinstance(answer, dict):
        raise namespaces.ReaderStationError("expected an object from the reader station")
    if "error" in answer:
        refused = answer.get("code") == namespaces.ReaderStationError.code
        kind = namespaces.ReaderStationError if refused else errors.StateError
        raise kind(str(answer["error"]))
    return answer


def make_blank_card(path: pathlib.Path) -> None:
    """Make a blank PIV card in transport state; `personalise` turns it into somebody's.

    Raises:
        StateError: The file exists.
    """
    card_file.CardFile.create(path)
