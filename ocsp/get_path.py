"""The path of a GET: base64 of a request, as clients and proxies deform it (RFC 6960 A.1)."""

import base64
import binascii
import urllib.parse
from collections.abc import Callable, Iterator

from ocsp import messages
from pki import der

MAX_LOST = 2
"""So many slashes may be missing; each makes the search longer by the number of those left."""

MAX_PLACES = 16
"""With more slashes nothing is put back: whoever sends thousands asks for millions of trials. A
request about one certificate has about five."""

MAX_PATH = 2 * messages.MAX_REQUEST_BYTES
"""Base64 takes four thirds, and a few characters may still be percent-encoded."""


def decode(path: str, is_known: Callable[[bytes], bool]) -> bytes | None:
    """Return the request in a path whose percent-encoding was taken off once; None: not base64.

    Besides base64 as it should be, this takes what is met in the field: `+` that became a space,
    characters that were encoded twice, `=` left out, a slash more in front, and adjacent slashes
    that a proxy on the way has merged into one.

    Args:
        path: What follows the responder's own address.
        is_known: Whether bytes are a request about an issuer of ours. A merged slash is put back
            only where exactly one place for it makes such a request.
    """
    if len(path) > MAX_PATH:
        return None
    if "%" in path:
        path = urllib.parse.unquote(path)
    text = path.lstrip("/").replace(" ", "+").rstrip("=")
    decoded = _decode(text)
    size = _stated_size(decoded or _decode(text[:8]) or b"")
    if "/" not in text or not size or (decoded is not None and len(decoded) == size):
        return decoded
    lost = (size * 4 + 2) // 3 - len(text)
    if not 1 <= lost <= MAX_LOST or text.count("/") > MAX_PLACES:
        return decoded
    found = {
        candidate
        for repaired in _repair(text, lost)
        if (candidate := _decode(repaired)) is not None and is_known(candidate)
    }
    return found.pop() if len(found) == 1 else decoded


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _stated_size(beginning: bytes) -> int:
    """How long a request says it is, by its first four octets; 0 where that is no header."""
    if len(beginning) < 4 or beginning[0] != der.SEQUENCE:
        return 0
    if beginning[1] == 0x81:
        return 3 + beginning[2]
    if beginning[1] == 0x82:
        return 4 + int.from_bytes(beginning[2:4], "big")
    return 2 + beginning[1] if beginning[1] < 0x80 else 0


def _repair(text: str, lost: int, start: int = 0) -> Iterator[str]:
    """Every text that merging adjacent slashes, so many in all, would have made this one."""
    if lost == 0:
        yield text
        return
    for place in range(start, len(text)):
        if text[place] == "/":
            yield from _repair(text[:place] + "/" + text[place:], lost - 1, place + 1)
