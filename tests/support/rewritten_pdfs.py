"""Signed PDFs whose bytes were rewritten or added to by hand, past every writer of PDFs.

`bytes in, bytes out`; what they do is named by the published attacks, as in `tampered_pdfs`.
"""

import io
import re

from pyhanko.pdf_utils import generic, writer
from pyhanko.pdf_utils.generic import pdf_name as name

from tests.support import forged_pdfs, tampered_pdfs

EVIL = b"<< /Length 40 >>\nstream\nBT /F1 12 Tf 20 400 Td (TEST 900) Tj ET  \nendstream"


def _startxref(pdf: bytes) -> int:
    return int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])


def _root(pdf: bytes) -> bytes:
    return re.findall(rb"/Root (\d+ 0 R)", pdf)[-1]


def revision(pdf: bytes, places: dict[int, int | None], *, trailer: bytes | None = None) -> bytes:
    """A revision that holds a table of contents alone; nothing for a place frees the object."""
    start = len(pdf)
    table = b"xref\n"
    for number, place in sorted(places.items()):
        entry = b"0000000000 00001 f \n" if place is None else b"%010d 00000 n \n" % place
        table += b"%d 1\n%s" % (number, entry)
    if trailer is None:
        listed = b"trailer\n<< /Size 500 /Root %s /Prev %d >>\n"
        trailer = listed % (_root(pdf), _startxref(pdf))
    return pdf + table + trailer + b"startxref\n%d\n%%%%EOF\n" % start


def content_number(pdf: bytes) -> int:
    """The number of the first page's content."""
    return int(re.search(rb"/Contents (\d+) 0 R", pdf).group(1))


def _put(pdf: bytes, number: int, body: bytes) -> tuple[bytes, int]:
    place = len(pdf) + 1
    return pdf + b"\n%d 0 obj\n%s\nendobj\n" % (number, body), place


# --- incremental saving ------------------------------------------------------------------------


def append_objects(pdf: bytes) -> bytes:
    return _put(pdf, content_number(pdf), EVIL)[0]


def append_objects_and_a_table(pdf: bytes) -> bytes:
    """No trailer follows: many readers repair the file."""
    made, place = _put(pdf, content_number(pdf), EVIL)
    return revision(made, {content_number(pdf): place}, trailer=b"")


def append_an_honest_looking_revision(pdf: bytes) -> bytes:
    made, place = _put(pdf, content_number(pdf), EVIL)
    return revision(made, {content_number(pdf): place})


def append_with_a_copied_signature(pdf: bytes) -> bytes:
    """The new revision repeats the signature, for readers that look for the last one."""
    number = content_number(pdf)
    made, place = _put(pdf, number, EVIL)
    objects = re.findall(rb"\n((\d+) 0 obj\n.*?endobj)", pdf, re.DOTALL)
    ((copied, own),) = [one for one in objects if b"/ByteRange" in one[0]]
    copied_at = len(made)
    return revision(made + copied + b"\n", {number: place, int(own): copied_at})


def append_an_old_ending(pdf: bytes) -> bytes:
    made, _ = _put(pdf, content_number(pdf), EVIL)
    return made + pdf[pdf.rindex(b"startxref") :]


def append_a_comment(pdf: bytes) -> bytes:
    return pdf + b"% TEST 900\n"


def forget_the_past(pdf: bytes) -> bytes:
    """A table that names no older one."""
    made, place = _put(pdf, content_number(pdf), EVIL)
    trailer = b"trailer\n<< /Size 500 /Root %s >>\n" % _root(pdf)
    return revision(made, {content_number(pdf): place}, trailer=trailer)


def name_another_catalog(pdf: bytes) -> bytes:
    def add(into) -> None:
        pages = tampered_pdfs.dictionary(
            {
                name("/Type"): name("/Pages"),
                name("/Kids"): tampered_pdfs.array([into.root["/Pages"]["/Kids"].raw_get(1)]),
                name("/Count"): generic.NumberObject(1),
            }
        )
        other = tampered_pdfs.dictionary({key: into.root.raw_get(key) for key in into.root})
        other[name("/Pages")] = into.add_object(pages)
        made.append(into.add_object(other).idnum)

    made: list[int] = []
    changed = forged_pdfs.update(pdf, add)
    old = b"/Root " + _root(changed)
    place = changed.rindex(old)
    # The trailer stands behind its table, so that nothing that is pointed to moves.
    return changed[:place] + b"/Root %d 0 R" % made[0] + changed[place + len(old) :]


