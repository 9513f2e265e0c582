"""Whether an annotation that was added to a signed page is a comment and no more.

A comment marks a text or hangs a note on it. An annotation that brings a text or a picture of its
own, or covers what is under it, changes what the page says ("evil annotations", Mainka and others,
2021). So a comment is judged by what its appearance draws, and by how large that is on the page.
"""

import re
from collections.abc import Iterator
from typing import Any

from pyhanko.pdf_utils import generic

from signing_service.validation.pdf import pdf_comparison
from signing_service.validation.pdf.pdf_comparison import Comparison

MAX_NOTE_SIDE = 40.0
"""Points; the icon of a note is about 20."""
MAX_MARK_WIDTH = 3.0
"""Points; a line that underlines or strikes out is about one."""
MAX_MARK_HEIGHT = 8.0
"""Points from the top of a line to its bottom; a wave under a text has about four."""
MIN_BRIGHTNESS = 0.4
"""Of a marker's brightest component; text stays legible under yellow, green, pink and blue."""
MAX_SCALE = 1.05
"""By which a box may grow when it is fitted into its place; programs round."""
MAX_APPEARANCE_BYTES = 2**18
"""Drawing instructions of one comment."""

_MARKS = frozenset({"/Highlight", "/Underline", "/StrikeOut", "/Squiggly"})
_NOTES = frozenset({"/Text", "/Caret"})
_ENTRIES = frozenset(
    {"/Type", "/Subtype", "/Rect", "/Contents", "/P", "/NM", "/M", "/F", "/AP", "/AS", "/Border"}
    | {"/BS", "/C", "/CA", "/T", "/Popup", "/RC", "/CreationDate", "/IRT", "/Subj", "/RT", "/RD"}
    | {"/Open", "/Name", "/State", "/StateModel", "/QuadPoints", "/Sy", "/Parent", "/StructParent"}
)
_NUMBER = rb"[-+]?(?:\d+\.?\d*|\.\d+)"
_DRAWING = re.compile(rb"(?<![\w/.])(Tj|TJ|'|\"|BI|sh)(?![\w])")
_FILLING = re.compile(rb"(?<![\w/.])(f|F|f\*|B|B\*|b|b\*)(?![\w*])")
_STROKING = re.compile(rb"(?<![\w/.])(S|s|B|B\*|b|b\*)(?![\w*])")
_STATE = re.compile(rb"(?<![\w/.])(q|Q)(?![\w*])")
_COLOUR = re.compile(rb"((?:%s\s+){1,4})(g|rg|k|sc|scn|G|RG|K|SC|SCN)(?!\w)" % _NUMBER)
_PATTERN = re.compile(rb"/[^\s/]+\s+(?:scn|SCN)(?!\w)")
_HIDING = re.compile(rb"[%(\0]")
_WIDTH = re.compile(rb"(?<![\w/])([\d.]+)\s+w(?!\w)")
_SCALE = re.compile(rb"(?<!\w)cm(?!\w)")
_MOVED = re.compile(rb"(?<![\w.])1\s+0\s+0\s+1\s+" + _NUMBER + rb"\s+" + _NUMBER + rb"\s+cm(?!\w)")
_POINT = re.compile(rb"(%s)\s+(%s)\s+(m|l)(?!\w)" % (_NUMBER, _NUMBER))


def problem(compared: Comparison, reference: Any, annotation: Any) -> str | None:
    """Why an annotation that came after a signature is more than a comment, or None.

    Args:
        compared: The two revisions.
        reference: What the page lists.
        annotation: The dictionary that it leads to now.
    """
    if compared.was_there(reference):
        return "was something else before"
    kind = str(compared.now(pdf_comparison.entry(annotation, "/Subtype")))
    if kind == "/Popup":
        return None if "/AP" not in annotation else "brings its own look"
    if kind not in _MARKS | _NOTES:
        return f"is a {kind.lstrip('/')[:20]!r}, which can change what the page shows"
    if strange := sorted(annotation.keys() - _ENTRIES):
        return f"has {strange[0][:40]!r}"
    if kind in _NOTES and max(sides(annotation)) > MAX_NOTE_SIDE:
        return "is larger than a note"
    return _appearance_problem(compared, annotation, kind)


def sides(annotation: Any, key: str = "/Rect") -> tuple[float, float]:
    """Width and height of a rectangle in points; infinite where they cannot be read."""
    try:
        left, bottom, right, top = (float(one) for one in annotation[key])
    except (KeyError, TypeError, ValueError):
        return (float("inf"), float("inf"))
    return abs(right - left), abs(top - bottom)


def _appearance_problem(compared: Comparison, annotation: Any, kind: str) -> str | None:
    waiting = [pdf_comparison.entry(annotation, "/AP")]
    for _ in range(20):
        if not waiting:
            return None
        value = compared.now(waiting.pop())
        if isinstance(value, generic.StreamObject):
            is_marker = kind == "/Highlight" and _is_transparent(compared, value)
            if kind in _MARKS and not is_marker and _grows(value, annotation):
                return "draws to another scale"
            if found := _drawing_problem(compared, value, kind):
                return found
        elif isinstance(value, generic.DictionaryObject):
            waiting += [value.raw_get(key) for key in value]
    return "has many looks"


