"""Commands to a card, its responses and status words (ISO/IEC 7816-4 5)."""

import dataclasses
import enum
from collections.abc import Callable, Iterator

from pki import errors

MAX_SHORT_DATA = 255
"""Most data bytes in a command of short length (ISO/IEC 7816-4 5.1)."""

MAX_RESPONSE_SIZE = 0x10000
"""Where a card that keeps announcing more data is taken for broken."""

Transmit = Callable[[bytes], bytes]
"""Carries an encoded command to the card and brings the encoded response back."""


class ApduError(errors.InputError):
    """The bytes are not a command or a response."""

    code = "malformed-apdu"


class Instruction(enum.IntEnum):
    """The instructions that a PIV card knows (SP 800-73-4 part 2, 3)."""

    VERIFY = 0x20
    CHANGE_REFERENCE_DATA = 0x24
    RESET_RETRY_COUNTER = 0x2C
    GENERATE_KEY_PAIR = 0x47
    GENERAL_AUTHENTICATE = 0x87
    SELECT = 0xA4
    GET_RESPONSE = 0xC0
    GET_DATA = 0xCB
    PUT_DATA = 0xDB
    SET_MANAGEMENT_KEY = 0xFF
    """Outside SP 800-73-4, which leaves changing this key to vendors; several use this byte."""


class Status(enum.IntEnum):
    """Status words (ISO/IEC 7816-4 5.1.3 and SP 800-73-4 part 2)."""

    OK = 0x9000
    MEMORY_FAILURE = 0x6581
    WRONG_LENGTH = 0x6700
    SECURE_MESSAGING_UNSUPPORTED = 0x6882
    CHAINING_EXPECTED = 0x6883
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_BLOCKED = 0x6983
    CONDITIONS_NOT_SATISFIED = 0x6985
    WRONG_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    NOT_FOUND = 0x6A82
    NOT_ENOUGH_MEMORY = 0x6A84
    WRONG_P1_P2 = 0x6A86
    REFERENCE_NOT_FOUND = 0x6A88
    INSTRUCTION_UNSUPPORTED = 0x6D00
    CLASS_UNSUPPORTED = 0x6E00


@dataclasses.dataclass(frozen=True)
class Command:
    """A command APDU; its data may be a PIN, so `repr` leaves it out.

    Attributes:
        instruction: INS; any byte, since a card must answer unknown ones too.
        expected: The most response bytes wanted (Ne); 0 when none are.
        chained: Whether more parts of the same command follow.
    """

    instruction: int
    p1: int = 0
    p2: int = 0
    data: bytes = dataclasses.field(default=b"", repr=False)
    expected: int = 0
    chained: bool = False
    cla: int = 0

    def encode(self) -> bytes:
        """Encode with short lengths where they suffice, else with extended ones."""
        cla = self.cla | (0x10 if self.chained else 0)
        header = bytes([cla, self.instruction, self.p1, self.p2])
        if len(self.data) <= MAX_SHORT_DATA and self.expected <= 256:
            body = bytes([len(self.data)]) + self.data if self.data else b""
            return header + body + (bytes([self.expected & 0xFF]) if self.expected else b"")
        body = b"\x00" + len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        if not self.expected:
            return header + body
        length = (self.expected & 0xFFFF).to_bytes(2, "big")
        return header + body + (length if self.data else b"\x00" + length)


@dataclasses.dataclass(frozen=True)
class Response:
    """A response APDU."""

    data: bytes = dataclasses.field(repr=False)
    status: int

    def encode(self) -> bytes:
        """The data, then the two status bytes."""
        return self.data + self.status.to_bytes(2, "big")

    @property
    def tries_left(self) -> int | None:
        """The tries that status 63Cx or 6983 tells of, None for any other status."""
        if self.status & 0xFFF0 == 0x63C0:
            return self.status & 0xF
        return 0 if self.status == Status.AUTHENTICATION_BLOCKED else None


def parse_command(encoded: bytes) -> Command:
    """Read a command APDU of any of the seven cases (ISO/IEC 7816-4 5.1).

    Raises:
        ApduError: Shorter than a header, or lengths that do not fit.
    """
    if len(encoded) < 4:
        raise ApduError(f"expected a command of at least 4 bytes, got {len(encoded)}")
    data, expected = _parse_body(encoded[4:])
    cla, instruction, p1, p2 = encoded[:4]
    return Command(
        instruction, p1, p2, data, expected, chained=bool(cla & 0x10), cla=cla & ~0x10 & 0xFF
    )


def parse_response(encoded: bytes) -> Response:
    """Read a response APDU.

    Raises:
        ApduError: Shorter than a status word.
    """
    if len(encoded) < 2:
        raise ApduError(f"expected a response of at least 2 bytes, got {len(encoded)}")
    return Response(encoded[:-2], int.from_bytes(encoded[-2:], "big"))


def exchange(transmit: Transmit, command: Command) -> Response:
    """Send one command, in parts where it is long, and collect its whole response.

    Command chaining (ISO/IEC 7816-4 5.1.1) works with readers that know no extended lengths.

    Raises:
        ApduError: The card's answer is no response, or never ends.
    """
    for part in _split(command):
        response = parse_response(transmit(part.encode()))
        if part.chained and response.status != Status.OK:
            return response
    collected = bytearray(response.data)
    while response.status >> 8 == 0x61:
        if len(collected) > MAX_RESPONSE_SIZE:
            raise ApduError(f"expected at most {MAX_RESPONSE_SIZE} response bytes, got more")
        more = Command(Instruction.GET_RESPONSE, expected=(response.status & 0xFF) or 256)
        response = parse_response(transmit(more.encode()))
        if response.status >> 8 == 0x61 and not response.data:
            raise ApduError("expected more response data, got none")
        collected += response.data
    return Response(bytes(collected), response.status)


def _split(command: Command) -> Iterator[Command]:
    data = command.data
    while len(data) > MAX_SHORT_DATA:
        yield dataclasses.replace(command, data=data[:MAX_SHORT_DATA], expected=0, chained=True)
        data = data[MAX_SHORT_DATA:]
    yield dataclasses.replace(command, data=data)


def _parse_body(body: bytes) -> tuple[bytes, int]:
    """Return command data and Ne."""
    if not body:
        return b"", 0
    if len(body) == 1:
        return b"", body[0] or 256
    if body[0]:
        return _cut(body[1:], body[0], 1)
    if len(body) < 3:
        raise ApduError("expected an extended length of 3 bytes")
    length = int.from_bytes(body[1:3], "big")
    if len(body) == 3:
        return b"", length or 0x10000
    if not length:
        raise ApduError("expected command data, got an extended length of zero")
    return _cut(body[3:], length, 2)


def _cut(rest: bytes, length: int, expected_size: int) -> tuple[bytes, int]:
    data, tail = rest[:length], rest[length:]
    if len(data) < length or len(tail) not in (0, expected_size):
        raise ApduError(f"expected {length} bytes of command data, got {len(rest)}")
    if not tail:
        return data, 0
    return data, int.from_bytes(tail, "big") or (1 << 8 * expected_size)