# --- tables of contents ------------------------------------------------------------------------


def point_elsewhere(pdf: bytes) -> bytes:
    """The content of the first page becomes that of the second, which was signed too."""
    first, second = re.findall(rb"/Contents (\d+) 0 R", pdf)[:2]
    place = re.search(rb"\n%s 0 obj" % second, pdf).start() + 1
    # An object says its own number, and few readers compare it.
    return revision(pdf, {int(first): place})


def with_a_second_content(pdf: bytes) -> bytes:
    """An unsigned document that holds a second content, which its table does not name."""
    number = content_number(pdf)
    return pdf.replace(b"startxref", b"%% %d 0 obj\n%s\nendobj\nstartxref" % (number, EVIL), 1)


def with_an_unlisted_object(pdf: bytes) -> bytes:
    """An unsigned document with a second revision that holds more than it lists."""
    made, _ = _put(pdf, content_number(pdf), EVIL)
    return revision(made, {480: None})


def point_to_the_second_content(pdf: bytes) -> bytes:
    """A table alone turns to what was signed and not shown (shadow: replace)."""
    number = content_number(pdf)
    return revision(pdf, {number: pdf.index(b"%% %d 0 obj" % number) + 2})


def free_the_content(pdf: bytes) -> bytes:
    return revision(pdf, {content_number(pdf): None})


def free_and_use_again(pdf: bytes) -> bytes:
    """The number of the content is given to another object of a later generation."""
    number = content_number(pdf)
    freed = revision(pdf, {number: None})
    made, place = _put(freed, number, EVIL)
    return revision(made, {number: place})


def list_more_than_is_there(pdf: bytes) -> bytes:
    """Places of objects that nobody uses, one of them outside the file."""
    return revision(pdf, {480: 10**9, 490: 17})


def give_another_generation(pdf: bytes) -> bytes:
    """Readers that take no notice of generations show another content."""
    number = content_number(pdf)
    place = len(pdf) + 1
    made = pdf + b"\n%d 1 obj\n%s\nendobj\n" % (number, EVIL)
    table = b"xref\n%d 1\n%010d 00001 n \n" % (number, place)
    listed = b"trailer\n<< /Size 500 /Root %s /Prev %d >>\n" % (_root(pdf), _startxref(pdf))
    return made + table + listed + b"startxref\n%d\n%%%%EOF\n" % len(made)


def list_one_object_twice(pdf: bytes) -> bytes:
    """Readers that take the first line show another content than those that take the last."""
    number = content_number(pdf)
    made, evil = _put(pdf, number, EVIL)
    good = re.search(rb"\n%d 0 obj" % number, pdf).start() + 1
    table = b"xref\n"
    for place in (evil, good):
        table += b"%d 1\n%010d 00000 n \n" % (number, place)
    listed = b"trailer\n<< /Size 500 /Root %s /Prev %d >>\n" % (_root(pdf), _startxref(pdf))
    return made + table + listed + b"startxref\n%d\n%%%%EOF\n" % len(made)


def add_an_unlisted_object(pdf: bytes) -> bytes:
    """A revision that lists something else; readers that search the file find the content."""
    made, _ = _put(pdf, content_number(pdf), EVIL)
    made, place = _put(made, 480, b"null")
    return revision(made, {480: place})


def add_a_second_trailer(pdf: bytes) -> bytes:
    made, place = _put(pdf + b"% trailer << /Root 1 0 R >>", 480, b"null")
    trailer = b"trailer\n<< /Size 500 /Root %s /Prev %d >>\n" % (_root(pdf), _startxref(pdf))
    return revision(made, {480: place}, trailer=trailer)


def forget_objects(pdf: bytes) -> bytes:
    """A revision for which there are only three objects."""
    trailer = b"trailer\n<< /Size 3 /Root %s /Prev %d >>\n" % (_root(pdf), _startxref(pdf))
    return revision(pdf, {480: None}, trailer=trailer)


def forget_objects_in_a_damaged_file(pdf: bytes) -> bytes:
    made = forget_objects(pdf)
    right = b"startxref\n%d\n" % _startxref(made)
    return made.replace(right, b"startxref\n%d\n" % (_startxref(made) - 3))


def point_beside_the_table(pdf: bytes) -> bytes:
    """The ending is a little off: some readers find the table, and some search the file."""
    made = revision(pdf, {480: None})
    right = b"startxref\n%d\n" % _startxref(made)
    return made.replace(right, b"startxref\n%d\n" % (_startxref(made) - 3))


