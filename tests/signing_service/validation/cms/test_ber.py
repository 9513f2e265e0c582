import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import der, errors
from signing_service.validation.cms import ber


def test_definite_lengths_are_left_as_they_are_even_if_they_are_long_ones():
    odd = b"\x30\x84\x00\x00\x00\x05\x04\x81\x02\x80\x00"
    assert ber.to_definite(odd + b"rest") == (odd[:11], 11)


@pytest.mark.clause("RFC 5652", "1")
def test_pieces_and_open_ends_become_one_piece_with_a_length():
    pieces = b"\x24\x80\x04\x02ab\x24\x04\x04\x02cd\x00\x00"
    opened = b"\x30\x80" + pieces + b"\x02\x01\x05\x00\x00"
    definite, end = ber.to_definite(opened)
    assert end == len(opened)
    assert definite == der.encode(der.SEQUENCE, der.encode(4, b"abcd"), b"\x02\x01\x05")


def test_open_end_deep_inside_definite_elements_is_found():
    inner = b"\x30\x80\x02\x01\x05\x00\x00"
    definite, _ = ber.to_definite(der.encode(0x30, der.encode(0xA0, inner)))
    assert definite == der.encode(0x30, der.encode(0xA0, der.encode(0x30, b"\x02\x01\x05")))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x80\x02\x01\x05",
        b"\x04\x80\x00\x00",
        b"\x24\x80\x02\x01\x05\x00\x00",
        b"\x30\x05\x02\x01",
        b"\x30\x89" + bytes(9),
        b"\x3f\xff\xff",
        b"\x30\x80" * 200,
        b"\x30\x80" * 60 + b"\x24\x80" * 60,
    ],
)
def test_what_is_no_ber_or_too_deep_is_refused(broken):
    with pytest.raises(ber.BERError):
        ber.to_definite(broken)


def test_many_elements_are_refused_in_time():
    """A million empty elements without lengths would keep a reader busy for nothing."""
    began = time.process_time()
    with pytest.raises(errors.LimitError):
        ber.to_definite(b"\x30\x80" + b"\x05\x00" * 1_200_000 + b"\x00\x00")
    assert time.process_time() - began < 10


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        definite, end = ber.to_definite(data)
    except errors.InputError:
        return
    assert ber.to_definite(definite) == (definite, len(definite))
    assert end <= len(data)
