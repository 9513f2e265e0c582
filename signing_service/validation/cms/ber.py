"""BER to DER lengths: what comes in pieces or without a length is given one (X.690 8.1.3, 8.6).

CMS may be BER (RFC 5652 1), and whoever writes it as a stream writes indefinite lengths and strings
in pieces. Everything behind this module meets definite lengths only. Bytes that already have them
are not touched, since hashes and signatures inside are over them.
"""

import dataclasses
import mmap

from pki import der, errors

MAX_DEPTH = 64
"""Levels of nesting; a signature with time stamps with certificates inside has about thirty."""
MAX_ELEMENTS = 1_000_000
"""Elements looked at; a large revocation list inside has some hundred thousand."""

_CONSTRUCTED = 0x20
_INDEFINITE = 0x80
_END = b"\x00\x00"
_CONSTRUCTED_OCTET_STRING = der.OCTET_STRING | _CONSTRUCTED


class BERError(errors.InputError):
    """The bytes are not BER, or nested too deeply."""

    code = "ber-malformed"


@dataclasses.dataclass
class _Budget:
    """How many elements may still be read."""

    left: int = MAX_ELEMENTS

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise errors.LimitError(f"expected at most {MAX_ELEMENTS} ASN.1 elements")


def to_definite(data: bytes) -> tuple[bytes, int]:
    """Read the first element and return it with definite lengths, and where it ended.

    Octet strings in pieces become one piece. What follows the element is not looked at.

    Raises:
        BERError: Not BER, cut short, or nested deeper than `MAX_DEPTH`.
        LimitError: More elements than `MAX_ELEMENTS`.
    """
    return _element(data, 0, len(data), 0, _Budget())


def _element(data: bytes, start: int, limit: int, depth: int, budget: _Budget) -> tuple[bytes, int]:
    """One element between two offsets: its bytes with definite lengths, and its end."""
    budget.spend()
    if depth > MAX_DEPTH:
        raise BERError(f"expected at most {MAX_DEPTH} levels of nesting")
    body, size = header(data, start, limit)
    tag = data[start]
    if size is not None:
        end = body + size
        if not tag & _CONSTRUCTED or not _may_hold_indefinite(data, tag, body, end):
            return data[start:end], end
        parts, _ = _children(data, body, end, depth, budget, is_open=False)
        joined = b"".join(parts)
        if tag != _CONSTRUCTED_OCTET_STRING and joined == data[body:end]:
            return data[start:end], end
    else:
        if not tag & _CONSTRUCTED:
            raise BERError("expected a length on a primitive element (X.690 8.1.3.2)")
        parts, end = _children(data, body, limit, depth, budget, is_open=True)
        joined = b"".join(parts)
    if tag == _CONSTRUCTED_OCTET_STRING:
        return der.encode(der.OCTET_STRING, *map(_piece, parts)), end
    return _retagged(data, start, joined), end


def _children(
    data: bytes, start: int, limit: int, depth: int, budget: _Budget, *, is_open: bool
) -> tuple[list[bytes], int]:
    """The elements inside one; an open one ends at its end-of-contents octets."""
    parts: list[bytes] = []
    offset = start
    while True:
        if is_open and data[offset : offset + 2] == _END and offset + 2 <= limit:
            return parts, offset + 2
        if offset == limit:
            if is_open:
                raise BERError("expected the end of an element without a length, got no more bytes")
            return parts, offset
        part, offset = _element(data, offset, limit, depth + 1, budget)
        parts.append(part)


def _may_hold_indefinite(data: bytes, tag: int, body: int, end: int) -> bool:
    """Whether something inside may have no length: it has its mark, and the mark of its end."""
    return tag == _CONSTRUCTED_OCTET_STRING or (
        data.find(_END, body, end) >= 0 and data.find(b"\x80", body, end) >= 0
    )


def header(data: bytes | mmap.mmap, start: int, limit: int) -> tuple[int, int | None]:
    """Where the content begins and how long it is; None for an indefinite length."""
    offset = start + 1
    if start < limit and data[start] & 0x1F == 0x1F:
        while offset < limit and data[offset] & 0x80:
            offset += 1
        offset += 1
    if offset >= limit:
        raise BERError("expected an ASN.1 element, got the end of the input")
    size = data[offset]
    offset += 1
    if size == _INDEFINITE:
        return offset, None
    if size & 0x80:
        octets = size & 0x7F
        if octets > 8 or offset + octets > limit:
            raise BERError("expected a length of at most eight octets")
        size = int.from_bytes(data[offset : offset + octets], "big")
        offset += octets
    if size > limit - offset:
        raise BERError(f"expected {size} bytes of content, got {limit - offset}")
    return offset, size


def _piece(part: bytes) -> bytes:
    """The content of a piece of an octet string, which is one itself (X.690 8.7.3.2)."""
    if not part or part[0] != der.OCTET_STRING:
        raise BERError("expected octet strings inside an octet string")
    body, _ = header(part, 0, len(part))
    return part[body:]


def _retagged(data: bytes, start: int, content: bytes) -> bytes:
    """The content under the tag at an offset, with a definite length."""
    end = start + 1
    if data[start] & 0x1F == 0x1F:
        while data[end] & 0x80:
            end += 1
        end += 1
    # The tag's own octets, then the length that the encoder writes.
    return data[start:end] + der.encode(0, content)[1:]