def damage_the_table(pdf: bytes) -> bytes:
    """Readers that search the file find the content that no table named."""
    made, place = _put(pdf, 480, b"null")
    return revision(made, {480: place}, trailer=b"trailer\n<< /Size 500 >>\n")


# --- the place of the signature ----------------------------------------------------------------


def _hole(pdf: bytes) -> tuple[int, int]:
    found = re.search(rb"/ByteRange \[0 (\d+) (\d+) ", pdf)
    return int(found.group(1)), int(found.group(2))


def hide_content_beside_the_signature(pdf: bytes) -> bytes:
    """Signature wrapping: the padding behind the signature makes way for objects."""
    start, end = _hole(pdf)
    number = content_number(pdf)
    digits = pdf[start + 1 : end - 1].rstrip(b"0")
    digits += b"0" * (len(digits) % 2)
    kept = b"<" + digits + b">>>\nendobj\n"
    evil = b"%d 0 obj\n%s\nendobj\n999 0 obj\n<< /X ()" % (number, EVIL)
    hole = (kept + evil).ljust(end - start)
    assert len(hole) == end - start, "it does not fit"
    made = pdf[:start] + hole + pdf[end:]
    return revision(made, {number: start + len(kept)})


def name_a_second_range(pdf: bytes) -> bytes:
    """Signature wrapping: what was signed moves to the end, and a second entry points there."""
    start, end = _hole(pdf)
    signature, rest = pdf[start:end], pdf[end:]
    entry = b" /ByteRange [0 %d %d %d]"
    size = len(entry % (start, 10**6, len(rest)))
    evil = b" /Evil (TEST 900)"
    moved = start + len(signature) + size + len(evil)
    written = (entry % (start, moved, len(rest))).ljust(size)
    return pdf[:start] + signature + written + evil + rest


def without_a_range(pdf: bytes) -> bytes:
    return pdf.replace(b"/ByteRange", b"/ByteXange")


def without_a_signature(pdf: bytes) -> bytes:
    return pdf.replace(b"/Contents <", b"/Xontents <")


def with_an_empty_signature(pdf: bytes) -> bytes:
    start, end = _hole(pdf)
    return pdf[:start] + b"<>".ljust(end - start) + pdf[end:]


def with_no_signature(pdf: bytes) -> bytes:
    start, end = _hole(pdf)
    return pdf[:start] + b"null".ljust(end - start) + pdf[end:]


def with_zeros_for_a_signature(pdf: bytes) -> bytes:
    start, end = _hole(pdf)
    return pdf[:start] + b"<" + b"0" * (end - start - 2) + b">" + pdf[end:]


def with_ranges(text: bytes):
    """Other numbers in the range, in the same room."""

    def change(pdf: bytes) -> bytes:
        found = re.search(rb"/ByteRange \[[^\]]*\] *", pdf)
        return pdf[: found.start()] + text.ljust(len(found[0])) + pdf[found.end() :]

    return change


# --- object streams ----------------------------------------------------------------------------


def packed_contract() -> bytes:
    """A page whose font lies in an object stream."""
    made = writer.PdfFileWriter(stream_xrefs=True)
    packed = made.prepare_object_stream()
    font = made.add_object(tampered_pdfs.font(), obj_stream=packed)
    content = generic.StreamObject(stream_data=b"BT /F1 12 Tf 20 400 Td (TEST 100) Tj ET")
    page = writer.PageObject(
        contents=made.add_object(content),
        media_box=(0, 0, 595, 842),
        resources=tampered_pdfs.dictionary(
            {name("/Font"): tampered_pdfs.dictionary({name("/F1"): font})}
        ),
    )
    made.insert_page(page)
    return _written(made)


def _written(made) -> bytes:
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def replace_the_container(pdf: bytes) -> bytes:
    """Another object stream under the old one's number; nothing else is listed as changed."""

    def change(into) -> None:
        container = into.prev.xrefs.object_streams_used_in(0).pop()
        old = into.prev.get_object(container)
        data = old.data.replace(b"/Helvetica", b"/Symbol   ")
        assert data != old.data
        made = generic.StreamObject(
            {key: old.raw_get(key) for key in ("/Type", "/N", "/First")}, stream_data=data
        )
        into.objects[(0, container.idnum)] = made

    return forged_pdfs.update(pdf, change)
