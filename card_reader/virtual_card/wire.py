"""The wire between a virtual card and the reader driver vpcd (vsmartcard).

Each message is two length bytes, big-endian, then that many bytes. One byte alone is a control
message from the reader; anything longer is a command APDU. Connecting to the driver's port is
inserting the card, closing the connection is taking it out.
"""

import contextlib
import dataclasses
import functools
import operator
import socket
import struct
import threading

from card_reader import apdu
from card_reader.virtual_card import applet

_POWER_OFF, _POWER_ON, _RESET, _GIVE_ATR = 0, 1, 2, 4
_HEADER_SIZE = 5
"""CLA, INS, P1, P2 and a length."""

_HISTORICAL_BYTES = b"imzaTEST"


def answer_to_reset(historical: bytes = _HISTORICAL_BYTES) -> bytes:
    """Build an ATR for protocol T=1 with up to 15 historical bytes (ISO/IEC 7816-3 8.2)."""
    body = bytes([0x80 | len(historical), 0x80, 0x01]) + historical
    return b"\x3b" + body + bytes([functools.reduce(operator.xor, body)])


@dataclasses.dataclass(frozen=True)
class Pull:
    """When to take the card out of the reader by itself, for tests of what then happens.

    Attributes:
        instruction: At the first command with this INS and data; a VERIFY without any only asks
            for the tries left. None is any command, with data or without.
        answered: After its answer left; before it, the command never reaches the card.
        passing: How many such commands are answered before.
    """

    instruction: int | None
    answered: bool
    passing: int = 0


class InsertedCard:
    """A card in a slot: a thread that answers until the card or the reader goes away."""

    def __init__(self, port: int, application: applet.Applet, atr: bytes) -> None:
        """Insert the card into the slot that listens on a loopback port.

        Raises:
            OSError: Nothing listens there.
        """
        self._application = application
        self._atr = atr
        self._pull: Pull | None = None
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._serve, name=f"card-{port}", daemon=True)
        self._thread.start()

    def pull_at(self, pull: Pull | None) -> None:
        """Arm a removal, or disarm it."""
        self._pull = pull

    def remove(self) -> None:
        """Take the card out and wait until it no longer answers."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def inserted(self) -> bool:
        """Whether the card still answers."""
        return self._thread.is_alive()

    def _serve(self) -> None:
        # Any OSError on the wire means the reader is gone, which for a card is loss of power.
        with self._socket, contextlib.suppress(OSError):
            while (message := self._receive()) is not None:
                if not self._handle(message):
                    return

    def _handle(self, message: bytes) -> bool:
        """Act on one message; False when the card is pulled."""
        if len(message) <= 1:
            if message in (bytes([_POWER_OFF]), bytes([_POWER_ON]), bytes([_RESET])):
                self._application.reset()
            elif message == bytes([_GIVE_ATR]):
                self._send(self._atr)
            return True
        pull = self._pull
        due = pull is not None and (
            pull.instruction is None
            or (message[1] == pull.instruction and len(message) > _HEADER_SIZE)
        )
        if due and pull is not None and pull.passing:
            self._pull = dataclasses.replace(pull, passing=pull.passing - 1)
            due = False
        if due and pull is not None and not pull.answered:
            return False
        self._send(self._application.answer(message))
        return not due

    def _send(self, message: bytes) -> None:
        self._socket.sendall(struct.pack(">H", len(message)) + message)

    def _receive(self) -> bytes | None:
        header = self._receive_exactly(2)
        return None if header is None else self._receive_exactly(struct.unpack(">H", header)[0])

    def _receive_exactly(self, size: int) -> bytes | None:
        received = b""
        while len(received) < size:
            # Linux drops this flag after a while; without it each APDU waits 40 ms for an ACK.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = self._socket.recv(size - len(received))
            if not part:
                return None
            received += part
        return received


def pull_from_json(value: object) -> Pull | None:
    """Read a removal rule of the control socket: null, or instruction, answered and passing."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("expected an object or null")
    instruction = value["instruction"]
    return Pull(
        None if instruction is None else apdu.Instruction(instruction).value,
        value["answered"] is True,
        int(value.get("passing", 0)),
    )
