"""Where a visible signature stands: on a page as a person sees it.

A page is shown cut to its crop box and turned by its rotation (ISO 32000-1 14.11.2, table 30).
Places are named on the page as it is shown, and turned into the page's own coordinates here.
"""

import dataclasses
from collections.abc import Callable

from pyhanko.pdf_utils import generic, incremental_writer

from signing_service import parameters
from signing_service.creation.pdf import pdf_structure

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_Turn = Callable[[float, float], tuple[float, float]]

PLACE = (235.0, 62.0)
"""Width and height in points: four lines of text at the size they are written in."""

MARGIN = 36.0
GAP = 8.0

TOLERANCE = 1.0
"""Points that a box may stand over the edge: pages of round inches have odd points."""

US_LETTER = (0.0, 0.0, 612.0, 792.0)
"""What most readers take a page to be that does not say (ISO 32000-1 7.7.3.3 demands it)."""


@dataclasses.dataclass(frozen=True)
class View:
    """How a page is shown.

    Attributes:
        shown: What is shown of it, in its own coordinates.
        rotation: Degrees clockwise that it is turned by: 0, 90, 180 or 270.
    """

    shown: Box
    rotation: int

    @property
    def size(self) -> tuple[float, float]:
        """Width and height as a person sees them."""
        left, bottom, right, top = self.shown
        width, height = right - left, top - bottom
        return (height, width) if self.rotation in (90, 270) else (width, height)

    def to_page(self, box: Box) -> Box:
        """Turn a box on the shown page into one in the page's own coordinates."""
        return self._turned(box, self._point_on_page)

    def to_view(self, box: Box) -> Box:
        """Turn a box in the page's own coordinates into one on the shown page."""
        return self._turned(box, self._point_on_view)

    @staticmethod
    def _turned(box: Box, turn: _Turn) -> Box:
        one, other = turn(box[0], box[1]), turn(box[2], box[3])
        return (
            min(one[0], other[0]),
            min(one[1], other[1]),
            max(one[0], other[0]),
            max(one[1], other[1]),
        )

    def _point_on_page(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self.shown
        match self.rotation:
            case 90:
                return right - y, bottom + x
            case 180:
                return right - x, top - y
            case 270:
                return left + y, top - x
        return left + x, bottom + y

    def _point_on_view(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self.shown
        match self.rotation:
            case 90:
                return y - bottom, right - x
            case 180:
                return right - x, top - y
            case 270:
                return top - y, x - left
        return x - left, y - bottom


def view(page: generic.DictionaryObject) -> View:
    """Tell how a page is shown. Call in `reading()`."""
    media = _inherited(page, "/MediaBox")
    shown = _sorted(media) if media is not None else US_LETTER
    crop = _inherited(page, "/CropBox")
    if crop is not None:
        cut = _sorted(crop)
        both = (
            max(shown[0], cut[0]),
            max(shown[1], cut[1]),
            min(shown[2], cut[2]),
            min(shown[3], cut[3]),
        )
        # One that leaves nothing is ignored by readers.
        if both[0] < both[2] and both[1] < both[3]:
            shown = both
    turned = _inherited(page, "/Rotate")
    rotation = int(turned) % 360 if isinstance(turned, int | float) else 0
    return View(shown, rotation if rotation % 90 == 0 else 0)


def box_on_page(
    writer: incremental_writer.IncrementalPdfFileWriter, shown: parameters.Appearance
) -> tuple[Box, int]:
    """Return the rectangle of a visible signature and the rotation of its page.

    Call in `reading()`.

    Raises:
        PdfPageError: The box is not on the page, or there is no free place for one.
    """
    reference, _ = writer.find_page_for_modification(index(shown.page))
    page = reference.get_object()
    seen = view(page)
    if shown.box is None:
        return seen.to_page(_free_box(page, seen)), seen.rotation
    width, height = seen.size
    if shown.box[2] > width + TOLERANCE or shown.box[3] > height + TOLERANCE:
        raise pdf_structure.PdfPageError(
            f"expected a box on the page, which is shown {width:g} by {height:g} points large"
        )
    return seen.to_page(shown.box), seen.rotation


def index(page: int) -> int:
    """Return a page's number as pyHanko counts: from 0, or backwards from -1."""
    return page - (page > 0)


def rotation_of_widget(
    opened: pdf_structure.Handler, widget: generic.DictionaryObject, reference: generic.Reference
) -> int:
    """Return the rotation of the page that a widget of a form field stands on.

    What the widget says itself counts before (R of ISO 32000-1 table 189): its author may have
    wanted it to stand across. Call in `reading()`.
    """
    look = pdf_structure.entry(widget, "/MK")
    if isinstance(look, generic.DictionaryObject) and "/R" in look:
        return int(look["/R"]) % 360 // 90 * 90
    page = pdf_structure.entry(widget, "/P")
    if not isinstance(page, generic.DictionaryObject):
        page = _page_of(opened, reference)
    return 0 if page is None else view(page).rotation


def _page_of(
    opened: pdf_structure.Handler, widget: generic.Reference
) -> generic.DictionaryObject | None:
    """Find the page whose annotations a widget is among; the entry P of a widget is optional."""
    for page in pdf_structure.pages(opened):
        annotations = pdf_structure.entry(page, "/Annots")
        if isinstance(annotations, generic.ArrayObject) and any(
            isinstance(one, generic.IndirectObject) and one.reference == widget
            for one in annotations
        ):
            return page
    return None


def _free_box(page: generic.DictionaryObject, seen: View) -> Box:
    """Return the first place at the foot of a shown page where no annotation stands.

    Places fill the page from the lower left, row by row, so that a second signature stands beside
    the first.
    """
    taken = [
        seen.to_view(_sorted(one["/Rect"]))
        for one in pdf_structure.items(pdf_structure.entry(page, "/Annots"))
        if isinstance(one, generic.DictionaryObject) and "/Rect" in one
    ]
    (right, top), (width, height) = seen.size, PLACE
    y = MARGIN
    while y + height <= top - MARGIN:
        x = MARGIN
        while x + width <= right - MARGIN:
            place = (x, y, x + width, y + height)
            if not any(_overlap(place, one) for one in taken):
                return place
            x += width + GAP
        y += height + GAP
    raise pdf_structure.PdfPageError(
        "expected a page with room for a visible signature: name a box for it"
    )


def _inherited(page: generic.DictionaryObject, key: str) -> object:
    """Return an entry of a page, or of the nearest node above it that has one."""
    node: object = page
    for _ in range(pdf_structure.MAX_DEPTH):
        if not isinstance(node, generic.DictionaryObject):
            return None
        if key in node:
            return node[key]
        node = pdf_structure.entry(node, "/Parent")
    return None


def _sorted(value: object) -> Box:
    """Return a rectangle as left, bottom, right and top, whichever corners it names."""
    x1, y1, x2, y2 = (float(one) for one in pdf_structure.items(value))  # type: ignore[arg-type]
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
