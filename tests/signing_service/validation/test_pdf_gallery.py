"""What may be done to a signed PDF, and what is said of it: one line each.

Beside our verdict stands pyHanko's, asked in the test, and EU DSS's, by the rules of its
`PdfObjectModificationsFilter` (6.3), which is not run here. `says` holds what our report has to
say: `undefined`, `permitted`, codes, indications, or `unreadable` for a document that is refused.

    python -m pytest tests/signing_service/validation/test_pdf_gallery.py -v
"""

import dataclasses
import io
from collections.abc import Callable

import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign import diff_analysis, fields
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from pki import errors
from signing_service.validation import report
from tests.support import forged_pdfs, signed_pdfs, tampered_pdfs
from tests.support import rewritten_pdfs as r
from tests.support import tampered_pdfs as t

UNREADABLE = "unreadable"


@dataclasses.dataclass(frozen=True)
class Line:
    """One thing that is done, and what is said of it.

    Attributes:
        change: What is done in a new revision.
        kind: What it is done to: `plain`, or certified with permission `p1`, `p2`, `p3`, or
            `locked` with all fields locked, or `prepared` by a hostile author.
    """

    change: Callable[[IncrementalPdfFileWriter], None]
    tries: str
    says: str = "undefined"
    pyhanko: str = "refused"
    dss: str = "undefined"
    kind: str = "plain"


