"""The pages of a PDF drawn as they were signed and as they are now, and compared.

What this finds is information for people and changes no verdict: a drawing is one program's reading
of a document. PDFium draws, as browsers do; it runs no scripts here. This belongs in a worker
process (`isolation`), since a crafted document may keep it busy or kill it.
"""

import ctypes
import hashlib
import logging
import pathlib
import time
from collections.abc import Sequence

import pypdfium2

from pki import errors
from signing_service.validation import report

MAX_BYTES = 64 * 2**20
"""Signed bytes that are held in memory to be drawn."""
MAX_PAGES = 100
"""Pages drawn of one revision."""
MAX_PIXELS = 2 * 10**6
"""Of one page; a page of A4 has half a million at 72 to an inch, where a digit is six wide."""
TIME_S = 3.0
"""After which no further page is begun; pages take some hundredths of a second."""

_Drawn = tuple[int, int, bytes]

# It tells a person to build another PDFium for the scripted forms of old, which are not drawn here.
logging.getLogger("pypdfium2").setLevel(logging.ERROR)


class PagesUndrawableError(errors.InputError):
    """PDFium cannot open or draw the document."""

    code = "pages-undrawable"


def compare(
    path: pathlib.Path, revisions: Sequence[report.SignedRevision]
) -> report.PageAppearances:
    """Draw each signed revision and the newest, and say which pages are not the same.

    Raises:
        PagesUndrawableError: The newest revision cannot be drawn; a signed one that cannot is
            left out.
    """
    until = time.monotonic() + TIME_S
    found = []
    now: dict[int, _Drawn] = {}
    try:
        with _Document(path) as newest:
            for revision in revisions:
                if not 0 < revision.ends_at <= MAX_BYTES:
                    continue
                with path.open("rb") as file:
                    signed = file.read(revision.ends_at)
                try:
                    with _Document(signed) as before:
                        appearance = _compare(before, newest, now, until)
                except pypdfium2.PdfiumError:
                    continue
                found.append((revision.identifier, appearance))
    except pypdfium2.PdfiumError as error:
        raise PagesUndrawableError("the pages cannot be drawn") from error
    return report.PageAppearances(tuple(found))


class _Document:
    """An open document with its form, which has to be closed before it."""

    def __init__(self, source: pathlib.Path | bytes) -> None:
        self._pdf = pypdfium2.PdfDocument(source)

    def __enter__(self) -> "_Document":
        self._pdf.init_forms()
        return self

    def __exit__(self, *_: object) -> None:
        self._pdf.close()

    def __len__(self) -> int:
        return len(self._pdf)

    def draw(self, number: int) -> _Drawn:
        """Width and height in points, rounded, and the hash of the picture."""
        page = self._pdf[number]
        width, height = page.get_size()
        scale = min(1.0, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
        bitmap = page.render(scale=scale, may_draw_forms=True)
        size = bitmap.stride * bitmap.height
        picture = ctypes.string_at(bitmap.buffer, size)
        bitmap.close()
        page.close()
        return round(width), round(height), hashlib.sha256(picture).digest()


def _compare(
    before: _Document, newest: _Document, now: dict[int, _Drawn], until: float
) -> report.PageAppearance:
    different = []
    compared = 0
    for number in range(min(len(before), len(newest), MAX_PAGES)):
        if time.monotonic() > until:
            break
        if number not in now:
            now[number] = newest.draw(number)
        if before.draw(number) != now[number]:
            different.append(number + 1)
        compared += 1
    return report.PageAppearance(len(before), len(newest), compared, tuple(different))
