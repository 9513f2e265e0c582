"""CMS written as text: in PEM (RFC 7468 8, 9), or its base64 alone.

Programs for mail and for the command line write it so. The text is read strictly: whatever is not
base64 is no part of the signature and nobody signed it.
"""

import base64
import binascii
import re
from typing import NamedTuple

from pki import errors

MAX_BYTES = 64 * 2**20
"""Largest text that is read."""

_PEM = re.compile(
    rb"-----BEGIN (CMS|PKCS7|PKCS #7 SIGNED DATA|SIGNED MESSAGE)-----[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]*)"
    rb"-----END \1-----"
)
_START = b"-----BEGIN "
_SPACE = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{4,}")


class ArmourError(errors.InputError):
    """The text holds no base64 of a CMS."""

    code = "cms-text"


class Unwrapped(NamedTuple):
    """The octets in a text, and whether the text has more than them."""

    octets: bytes
    has_more: bool


def head_of(head: bytes) -> bytes:
    """The first octets of what a text holds, by the text's beginning; none for another text."""
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip(_SPACE)
    if text.startswith(_START):
        text = text.partition(b"\n")[2].lstrip(_SPACE)
    found = _BASE64.match(text)
    if found is None:
        return b""
    return base64.b64decode(found[0][: len(found[0]) // 4 * 4])


def unwrap(text: bytes) -> Unwrapped:
    """Take the octets out of a text.

    Raises:
        ArmourError: It is neither PEM of a CMS nor base64.
        LimitError: It is larger than `MAX_BYTES`.
    """
    if len(text) > MAX_BYTES:
        raise errors.LimitError(f"expected CMS as text of at most {MAX_BYTES} bytes")
    text = text.removeprefix(_BYTE_ORDER_MARK).strip(_SPACE)
    rest = b""
    if text.startswith(_START):
        found = _PEM.match(text)
        if found is None:
            raise ArmourError("expected a whole block of PEM, labelled CMS or PKCS7")
        text, rest = found[2], text[found.end() :]
    try:
        octets = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ArmourError("expected base64 of a CMS signature, got something else") from error
    return Unwrapped(octets, bool(rest.strip(_SPACE)))
