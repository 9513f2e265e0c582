"""Two revisions of a PDF compared by value, along the ways by which a reader reaches each object.

Both are walked from their trailers at once. What is reached by the same way has to be the same,
whatever number it has and however it is written. A way can be excused (`pdf_changes` and
`pdf_form_changes` say which), and then only that way: an object that a page shows too is compared
there. So nothing depends on which objects a file claims to have changed.
"""

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any

from pyhanko.pdf_utils import generic, misc
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader

MAX_STEPS = 2_000_000
"""Pairs of values looked at; honest documents have some ten thousand."""
MAX_PAGE_NODES = 50_000
"""Nodes of a page tree."""
MAX_PATH_STEPS = 12
"""Steps of a path that are told; the middle of a longer one is left out."""

Key = tuple[int, int]
"""Number and generation of an indirect object."""


class Kind(enum.IntEnum):
    """What a change does, the least harmful first."""

    EVIDENCE = 1
    FORM = 2
    COMMENT = 3
    UNDEFINED = 4


@dataclasses.dataclass(frozen=True)
class Path:
    """A way from the trailer to a value, as `/Root/Pages/Kids[0]`."""

    step: str | int
    before: "Path | None" = None

    def __truediv__(self, step: str | int) -> "Path":
        """The way to what this holds under a key or at a place."""
        return Path(step, self)

    def __str__(self) -> str:
        """As text; names are strangers' words, so they are cut and made printable."""
        steps: list[str] = []
        at: Path | None = self
        while at is not None:
            step = at.step
            text = f"[{step}]" if isinstance(step, int) else step[:40]
            steps.append(text.encode("ascii", "backslashreplace").decode())
            at = at.before
        steps.reverse()
        if len(steps) > MAX_PATH_STEPS:
            half = MAX_PATH_STEPS // 2
            steps[half:-half] = ["/..."]
        return "".join(steps)


