"""Pages of two revisions of a PDF, and the annotations on them.

Pages have to stay what they were. Annotations may come: the widgets of new signatures, and comments
that mark a text or hang a note on it, while nobody forbade them (ISO 32000-1 12.8.2.2, table 254).
An annotation that brings a text or a picture of its own, or covers what is under it, is more than a
comment: it changes what the page says ("evil annotations", Mainka and others, 2021).
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from pyhanko.pdf_utils import generic

from signing_service.validation.pdf import pdf_comparison, pdf_form_changes
from signing_service.validation.pdf.pdf_comparison import Change, Comparison, Kind, Path

MAX_ANNOTATIONS = 20_000
"""Annotations of one page."""
MAX_NOTE_SIDE = 40.0
"""Points; the icon of a note is about 20."""
MAX_MARK_WIDTH = 3.0
"""Points; a line that underlines or strikes out is about one."""
MAX_APPEARANCE_BYTES = 2**18
"""Drawing instructions of one comment."""
MAX_SIGNATURE_SHARE = 0.5
"""Of a page's area: a stamp that takes more stands in place of the page."""

_MARKS = frozenset({"/Highlight", "/Underline", "/StrikeOut", "/Squiggly"})
_NOTES = frozenset({"/Text", "/Caret"})
_COMMENT_ENTRIES = frozenset(
    {"/Type", "/Subtype", "/Rect", "/Contents", "/P", "/NM", "/M", "/F", "/AP", "/AS", "/Border"}
    | {"/BS", "/C", "/CA", "/T", "/Popup", "/RC", "/CreationDate", "/IRT", "/Subj", "/RT", "/RD"}
    | {"/Open", "/Name", "/State", "/StateModel", "/QuadPoints", "/Sy", "/Parent", "/StructParent"}
)
_INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")
"""Entries that a page has from the nodes above it where it has none (ISO 32000-1 table 30)."""
_PAGE_APART = frozenset({"/Annots", "/LastModified", "/Tabs", "/PieceInfo", "/Metadata"})
"""Entries looked at by themselves, or that no reader draws."""
_DRAWING = re.compile(rb"(?<![\w/.])(Tj|TJ|'|\"|BI|sh)(?![\w])")
_FILLING = re.compile(rb"(?<![\w/.])(f|F|f\*|B|B\*|b|b\*)(?![\w*])")
_WIDTH = re.compile(rb"(?<![\w/])([\d.]+)\s+w(?!\w)")
_SCALE = re.compile(rb"(?<!\w)cm(?!\w)")


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
            apart = _PAGE_APART | {"/Kids"} | inherited.keys()
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
        problem = self._more_than_a_comment(reference, annotation)
        if problem is None:
            yield Change(path, Kind.COMMENT, "is a comment")
        else:
            yield Change(path, Kind.UNDEFINED, f"was added and {problem}")

    def _more_than_a_comment(self, reference: Any, annotation: Any) -> str | None:
        """Why an annotation is more than a comment, or None."""
        if self._compared.was_there(reference):
            return "was something else before"
        kind = str(self._compared.now(pdf_comparison.entry(annotation, "/Subtype")))
        if kind == "/Popup":
            return None if "/AP" not in annotation else "brings its own look"
        if kind not in _MARKS | _NOTES:
            return f"is a {kind.lstrip('/')[:20]!r}, which can change what the page shows"
        if strange := sorted(annotation.keys() - _COMMENT_ENTRIES):
            return f"has {strange[0][:40]!r}"
        if kind in _NOTES and max(_sides(annotation)) > MAX_NOTE_SIDE:
            return "is larger than a note"
        return self._appearance_problem(annotation, kind)

    def _appearance_problem(self, annotation: Any, kind: str) -> str | None:
        waiting = [pdf_comparison.entry(annotation, "/AP")]
        for _ in range(20):
            if not waiting:
                return None
            value = self._compared.now(waiting.pop())
            if isinstance(value, generic.StreamObject):
                if problem := self._drawing_problem(value, kind):
                    return problem
            elif isinstance(value, generic.DictionaryObject):
                waiting += [value.raw_get(key) for key in value]
        return "has many looks"

    def _drawing_problem(
        self, form: Any, kind: str, *, marked: bool = False, depth: int = 3
    ) -> str | None:
        """Whether an appearance does more than its kind of comment needs."""
        data = bytes(form.data)
        if len(data) > MAX_APPEARANCE_BYTES or not depth:
            return "has a large look of its own"
        if _DRAWING.search(data):
            return "shows a text or picture of its own"
        marked = marked or (kind == "/Highlight" and self._is_transparent(form))
        if kind in _MARKS:
            if _FILLING.search(data) and not marked:
                return "covers what is under it"
            if _SCALE.search(data) or "/Matrix" in form:
                return "draws to another scale"
            if not marked and any(float(one) > MAX_MARK_WIDTH for one in _widths(data)):
                return "draws broad lines"
        for part in self._parts(form, "/XObject"):
            if (
                not isinstance(part, generic.StreamObject)
                or str(self._compared.now(pdf_comparison.entry(part, "/Subtype"))) != "/Form"
            ):
                return "shows a text or picture of its own"
            if problem := self._drawing_problem(part, kind, marked=marked, depth=depth - 1):
                return problem
        return None

    def _parts(self, form: Any, group: str) -> list[Any]:
        """The resources of one group that an appearance draws with."""
        resources = self._compared.now(pdf_comparison.entry(form, "/Resources"))
        if not isinstance(resources, generic.DictionaryObject):
            return []
        named = self._compared.now(pdf_comparison.entry(resources, group))
        if not isinstance(named, generic.DictionaryObject):
            return []
        return [self._compared.now(named.raw_get(key)) for key in named]

    def _is_transparent(self, form: Any) -> bool:
        """Whether what is drawn is multiplied with what is under it, as a marker does."""
        states = self._parts(form, "/ExtGState")
        return bool(states) and all(
            isinstance(state, generic.DictionaryObject)
            and str(self._compared.now(pdf_comparison.entry(state, "/BM"))) == "/Multiply"
            for state in states
        )


def _widths(data: bytes) -> Iterator[bytes]:
    for found in _WIDTH.finditer(data):
        yield found[1] if found[1].count(b".") <= 1 and found[1] != b"." else b"inf"


def _sides(annotation: Any) -> tuple[float, float]:
    try:
        left, bottom, right, top = (float(one) for one in annotation["/Rect"])
    except (KeyError, TypeError, ValueError):
        return (float("inf"), float("inf"))
    return abs(right - left), abs(top - bottom)


def _share(annotation: Any, page: Any) -> float:
    """How much of a page an annotation takes; of a page without a size of its own, none."""
    width, height = _sides(annotation)
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