ATTACKS = (
    # The document around the pages.
    Line(t.run_a_script, "a script that runs when it is opened"),
    Line(t.name_a_script, "a script among the names", dss="form"),
    Line(t.act_on_closing, "a script that runs when it is closed"),
    Line(t.attach_a_file, "a file attached", dss="form"),
    Line(t.switch_a_layer_off, "a layer switched off (shadow: hide)"),
    Line(t.drop_the_layers, "layers removed, which shows all of them"),
    Line(t.define_what_was_named, "an object that was named and did not exist (shadow: replace)",
         pyhanko="LTA_UPDATES", kind="prepared"),
    Line(t.permit_more, "the permissions of the certifying signer widened", kind="p1"),
    Line(t.drop_the_permissions, "the permissions of the certifying signer removed", kind="p1"),
    Line(t.certify_with_an_old_signature, "an old signature that certifies", dss="form"),
    Line(t.read_aloud_otherwise, "another text for those who are read to"),
    Line(t.read_more_aloud, "one more text for those who are read to"),
    Line(t.set_a_base_address, "another base for the links"),
    Line(t.set_viewer_preferences, "another window"),
    Line(t.number_pages_otherwise, "other page numbers"),
    Line(t.store_content_as_evidence, "content smuggled in as evidence"),
    # Pages.
    Line(t.write_over_the_page, "the content of a page overwritten"),
    Line(t.add_content, "content added to a page"),
    Line(t.free_the_content, "the content of a page removed"),
    Line(t.redefine_a_font, "the font of a page overwritten"),
    Line(t.swap_resources, "other resources for a page", dss="annotation"),
    Line(t.add_a_page, "a page added"),
    Line(t.remove_a_page, "a page removed"),
    Line(t.reorder_pages, "pages in another order"),
    Line(t.repeat_a_page, "one page in place of another"),
    Line(t.rotate, "a page turned"),
    Line(t.crop, "a page cropped"),
    Line(t.write_down_another_size, "a page with another size than it inherited"),
    Line(t.scale, "a page scaled"),
    Line(t.open_a_page_with_a_script, "a script that runs when a page is shown"),
    Line(t.give_a_page_other_parents, "a page that inherits from elsewhere"),
    # Annotations: evil annotations, on documents that nobody certified and on P=3.
    Line(t.draw_a_free_text, "a text over the page", dss="annotation"),
    Line(t.draw_a_free_text, "a text over a page whose signer permits comments", kind="p3",
         dss="annotation"),
    Line(t.stamp_a_picture, "a picture over the page", dss="annotation"),
    Line(t.stamp_a_picture, "a picture where comments are permitted", kind="p3",
         dss="annotation"),
    Line(t.cover_with_a_square, "a white square over the page", dss="annotation"),
    Line(t.redact, "a part blacked out", dss="annotation"),
    Line(t.write_with_ink, "a digit in ink", dss="annotation"),
    Line(t.link_elsewhere, "a link over the page", dss="annotation"),
    Line(t.mark_with_a_text, "a marker that brings a text", dss="annotation"),
    Line(t.mark_with_paint, "a marker that paints over", dss="annotation"),
    Line(t.strike_out_broadly, "a line as broad as the text", dss="annotation"),
    Line(t.strike_out_in_a_larger_box, "a line that grows with its box", dss="annotation"),
    Line(t.strike_out_with_a_width_from_elsewhere, "a line whose width is set elsewhere",
         dss="annotation"),
    Line(t.underline_with_a_letter, "a letter drawn in place of a line", dss="annotation"),
    Line(t.black_out_with_a_marker, "a marker in black", dss="annotation"),
    Line(t.black_out_before_the_colour_is_set, "a marker whose colour comes too late",
         dss="annotation"),
    Line(t.black_out_behind_a_colour_taken_back, "a marker whose colour was put away",
         dss="annotation"),
    Line(t.black_out_under_a_colour_in_a_remark, "a marker whose colour is a remark",
         dss="annotation"),
    Line(t.strike_out_broadly_behind_a_zero, "a broad line told behind a zero octet",
         dss="annotation"),
    Line(t.hang_a_large_note, "a note as large as a paragraph", dss="annotation"),
    Line(t.hang_a_note_with_a_script, "a note with a script", dss="annotation"),
    Line(t.add_a_text_widget, "a form field that no form knows", dss="annotation"),
    Line(t.hang_a_note, "a note where only forms may be filled in", kind="p2",
         dss="annotation forbidden"),
    Line(t.hang_a_note, "a note where nothing may change", kind="p1", dss="annotation forbidden"),
    Line(t.remove_the_remark, "a note taken away", dss="annotation"),
    Line(t.change_the_remark, "the words of a note", dss="annotation"),
    Line(t.turn_annotations_over, "annotations in another order", pyhanko="refused",
         dss="annotation"),
    # The form.
    Line(t.change_a_look_alone, "another look for the same value (shadow: replace)",
         pyhanko="FORM_FILLING", dss="form"),
    Line(t.white_out_a_value, "a value drawn in white", pyhanko="FORM_FILLING", dss="form"),
    Line(t.hide_a_field, "a field hidden (shadow: hide)", pyhanko="FORM_FILLING", dss="skipped"),
    Line(t.change_a_button, "another picture on a button", pyhanko="FORM_FILLING", dss="form"),
    Line(t.make_a_button_a_box, "a button that becomes a box", pyhanko="FORM_FILLING", dss="form"),
    Line(t.print_no_field, "a field that is not printed", pyhanko="FORM_FILLING", dss="skipped"),
    Line(t.move_a_field, "a field moved", dss="form"),
    Line(t.give_a_field_a_script, "a script on a field", dss="form"),
    Line(t.make_a_field_a_signature, "a text field turned into a signature field", dss="form"),
    Line(t.add_a_text_field, "a text field added", dss="form"),
    Line(t.remove_a_field, "a field removed", dss="annotation"),
    Line(t.redefine_the_form_font, "the font of the form overwritten"),
    Line(t.replace_the_form_font, "another font for the form (shadow: replace)",
         pyhanko="FORM_FILLING", dss="form"),
    Line(t.ask_for_new_appearances, "readers told to draw the form anew",
         pyhanko="LTA_UPDATES"),
    Line(t.add_a_dynamic_form, "a dynamic form"),
    Line(t.calculate_otherwise, "another order of calculation"),
    Line(t.fill_in_a_text, "a form filled in where nothing may change", kind="p1",
         dss="form forbidden"),
    Line(t.fill_in_a_text, "a locked form filled in", kind="locked", dss="form locked"),
    Line(t.prepare_a_field, "a visible field added to a certified document", kind="p1"),
    # Signatures.
    Line(t.change_the_signature_stamp, "another stamp on a signature (evil signature)"),
    Line(t.remove_the_signature, "the signature removed from its field", says=UNREADABLE,
         pyhanko="raises AssertionError"),
    Line(t.replace_the_signature, "the signature copied over itself"),
    Line(t.show_the_signature_twice, "one signature in two fields"),
    Line(t.fill_a_signature_with_something_else, "a field that looks signed", says=UNREADABLE,
         pyhanko="raises PdfReadError"),
    Line(t.picture_without_signature, "a stamp without a signature", dss="form"),
    Line(t.new_field_with_a_picture, "a stamp over the page without a signature",
         pyhanko="FORM_FILLING", dss="annotation"),
    Line(t.new_field_with_a_script, "a signature field with a script",
         pyhanko="LTA_UPDATES", dss="annotation"),
)  # fmt: skip

