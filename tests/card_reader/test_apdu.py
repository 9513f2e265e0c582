import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_reader import apdu

BYTES = st.integers(0, 255)
COMMANDS = st.builds(
    apdu.Command,
    instruction=BYTES,
    p1=BYTES,
    p2=BYTES,
    data=st.binary(max_size=1000),
    expected=st.one_of(st.just(0), st.integers(1, 0x10000)),
    chained=st.booleans(),
    cla=st.sampled_from([0x00, 0x0C, 0x80]),
)


@pytest.mark.clause("ISO/IEC 7816-4", "5.1")
@given(COMMANDS)
def test_a_command_is_read_as_it_was_written(command: apdu.Command) -> None:
    assert apdu.parse_command(command.encode()) == command


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_refused_as_input(data: bytes) -> None:
    try:
        command = apdu.parse_command(data)
    except apdu.ApduError:
        return
    assert len(command.data) < len(data)


@given(COMMANDS, st.integers(min_value=0), st.integers(1, 255))
def test_a_mutated_command_is_read_or_refused_as_input(
    command: apdu.Command, where: int, how: int
) -> None:
    encoded = bytearray(command.encode())
    encoded[where % len(encoded)] ^= how
    for mutated in (bytes(encoded[: 1 + where % len(encoded)]), bytes(encoded)):
        try:
            read = apdu.parse_command(mutated)
        except apdu.ApduError:
            continue
        assert len(read.data) < len(mutated)


@given(st.binary(max_size=1))
def test_a_response_needs_a_status_word(data: bytes) -> None:
    with pytest.raises(apdu.ApduError):
        apdu.parse_response(data)


@pytest.mark.clause("ISO/IEC 7816-4", "5.1.1")
def test_long_data_goes_out_in_a_chain_of_short_commands() -> None:
    sent: list[apdu.Command] = []

    def transmit(encoded: bytes) -> bytes:
        sent.append(apdu.parse_command(encoded))
        return b"\x90\x00"

    data = bytes(range(256)) * 3
    apdu.exchange(transmit, apdu.Command(0xDB, 0x3F, 0xFF, data))
    assert [one.chained for one in sent] == [True, True, True, False]
    assert b"".join(one.data for one in sent) == data
    assert all(len(one.data) <= 255 for one in sent)


def test_a_refused_part_ends_the_chain() -> None:
    sent = []

    def transmit(encoded: bytes) -> bytes:
        sent.append(encoded)
        return b"\x6a\x84"

    response = apdu.exchange(transmit, apdu.Command(0xDB, 0x3F, 0xFF, bytes(600)))
    assert response.status == apdu.Status.NOT_ENOUGH_MEMORY
    assert len(sent) == 1


def test_a_response_in_parts_is_collected() -> None:
    parts = iter([b"one" + b"\x61\x03", b"two" + b"\x61\x02", b"ab" + b"\x90\x00"])
    response = apdu.exchange(lambda _: next(parts), apdu.Command(0xCB, expected=256))
    assert response == apdu.Response(b"onetwoab", 0x9000)


def test_a_card_that_never_ends_is_refused() -> None:
    with pytest.raises(apdu.ApduError, match="got more"):
        apdu.exchange(lambda _: bytes(255) + b"\x61\xff", apdu.Command(0xCB, expected=256))
    with pytest.raises(apdu.ApduError, match="got none"):
        apdu.exchange(lambda _: b"\x61\xff", apdu.Command(0xCB, expected=256))


def test_command_data_is_not_printed() -> None:
    assert "31" not in repr(apdu.Command(0x20, data=b"123456"))
    assert "123456" not in repr(apdu.Command(0x20, data=b"123456"))
    assert "123456" not in repr(apdu.Response(b"123456", 0x9000))
