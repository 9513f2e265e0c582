"""Opening a stranger's PDF, and refusing what must not be signed.

pyHanko reads and extends the file's structure. On hostile files it raises whatever Python raises
there, so every use of it lies inside `reading()`, the one boundary that makes it an `InputError`.
"""

import contextlib
import dataclasses
import errno
import pathlib
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from pyhanko.pdf_utils import generic, incremental_writer, misc, reader, rw_common
from pyhanko.sign import fields
from pyhanko.sign import general as pyhanko_general

from signing_service import documents

HEADER_WINDOW = 1024
"""Readers look for `%PDF-` in the first kilobyte (ISO 32000-1 annex H.3.4.1)."""

TRAILER_WINDOW = 2048
"""And for `%%EOF` near the end (annex H.3.4.4 says one kilobyte; some writers pad further)."""

MAX_ACTION_PLACES = 200_000
"""Most dictionaries looked through for scripts; a form of this size takes seconds."""

MAX_DEPTH = 64
"""Deepest nesting of form fields, outlines and chained actions."""


MAX_PAGES = 100_000
"""Pages looked through for the one that a widget stands on."""


Handler = rw_common.PdfHandler
"""A document, opened for reading or for an update."""


MAX_SIGNATURE_TEXT = 512 * 2**10
"""Bytes of a signature's dictionary that are looked at as text."""


class PdfRefusedError(documents.DocumentRefusedError):
    """The PDF cannot be signed."""

    code = "pdf-refused"


class PdfEmptyError(PdfRefusedError):
    """The file has no bytes."""

    code = "document-empty"


class NotAPdfError(PdfRefusedError):
    """The file does not begin as a PDF does."""

    code = "document-not-pdf"


class PdfTruncatedError(PdfRefusedError):
    """The end of the file is missing."""

    code = "document-truncated"


class PdfMalformedError(PdfRefusedError):
    """The file's structure cannot be read."""

    code = "document-malformed"


class PdfEncryptedError(PdfRefusedError):
    """The file needs a password: a signature over it shows nothing that a person can check."""

    code = "document-encrypted"


class PdfXfaError(PdfRefusedError):
    """The file holds an XFA form, whose look is made by a program at the reader's."""

    code = "document-xfa"


class PdfScriptError(PdfRefusedError):
    """The file holds JavaScript, which can change what a person sees."""

    code = "document-javascript"


class PdfPageError(PdfRefusedError):
    """The page for the visible signature does not exist, or has no such place."""

    code = "appearance-page"


class PdfUnsignedError(PdfRefusedError):
    """There is no signature that could be augmented."""

    code = "document-unsigned"


class PdfTooComplexError(PdfRefusedError):
    """The file has more parts than are looked through."""

    code = "document-too-complex"


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turn whatever pyHanko raises on a bad file into `PdfMalformedError`."""
    try:
        yield
    except (
        misc.PdfError,
        pyhanko_general.SigningError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        AssertionError,
        NotImplementedError,
        RecursionError,
        StopIteration,
        EOFError,
        struct.error,
        zlib.error,
    ) as error:
        raise PdfMalformedError(
            f"the PDF's structure cannot be read ({type(error).__name__}): save it again with"
            " another program and try once more"
        ) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise  # The disk, not the document.
        raise PdfMalformedError(
            "the PDF's structure cannot be read: it points before its own beginning"
        ) from error


def check_envelope(path: pathlib.Path) -> None:
    """Check the two ends of the file, which tell most accidents apart.

    Raises:
        PdfEmptyError: No bytes.
        NotAPdfError: No `%PDF-` at the beginning.
        PdfTruncatedError: No `%%EOF` at the end.
    """
    size = path.stat().st_size
    if size == 0:
        raise PdfEmptyError("expected a PDF, got an empty file")
    with path.open("rb") as file:
        if b"%PDF-" not in file.read(HEADER_WINDOW):
            raise NotAPdfError("expected a PDF, got a file that does not begin with %PDF-")
        file.seek(max(0, size - TRAILER_WINDOW))
        if b"%%EOF" not in file.read():
            raise PdfTruncatedError(
                "expected a whole PDF, got one without its end (%%EOF): it was cut off on its way"
            )


def open_reader(file: BinaryIO) -> reader.PdfFileReader:
    """Open a PDF for reading, tolerating what common programs get wrong. Call in `reading()`."""
    return reader.PdfFileReader(file, strict=False)


def open_writer(file: BinaryIO) -> incremental_writer.IncrementalPdfFileWriter:
    """Open a PDF for an incremental update. Call in `reading()`.

    Raises:
        PdfEncryptedError: It is encrypted.
    """
    opened = open_reader(file)
    if opened.encrypted:
        raise PdfEncryptedError("expected a PDF without encryption: save it without a password")
    return incremental_writer.IncrementalPdfFileWriter.from_reader(opened)


def check_content(opened: reader.PdfFileReader, *, page: int | None) -> None:
    """Refuse what a signature could not stand for. Call in `reading()`.

    Args:
        opened: The document.
        page: Where a visible signature goes, counted from 1 (-1: the last), or None.
    """
    if opened.encrypted:
        raise PdfEncryptedError("expected a PDF without encryption: save it without a password")
    root = opened.root
    form = entry(root, "/AcroForm")
    if isinstance(form, generic.DictionaryObject) and "/XFA" in form:
        raise PdfXfaError("expected a PDF without an XFA form: print it to a plain PDF first")
    count = int(root["/Pages"]["/Count"])
    if count < 1:
        raise PdfMalformedError("expected a PDF with at least one page")
    if page is not None and page > count:
        raise PdfPageError(f"expected a page from 1 to {count} for the appearance, got {page}")
    _Scripts(opened).check()


def entry(dictionary: generic.DictionaryObject, key: str) -> object:
    """Return an entry, followed to where it really stands; pyHanko's `get` would not follow it."""
    try:
        return dictionary[key]
    except KeyError:
        return None


