"""Anchors: the audit log's head, time-stamped, in files outside the database.

Who can write every table could rewrite the whole log or cut its end off. They cannot make an
anchor disappear that lies elsewhere, nor have an old time on a new hash.
"""

import base64
import binascii
import dataclasses
import datetime
import hashlib
import json
import logging
import pathlib
from collections.abc import Callable

from pki import durable_files, errors

log = logging.getLogger(__name__)

MAX_ANCHOR_BYTES = 64 * 2**10
MAX_ANCHORS = 1_000_000
"""An anchor each hour makes nine thousand a year."""

DIGITS = 12

Stamp = Callable[[bytes, datetime.datetime], bytes]
"""Asks a time-stamping authority for a token (RFC 3161) over the SHA-256 of a statement."""


class AnchorError(errors.InputError):
    """The file is no anchor."""

    code = "audit-anchor"


class AnchorConflictError(errors.TamperedError):
    """The log's head contradicts an anchor that was made before."""

    code = "audit-anchor-conflict"


class NoAnchoringError(errors.StateError):
    """The settings name no place for anchors."""

    code = "audit-not-anchored"


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `[audit]` section.

    Attributes:
        folder: Where anchors are written: on another machine or on write-once media, if it is to
            hold against who runs this one.
        tsa_url: The authority that stamps them.
        every: How often.
    """

    folder: pathlib.Path
    tsa_url: str
    every: datetime.timedelta = datetime.timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class Anchoring:
    """Where anchors are written, and who stamps them."""

    folder: pathlib.Path
    stamp: Stamp


@dataclasses.dataclass(frozen=True)
class Anchor:
    """The log had `number` entries and ended in `hash` when the token was made."""

    number: int
    hash: str
    token_der: bytes = dataclasses.field(repr=False)


def statement(number: int, head: str) -> bytes:
    """What the time stamp covers: a line that `openssl ts -verify -data` takes."""
    return f"imza audit log: {number} entries, head {head}\n".encode("ascii")


def imprint(number: int, head: str) -> bytes:
    """The SHA-256 of that line."""
    return hashlib.sha256(statement(number, head)).digest()


def write_next(
    anchoring: Anchoring, read_head: Callable[[], tuple[int, str]], at: datetime.datetime
) -> Anchor | None:
    """Stamp the log's head and write it; None where that was done before.

    Args:
        anchoring: Where, and by whom.
        read_head: Gives the number of entries and the hash of the last. It is asked after the
            newest anchor was read, so that another worker's anchor is never of a later head.
        at: The present time.

    Raises:
        AnchorConflictError: An anchor tells of another log, or of a longer one.
        PeerError: No time stamp was to be had.
    """
    folder = anchoring.folder
    newest = load_newest(folder)
    number, head = read_head()
    if newest is not None:
        if newest.number > number or (newest.number == number and newest.hash != head):
            raise AnchorConflictError(
                f"the audit log has {number} entries, and the anchor of {newest.number} is not"
                " of this log"
            )
        if newest.number == number:
            return None
    if number == 0:
        return None
    anchor = Anchor(number, head, anchoring.stamp(imprint(number, head), at))
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(as_json(anchor), indent=1).encode("ascii")
    try:
        durable_files.create(_path(folder, number), content)
    except FileExistsError:
        # Another worker was quicker with the same head.
        return None
    log.info("audit_anchored number=%d", number)
    return anchor


def load_newest(folder: pathlib.Path) -> Anchor | None:
    """Return the newest anchor of a folder, or None. Raises as `load`."""
    paths = _paths(folder)
    return _read(paths[-1]) if paths else None


def load(folder: pathlib.Path, *, after: int = 0, limit: int = MAX_ANCHORS) -> tuple[Anchor, ...]:
    """Return the anchors of a folder that follow a number, the oldest first.

    Raises:
        AnchorError: A file in it is no anchor, or cannot be read.
    """
    later = [path for path in _paths(folder) if int(path.stem) > after]
    return tuple(_read(path) for path in later[:limit])


def as_json(anchor: Anchor) -> dict[str, object]:
    """The anchor as files, exports and the API have it."""
    token = base64.b64encode(anchor.token_der).decode("ascii")
    return {"number": anchor.number, "hash": anchor.hash, "token": token}


def from_json(value: object) -> Anchor:
    """Read such an anchor; nothing about its token is checked.

    Raises:
        AnchorError: Another form.
    """
    if not isinstance(value, dict) or set(value) != {"number", "hash", "token"}:
        raise AnchorError("expected number, hash and token of an anchor")
    number, head, token = value["number"], value["hash"], value["token"]
    if type(number) is not int or not 0 < number < 10**DIGITS:
        raise AnchorError("expected the number of an anchor")
    if not isinstance(head, str) or not isinstance(token, str):
        raise AnchorError("expected the hash and the token of an anchor")
    if len(head) != 64 or set(head) - set("0123456789abcdef"):
        raise AnchorError("expected the hash of an anchor in hex")
    try:
        return Anchor(number, head, base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError) as error:
        raise AnchorError("expected the token of an anchor in base64") from error


def _path(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / f"{number:0{DIGITS}d}.json"


def _paths(folder: pathlib.Path) -> list[pathlib.Path]:
    # The names have a fixed width: their order is that of the numbers.
    found = sorted(folder.glob("[0-9]" * DIGITS + ".json"))
    if len(found) > MAX_ANCHORS:
        raise AnchorError(f"expected at most {MAX_ANCHORS} anchors in {folder}")
    return found


def _read(path: pathlib.Path) -> Anchor:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ANCHOR_BYTES + 1)
        if len(content) > MAX_ANCHOR_BYTES:
            raise AnchorError(f"{path}: expected at most {MAX_ANCHOR_BYTES} bytes")
        anchor = from_json(json.loads(content))
    except OSError as error:
        raise AnchorError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise AnchorError(f"{path}: expected an anchor in JSON") from error
    if path.stem != f"{anchor.number:0{DIGITS}d}":
        raise AnchorError(f"{path}: expected the anchor of the number in its name")
    return anchor
