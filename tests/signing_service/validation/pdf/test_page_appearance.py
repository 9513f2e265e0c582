"""How the pages of a changed PDF look now, beside what was signed: information, never a verdict."""

import logging

import pytest
from pyhanko.sign import fields

from signing_service import documents, trust
from signing_service.reports import languages, sheet
from signing_service.validation import isolation, report
from tests.support import forged_pdfs, signed_pdfs, tampered_pdfs
from tests.support import tampered_pdfs as t


@pytest.fixture(scope="module")
def workers():
    made = isolation.ValidationWorkers(1)
    yield made
    made.close()


@pytest.fixture
def seen(tmp_path, hierarchy, at, workers):
    """What a worker's report says of the first signature."""

    def validate(content: bytes, by=None) -> report.SignatureReport:
        path = tmp_path / "judged"
        path.write_bytes(content)
        judged = (by or workers).validate(
            documents.Document("judged", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=None,
        )
        return judged.signatures[0]

    return validate


def codes(found: report.SignatureReport) -> set[str]:
    return {one.code for one in found.info if one.code.startswith("page-")}


@pytest.fixture
def signed(maker) -> bytes:
    return maker.sign(tampered_pdfs.contract())


@pytest.mark.parametrize(
    ("change", "pages"),
    [
        (t.draw_a_free_text, (1,)),
        (t.cover_with_a_square, (1,)),
        (t.change_a_text, (1,)),
        (t.change_a_look_alone, (1,)),
        (t.tick_a_box, (1,)),
        (t.change_a_button, (1,)),
        (t.hide_a_field, (1,)),
        (t.write_over_the_page, (1,)),
        (t.picture_without_signature, (2,)),
        (t.rotate, (1,)),
        (t.crop, (1,)),
        (t.reorder_pages, (1, 2)),
        (t.mark_a_text, (1,)),
        (t.run_a_script, ()),
        (t.attach_a_file, ()),
    ],
)
def test_pages_that_look_different_are_named(signed, seen, change, pages):
    found = seen(forged_pdfs.update(signed, change))
    assert found.page_appearance == report.PageAppearance(2, 2, 2, pages)
    assert codes(found) == {"page-appearance-changed" if pages else "page-appearance-same"}


@pytest.mark.parametrize(("change", "after"), [(t.add_a_page, 3), (t.remove_a_page, 1)])
def test_number_of_pages_that_changed_is_told(signed, seen, change, after):
    found = seen(forged_pdfs.update(signed, change))
    assert (found.page_appearance.pages_before, found.page_appearance.pages_after) == (2, after)
    assert "page-count-changed" in codes(found)


def test_second_signature_that_is_seen_is_where_pages_look_different(maker, seen):
    first = maker.sign(signed_pdfs.make_pdf())
    spec = fields.SigFieldSpec("Second", on_page=1, box=(50, 50, 250, 120))
    found = seen(maker.sign(first, name="Second", field=spec))
    assert found.changes_after_signing is report.Changes.PERMITTED
    assert found.page_appearance.different == (2,)


def test_evidence_and_time_stamps_are_not_drawn(maker, seen):
    stamped = maker.add_document_time_stamp(
        maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    )
    found = seen(stamped)
    assert found.changes_after_signing is report.Changes.PERMITTED
    assert found.page_appearance is None
    assert not codes(found)


@pytest.mark.parametrize("change", [t.change_a_text, t.draw_a_free_text, t.run_a_script])
def test_verdict_is_the_same_with_and_without_drawing(signed, seen, judge, change):
    content = forged_pdfs.update(signed, change)
    (plain,) = judge(content).signatures
    drawn = seen(content)
    assert (plain.indication, plain.sub_indication, plain.changes_after_signing) == (
        drawn.indication,
        drawn.sub_indication,
        drawn.changes_after_signing,
    )


@pytest.mark.slow
def test_pages_that_cannot_be_drawn_in_time_are_told_and_the_verdict_stays(
    maker, seen, hierarchy, at, caplog
):
    """A page that is drawn for minutes: nested forms, each drawn ten times by the next."""

    def add(into) -> None:
        form = into.add_object(t.drawing(b"0 0 100 20 re f 0 0 m 100 20 l S"))
        for _ in range(9):
            uses = t.dictionary({t.name("/XObject"): t.dictionary({t.name("/X"): form})})
            form = into.add_object(t.drawing(b"/X Do " * 10, Resources=uses))
        first = t.page(into)
        first[t.name("/Resources")] = t.dictionary(
            {t.name("/XObject"): t.dictionary({t.name("/X"): form})}
        )
        first[t.name("/Contents")] = into.add_object(t.generic.StreamObject(stream_data=b"/X Do"))
        into.update_container(first)

    slow = maker.sign(forged_pdfs.update(tampered_pdfs.contract(), add))
    workers = isolation.ValidationWorkers(1)
    caplog.set_level(logging.INFO)
    try:
        found = seen(forged_pdfs.update(slow, t.fill_in_a_text), workers)
        assert found.changes_after_signing is report.Changes.PERMITTED
        assert codes(found) == {"page-appearance-unknown"}
        assert "pages_not_drawn" in caplog.text
        # The worker was replaced, and judges on.
        assert seen(forged_pdfs.update(maker.sign(tampered_pdfs.contract()), t.tick_a_box), workers)
    finally:
        workers.close()


def test_page_of_kilometres_is_drawn_within_the_limits(maker, seen):
    def enlarge(into) -> None:
        t.set_page(into, "/MediaBox", t.numbers(0, 0, 10**6, 10**6))

    vast = maker.sign(forged_pdfs.update(tampered_pdfs.contract(), enlarge))
    found = seen(forged_pdfs.update(vast, t.change_a_text))
    assert found.page_appearance.compared == 2


@pytest.mark.parametrize("language", ["az", "ka", "en"])
def test_people_read_which_pages_look_different(signed, seen, language, at):
    found = seen(forged_pdfs.update(signed, t.change_a_text))
    shown = report.ValidationReport("contract.pdf", "00", "PAdES", at, "p", (found,)).to_json()
    assert shown["signatures"][0]["page_appearance"] == {
        "pages_before": 2,
        "pages_after": 2,
        "compared": 2,
        "different": [1],
    }
    words = languages.WORDINGS[language]
    (section,) = sheet.make(shown, words, detailed=False).sections
    (line,) = [one for one in section.lines if one.label == words.pages]
    assert line.text == words.pages_different.format(pages="1")