def items(value: object) -> Iterator[object]:
    """Give the members of an array, followed to where they really stand; nothing for others."""
    if isinstance(value, generic.ArrayObject):
        for one in value:
            yield one.get_object() if isinstance(one, generic.IndirectObject) else one


def pages(opened: Handler) -> Iterator[generic.DictionaryObject]:
    """Give the pages in their order. Call in `reading()`."""
    waiting: list[tuple[object, int]] = [(opened.root["/Pages"], 0)]
    for _ in range(MAX_PAGES):
        if not waiting:
            return
        node, depth = waiting.pop()
        if not isinstance(node, generic.DictionaryObject) or depth > MAX_DEPTH:
            continue
        kids = entry(node, "/Kids")
        if kids is None:
            yield node
        else:
            waiting += [(kid, depth + 1) for kid in reversed(list(items(kids)))]
    raise PdfTooComplexError(f"expected a PDF of at most {MAX_PAGES} pages")


@dataclasses.dataclass(frozen=True)
class SignatureField:
    """A signature field that holds a signature.

    Attributes:
        name: The field's full name.
        field: The field's dictionary.
        text: The signature's dictionary as it stands in the file, its hexadecimal strings emptied;
            None where it does not stand alone.
        reference: To load the dictionary with pyHanko, which reads a placeholder of 30,000
            characters one by one and takes longer over it than over the rest of a signature.
    """

    name: str
    field: generic.DictionaryObject
    text: bytes | None
    reference: generic.IndirectObject | generic.DictionaryObject

    def load(self) -> generic.DictionaryObject:
        """Return the signature's dictionary."""
        found: object = self.reference
        if isinstance(self.reference, generic.IndirectObject):
            found = self.reference.get_object()
        if not isinstance(found, generic.DictionaryObject):
            raise ValueError("a signature field whose value is no dictionary")
        return found

    def lacks(self, key: bytes) -> bool:
        """Tell whether the dictionary certainly has no such key (names can be escaped by #)."""
        return self.text is not None and key not in self.text and b"#" not in self.text

    def only(self, pattern: re.Pattern[bytes], key: bytes) -> re.Match[bytes] | None:
        """Return what follows a key that stands in the text exactly once, or None."""
        if self.text is None or self.text.count(key) != 1 or b"#" in self.text:
            return None
        return pattern.search(self.text)


def signature_fields(opened: reader.PdfFileReader) -> list[SignatureField]:
    """List the signatures in the document's form. Call in `reading()`."""
    found = []
    for name, value, reference in fields.enumerate_sig_fields(opened):
        field = reference.get_object()
        if isinstance(value, generic.IndirectObject):
            found.append(SignatureField(name, field, _text(opened, value), value))
        elif isinstance(value, generic.DictionaryObject):
            found.append(SignatureField(name, field, None, value))
    return found


