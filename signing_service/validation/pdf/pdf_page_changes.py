"""Pages of two revisions of a PDF, and the annotations on them.

Pages have to stay what they were. Annotations may come: the widgets of new signatures, and comments
that mark a text or hang a note on it (`pdf_comments`), while nobody forbade them (ISO 32000-1
12.8.2.2, table 254).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from pyhanko.pdf_utils import generic

from signing_service.validation.pdf import pdf_comments, pdf_comparison, pdf_form_changes
from signing_service.validation.pdf.pdf_comparison import Change, Comparison, Kind, Path

MAX_ANNOTATIONS = 20_000
"""Annotations of one page."""
MAX_SIGNATURE_SHARE = 0.5
"""Of a page's area: a stamp that takes more stands in place of the page."""

_INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")
"""Entries that a page has from the nodes above it where it has none (ISO 32000-1 table 30)."""
_BOXES = ("/MediaBox", "/CropBox", "/BleedBox", "/TrimBox", "/ArtBox")
_ROUNDED = 1e-6
"""Of a coordinate; poppler keeps ten digits of it, others what a float of 32 bits holds."""
_PAGE_APART = frozenset({"/Annots", "/LastModified", "/Tabs", "/PieceInfo", "/Metadata"})
"""Entries looked at by themselves, or that no reader draws."""


@dataclasses.dataclass(frozen=True)
class _Node:
    """A page, or a node of the tree of pages, in both revisions.

    Attributes:
        references: What leads to it before and now.
        above: The node under whose `Kids` it stands.
    """

    path: Path
    old: Any
    new: Any
    references: tuple[Any, Any]
    above: "_Node | None"

    def inherited(self) -> dict[str, tuple[Any, Any]]:
        """What it has itself in one revision, and has from above in the other.

        Some signing programs write down on a page what it inherited (ISO 32000-1 7.7.3.4).
        """
        return {
            key: (self._nearest(key, 0), self._nearest(key, 1))
            for key in _INHERITED
            if (key in self.old) != (key in self.new)
        }

    def _nearest(self, key: str, revision: int) -> Any:
        """An entry, its own or of the nearest node above it that has one.

        Programs go up by `Parent` or come down by `Kids`: where these differ nothing is inherited.
        """
        node: _Node | None = self
        while node is not None:
            held = (node.old, node.new)[revision]
            if key in held:
                return pdf_comparison.entry(held, key)
            parent, node = pdf_comparison.entry(held, "/Parent"), node.above
            if (
                node is None
                or not isinstance(above := node.references[revision], generic.IndirectObject)
                or not isinstance(parent, generic.IndirectObject)
                or pdf_comparison.key_of(parent) != pdf_comparison.key_of(above)
            ):
                break
        return generic.NullObject()