REWRITTEN = (
    # Incremental saving attacks.
    (r.append_objects, "content appended without a table", "undefined"),
    (r.append_objects_and_a_table, "content appended with a table and no trailer", UNREADABLE),
    (r.append_an_honest_looking_revision, "content appended with table and trailer", "undefined"),
    (r.append_with_a_copied_signature, "content appended with a copied signature", "undefined"),
    (r.append_an_old_ending, "content appended before a copied ending", "undefined"),
    (r.append_a_comment, "a comment behind the end", "undefined"),
    (r.forget_the_past, "a table that names no older one", UNREADABLE),
    (r.name_another_catalog, "another catalogue (shadow: hide and replace)", "undefined"),
    # Tables of contents.
    (r.point_elsewhere, "a table that leads elsewhere", "undefined"),
    (r.free_the_content, "a content that is freed", "undefined"),
    (r.free_and_use_again, "a number freed and used again", "undefined"),
    (r.give_another_generation, "another generation of a signed object", "undefined"),
    (r.list_one_object_twice, "two places for one object", "undefined"),
    (r.add_an_unlisted_object, "an object that no table names", "undefined"),
    (r.add_a_second_trailer, "a trailer in a comment", "undefined"),
    (r.forget_objects, "fewer objects than were signed", "undefined"),
    (r.forget_objects_in_a_damaged_file, "the same with an ending that is off", "undefined"),
    (r.point_beside_the_table, "an ending that is a little off", "undefined"),
    (r.list_more_than_is_there, "places where nothing is", "undefined"),
    # Signature wrapping and universal forgery.
    (r.hide_content_beside_the_signature, "objects beside the signature", "FORMAT_FAILURE"),
    (r.name_a_second_range, "a second byte range", "refused FORMAT_FAILURE"),
    (r.without_a_range, "no byte range", "FORMAT_FAILURE"),
    (r.without_a_signature, "no signature value", UNREADABLE),
    (r.with_an_empty_signature, "an empty signature value", "refused FORMAT_FAILURE"),
    (r.with_no_signature, "null for a signature value", "refused FORMAT_FAILURE"),
    (r.with_zeros_for_a_signature, "zeros for a signature value", "refused FORMAT_FAILURE"),
    (r.with_ranges(b"/ByteRange [0 0 0 0]"), "a range over nothing", "HASH_FAILURE"),
    (r.with_ranges(b"/ByteRange [0 -1 2 3]"), "a negative range", "FORMAT_FAILURE"),
    (r.with_ranges(b"/ByteRange null"), "null for a range", "FORMAT_FAILURE"),
    (r.with_ranges(b"/ByteRange [0 1.5 2 3]"), "a broken number", "HASH_FAILURE"),
    (r.with_ranges(b"/ByteRange [0 9 (a) 3]"), "a string for a number", "FORMAT_FAILURE"),
    (r.with_ranges(b"/ByteRange [0 99999999999 2 3]"), "a range outside", "HASH_FAILURE"),
)  # fmt: skip

