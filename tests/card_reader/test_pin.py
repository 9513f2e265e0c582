import contextlib
import os
import pickle
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_reader import pin
from pki import errors


@contextlib.contextmanager
def written(content: bytes) -> Iterator[int]:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        yield reading
    finally:
        os.close(reading)


@given(st.text(max_size=12))
def test_only_six_to_eight_ascii_digits_are_a_pin(text: str) -> None:
    good = 6 <= len(text) <= 8 and all(one in "0123456789" for one in text)
    if good:
        assert pin.Pin(text).reveal() == text.encode()
    else:
        with pytest.raises(pin.PinFormatError):
            pin.Pin(text)


@given(st.from_regex(r"[0-9]{6,8}", fullmatch=True))
def test_a_pin_shows_up_in_no_text(digits: str) -> None:
    one = pin.Pin(digits)
    assert digits not in f"{one!r} {one} {[one]}"
    assert not hasattr(one, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(one)


def test_a_refused_pin_is_not_repeated() -> None:
    with pytest.raises(pin.PinFormatError) as refused:
        pin.Pin("12345x")
    assert "12345" not in str(refused.value)


def test_a_wiped_pin_is_unusable() -> None:
    digits = "".join(secrets.choice("0123456789") for _ in range(6))
    with pin.Pin(digits) as one:
        assert one.reveal() == digits.encode()
    with pytest.raises(errors.StateError):
        one.reveal()


def test_pins_come_from_a_descriptor_a_line_each() -> None:
    with written(b"123456\n87654321\r\n654321") as descriptor:
        got = [pin.read_pin("PIN", descriptor).reveal() for _ in range(3)]
        assert got == [b"123456", b"87654321", b"654321"]
        with pytest.raises(pin.PinFormatError):
            pin.read_pin("PIN", descriptor)


def test_an_endless_line_is_refused() -> None:
    with written(b"1" * 1000) as descriptor, pytest.raises(pin.PinFormatError):
        pin.read_pin("PIN", descriptor)


def test_a_descriptor_that_is_not_open_is_an_input_error() -> None:
    with pytest.raises(errors.InputError, match="file descriptor 987"):
        pin.read_pin("PIN", 987)


@pytest.mark.parametrize(("left", "words"), [(2, "2 tries left"), (1, "1 try left")])
def test_a_wrong_pin_tells_the_tries_left(left: int, words: str) -> None:
    assert words in pin.WrongPinError(left).message
    assert pin.WrongPinError(left).tries_left == left