class PageChanges:
    """Compares the page trees of two revisions."""

    def __init__(self, compared: Comparison, old_root: Any, new_root: Any) -> None:
        """Pair the pages, by their places."""
        self._compared = compared
        self._problems: list[Change] = []
        self._nodes: list[_Node] = []
        self._pair(
            pdf_comparison.entry(old_root, "/Pages"), pdf_comparison.entry(new_root, "/Pages")
        )

    def find(self, form: pdf_form_changes.FormChanges) -> Iterator[Change]:
        """Give every difference between the pages; `form` knows the fields on them."""
        yield from self._problems
        newly_signed = form.newly_signed()
        # All annotations are paired before any page is compared: one page may refer to another's.
        listed = [(node, self._annotations(node.path, node.old, node.new)) for node in self._nodes]
        for node, (pairs, added, problems) in listed:
            path, old, new = node.path, node.old, node.new
            inherited = node.inherited()
            apart = _PAGE_APART | {"/Kids"} | inherited.keys() | self._rounded_boxes(node)
            yield from self._compared.entries(path, old, new, apart)
            for key, (before, now) in inherited.items():
                yield from self._compared.differences(path / key, before, now)
            yield from self._data(path, old, new)
            yield from problems
            for place, before, now in pairs:
                yield from self._of_an_annotation(path / "/Annots" / place, before, now)
            for place, reference in added:
                yield from self._of_a_new_annotation(
                    path / "/Annots" / place, reference, new, form.new_widgets, newly_signed
                )

    def _pair(self, old_top: Any, new_top: Any) -> None:
        waiting: list[tuple[Path, Any, Any, _Node | None]] = [
            (Path("/Pages", Path("/Root")), old_top, new_top, None)
        ]
        seen: set[pdf_comparison.Key] = set()
        while waiting:
            path, old_reference, new_reference, above = waiting.pop()
            old, new = self._compared.before(old_reference), self._compared.now(new_reference)
            if not isinstance(old, generic.DictionaryObject) or not isinstance(
                new, generic.DictionaryObject
            ):
                self._problems.extend(self._compared.differences(path, old, new))
                continue
            if isinstance(old_reference, generic.IndirectObject):
                key = pdf_comparison.key_of(old_reference)
                if key in seen:
                    # One page listed twice has one dictionary; it is compared once.
                    self._problems.extend(self._compared.differences(path, old_reference, new))
                    continue
                seen.add(key)
                if isinstance(new_reference, generic.IndirectObject):
                    self._compared.twins[key] = pdf_comparison.key_of(new_reference)
            node = _Node(path, old, new, (old_reference, new_reference), above)
            self._nodes.append(node)
            if len(self._nodes) > pdf_comparison.MAX_PAGE_NODES:
                raise ValueError(f"expected at most {pdf_comparison.MAX_PAGE_NODES} page nodes")
            before = self._compared.before(pdf_comparison.entry(old, "/Kids"))
            now = self._compared.now(pdf_comparison.entry(new, "/Kids"))
            if not isinstance(before, generic.ArrayObject) or not isinstance(
                now, generic.ArrayObject
            ):
                self._problems.extend(self._compared.differences(path / "/Kids", before, now))
                continue
            if len(before) != len(now):
                what = f"has {len(now)} entries instead of {len(before)}"
                self._problems.append(Change(path / "/Kids", Kind.UNDEFINED, what))
            waiting += [
                (path / "/Kids" / place, before.raw_get(place), now.raw_get(place), node)
                for place in range(min(len(before), len(now)))
            ]

    def _rounded_boxes(self, node: _Node) -> set[str]:
        """Boxes of a page that were written anew with fewer digits.

        Elsewhere a number stays what it was: a crafted page may make much of the last digit.
        """
        return {
            key
            for key in _BOXES
            if (before := self._coordinates(self._compared.before, node.old, key))
            and (now := self._coordinates(self._compared.now, node.new, key))
            and all(
                math.isclose(one, other, rel_tol=_ROUNDED)
                for one, other in zip(before, now, strict=True)
            )
        }

    @staticmethod
    def _coordinates(follow: Callable[[Any], Any], page: Any, key: str) -> list[float]:
        """The four numbers of a box, or nothing."""
        box = follow(pdf_comparison.entry(page, key))
        if not isinstance(box, generic.ArrayObject) or len(box) != 4:
            return []
        numbers = [follow(box.raw_get(place)) for place in range(4)]
        kinds = generic.NumberObject | generic.FloatObject
        if not all(isinstance(one, kinds) for one in numbers):
            return []
        return [float(one) for one in numbers]

    def _data(self, path: Path, old: Any, new: Any) -> Iterator[Change]:
        """What programs and people keep on a page and no reader draws (ISO 32000-1 14.3, 14.5)."""
        for key in ("/LastModified", "/Tabs", "/PieceInfo", "/Metadata"):
            before, now = pdf_comparison.entry(old, key), pdf_comparison.entry(new, key)
            if not self._compared.is_same(before, now):
                yield Change(path / key, Kind.EVIDENCE)

    def _annotations(
        self, path: Path, old: Any, new: Any
    ) -> tuple[list[tuple[int, Any, Any]], list[tuple[int, Any]], list[Change]]:
        """Pair a page's annotations by the objects they are, and say which are new or gone."""
        before = self._list(self._compared.before(pdf_comparison.entry(old, "/Annots")))
        now = self._list(self._compared.now(pdf_comparison.entry(new, "/Annots")))
        twins = self._compared.twins
        places: dict[pdf_comparison.Key, int] = {}
        for place, one in enumerate(now):
            if isinstance(one, generic.IndirectObject):
                places.setdefault(pdf_comparison.key_of(one), place)
        pairs: list[tuple[int, Any, Any]] = []
        problems: list[Change] = []
        taken: set[int] = set()
        last = -1
        for number, one in enumerate(before):
            found = self._place(number, one, now, places)
            if found is None or found in taken:
                what = f"lost the annotation at place {number}"
                problems.append(Change(path / "/Annots", Kind.UNDEFINED, what))
                continue
            place = found
            if place < last:
                what = "has its annotations in another order"
                problems.append(Change(path / "/Annots", Kind.UNDEFINED, what))
            last = max(last, place)
            taken.add(place)
            if isinstance(one, generic.IndirectObject) and pdf_comparison.key_of(one) not in twins:
                twins[pdf_comparison.key_of(one)] = pdf_comparison.key_of(now[place])
                pairs.append((place, one, now[place]))
        added = [(place, one) for place, one in enumerate(now) if place not in taken]
        return pairs, added, problems

    def _place(
        self,
        number: int,
        one: Any,
        now: list[Any],
        places: dict[pdf_comparison.Key, int],
    ) -> int | None:
        """Where an annotation stands now."""
        if isinstance(one, generic.IndirectObject):
            key = pdf_comparison.key_of(one)
            return places.get(self._compared.twins.get(key, key))
        if number < len(now) and self._compared.is_same(one, now[number]):
            return number
        return next(
            (at for at, other in enumerate(now) if self._compared.is_same(one, other)), None
        )

    @staticmethod
    def _list(value: Any) -> list[Any]:
        if not isinstance(value, generic.ArrayObject):
            return []
        if len(value) > MAX_ANNOTATIONS:
            raise ValueError(f"expected at most {MAX_ANNOTATIONS} annotations on a page")
        return [value.raw_get(place) for place in range(len(value))]

    def _of_an_annotation(self, path: Path, old: Any, new: Any) -> Iterator[Change]:
        """Compare an annotation that is no form field; a window for its replies may be added."""
        before, now = self._compared.before(old), self._compared.now(new)
        if not isinstance(before, generic.DictionaryObject) or not isinstance(
            now, generic.DictionaryObject
        ):
            yield from self._compared.differences(path, before, now)
            return
        excused = frozenset({"/Popup"} if "/Popup" not in before else ())
        yield from self._compared.entries(path, before, now, excused)

    def _of_a_new_annotation(
        self,
        path: Path,
        reference: Any,
        page: Any,
        new_widgets: set[pdf_comparison.Key],
        newly_signed: set[pdf_comparison.Key],
    ) -> Iterator[Change]:
        annotation = self._compared.now(reference)
        if pdf_comparison.is_null(annotation):
            return
        if not isinstance(annotation, generic.DictionaryObject):
            yield Change(path, Kind.UNDEFINED, "is no annotation")
            return
        if isinstance(reference, generic.IndirectObject):
            key = pdf_comparison.key_of(reference)
            if key in new_widgets or key in newly_signed:
                if _share(annotation, page) > MAX_SIGNATURE_SHARE:
                    yield Change(path, Kind.UNDEFINED, "covers most of the page")
                return
        problem = pdf_comments.problem(self._compared, reference, annotation)
        if problem is None:
            yield Change(path, Kind.COMMENT, "is a comment")
        else:
            yield Change(path, Kind.UNDEFINED, f"was added and {problem}")


def _share(annotation: Any, page: Any) -> float:
    """How much of a page an annotation takes; of a page without a size of its own, none."""
    width, height = pdf_comments.sides(annotation)
    box: Any = page
    for _ in range(pdf_comparison.MAX_PATH_STEPS):
        if not isinstance(box, generic.DictionaryObject):
            return 0.0
        if "/MediaBox" in box or "/Parent" not in box:
            break
        box = box["/Parent"]
    try:
        left, bottom, right, top = (float(one) for one in box["/MediaBox"])
        return width * height / abs((right - left) * (top - bottom))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0.0
