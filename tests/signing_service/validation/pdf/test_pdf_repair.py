"""Damaged PDFs: what every program would read alike is read, and nothing else is."""

import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from pki import errors
from signing_service.validation import report
from signing_service.validation.pdf import pdf_repair, pdf_structure
from tests.support import forged_pdfs, signed_pdfs

UNDEFINED = report.Changes.UNDEFINED


def damaged(pdf: bytes) -> bytes:
    """The last pointer to a table leads nowhere; what was signed before stays as it was."""
    head, _, tail = pdf.rpartition(b"startxref")
    number = re.match(rb"\s+(\d+)", tail)
    return head + b"startxref" + tail[: number.start(1)] + b"9" * 9 + tail[number.end(1) :]


def with_bad_previous(pdf: bytes) -> bytes:
    """The last trailer says that there is a table at the beginning of the file."""
    head, _, tail = pdf.rpartition(b"/Prev")
    return head + b"/Prev" + re.sub(rb"\d+", b"0", tail, count=1)


@pytest.fixture
def signed(maker) -> bytes:
    """B-LT: a revision comes after the signature."""
    return maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (found,) = validated.signatures
    return found


def codes(found: report.SignatureReport) -> set[str]:
    return {one.code for one in (*found.errors, *found.warnings)}


@pytest.mark.parametrize("damage", [damaged, with_bad_previous])
def test_file_that_every_program_repairs_alike_is_judged_with_a_warning(signed, judge, damage):
    assert "repaired-structure" not in codes(only(judge(signed)))
    broken = damage(signed)
    with pytest.raises(Exception):  # noqa: B017, PT011 - the library raises many kinds
        PdfFileReader(io.BytesIO(broken), strict=False)
    found = only(judge(broken))
    assert found.intact
    assert found.changes_after_signing is report.Changes.PERMITTED
    assert "repaired-structure" in codes(found)


def test_offsets_that_all_lie_are_not_needed(maker, judge):
    """A revision that was moved: its table names places where nothing is."""
    signed = maker.sign(signed_pdfs.make_pdf())
    later = maker.add_document_time_stamp(signed)
    table_at = later.rindex(b"xref\n", 0, later.rindex(b"startxref"))
    head, table = later[:table_at], later[table_at:]
    moved = re.sub(rb"(\d{10}) 00000 n", lambda one: b"%010d 00000 n" % (int(one[1]) + 7), table)
    assert moved != table
    for broken in (head + moved, head + damaged(moved)):
        found = only(judge(broken))
        assert found.intact
        assert "repaired-structure" in codes(found)
        assert not any(one.intact for one in found.time_stamps), "they covered the table"


def change_page(writer) -> None:
    page, _ = writer.find_page_for_modification(0)
    page.get_object()["/Contents"] = writer.add_object(
        forged_pdfs.generic.StreamObject(stream_data=b"BT /F1 12 Tf (TEST forged) Tj ET")
    )
    writer.update_container(page.get_object())


def test_page_that_was_changed_before_the_damage_is_undefined(signed, judge):
    found = only(judge(damaged(forged_pdfs.update(signed, change_page))))
    assert found.changes_after_signing is UNDEFINED
    assert found.indication is not report.Indication.TOTAL_PASSED


def test_objects_in_object_streams_are_found(maker, judge):
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(signed_pdfs.make_pdf())))
    writer.stream_xrefs = True
    packed = writer.prepare_object_stream()
    packed.add_object(
        500,
        forged_pdfs.generic.DictionaryObject({forged_pdfs.name("/TEST"): forged_pdfs.name("/A")}),
    )
    out = io.BytesIO()
    writer.write(out)
    signed = maker.sign(out.getvalue())
    assert only(judge(damaged(signed))).intact is False, "the number is signed, too"
    later = damaged(maker.add_evidence(signed))
    found = only(judge(later))
    assert found.intact
    assert "repaired-structure" in codes(found)
    with io.BytesIO(later) as file:
        reader = pdf_repair.read(file)
        reference = forged_pdfs.generic.Reference(500, 0, reader)
        assert reader.get_object(reference)["/TEST"] == "/A"


OBJECT = b"\n5 0 obj\n<< /Length 3 >>\nstream\nabc\nendstream\nendobj\n"


def append(pdf: bytes, body: bytes, *, root: bytes = b"1 0 R") -> bytes:
    """A revision with any bytes in it, and a pointer that leads nowhere."""
    return (
        pdf
        + body
        + b"xref\n0 0\ntrailer\n<< /Size 900 /Root "
        + root
        + b" >>\nstartxref\n999999999\n%%EOF\n"
    )