HONEST = (
    Line(t.fill_in_a_text, "an empty field filled in", "permitted filled-in-after-signing",
         "FORM_FILLING", "form"),
    Line(t.fill_in_a_text, "the same where it is permitted", "permitted filled-in-after-signing",
         "FORM_FILLING", "form", "p2"),
    Line(t.change_a_text, "a value changed (told: shadow attacks do this too)",
         "permitted filled-in-after-signing partial", "FORM_FILLING", "form"),
    Line(t.tick_a_box, "a box ticked", "permitted filled-in-after-signing", "FORM_FILLING", "form"),
    Line(t.choose_a_city, "a line of a list chosen", "permitted filled-in-after-signing",
         "refused", "form"),
    Line(t.prepare_a_field, "an empty field for a later signer", "permitted full",
         "FORM_FILLING", "annotation"),
    Line(t.prepare_a_tagged_field, "the same in a tagged document", "permitted full", "refused",
         "undefined"),
    Line(t.rewrite_the_catalog, "what Acrobat rewrites with each signature", "permitted full",
         "refused", "secure, undefined (Tabs)"),
    Line(t.write_down_the_size, "a page that says itself what it inherited", "permitted full",
         "refused", "undefined"),
    Line(t.write_private_data, "private data of a program", "permitted full", "refused", "form"),
    Line(t.update_the_information, "another producer in the information", "permitted full",
         "LTA_UPDATES", "none"),
    Line(t.change_nothing, "the same objects once more", "permitted full", "LTA_UPDATES", "none"),
    Line(t.write_an_unused_object, "an object without use", "permitted full", "LTA_UPDATES",
         "none"),
    Line(t.hang_a_note, "a note", "permitted partial commented-after-signing", "refused",
         "annotation"),
    Line(t.hang_a_note, "a note where it is permitted", "permitted commented-after-signing",
         "refused", "annotation", "p3"),
    Line(t.hang_a_note_with_an_icon, "a note with an icon", "permitted commented-after-signing",
         "refused", "annotation"),
    Line(t.mark_a_text, "a marker", "permitted commented-after-signing", "refused", "annotation"),
    Line(t.underline_a_text, "a line under a text", "permitted commented-after-signing", "refused",
         "annotation"),
    Line(t.underline_as_mupdf_does, "the same as MuPDF draws it",
         "permitted commented-after-signing", "refused", "annotation"),
    Line(t.write_the_size_with_other_digits, "a page's size with fewer digits", "permitted full",
         "refused", "undefined"),
    Line(t.write_evidence_oddly, "evidence with types and entries of its own", "permitted full",
         "refused", "secure"),
    Line(t.write_evidence_oddly, "the same where nothing may change", "permitted full",
         "refused", "secure", "p1"),
)  # fmt: skip


@pytest.fixture
def signed(maker) -> Callable[[str], bytes]:
    """A contract, signed for the wanted kind of line."""

    def make(kind: str) -> bytes:
        contract = tampered_pdfs.contract()
        if kind in ("plain", "prepared"):
            return maker.sign(tampered_pdfs.contract(prepared=kind == "prepared"))
        if kind == "locked":
            lock = fields.FieldMDPSpec(fields.FieldMDPAction.ALL)
            spec = fields.SigFieldSpec("Signature1", field_mdp_spec=lock)
            return maker.sign(contract, field=spec)
        return maker.sign(contract, certify=MDPPerm(int(kind[1])))

    return make


@pytest.fixture
def say(judge) -> Callable[[bytes], str]:
    """What our report says of the signature that was there first, and of the others."""

    def words(content: bytes) -> str:
        try:
            validated = judge(content)
        except errors.InputError:
            return UNREADABLE
        if not validated.signatures:
            return validated.overall.value
        found = next(
            (one for one in validated.signatures if one.identifier == "Signature1"),
            validated.signatures[0],
        )
        is_accepted = (
            found.intact
            and found.changes_after_signing is not report.Changes.UNDEFINED
            and found.indication is not report.Indication.TOTAL_FAILED
        )
        sub = found.sub_indication
        return " ".join(
            [
                "accepted" if is_accepted else "refused",
                found.changes_after_signing.value,
                found.scope_kind.value,
                "" if sub is None else sub.value,
                *(one.code for one in (*found.errors, *found.warnings)),
                *(
                    one.sub_indication.value
                    for one in validated.signatures
                    if one is not found and one.sub_indication is not None
                ),
            ]
        )

    return words


