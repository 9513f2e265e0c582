"""Strict DER: a small reader for what strangers send, and an encoder for the few forms we build.

The reader takes definite, shortest lengths only (X.690 10.1) and never looks further than one
level at a time, so its cost is bounded by the input's length.
"""

import dataclasses
import datetime
import functools
import re
from typing import NamedTuple

from pki import errors

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31


class DERError(errors.InputError):
    """The bytes are not DER, or not the DER that was expected."""

    code = "der-malformed"


@dataclasses.dataclass(frozen=True)
class Element:
    """One tag, length and value; `tag` is the identifier octet."""

    tag: int
    content: bytes

    def expect(self, tag: int) -> "Element":
        """Return this element where it has the tag, or raise `DERError`."""
        if self.tag != tag:
            raise DERError(f"expected the DER tag {tag:#04x}, got {self.tag:#04x}")
        return self

    def children(self) -> tuple["Element", ...]:
        """The elements inside a constructed one."""
        elements = []
        offset = 0
        while offset < len(self.content):
            element, offset = _read_at(self.content, offset)
            elements.append(element)
        return tuple(elements)


def read(data: bytes) -> Element:
    """Read exactly one element; bytes after it are an error."""
    element, end = _read_at(data, 0)
    if end != len(data):
        raise DERError(f"expected one DER element, got {len(data) - end} bytes after it")
    return element


class Span(NamedTuple):
    """Where an element lies: its tag, and where it, its content and what follows it begin."""

    tag: int
    start: int
    content: int
    end: int


def spans(data: bytes, start: int = 0, end: int | None = None) -> list[Span]:
    """Return where the elements between two places lie, one after another; nothing is copied.

    Raises:
        DERError: As `read`; the last one does not end at `end`.
    """
    limit = len(data) if end is None else end
    found = []
    while start < limit:
        one = _span_at(data, start, limit)
        found.append(one)
        start = one.end
    return found


def _read_at(data: bytes, offset: int) -> tuple[Element, int]:
    one = _span_at(data, offset, len(data))
    return Element(one.tag, data[one.content : one.end]), one.end


def _span_at(data: bytes, start: int, limit: int) -> Span:
    if limit - start < 2:
        raise DERError("expected a DER element, got the end of the input")
    tag, length = data[start], data[start + 1]
    if tag & 0x1F == 0x1F:
        raise DERError("expected a DER tag of one octet, got a longer one")
    content = start + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4 or content + octets > limit:
            raise DERError("expected a definite DER length of at most four octets")
        length = int.from_bytes(data[content : content + octets], "big")
        if length < 0x80 or data[content] == 0:
            raise DERError("expected the shortest form of a DER length")
        content += octets
    end = content + length
    if end > limit:
        raise DERError(f"expected {length} bytes of content, got {limit - content}")
    return Span(tag, start, content, end)


def encode(tag: int, *contents: bytes) -> bytes:
    """Return one element holding the contents, one after another."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    if size < 0x100:
        return bytes((tag, 0x81, size)) + content
    if size < 0x10000:
        return bytes((tag, 0x82, size >> 8, size & 0xFF)) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def encode_header(tag: int, size: int) -> bytes:
    """Return the tag and the length of an element whose content is too large to be copied."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


@functools.lru_cache(maxsize=512)
def encode_oid(dotted: str) -> bytes:
    """Return the element of a dotted identifier."""
    if not re.fullmatch(r"[0-2](\.(0|[1-9][0-9]*))+", dotted):
        raise DERError(f"expected a dotted object identifier, got {dotted!r}")
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    if first < 2 and second > 39:
        raise DERError(f"expected a second arc below 40, got {second}")
    octets = bytearray()
    for arc in (40 * first + second, *rest):
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(0x80 | arc & 0x7F)
        octets.extend(reversed(chunk))
    return encode(OBJECT_IDENTIFIER, bytes(octets))


def encode_integer(value: int) -> bytes:
    """Return the element of a whole number that is not negative."""
    if value < 0:
        raise DERError(f"expected a number of at least zero, got {value}")
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def encode_time(at: datetime.datetime) -> bytes:
    """Return a time in UTC as RFC 5280 4.1.2.5 has it: UTCTime through 2049, whole seconds."""
    text = at.strftime("%Y%m%d%H%M%SZ").zfill(15)
    if 1950 <= at.year < 2050:
        return encode(UTC_TIME, text[2:].encode("ascii"))
    return encode(GENERALIZED_TIME, text.encode("ascii"))


def decode_oid(element: Element) -> str:
    """Return the dotted form of an OBJECT IDENTIFIER."""
    content = element.expect(OBJECT_IDENTIFIER).content
    if not content or content[-1] & 0x80 or len(content) > 64:
        raise DERError("expected an object identifier of 1 to 64 octets")
    arcs = []
    value = 0
    starting = True
    for octet in content:
        if starting and octet == 0x80:
            raise DERError("expected the shortest form of each arc")
        value = value << 7 | octet & 0x7F
        starting = not octet & 0x80
        if starting:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def decode_text(element: Element, tag: int) -> str:
    """Return the text of a string type whose characters are UTF-8 or a part of ASCII."""
    try:
        return element.expect(tag).content.decode("utf-8" if tag == UTF8_STRING else "ascii")
    except UnicodeDecodeError as error:
        raise DERError("expected text in the encoding of its DER type") from error