def root_of(pdf: bytes) -> bytes:
    return re.findall(rb"/Root (\d+ 0 R)", pdf)[-1]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"% 5 0 obj << >> endobj\n", id="in a comment"),
        pytest.param(
            b"900 0 obj\n<< /Length 20 >>\nstream\n5 0 obj << >> endobj\nendstream\nendobj\n",
            id="in a stream",
        ),
        pytest.param(b"900 0 obj (5 0 obj null endobj) endobj\n", id="in a string"),
        pytest.param(OBJECT + OBJECT, id="twice"),
        pytest.param(OBJECT + OBJECT.replace(b"5 0", b"5 1"), id="in two generations"),
        pytest.param(b"<< /Length 3 >>\n", id="outside every object"),
        pytest.param(
            b"900 0 obj\n<< /Length 3 >>\nstream\nabcdef\nendstream\nendobj\n", id="short"
        ),
        pytest.param(b"900 0 obj\n<< /Length 30 >>\nstream\nabc\nendstream\nendobj\n", id="long"),
        pytest.param(b"900 0 obj\n<< >>\n", id="without an end"),
    ],
)
def test_what_programs_would_read_differently_is_refused(signed, judge, body):
    """Something that one program shows and another does not may hide there."""
    with pytest.raises(pdf_structure.PDFUnreadableError):
        judge(append(signed, body, root=root_of(signed)))


def test_second_catalog_is_refused(signed, judge):
    other = b"901 0 obj\n<< /Type /Catalog /Pages 902 0 R >>\nendobj\n"
    with pytest.raises(pdf_structure.PDFUnreadableError):
        judge(append(signed, other, root=b"901 0 R"))
    with pytest.raises(pdf_structure.PDFUnreadableError):
        judge(append(signed, b"", root=b"<< /Type /Catalog >>"))


@pytest.mark.parametrize("ending", [b"", b"trailer", OBJECT, OBJECT + b"startxref\n12\n%%EOF"])
def test_objects_behind_the_last_whole_revision_are_refused(signed, judge, ending):
    with pytest.raises(pdf_structure.PDFUnreadableError):
        judge(damaged(signed) + OBJECT + ending)


def test_object_that_nothing_uses_changes_nothing(signed, judge):
    honest = append(signed, b"900 0 obj\n<< /TEST 1 >>\nendobj\n", root=root_of(signed))
    assert only(judge(honest)).intact


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_file_cut_doubled_or_overwritten_is_never_accepted_for_another(maker, judge, at, data):
    """Whatever happens to it, a document that passes has the pages that were signed."""
    if not hasattr(maker, "whole"):
        maker.plain = maker.sign(signed_pdfs.make_pdf(), stamped=True)
        maker.whole = maker.add_evidence(maker.plain)
        maker.other = forged_pdfs.update(maker.whole, change_page)
    forged = bytearray(maker.other)
    signed_part = len(maker.plain)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(signed_part, max(signed_part, len(forged) - 1)))
        match data.draw(st.sampled_from(["cut", "double", "overwrite", "drop", "swap"])):
            case "cut":
                del forged[place:]
            case "double":
                forged += forged[place:]
            case "overwrite":
                forged[place : place + 1] = data.draw(st.binary(min_size=1, max_size=3))
            case "drop":
                del forged[place : place + data.draw(st.integers(1, 40))]
            case "swap":
                tail = bytes(forged[place:])
                forged[place:] = tail.replace(b"startxref", b"xstartref", 1)
    try:
        found = only(judge(bytes(forged)))
    except errors.InputError:
        return
    if found.indication is report.Indication.TOTAL_PASSED:
        path = io.BytesIO(bytes(forged))
        try:
            reader = PdfFileReader(path, strict=False)
        except Exception:  # noqa: BLE001 - then it is the repaired file that counts
            reader = pdf_repair.read(path)
        page = reader.root["/Pages"]["/Kids"][0]
        assert b"forged" not in page["/Contents"].data


@pytest.mark.parametrize(
    "parts", [b"%\n" * 400_000, b"startxref 1 %%EOF\n" * 400_000, b"1 " * 400_000], ids=len
)
def test_file_of_countless_parts_is_given_up(parts):
    with pytest.raises(pdf_repair.PDFBeyondRepairError):
        pdf_repair.read(io.BytesIO(b"%PDF-1.4\n" + parts))