@dataclasses.dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        what: Says it in words.
        field: Name of the form field that it belongs to, or None.
        is_value: A form field other than a signature shows something else.
        is_new_place: A new signature field takes room on a page.
    """

    path: Path
    kind: Kind
    what: str = "was changed"
    field: str | None = None
    is_value: bool = False
    is_new_place: bool = False


class Comparison:
    """What two revisions are compared by.

    Attributes:
        twins: Objects that are compared in one place of their own, which is not every place that
            refers to them: pages, form fields, annotations.
    """

    def __init__(self, reader: PdfFileReader, signed_revision: int) -> None:
        """Compare a revision with the newest."""
        self._reader = reader
        self._signed_revision = signed_revision
        self.old: HistoricalResolver = reader.get_historical_resolver(signed_revision)
        self.new: HistoricalResolver = reader.get_historical_resolver(
            reader.xrefs.total_revisions - 1
        )
        self.twins: dict[Key, Key] = {}
        self._seen: set[tuple[Key, Key]] = set()
        self._steps = 0

    def was_there(self, value: Any) -> bool:
        """Whether a reference led to something when the document was signed."""
        return isinstance(value, generic.IndirectObject) and not is_null(self.before(value))

    def are_twins(self, old: Any, new: Any) -> bool:
        """Whether two references lead to an object that is compared in a place of its own."""
        return (
            isinstance(old, generic.IndirectObject)
            and isinstance(new, generic.IndirectObject)
            and key_of(old) in self.twins
            and self.twins[key_of(old)] == key_of(new)
        )

    def before(self, value: Any) -> Any:
        """The value that something had when the document was signed."""
        return self._resolve(self.old, value)

    def now(self, value: Any) -> Any:
        """The value that something has in the newest revision."""
        return self._resolve(self.new, value)

    def reached(self, reference: Any) -> bool:
        """Whether what a reference led to was compared, by some way that nothing excuses."""
        return isinstance(reference, generic.IndirectObject) and any(
            before == key_of(reference) for before, _ in self._seen
        )

    def is_same(self, old: Any, new: Any) -> bool:
        """Whether two values are equal in all that they lead to."""
        seen, self._seen = self._seen, set()
        try:
            return next(self.differences(Path(""), old, new), None) is None
        finally:
            self._seen = seen

    def differences(self, path: Path, old: Any, new: Any) -> Iterator[Change]:
        """Find what is not the same; a pair that was compared before is not compared again."""
        waiting = [(path, old, new)]
        while waiting:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise ValueError(f"expected at most {MAX_STEPS} values in a PDF")
            path, old, new = waiting.pop()
            if isinstance(old, generic.IndirectObject) and isinstance(new, generic.IndirectObject):
                pair = (key_of(old), key_of(new))
                if pair in self._seen or self.are_twins(old, new):
                    continue
                self._seen.add(pair)
                if pair[0] == pair[1] and self.is_untouched(old):
                    waiting += self._ways_out(path, old)
                    continue
            old, new = self.before(old), self.now(new)
            if isinstance(old, generic.DictionaryObject) and isinstance(
                new, generic.DictionaryObject
            ):
                ignored = _stream_keys(old, new)
                if ignored is None:
                    yield Change(path, Kind.UNDEFINED, "has another content")
                    continue
                for key in old.keys() | new.keys():
                    if key not in ignored:
                        waiting.append((path / key, entry(old, key), entry(new, key)))
            elif isinstance(old, generic.ArrayObject) and isinstance(new, generic.ArrayObject):
                if len(old) != len(new):
                    yield Change(path, Kind.UNDEFINED, "has another number of entries")
                    continue
                waiting += [
                    (path / place, old.raw_get(place), new.raw_get(place))
                    for place in range(len(old))
                ]
            elif not _is_same_leaf(old, new):
                yield Change(path, Kind.UNDEFINED, _words(old, new))

    def entries(
        self, path: Path, old: Any, new: Any, excused: frozenset[str] = frozenset()
    ) -> Iterator[Change]:
        """Differences between two dictionaries in all entries but some."""
        for key in sorted((old.keys() | new.keys()) - excused):
            yield from self.differences(path / key, entry(old, key), entry(new, key))

    def replaced_containers(self) -> Iterator[Change]:
        """Find object streams that were replaced, and what lies in them with them.

        A cross-reference goes on saying that an object is in a stream of that number
        (ISO 32000-1 7.5.7), so the object looks untouched.
        """
        used = set()
        for revision in range(self._signed_revision + 1):
            used |= self._reader.xrefs.object_streams_used_in(revision)
        for reference in used:
            if self._reader.xrefs.get_last_change(reference) > self._signed_revision:
                place = Path(f"object {reference.idnum}")
                yield Change(place, Kind.UNDEFINED, "is a container of objects, and was replaced")

    def is_untouched(self, reference: generic.IndirectObject) -> bool:
        """Whether no later revision lists the object that a reference leads to."""
        try:
            last = self._reader.xrefs.get_last_change(reference.reference)
        except KeyError:
            return True
        return bool(last <= self._signed_revision)

    def _ways_out(self, path: Path, reference: generic.IndirectObject) -> list[Any]:
        """The references inside an object that is the same in both revisions."""
        try:
            # References are never encrypted (ISO 32000-1 7.6.1), and asking the reader itself
            # saves a copy of each object for each revision.
            inside = self._reader.get_object(reference.reference, transparent_decrypt=False)
        except KeyError:
            return []
        found = []
        waiting = [(path, inside)]
        while waiting:
            path, value = waiting.pop()
            self._steps += 1
            if isinstance(value, generic.DecryptedObjectProxy):
                value = value.raw_object
            if isinstance(value, generic.IndirectObject):
                found.append((path, value, value))
            elif isinstance(value, generic.DictionaryObject):
                waiting += [
                    (path / key, value.raw_get(key, decrypt=generic.EncryptedObjAccess.PROXY))
                    for key in value
                ]
            elif isinstance(value, generic.ArrayObject):
                waiting += [
                    (
                        path / place,
                        value.raw_get(place, decrypt=generic.EncryptedObjAccess.PROXY),
                    )
                    for place in range(len(value))
                ]
        return found

    @staticmethod
    def _resolve(revision: HistoricalResolver, value: Any) -> Any:
        for _ in range(16):
            if not isinstance(value, generic.IndirectObject):
                return value
            number, generation = key_of(value)
            try:
                value = revision.get_object(generic.Reference(number, generation, revision))
            except KeyError:
                return generic.NullObject()
        raise ValueError("expected a reference to end")


def key_of(reference: Any) -> Key:
    """Number and generation of what a reference leads to."""
    return reference.idnum, reference.generation


def entry(holder: Any, key: str) -> Any:
    """What a dictionary holds, not followed; nothing is null (ISO 32000-1 7.3.7)."""
    return holder.raw_get(key) if key in holder else generic.NullObject()


def is_null(value: Any) -> bool:
    """Whether a value, already followed, is nothing."""
    return isinstance(value, generic.NullObject)


def _stream_keys(old: Any, new: Any) -> frozenset[str] | None:
    """The entries of two streams that need not be the same; None: the contents differ."""
    is_stream = isinstance(old, generic.StreamObject)
    if is_stream != isinstance(new, generic.StreamObject):
        return None
    if not is_stream:
        return frozenset()
    if old.encoded_data == new.encoded_data:
        return frozenset({"/Length"})
    try:
        is_same = old.data == new.data
    except (NotImplementedError, ValueError, misc.PdfReadError):
        # Pictures are not unpacked; packed otherwise they count as others.
        return None
    return frozenset({"/Length", "/Filter", "/DecodeParms"}) if is_same else None


_STRINGS = (generic.TextStringObject, generic.ByteStringObject)
_NUMBERS = (generic.NumberObject, generic.FloatObject)


def _is_same_leaf(old: Any, new: Any) -> bool:
    for kinds in (_NUMBERS, (generic.BooleanObject,), (generic.NameObject,)):
        if isinstance(old, kinds):
            return isinstance(new, kinds) and bool(old == new)
    if isinstance(old, _STRINGS):
        return isinstance(new, _STRINGS) and old.original_bytes == new.original_bytes
    return is_null(old) and is_null(new)


def _words(old: Any, new: Any) -> str:
    if is_null(old):
        return "was added"
    return "was removed" if is_null(new) else "was changed"
