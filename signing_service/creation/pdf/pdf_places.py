"""Where a visible signature stands when its signer names no place: at the foot of a page."""

from pyhanko.pdf_utils import generic, incremental_writer

from signing_service.creation.pdf import pdf_structure

PLACE = (235.0, 62.0)
"""Width and height in points: four lines of text at the size they are written in."""

MARGIN = 36.0
GAP = 8.0

US_LETTER = (0.0, 0.0, 612.0, 792.0)
"""What most readers take a page to be that does not say (ISO 32000-1 7.7.3.3 demands it)."""


def free_box(
    writer: incremental_writer.IncrementalPdfFileWriter, page: int
) -> tuple[int, int, int, int]:
    """Return the first place at the foot of a page where no annotation stands.

    Places fill the page from the lower left, row by row, so that a second signature stands beside
    the first. Call in `reading()`.

    Args:
        writer: The document.
        page: Counted from 0, or backwards from -1, as pyHanko does.

    Raises:
        PdfPageError: The page is full, or smaller than one place.
    """
    reference, _ = writer.find_page_for_modification(page)
    found = reference.get_object()
    media = _inherited(found, "/MediaBox")
    left, bottom, right, top = _sorted(media) if media is not None else US_LETTER
    taken = [
        _sorted(one["/Rect"])
        for one in pdf_structure.items(pdf_structure.entry(found, "/Annots"))
        if isinstance(one, generic.DictionaryObject) and "/Rect" in one
    ]
    width, height = PLACE
    y = bottom + MARGIN
    while y + height <= top - MARGIN:
        x = left + MARGIN
        while x + width <= right - MARGIN:
            place = (x, y, x + width, y + height)
            if not any(_overlap(place, one) for one in taken):
                return int(place[0]), int(place[1]), int(place[2]), int(place[3])
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


def _sorted(value: object) -> tuple[float, float, float, float]:
    """Return a rectangle as left, bottom, right and top, whichever corners it names."""
    x1, y1, x2, y2 = (float(one) for one in pdf_structure.items(value))  # type: ignore[arg-type]
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
