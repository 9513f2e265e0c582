import datetime
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsa import ntp

SENT = datetime.datetime(2026, 11, 22, 12, 0, 0, tzinfo=datetime.UTC)
CAME = SENT + datetime.timedelta(milliseconds=40)
TOKEN = 0x0123456789ABCDEF


def timestamp(at: datetime.datetime) -> int:
    since = at - datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
    seconds = since // datetime.timedelta(seconds=1)
    fraction = (since % datetime.timedelta(seconds=1)) / datetime.timedelta(seconds=1)
    return (seconds % 2**32) << 32 | int(fraction * 2**32)


def packet(
    offset: float = 0.0,
    *,
    first: int = 0x24,
    stratum: int = 2,
    origin: int = TOKEN,
    root_delay: float = 0.01,
    root_dispersion: float = 0.005,
    sent: datetime.datetime = SENT,
) -> bytes:
    """What a server answers that is `offset` ahead of us and 20 ms away."""
    there = sent + datetime.timedelta(seconds=offset, milliseconds=20)
    return ntp.PACKET.pack(
        first,
        stratum,
        6,
        -20,
        int(root_delay * 65536),
        int(root_dispersion * 65536),
        b"GPS\0",
        timestamp(there),
        origin,
        timestamp(there),
        timestamp(there),
    )


@pytest.mark.clause("RFC 5905", "8")
@pytest.mark.parametrize("offset", [0.0, 2.0, -2.0, 0.125, 86400.0])
def test_the_offset_is_what_the_server_is_ahead(offset: float) -> None:
    found = ntp.read_answer(packet(offset), TOKEN, "here", SENT, CAME)
    assert found.offset_s == pytest.approx(offset, abs=1e-5)
    # Half the way, half the root delay, the root dispersion.
    assert found.bound_s == pytest.approx(0.02 + 0.005 + 0.005, abs=1e-4)


@pytest.mark.clause("RFC 5905", "6")
def test_a_timestamp_after_2036_belongs_to_the_next_era() -> None:
    sent = datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC)
    came = sent + datetime.timedelta(milliseconds=40)
    found = ntp.read_answer(packet(1.0, sent=sent), TOKEN, "here", sent, came)
    assert found.offset_s == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (packet(origin=TOKEN + 1), "does not answer"),
        (packet(first=0x23), "does not answer"),
        (packet(first=0xE4), "not synchronised"),
        (packet(stratum=0), "not synchronised"),
        (packet(stratum=16), "not synchronised"),
        (packet(root_dispersion=2.0), "from its own source"),
        (packet()[:47], "48 octets, got 47"),
    ],
)
def test_an_answer_that_is_no_evidence_is_refused(answer: bytes, words: str) -> None:
    with pytest.raises(ntp.NtpError, match=words):
        ntp.read_answer(answer, TOKEN, "here", SENT, CAME)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_an_error(answer: bytes) -> None:
    try:
        found = ntp.read_answer(answer, TOKEN, "here", SENT, CAME)
    except ntp.NtpError:
        return
    assert found.bound_s >= 0


@pytest.fixture
def server() -> Iterator[str]:
    """A server on loopback that is two seconds ahead of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)

        def answer() -> None:
            question, client = bound.recvfrom(1024)
            token = struct.unpack_from("!Q", question, 40)[0]
            now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - the server's own clock
            answer = packet(1.98, origin=token, sent=now)
            bound.sendto(answer, client)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{bound.getsockname()[1]}"
        thread.join()


def test_a_server_is_asked_over_the_network(server: str) -> None:
    found = ntp.compare(server, lambda: datetime.datetime.now(datetime.UTC))  # noqa: TID251
    assert found.offset_s == pytest.approx(2.0, abs=0.2)


def test_a_server_that_is_silent_is_an_error_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(ntp.NtpError, match="no answer"):
            ntp.compare(address, lambda: SENT, timeout_s=0.05)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("ntp.example", ("ntp.example", 123)),
        ("ntp.example:1123", ("ntp.example", 1123)),
        ("2001:db8::1", ("2001:db8::1", 123)),
        ("[2001:db8::1]:1123", ("2001:db8::1", 1123)),
        ("[2001:db8::1]", ("2001:db8::1", 123)),
    ],
)
def test_a_server_is_named_with_or_without_a_port(server: str, address: tuple[str, int]) -> None:
    assert ntp._address(server) == address