def _grows(form: Any, annotation: Any) -> bool:
    """Whether a look becomes larger when its box is fitted into the annotation's (12.5.5)."""
    return any(
        box <= 0 or side > MAX_SCALE * box
        for side, box in zip(sides(annotation), sides(form, "/BBox"), strict=True)
    )


def _drawing_problem(
    compared: Comparison, form: Any, kind: str, *, marked: bool = False, depth: int = 3
) -> str | None:
    """Whether an appearance does more than its kind of comment needs."""
    data = bytes(form.data)
    if len(data) > MAX_APPEARANCE_BYTES or not depth:
        return "has a large look of its own"
    if _DRAWING.search(data):
        return "shows a text or picture of its own"
    marked = marked or (kind == "/Highlight" and _is_transparent(compared, form))
    if kind in _MARKS and (found := _mark_problem(compared, form, data, marked=marked)):
        return found
    for part in _parts(compared, form, "/XObject"):
        if (
            not isinstance(part, generic.StreamObject)
            or str(compared.now(pdf_comparison.entry(part, "/Subtype"))) != "/Form"
        ):
            return "shows a text or picture of its own"
        if found := _drawing_problem(compared, part, kind, marked=marked, depth=depth - 1):
            return found
    return None


def _mark_problem(compared: Comparison, form: Any, data: bytes, *, marked: bool) -> str | None:
    """Whether a mark covers or says something; `marked`: what is under it shines through."""
    if _FILLING.search(data) and not marked:
        return "covers what is under it"
    if len(_SCALE.findall(data)) > len(_MOVED.findall(data)) or not _only_moves(compared, form):
        return "draws to another scale"
    if _HIDING.search(data):
        # What stands in a comment or a string, or behind a zero octet, is not told apart here.
        return "has instructions that are not told apart"
    if marked:
        return "is too dark to read through" if _is_dark(data) else None
    states = [
        one for one in _parts(compared, form, "/ExtGState") if not pdf_comparison.is_null(one)
    ]
    if any("/LW" in one for one in states):
        # What is set elsewhere is not found by looking for operators.
        return "draws lines of a width that is not told"
    if any(float(one) > MAX_MARK_WIDTH for one in _widths(data)):
        return "draws broad lines"
    return "draws more than a line along a text" if _has_tall_line(data) else None


def _is_dark(data: bytes) -> bool:
    """Whether a marker paints in a colour through which nothing is read; without one, in black."""
    is_dark = {"fill": True, "stroke": True}
    kept: list[dict[str, bool]] = []
    for found in sorted(
        (*_COLOUR.finditer(data), *_FILLING.finditer(data), *_STROKING.finditer(data),
         *_STATE.finditer(data)),
        key=lambda one: one.start(),
    ):  # fmt: skip
        if found.re is _COLOUR:
            values = [float(one) for one in found[1].split()]
            if len(values) == 4:
                values = [(1 - one) * (1 - values[3]) for one in values[:3]]
            is_dark["stroke" if found[2].isupper() else "fill"] = max(values) < MIN_BRIGHTNESS
        elif found.re is _STATE:
            if found[1] == b"q":
                kept.append(dict(is_dark))
            elif kept:
                is_dark = kept.pop()
        elif is_dark["fill" if found.re is _FILLING else "stroke"]:
            return True
    return bool(_PATTERN.search(data))


def _only_moves(compared: Comparison, form: Any) -> bool:
    """Whether a form's matrix changes no size (ISO 32000-1 8.3.3); absent, it is the identity."""
    matrix = compared.now(pdf_comparison.entry(form, "/Matrix"))
    if pdf_comparison.is_null(matrix):
        return True
    if not isinstance(matrix, generic.ArrayObject) or len(matrix) != 6:
        return False
    return [compared.now(matrix.raw_get(place)) for place in range(4)] == [1, 0, 0, 1]


def _has_tall_line(data: bytes) -> bool:
    """Whether a line goes up and down as letters do; one along a text is flat, or upright."""
    lines: list[list[tuple[float, float]]] = []
    for x, y, operator in _POINT.findall(data):
        if operator == b"m" or not lines:
            lines.append([])
        lines[-1].append((float(x), float(y)))
    return any(
        min(max(values) - min(values) for values in zip(*line, strict=True)) > MAX_MARK_HEIGHT
        for line in lines
    )


def _parts(compared: Comparison, form: Any, group: str) -> list[Any]:
    """The resources of one group that an appearance draws with."""
    resources = compared.now(pdf_comparison.entry(form, "/Resources"))
    if not isinstance(resources, generic.DictionaryObject):
        return []
    named = compared.now(pdf_comparison.entry(resources, group))
    if not isinstance(named, generic.DictionaryObject):
        return []
    return [compared.now(named.raw_get(key)) for key in named]


def _is_transparent(compared: Comparison, form: Any) -> bool:
    """Whether what is drawn is multiplied with what is under it, as a marker does."""
    states = _parts(compared, form, "/ExtGState")
    return bool(states) and all(
        isinstance(state, generic.DictionaryObject)
        and str(compared.now(pdf_comparison.entry(state, "/BM"))) == "/Multiply"
        for state in states
    )


def _widths(data: bytes) -> Iterator[bytes]:
    for found in _WIDTH.finditer(data):
        yield found[1] if found[1].count(b".") <= 1 and found[1] != b"." else b"inf"
