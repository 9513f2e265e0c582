import dataclasses
import json
import subprocess

import pytest
from lxml import html

from signing_service.reports import course, forms, languages, preferences, sheet, text
from signing_service.validation import building_blocks, processes, report

LANGUAGES = sorted(languages.WORDINGS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_the_report_has_words(language):
    words = languages.WORDINGS[language]
    assert set(words.indications) == {one.value for one in report.Indication}
    assert set(words.reasons) == {one.value for one in report.SubIndication}
    assert set(words.scopes) == {one.value for one in report.ScopeKind}
    assert set(words.changes) == {one.value for one in report.Changes} - {"none"}
    assert set(words.blocks) == {one.value for one in building_blocks.BlockKind}
    assert set(words.rules) == {one.code for one in building_blocks.Rule}
    assert set(words.block_indications) == {one.value for one in building_blocks.BlockIndication}
    assert set(words.stamp_kinds) == {one.value for one in report.TimeStampKind}
    assert set(words.process_names) == {one.value for one in processes.ProcessKind}
    assert set(sheet.ADVICE) == {one.value for one in report.SubIndication}
    assert set(words.advice) == {*sheet.ADVICE.values(), "unsigned"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_says_which_signature_a_counter_signature_covers(shown, language):
    words = languages.WORDINGS[language]
    first, *others = shown.signatures
    countersigning = dataclasses.replace(
        first, counter_signature_of="<S-1>", scope_kind=report.ScopeKind.PARTIAL
    )
    judged = dataclasses.replace(shown, signatures=(countersigning, *others))
    page = html.document_fromstring(forms.render(judged, forms.Form.HTML, words, forms.Kind.SIMPLE))
    assert words.covers_signature.format(signature="<S-1>") in page.text_content()


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_says_verdict_signer_and_reason_in_the_readers_language(shown, language):
    words = languages.WORDINGS[language]
    page = html.document_fromstring(
        forms.render(shown, forms.Form.HTML, words, forms.Kind.DETAILED)
    )
    told = page.text_content()
    for part in (words.title, "TEST Əliyeva Günay", words.reasons["HASH_FAILURE"], "5AB12CD"):
        assert part in told
    assert page.get("lang") == language


def test_what_a_stranger_wrote_is_text_and_not_markup(shown):
    page = forms.render(shown, forms.Form.HTML, languages.DEFAULT, forms.Kind.DETAILED)
    assert b"<b>differs" not in page
    assert b"&lt;b&gt;differs" in page


@pytest.mark.peer
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_of_the_pdf_can_be_read_out(shown, language, tmp_path):
    words = languages.WORDINGS[language]
    path = tmp_path / "report.pdf"
    path.write_bytes(forms.render(shown, forms.Form.PDF, words, forms.Kind.DETAILED))
    told = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True, timeout=60
    ).stdout.decode()
    for part in (words.title, "TEST Əliyeva Günay", "TOTAL-FAILED / HASH_FAILURE"):
        assert part in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_evidence_records_are_told(shown, at, language):
    words = languages.WORDINGS[language]
    problem = report.Finding("evidence-record-broken", "the hash tree does not hold it")
    records = (
        report.EvidenceRecordReport(True, at, ("contract.pdf",)),
        report.EvidenceRecordReport(False, None, ("other.pdf",), problem),
    )
    sealed = dataclasses.replace(shown, evidence_records=records)
    page = forms.render(sealed, forms.Form.HTML, words, forms.Kind.SIMPLE).decode()
    told = html.document_fromstring(page).text_content()
    headings = [one.text for one in html.document_fromstring(page).iter("h2")]
    assert headings.count(words.evidence_record) == 2
    for part in ("contract.pdf", words.stamp_states["false"], problem.message):
        assert part in told


@pytest.mark.clause("EN 319 102-1", "5.2")
@pytest.mark.parametrize("language", LANGUAGES)
def test_detailed_report_shows_the_building_blocks_in_every_form(shown, language, tmp_path):
    words = languages.WORDINGS[language]
    page = html.document_fromstring(
        forms.render(shown, forms.Form.HTML, words, forms.Kind.DETAILED)
    )
    told = page.text_content()
    answer = json.loads(forms.render(shown, forms.Form.JSON, words, forms.Kind.DETAILED))
    lines = text.set_sheet(sheet.make(answer, words, detailed=True))
    lines = " ".join(lines.split())
    for part in (
        words.course,
        f"FC: {words.blocks['FC']}",
        f"✓ {words.rules['validity-period']}",
        f"? {words.rules['time-stamp-proves']}",
        f"✗ {words.rules['digests-match']} — the digest <b>differs</b>",
        f"- {words.rules['qualified-demanded']} ({words.not_demanded})",
        words.stages["past"],
    ):
        assert part in told
        assert part in lines
    assert len(page.xpath("//ul[@class='blocks']/li[@class='bad']")) == 1
    simple = forms.render(shown, forms.Form.HTML, words, forms.Kind.SIMPLE).decode()
    assert words.course not in simple
    assert (
        "building_blocks"
        not in forms.render(shown, forms.Form.JSON, words, forms.Kind.SIMPLE).decode()
    )


def test_block_that_was_not_finished_is_not_told_as_passed(shown):
    (answer,) = [shown.signatures[0].to_json(detailed=True)]
    for block in answer["building_blocks"]:
        block["complete"] = block["block"] != "SAV"
    stages = course.stages(answer, languages.DEFAULT)
    blocks = {one.heading[:3]: one for stage in stages for one in stage.blocks}
    assert (blocks["SAV"].tone, blocks["SAV"].verdict) == (
        course.Tone.OPEN,
        languages.DEFAULT.unfinished,
    )
    assert blocks["XCV"].tone is course.Tone.GOOD


def test_terminal_gets_no_control_characters_of_strangers(shown):
    signature = dataclasses.replace(shown.signatures[0], signed_by="TEST \x1b[2J")
    told = dataclasses.replace(shown, signatures=(signature,)).to_json()
    lines = text.set_sheet(sheet.make(told, languages.DEFAULT, detailed=True))
    assert "\x1b" not in lines
    assert "TEST \ufffd[2J" in lines


@pytest.mark.clause("RFC 9110", "12.4.2")
def test_wishes_are_ordered_by_weight_and_then_by_place():
    header = "en;q=0.5, ka-GE, az;q=0.9, ru;q=0, x;q=y"
    assert preferences.ordered(header) == ("ka-ge", "az", "en")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", forms.Form.JSON),
        ("*/*", forms.Form.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", forms.Form.HTML),
        ("application/pdf", forms.Form.PDF),
        ("text/xml", forms.Form.XML),
        ("image/png", None),
        ("application/json;q=0", None),
    ],
)
def test_form_follows_the_accept_header(accept, form):
    assert forms.choose(accept) is form


