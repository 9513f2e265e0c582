"""PDFs with forms, and pages that are turned or cut, made with pyHanko and changed with it."""

import io
import pathlib
from collections.abc import Callable

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields

name = generic.pdf_name


def changed(pdf: pathlib.Path, change: Callable[[IncrementalPdfFileWriter], None]) -> None:
    """Append a revision."""
    with pdf.open("r+b") as file:
        opened = IncrementalPdfFileWriter(file, strict=False)
        change(opened)
        opened.write_in_place()


def add_signature_field(pdf: pathlib.Path, spec: fields.SigFieldSpec) -> None:
    """Append an empty signature field, as the author of a form does."""
    changed(pdf, lambda opened: fields.append_signature_field(opened, spec))


def add_text_fields(pdf: pathlib.Path, *names: str) -> None:
    """Append text fields that have no value."""

    def add(opened: IncrementalPdfFileWriter) -> None:
        if "/AcroForm" not in opened.root:
            form = generic.DictionaryObject({name("/Fields"): generic.ArrayObject()})
            opened.root["/AcroForm"] = opened.add_object(form)
            opened.update_root()
        form = opened.root["/AcroForm"]
        for number, one in enumerate(names):
            field = generic.DictionaryObject(
                {
                    name("/Type"): name("/Annot"),
                    name("/Subtype"): name("/Widget"),
                    name("/FT"): name("/Tx"),
                    name("/T"): generic.pdf_string(one),
                    name("/F"): generic.NumberObject(4),
                    name("/Rect"): numbers(60, 600 - 30 * number, 200, 620 - 30 * number),
                }
            )
            page = opened.find_page_for_modification(0)[0]
            field["/P"] = page
            reference = opened.add_object(field)
            form["/Fields"].append(reference)
            opened.register_annotation(page, reference)
        opened.update_container(form["/Fields"])

    changed(pdf, add)


def fill(pdf: pathlib.Path, field_name: str, value: str) -> None:
    """Give a text field a value and no new look."""

    def write(opened: IncrementalPdfFileWriter) -> None:
        for field in opened.root["/AcroForm"]["/Fields"]:
            found = field.get_object()
            if found["/T"] == field_name:
                found["/V"] = generic.pdf_string(value)
                opened.update_container(found)

    changed(pdf, write)


def show(pdf: pathlib.Path, rotation: int, crop: tuple[int, int, int, int]) -> None:
    """Turn and cut the first page."""

    def turn(opened: IncrementalPdfFileWriter) -> None:
        page = opened.find_page_for_modification(0)[0].get_object()
        page["/Rotate"] = generic.NumberObject(rotation)
        page["/CropBox"] = numbers(*crop)
        opened.update_container(page)

    changed(pdf, turn)


def add_page_content(pdf: pathlib.Path, text: str = "999 EUR") -> None:
    """Change what the first page shows, which no signature permits."""

    def write(opened: IncrementalPdfFileWriter) -> None:
        drawn = b"q 0 0 0 rg 60 500 100 20 re f Q %" + text.encode()
        opened.add_stream_to_page(0, opened.add_object(generic.StreamObject(stream_data=drawn)))

    changed(pdf, write)


def numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject(map(generic.FloatObject, values))


def hybrid(stem: bytes) -> bytes:
    """A PDF whose cross-reference table and stream know different objects (ISO 32000-1 7.5.8.4).

    Readers without streams see no form; others find it in an object stream.
    """
    written = io.BytesIO(b"%PDF-1.5\n")
    written.seek(0, 2)
    places: dict[int, int] = {}

    def put(number: int, content: bytes) -> None:
        places[number] = written.tell()
        written.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))

    put(1, b"<< /Type /Catalog /Pages 2 0 R /AcroForm 6 0 R >>")
    put(2, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
    put(3, b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>")
    put(4, b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stem), stem))
    inside = b"6 0 << /Fields [] >>"
    put(
        5,
        b"<< /Type /ObjStm /N 1 /First 4 /Length %d >>\nstream\n%s\nendstream"
        % (len(inside), inside),
    )
    table_stream = written.tell()
    # Object 6 is the first in the object stream 5.
    row = bytes([2, 0, 5, 0])
    written.write(
        b"7 0 obj\n<< /Type /XRef /Size 8 /Index [6 1] /W [1 2 1] /Length %d >>\nstream\n%s\n"
        b"endstream\nendobj\n" % (len(row), row)
    )
    start = written.tell()
    written.write(b"xref\n0 6\n0000000000 65535 f \n")
    written.writelines(b"%010d 00000 n \n" % places[number] for number in range(1, 6))
    written.write(
        b"trailer\n<< /Size 8 /Root 1 0 R /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n"
        % (table_stream, start)
    )
    return written.getvalue()


def nested(*, levels: int, pages: int) -> bytes:
    """A PDF whose pages hang deep in the tree and inherit all they have.

    The media box stands at the root of the tree; each node above the pages has one kid.
    """
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    for level in range(levels):
        number = 2 + level
        parent = b"/Parent %d 0 R" % (number - 1) if level else b"/MediaBox [0 0 400 400]"
        last = level == levels - 1
        kids = [number + 1 + place for place in range(pages)] if last else [number + 1]
        listed = b" ".join(b"%d 0 R" % kid for kid in kids)
        objects.append(b"<< /Type /Pages %s /Kids [%s] /Count %d >>" % (parent, listed, pages))
    objects += [b"<< /Type /Page /Parent %d 0 R >>" % (1 + levels)] * pages
    written = io.BytesIO(b"%PDF-1.4\n")
    written.seek(0, 2)
    places = []
    for number, content in enumerate(objects, 1):
        places.append(written.tell())
        written.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = written.tell()
    written.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    written.writelines(b"%010d 00000 n \n" % place for place in places)
    written.write(
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    )
    return written.getvalue()
