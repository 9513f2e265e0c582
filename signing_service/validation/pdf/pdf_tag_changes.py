"""The tags of two revisions of a PDF: a new signature field gets one, and nothing else may.

Tags tell programs that read aloud what a page says, so they are part of what was signed
(ISO 32000-1 14.7, 14.8). The indexes beside them are made from them.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pyhanko.pdf_utils import generic

from signing_service.validation.pdf import pdf_comparison
from signing_service.validation.pdf.pdf_comparison import Change, Comparison, Kind, Path

MAX_DEPTH = 8
"""Levels of elements under which a new field's tag is looked for; they stand near the top."""
MAX_CHILDREN = 50_000
"""Children of one element."""

_INDEXES = frozenset({"/ParentTree", "/ParentTreeNextKey", "/IDTree"})
_OF_A_FIELD = frozenset({"/Type", "/S", "/P", "/Pg", "/K", "/ID", "/T", "/Lang", "/A", "/C"})


class TagChanges:
    """Compares two trees of tags."""

    def __init__(self, compared: Comparison, old_root: Any, new_root: Any) -> None:
        """Pair the elements that got children."""
        self._compared = compared
        self._pairs: list[tuple[Path, Any, Any, frozenset[str]]] = []
        self._added: list[tuple[Path, Any]] = []
        path = Path("/StructTreeRoot", Path("/Root"))
        old = pdf_comparison.entry(old_root, "/StructTreeRoot")
        new = pdf_comparison.entry(new_root, "/StructTreeRoot")
        self._pair(path, old, new, _INDEXES, MAX_DEPTH)

    def find(self) -> Iterator[Change]:
        """Give every difference."""
        for path, old, new, excused in self._pairs:
            if excused:
                yield from self._compared.entries(path, old, new, excused)
            else:
                yield from self._compared.differences(path, old, new)
        for path, element in self._added:
            if self._is_of_a_field(element):
                yield Change(path, Kind.EVIDENCE, "is the tag of a field")
            else:
                yield Change(path, Kind.UNDEFINED, "was added")

    def _pair(self, path: Path, old: Any, new: Any, excused: frozenset[str], depth: int) -> None:
        """Follow what is not the same down to the element that got a child."""
        before, now = self._compared.before(old), self._compared.now(new)
        if not (
            depth
            and isinstance(before, generic.DictionaryObject)
            and isinstance(now, generic.DictionaryObject)
        ):
            self._pairs.append((path, old, new, frozenset()))
            return
        if isinstance(old, generic.IndirectObject) and isinstance(new, generic.IndirectObject):
            self._compared.twins[pdf_comparison.key_of(old)] = pdf_comparison.key_of(new)
        self._pairs.append((path, before, now, excused | {"/K"}))
        old_children = self._children(before, self._compared.before)
        new_children = self._children(now, self._compared.now)
        if new_children[: len(old_children)] != old_children:
            # Only at the end may something be added.
            self._pairs.append(
                (
                    path / "/K",
                    pdf_comparison.entry(before, "/K"),
                    pdf_comparison.entry(now, "/K"),
                    frozenset(),
                )
            )
            return
        for place, child in enumerate(new_children):
            here = path / "/K" / place
            if place >= len(old_children):
                self._added.append((here, child))
            elif isinstance(child, generic.IndirectObject) and not self._compared.is_untouched(
                child
            ):
                self._pair(here, child, child, frozenset(), depth - 1)
            else:
                self._pairs.append((here, child, child, frozenset()))

    @staticmethod
    def _children(element: Any, follow: Callable[[Any], Any]) -> list[Any]:
        value = pdf_comparison.entry(element, "/K")
        listed = follow(value)
        if not isinstance(listed, generic.ArrayObject):
            return [] if pdf_comparison.is_null(listed) else [value]
        if len(listed) > MAX_CHILDREN:
            raise ValueError(f"expected at most {MAX_CHILDREN} children of a tag")
        return [listed.raw_get(place) for place in range(len(listed))]

    def _is_of_a_field(self, reference: Any) -> bool:
        """Whether a new element tags nothing but a form field (ISO 32000-1 14.7.4.3)."""
        element = self._compared.now(reference)
        if (
            self._compared.was_there(reference)
            or not isinstance(element, generic.DictionaryObject)
            or not element.keys() <= _OF_A_FIELD
            or str(self._compared.now(pdf_comparison.entry(element, "/S"))) != "/Form"
        ):
            return False
        return all(
            isinstance(child := self._compared.now(one), generic.DictionaryObject)
            and str(self._compared.now(pdf_comparison.entry(child, "/Type"))) == "/OBJR"
            for one in self._children(element, self._compared.now)
        )
