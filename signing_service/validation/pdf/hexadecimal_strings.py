"""Hexadecimal strings of PDFs, read in pieces instead of digit by digit (ISO 32000-1 7.3.4.3).

The signature values of a PDF are such strings, of some ten thousand digits each. pyHanko's reader
takes them one digit at a time, which is half of the time that a validation takes.
"""

import binascii
import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic, misc

_PIECE = 2**14
_RUN = re.compile(rb"[0-9A-Fa-f%s]*" % re.escape(misc.PDF_WHITESPACE))

_read_by_digit: Callable[[Any], Any] = generic.read_hex_string_from_stream


@contextlib.contextmanager
def read_in_pieces() -> Iterator[None]:
    """Have pyHanko read them by `read` for a while; it has no other place to say so."""
    before = generic.read_hex_string_from_stream
    generic.read_hex_string_from_stream = read
    try:
        yield
    finally:
        generic.read_hex_string_from_stream = before


def read(stream: BinaryIO) -> Any:
    """Read a string, from its opening bracket on; anything but digits is left to pyHanko."""
    start = stream.tell()
    pieces = []
    stream.seek(1, 1)
    while piece := stream.read(_PIECE):
        found = _RUN.match(piece)
        end = 0 if found is None else found.end()
        pieces.append(piece[:end])
        if end == len(piece):
            continue
        if piece[end : end + 1] != b">":
            break
        stream.seek(end + 1 - len(piece), 1)
        digits = b"".join(pieces).translate(None, misc.PDF_WHITESPACE)
        # A missing last digit is a zero.
        return generic.pdf_string(binascii.unhexlify(digits + b"0" * (len(digits) % 2)))
    stream.seek(start)
    return _read_by_digit(stream)