def pyhanko_says(content: bytes) -> str:
    """pyHanko's own verdict on the changes after the first signature."""
    try:
        reader = PdfFileReader(io.BytesIO(content), strict=False)
        found = list(fields.enumerate_sig_fields(reader, filled_status=True))
        if not found:
            return "no signature"
        name, _, field = found[0]
        embedded = EmbeddedPdfSignature(reader, field.get_object(), name)
        embedded.coverage = embedded.evaluate_signature_coverage()
        if embedded.coverage is SignatureCoverageLevel.ENTIRE_FILE:
            return "nothing changed"
        result = embedded.evaluate_modifications(diff_analysis.DEFAULT_DIFF_POLICY)
    except Exception as error:  # noqa: BLE001 - it raises what it meets
        return f"raises {type(error).__name__}"
    if not isinstance(result, diff_analysis.DiffResult):
        return "refused"
    allowed = embedded.docmdp_level
    if allowed is not None and result.modification_level.value > allowed.value:
        return "refused"
    return result.modification_level.name


def title(line: Line) -> str:
    return f"{line.kind}: {line.tries} -> {line.says}"


@pytest.mark.parametrize("kind", ["plain", "p1", "p2", "p3", "locked", "prepared"])
def test_contract_that_nobody_touched_is_accepted(signed, say, kind):
    said = say(signed(kind))
    assert "accepted none full" in said


@pytest.mark.clause("ISO 32000-1", "12.8.2.2.2")
@pytest.mark.parametrize("line", ATTACKS, ids=title)
def test_manipulated_contract_is_not_accepted(signed, say, line):
    content = forged_pdfs.update(signed(line.kind), line.change)
    said = say(content)
    assert "accepted" not in said, said
    assert all(word in said for word in line.says.split()), said
    assert pyhanko_says(content) == line.pyhanko


@pytest.mark.clause("ISO 32000-1", "12.8.1")
@pytest.mark.parametrize(
    ("change", "tries", "says"), REWRITTEN, ids=[f"{one[1]} -> {one[2]}" for one in REWRITTEN]
)
def test_rewritten_contract_is_not_accepted(signed, say, change, tries, says):
    said = say(change(signed("plain")))
    assert "accepted" not in said, said
    assert all(word in said for word in says.split()), said


def test_content_that_was_signed_and_not_shown_stays_hidden(maker, say):
    made = maker.sign(r.with_a_second_content(signed_pdfs.make_pdf()))
    assert "accepted none" in say(made)
    assert "undefined" in say(r.point_to_the_second_content(made))


def test_object_that_no_table_named_is_not_found_by_damaging_a_later_table(maker, say):
    made = maker.sign(r.with_an_unlisted_object(signed_pdfs.make_pdf()))
    assert "accepted none" in say(made)
    assert "accepted" not in say(r.damage_the_table(made))


@pytest.mark.clause("ISO 32000-1", "7.5.7")
def test_container_of_signed_objects_may_not_be_replaced(maker, say):
    made = maker.sign(r.packed_contract())
    assert "accepted none" in say(made)
    assert "accepted permitted" in say(forged_pdfs.update(made, t.update_the_information))
    assert "undefined" in say(r.replace_the_container(made))


@pytest.mark.clause("ISO 32000-1", "12.8.2.2.2")
@pytest.mark.parametrize("line", HONEST, ids=title)
def test_change_that_had_to_be_expected_is_permitted(signed, say, line):
    content = forged_pdfs.update(signed(line.kind), line.change)
    said = say(content)
    assert said.startswith("accepted"), said
    assert all(word in said for word in line.says.split()), said
    assert pyhanko_says(content) == line.pyhanko


# --- further signatures ------------------------------------------------------------------------


@pytest.fixture
def second(hierarchy, at) -> signed_pdfs.PdfMaker:
    return signed_pdfs.PdfMaker(hierarchy, hierarchy.signer("5ZZ99ZZ"), at)


def place(box, page: int = 0) -> fields.SigFieldSpec:
    return fields.SigFieldSpec("Second", on_page=page, box=box)


STAMP = (50, 50, 250, 120)


