"""Ask a time server how far this machine's clock is off (NTP version 4, RFC 5905).

Only what a careful client needs: one question, one answer, and a bound on the error of what it
says. The clock is compared, never set; a daemon such as chrony does that.
"""

import dataclasses
import datetime
import secrets
import socket
import struct
from collections.abc import Callable

from pki import errors

PORT = 123
TIMEOUT_S = 1.0
PACKET = struct.Struct("!BBbbII4sQQQQ")
"""LI, VN and mode; stratum; poll; precision; root delay; root dispersion; reference id; and the
reference, origin, receive and transmit timestamps (RFC 5905 7.3)."""

CLIENT_REQUEST = 0x23
"""No leap warning, version 4, client (RFC 5905 7.3)."""

SERVER_MODE = 4
UNSYNCHRONISED = 3
MAX_STRATUM = 15
MAX_ROOT_DISTANCE_S = 1.5
"""RFC 5905 A.1 MAXDIST: a server that far from its own source is no witness."""

FREQUENCY_TOLERANCE = 15e-6
"""RFC 5905 A.1 PHI: how fast an error may grow while a packet is under way."""

_ERA_0 = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
_ERA = 1 << 32


class NtpError(errors.PeerError):
    """The server did not answer, or its answer is no evidence of the time."""

    code = "ntp-no-evidence"
    retriable = True


@dataclasses.dataclass(frozen=True)
class Comparison:
    """This machine's clock beside a server's.

    Attributes:
        server: Who was asked.
        offset_s: Seconds to be added to our clock to reach the server's.
        bound_s: How wrong `offset_s` may be: half the way there and back, and the server's own
            distance to its source (RFC 5905 11.2, the root distance).
    """

    server: str
    offset_s: float
    bound_s: float


def compare(
    server: str, now: Callable[[], datetime.datetime], *, timeout_s: float = TIMEOUT_S
) -> Comparison:
    """Ask `server` (a host, or `host:port`) once.

    Args:
        server: Its name or address; an IPv6 address with a port stands in brackets.
        now: The clock that is judged; read as the question leaves and as the answer comes.
        timeout_s: How long to wait for an answer that belongs to the question.

    Raises:
        NtpError: No answer in time, or one that is not synchronised, not to this question, or
            from a server too far from its own source.
    """
    host, port = _address(server)
    # The server returns this field unread; a random one cannot be guessed by who is not on the
    # way, and tells nobody our time (RFC 5905 8, data minimisation).
    token = secrets.randbits(64)
    question = PACKET.pack(CLIENT_REQUEST, 0, 0, 0, 0, 0, b"\0" * 4, 0, 0, 0, token)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(timeout_s)
            # Connected, so that packets of others are not taken.
            connection.connect(address)
            sent = now()
            connection.send(question)
            answer = connection.recv(1024)
            came = now()
    except OSError as error:
        raise NtpError(f"{server}: no answer within {timeout_s:g} s") from error
    return read_answer(answer, token, server, sent, came)


def read_answer(
    answer: bytes,
    token: int,
    server: str,
    sent: datetime.datetime,
    came: datetime.datetime,
) -> Comparison:
    """Judge an answer (RFC 5905 8: the on-wire protocol's sanity tests).

    Args:
        answer: The packet; extension fields after the header are not read.
        token: What the question's transmit timestamp was.
        server: Named in the comparison and in errors.
        sent: Our clock when the question left.
        came: Our clock when the answer came.

    Raises:
        NtpError: It is no evidence.
    """
    if len(answer) < PACKET.size:
        raise NtpError(f"{server}: expected a packet of {PACKET.size} octets, got {len(answer)}")
    first, stratum, _, precision, root_delay, root_dispersion, _, _, origin, received, left = (
        PACKET.unpack_from(answer)
    )
    if first & 7 != SERVER_MODE or origin != token:
        raise NtpError(f"{server}: the packet does not answer the question")
    if first >> 6 == UNSYNCHRONISED or not 1 <= stratum <= MAX_STRATUM or not received or not left:
        raise NtpError(f"{server}: the server's own clock is not synchronised")
    distance = _short(root_delay) / 2 + _short(root_dispersion)
    if distance > MAX_ROOT_DISTANCE_S:
        raise NtpError(f"{server}: the server is {distance:.3f} s from its own source")
    forth = _seconds_between(sent, _time(received, sent))
    back = _seconds_between(came, _time(left, sent))
    delay = max(forth - back, 0.0)
    elapsed = max(_seconds_between(sent, came), 0.0)
    bound = delay / 2 + distance + 2.0 ** min(precision, 0) + FREQUENCY_TOLERANCE * elapsed
    return Comparison(server, (forth + back) / 2, bound)


def _address(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        return server.strip("[]"), PORT
    if not port.isdecimal():
        raise NtpError(f"expected a time server as HOST or HOST:PORT, got {server!r}")
    return host.strip("[]"), int(port)


def _short(value: int) -> float:
    return value / 65536


def _time(timestamp: int, near: datetime.datetime) -> datetime.datetime:
    """An NTP timestamp in the era that lies nearest to our own time (RFC 5905 6)."""
    seconds, fraction = timestamp >> 32, timestamp & 0xFFFFFFFF
    era = round(((near - _ERA_0).total_seconds() - seconds) / _ERA)
    whole = datetime.timedelta(seconds=seconds + era * _ERA)
    return _ERA_0 + whole + datetime.timedelta(microseconds=round(fraction * 1e6 / _ERA))


def _seconds_between(ours: datetime.datetime, theirs: datetime.datetime) -> float:
    return (theirs - ours).total_seconds()
