"""An independent verifier of exported audit logs.

It reads the file and nothing else, and shares no code with what writes the log: the hashes are
computed here anew, from the definition alone. A time-stamp token is judged by a function that is
handed in.

The hash of an entry is the SHA-256, in hex, of the JSON list of its number, time, event, actor,
details and the hash before it, in ASCII and with Python's default separators; 64 zeros stand
before the first.
"""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from ca.audit_log import anchors
from pki import errors

FORMAT = "imza-audit-export-1"
GENESIS = "0" * 64

MAX_LINE_BYTES = 64 * 2**10
"""An entry's details have four kilobytes at most, a time-stamp token about six."""

CLOCK_SKEW = datetime.timedelta(minutes=5)
"""How far the clocks of log and time-stamping authority may be apart."""

_ENTRY = ("number", "at", "event", "actor", "details", "previous_hash", "hash")


class ProofError(errors.InputError):
    """The export is not the whole log as it was written."""

    code = "audit-export-tampered"


CheckToken = Callable[[bytes, bytes], datetime.datetime]
"""Checks a token over the SHA-256 of a statement and returns its time, or raises `InputError`."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """What an export shows.

    Attributes:
        entries: How many there are, all in order.
        head: The hash of the last one.
        first_at: The time of the first.
        last_at: The time of the last.
        anchored: How many are covered by an anchor; those after them could have been cut off.
        anchored_at: The time of the newest anchor.
    """

    entries: int
    head: str
    first_at: datetime.datetime
    last_at: datetime.datetime
    anchored: int
    anchored_at: datetime.datetime | None


def examine(
    lines: Iterable[bytes], kept: Sequence[anchors.Anchor], check_token: CheckToken
) -> Proof:
    """Recompute an exported log.

    Args:
        lines: Of the export, each with its line feed.
        kept: Anchors from outside the export; they show where its end was cut off.
        check_token: Judges the time-stamp tokens.

    Raises:
        ProofError: An entry was edited, removed, added, reordered or cut off; or an anchor is not
            of this log.
    """
    reading = _Reading()
    for line in lines:
        reading.take(line)
    reading.end()
    times: dict[int, datetime.datetime] = {}
    for one in (*reading.anchors, *kept):
        times[one.number] = reading.check_anchor(one, check_token)
    in_order = [times[number] for number in sorted(times)]
    if in_order != sorted(in_order):
        raise ProofError("the times of the anchors are not in the order of the entries")
    newest = max(times, default=0)
    return Proof(
        len(reading.hashes),
        reading.hashes[-1],
        reading.times[0],
        reading.times[-1],
        newest,
        times.get(newest),
    )


class _Reading:
    """The state between two lines."""

    def __init__(self) -> None:
        self.hashes: list[str] = []
        self.times: list[datetime.datetime] = []
        self.anchors: list[anchors.Anchor] = []
        self._expected = {"header"}

    def take(self, line: bytes) -> None:
        kind, value = _parse(line)
        if kind not in self._expected:
            raise ProofError(
                f"expected {' or '.join(sorted(self._expected)) or 'nothing more'}, got {kind!r}:"
                " something was removed, added or reordered"
            )
        if kind == "header":
            if value.get("format") != FORMAT or set(value) != {"format", "exported_at"}:
                raise ProofError(f"expected an export of the format {FORMAT}")
            self._expected = {"entry"}
        elif kind == "entry":
            self._take_entry(value)
            self._expected = {"entry", "anchor", "head"}
        elif kind == "anchor":
            self._take_anchor(value)
            self._expected = {"anchor", "head"}
        else:
            if value != {"number": len(self.hashes), "hash": self.hashes[-1]}:
                raise ProofError(
                    f"expected the head of {len(self.hashes)} entries: the end was cut off,"
                    " or something was added"
                )
            self._expected = set()

    def end(self) -> None:
        if self._expected:
            raise ProofError("the export ends before its head: its end was cut off")

    def check_anchor(self, anchor: anchors.Anchor, check_token: CheckToken) -> datetime.datetime:
        if anchor.number > len(self.hashes):
            raise ProofError(
                f"expected at least the {anchor.number} entries that were anchored, got"
                f" {len(self.hashes)}: the end was cut off"
            )
        if self.hashes[anchor.number - 1] != anchor.hash:
            raise ProofError(f"entry {anchor.number} is not the one that was anchored")
        try:
            stamped = check_token(anchor.token_der, anchors.statement(anchor.number, anchor.hash))
        except errors.InputError as error:
            raise ProofError(
                f"the time stamp of the anchor of entry {anchor.number}: {error.message}"
            ) from error
        if stamped + CLOCK_SKEW < self.times[anchor.number - 1]:
            raise ProofError(f"entry {anchor.number} is said to be younger than its anchor")
        return stamped

    def _take_entry(self, value: dict[str, object]) -> None:
        number = len(self.hashes) + 1
        if set(value) != set(_ENTRY):
            raise ProofError(f"entry {number} has other fields than an entry")
        fields = [value[name] for name in _ENTRY]
        if value["number"] != number or type(value["number"]) is not int:
            raise ProofError(f"expected entry {number}: something was removed or reordered")
        if not all(isinstance(one, str) for one in fields[1:]):
            raise ProofError(f"entry {number} has other fields than an entry")
        previous = self.hashes[-1] if self.hashes else GENESIS
        computed = entry_hash({**value, "previous_hash": previous})
        if value["previous_hash"] != previous or value["hash"] != computed:
            raise ProofError(f"entry {number} is not what was written")
        try:
            at = datetime.datetime.fromisoformat(str(value["at"]))
        except ValueError as error:
            raise ProofError(f"entry {number} has no time") from error
        if at.tzinfo is None:
            raise ProofError(f"entry {number} has a time without a zone")
        self.hashes.append(computed)
        self.times.append(at)

    def _take_anchor(self, value: dict[str, object]) -> None:
        try:
            self.anchors.append(anchors.from_json(value))
        except anchors.AnchorError as error:
            raise ProofError(error.message) from error


def entry_hash(entry: Mapping[str, object]) -> str:
    """The hash that an entry must have, of its fields and the hash before it."""
    fields = [entry[name] for name in _ENTRY[:6]]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode("ascii")).hexdigest()


def _parse(line: bytes) -> tuple[str, dict[str, object]]:
    if len(line) > MAX_LINE_BYTES or not line.endswith(b"\n"):
        raise ProofError("expected whole lines of moderate length: the end was cut off")
    try:
        value = json.loads(line.decode("ascii"), object_pairs_hook=_no_repetition)
    except (ValueError, RecursionError) as error:
        raise ProofError("expected JSON in every line") from error
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise ProofError("expected a JSON object with its kind in every line")
    kind = str(value.pop("kind"))
    return kind, value


def _no_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field stands twice")
    return made
