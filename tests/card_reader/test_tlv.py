import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_reader import tlv

TAGS = st.sampled_from([0x53, 0x70, 0x7C, 0x5C, 0x7F49, 0x5FC105, 0x5F2F])


@given(st.lists(st.tuples(TAGS, st.binary(max_size=600)), max_size=6))
def test_what_was_built_is_read_again(fields: list[tuple[int, bytes]]) -> None:
    encoded = b"".join(tlv.build(tag, value) for tag, value in fields)
    assert [(one.tag, one.value) for one in tlv.parse(encoded)] == fields


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused_as_input(data: bytes) -> None:
    try:
        objects = tlv.parse(data)
    except tlv.TlvError:
        return
    assert sum(len(one.value) for one in objects) <= len(data)


@given(st.binary(min_size=1, max_size=300), st.integers(min_value=0), st.integers(1, 255))
def test_a_mutated_object_is_read_or_refused_as_input(value: bytes, where: int, how: int) -> None:
    encoded = bytearray(tlv.build(0x7C, tlv.build(0x82, value)))
    encoded[where % len(encoded)] ^= how
    try:
        objects = tlv.parse(bytes(encoded))
    except tlv.TlvError:
        return
    assert sum(len(one.value) for one in objects) < len(encoded)


@pytest.mark.parametrize(
    "data", ["53", "5380", "53840000000100", "5302AA", "538201", "5F", "5FFFFFFF01"]
)
def test_cut_off_and_indefinite_lengths_are_refused(data: str) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.parse(bytes.fromhex(data))


def test_a_missing_object_is_told_by_its_tag() -> None:
    with pytest.raises(tlv.TlvError, match="7C"):
        tlv.require(tlv.parse(b"\x53\x00"), 0x7C)