def _text(opened: reader.PdfFileReader, value: generic.IndirectObject) -> bytes | None:
    place = opened.xrefs[value.reference]
    if not isinstance(place, int):
        return None
    opened.stream.seek(place)
    text = opened.stream.read(MAX_SIGNATURE_TEXT)
    end = text.find(b"endobj")
    return _HEXADECIMAL.sub(b"<>", text[:end]) if end >= 0 else None


_HEXADECIMAL = re.compile(rb"<[0-9A-Fa-f\s]*>")


def free_field_name(opened: incremental_writer.IncrementalPdfFileWriter, stem: str) -> str:
    """Return a field name that no field has: `stem` and a number. Call in `reading()`."""
    form = entry(opened.root, "/AcroForm")
    taken = set()
    if isinstance(form, generic.DictionaryObject):
        for field in items(entry(form, "/Fields")):
            if isinstance(field, generic.DictionaryObject):
                taken.add(str(entry(field, "/T")))
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


class _Scripts:
    """Looks through every place that ISO 32000-1 12.6 lets an action stand in."""

    def __init__(self, opened: reader.PdfFileReader) -> None:
        self._root = opened.root
        self._places = 0

    def check(self) -> None:
        names = self._dictionary(self._root, "/Names")
        if names is not None and "/JavaScript" in names:
            raise _script()
        self._action(self._root, "/OpenAction", 0)
        self._additional(self._root)
        self._pages(self._root["/Pages"], 0)
        form = self._dictionary(self._root, "/AcroForm")
        if form is not None:
            self._fields(entry(form, "/Fields"), 0)
        outlines = self._dictionary(self._root, "/Outlines")
        if outlines is not None:
            self._outline(entry(outlines, "/First"))

    def _visit(self, item: object) -> generic.DictionaryObject | None:
        """Count a place; circles end at the limits, since marks on places could be forged."""
        if not isinstance(item, generic.DictionaryObject):
            return None
        self._places += 1
        if self._places > MAX_ACTION_PLACES:
            raise PdfTooComplexError(
                f"expected a PDF of at most {MAX_ACTION_PLACES} pages, fields and annotations"
            )
        return item

    def _dictionary(
        self, parent: generic.DictionaryObject, key: str
    ) -> generic.DictionaryObject | None:
        return self._visit(entry(parent, key))

    def _action(self, parent: generic.DictionaryObject, key: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PdfTooComplexError(f"expected at most {MAX_DEPTH} chained actions")
        value = entry(parent, key)
        for one in items(value) if isinstance(value, generic.ArrayObject) else (value,):
            action = self._visit(one)
            if action is None:
                continue
            if entry(action, "/S") == "/JavaScript" or "/JS" in action:
                raise _script()
            self._action(action, "/Next", depth + 1)

    def _additional(self, parent: generic.DictionaryObject) -> None:
        triggers = self._dictionary(parent, "/AA")
        if triggers is not None:
            for key in triggers:
                self._action(triggers, key, 0)

    def _pages(self, node: object, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PdfTooComplexError(f"expected at most {MAX_DEPTH} levels of pages")
        page = self._visit(node)
        if page is None:
            return
        self._additional(page)
        for annotation in items(entry(page, "/Annots")):
            found = self._visit(annotation)
            if found is not None:
                self._action(found, "/A", 0)
                self._action(found, "/PA", 0)
                self._additional(found)
        for kid in items(entry(page, "/Kids")):
            self._pages(kid, depth + 1)

    def _fields(self, value: object, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise PdfTooComplexError(f"expected at most {MAX_DEPTH} levels of form fields")
        for item in items(value):
            field = self._visit(item)
            if field is not None:
                self._action(field, "/A", 0)
                self._additional(field)
                self._fields(entry(field, "/Kids"), depth + 1)

    def _outline(self, first: object) -> None:
        waiting = [first]
        while waiting:
            item = self._visit(waiting.pop())
            if item is not None:
                self._action(item, "/A", 0)
                waiting += [entry(item, "/First"), entry(item, "/Next")]


def _script() -> PdfScriptError:
    return PdfScriptError(
        "expected a PDF without JavaScript, which could change what is shown after signing:"
        " print it to a plain PDF first"
    )