@pytest.mark.clause("ISO 32000-1", "12.8.2.2.2")
@pytest.mark.parametrize(
    ("kind", "name", "box", "says"),
    [
        ("plain", "Second", None, "accepted permitted full"),
        ("plain", "Second", STAMP, "accepted permitted full"),
        ("plain", "Approval", None, "accepted permitted full"),
        ("plain", "Second", (0, 0, 590, 800), "refused undefined"),
        ("p3", "Second", None, "accepted permitted full"),
        ("p2", "Second", None, "accepted permitted full"),
        ("p2", "Approval", None, "accepted permitted full"),
        ("p2", "Second", STAMP, "refused undefined"),
    ],
)
def test_others_may_sign_where_the_certifying_signer_lets_them(
    signed, say, second, kind, name, box, says
):
    spec = None if box is None else place(box)
    assert say(second.sign(signed(kind), name=name, field=spec)).startswith(says)


@pytest.mark.clause("ISO 32000-1", "12.8.2.2.2")
@pytest.mark.parametrize("kind", ["plain", "p1", "p2", "p3", "locked"])
def test_evidence_and_time_stamps_may_always_come(maker, signed, say, kind):
    stamped = maker.add_document_time_stamp(maker.add_evidence(signed(kind)))
    again = maker.add_document_time_stamp(maker.add_evidence(stamped))
    for made in (stamped, again):
        assert say(made).startswith("accepted permitted full")


@pytest.mark.clause("ISO 32000-1", "12.8.2.4")
def test_lock_names_the_fields_that_stay(maker, say):
    lock = fields.FieldMDPSpec(fields.FieldMDPAction.INCLUDE, ["amount"])
    spec = fields.SigFieldSpec("Signature1", field_mdp_spec=lock)
    made = maker.sign(tampered_pdfs.contract(), field=spec)
    assert say(forged_pdfs.update(made, t.fill_in_a_text)).startswith("accepted permitted")
    assert say(forged_pdfs.update(made, t.change_a_text)).startswith("refused undefined")


def test_later_signature_does_not_make_good_what_came_between(signed, say, second):
    """The second signer covers the manipulated document: the first one's verdict stays."""
    changed = forged_pdfs.update(signed("plain"), t.draw_a_free_text)
    assert say(second.sign(changed, name="Second")).startswith("refused undefined")


def test_look_of_a_later_signature_is_its_own_matter(signed, judge, second):
    made = second.sign(signed("plain"), name="Approval")

    def overlay(writer) -> None:
        look = t.looks(writer, b"BT /Helv 12 Tf (TEST other) Tj ET")
        t.change_field(writer, "Approval", AP=look)

    changed = judge(forged_pdfs.update(made, overlay))
    assert report.Changes.UNDEFINED in {one.changes_after_signing for one in changed.signatures}
    assert changed.overall is not report.Indication.TOTAL_PASSED


def test_encrypted_document_is_compared_as_others_are(maker, say):
    """What everybody may open is decrypted before it is compared."""
    plain = copy_into_new_writer(PdfFileReader(io.BytesIO(tampered_pdfs.contract())))
    plain.encrypt("TEST owner", "")
    out = io.BytesIO()
    plain.write(out)
    made = maker.sign(out.getvalue())
    assert say(made).startswith("accepted none")
    assert say(forged_pdfs.update(made, t.change_nothing)).startswith("accepted permitted full")
    assert say(forged_pdfs.update(made, t.fill_in_a_text)).startswith("accepted permitted")
    assert say(forged_pdfs.update(made, t.draw_a_free_text)).startswith("refused undefined")
    assert say(forged_pdfs.update(made, t.read_aloud_otherwise)).startswith("refused undefined")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (t.add_content, "/Root/Pages/Kids[0]/Contents "),
        (t.draw_a_free_text, "/Root/Pages/Kids[0]/Annots["),
        (t.run_a_script, "/Root/OpenAction was changed"),
        (t.redefine_the_form_font, "/Root/AcroForm/DR/Font/Helv/BaseFont was changed"),
        (t.move_a_field, "/Root/AcroForm/Fields[0]/Rect["),
        (t.add_a_page, "/Root/Pages/Kids has 3 entries instead of 2"),
    ],
)
def test_undefined_change_names_the_place(signed, judge, change, where):
    (found,) = judge(forged_pdfs.update(signed("plain"), change)).signatures
    (note,) = [one for one in found.info if one.code == "changed-after-signing"]
    assert where in note.message
    assert len(note.message) < 2000
