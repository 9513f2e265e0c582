"""BER-TLV data objects as cards exchange them (ISO/IEC 7816-4 5.2.2), strict and small."""

import dataclasses

from pki import errors

MAX_OBJECT_SIZE = 0xFFFF
"""No data object on a card is longer; three length bytes are the most that PIV uses."""

_MAX_TAG_BYTES = 3


class TlvError(errors.InputError):
    """The bytes are not a sequence of data objects."""

    code = "malformed-card-data"


@dataclasses.dataclass(frozen=True)
class DataObject:
    """One data object: its tag as a number (0x5FC105, say) and its value."""

    tag: int
    value: bytes = dataclasses.field(repr=False)


def build(tag: int, value: bytes) -> bytes:
    """Encode one data object with the shortest length field."""
    if len(value) > MAX_OBJECT_SIZE:
        raise TlvError(f"expected at most {MAX_OBJECT_SIZE} bytes, got {len(value)}")
    tag_bytes = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")
    if len(value) < 0x80:
        length = bytes([len(value)])
    elif len(value) <= 0xFF:
        length = b"\x81" + bytes([len(value)])
    else:
        length = b"\x82" + len(value).to_bytes(2, "big")
    return tag_bytes + length + value


def parse(data: bytes) -> tuple[DataObject, ...]:
    """Read data objects that fill `data` to its last byte.

    Raises:
        TlvError: A tag or length is cut off, indefinite or longer than cards use.
    """
    objects = []
    position = 0
    while position < len(data):
        tag, position = _read_tag(data, position)
        length, position = _read_length(data, position)
        if length > len(data) - position:
            raise TlvError(f"expected {length} bytes in object {tag:X}, got {len(data) - position}")
        objects.append(DataObject(tag, data[position : position + length]))
        position += length
    return tuple(objects)


def find(objects: tuple[DataObject, ...], tag: int) -> bytes | None:
    """Return the value of the first object with this tag, or None."""
    return next((one.value for one in objects if one.tag == tag), None)


def require(objects: tuple[DataObject, ...], tag: int) -> bytes:
    """Return the value of the first object with this tag.

    Raises:
        TlvError: There is none.
    """
    value = find(objects, tag)
    if value is None:
        raise TlvError(f"expected a data object {tag:X}, got none")
    return value


def _read_tag(data: bytes, position: int) -> tuple[int, int]:
    start = position
    first = data[position]
    position += 1
    if first & 0x1F == 0x1F:
        while True:
            if position >= len(data) or position - start >= _MAX_TAG_BYTES:
                raise TlvError(f"expected a tag of at most {_MAX_TAG_BYTES} whole bytes")
            position += 1
            if not data[position - 1] & 0x80:
                break
    return int.from_bytes(data[start:position], "big"), position


def _read_length(data: bytes, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise TlvError("expected a length, got the end")
    first = data[position]
    position += 1
    if first < 0x80:
        return first, position
    count = first & 0x7F
    if count not in (1, 2):
        raise TlvError(f"expected a length of one to three bytes, got the first byte {first:02X}")
    if count > len(data) - position:
        raise TlvError("expected a length, got the end")
    return int.from_bytes(data[position : position + count], "big"), position + count