@pytest.mark.clause("EN 319 102-1", "5.6.3.4")
@pytest.mark.parametrize("language", LANGUAGES)
def test_detailed_report_tells_the_processes_and_what_was_judged_in_the_past(
    shown, language, tmp_path
):
    words = languages.WORDINGS[language]
    page = html.document_fromstring(
        forms.render(shown, forms.Form.HTML, words, forms.Kind.DETAILED)
    ).text_content()
    answer = json.loads(forms.render(shown, forms.Form.JSON, words, forms.Kind.DETAILED))
    lines = text.set_sheet(sheet.make(answer, words, detailed=True))
    open_verdict = f"INDETERMINATE / REVOKED_NO_POE: {words.block_indications['INDETERMINATE']}"
    for part in (
        words.processes,
        *words.process_names.values(),
        "it was revoked <b>since</b>",
        f"PCV: {words.past_blocks['PCV']}",
        f"PSV: {words.past_blocks['PSV']}, {words.time_stamp} {words.stamp_kinds['signature']}",
        words.without_proof.format(verdict=open_verdict),
        f"{words.evidence_record} (SHA-256 {'ba' * 8}…)",
    ):
        assert part in page
        assert part in " ".join(lines.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_simple_report_says_what_to_do_and_how_many_are_valid(shown, language):
    words = languages.WORDINGS[language]
    told = html.document_fromstring(
        forms.render(shown, forms.Form.HTML, words, forms.Kind.SIMPLE)
    ).text_content()
    assert words.advice["original"] in told
    assert words.signatures_counted.format(passed=1, count=2) in told


def test_terminal_has_lines_of_eighty_columns(shown):
    for words in languages.WORDINGS.values():
        lines = text.set_sheet(sheet.make(shown.to_json(detailed=True), words, detailed=True))
        long = [one for one in lines.splitlines() if len(one) > text.WIDTH]
        assert all(len(one.split()) <= 3 for one in long), long


def test_message_in_english_says_that_it_is(shown):
    page = html.document_fromstring(
        forms.render(shown, forms.Form.HTML, languages.WORDINGS["ka"], forms.Kind.SIMPLE)
    )
    (warning,) = [one for one in page.iter("span") if "proves nothing" in one.text_content()]
    assert warning.get("lang") == "en"
