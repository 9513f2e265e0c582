import dataclasses
import pathlib
import re
import shutil
import subprocess

import pytest

from ca.disclosure import printed, settings, statement
from tests.support import ca_world, disclosure

OWN = disclosure.read(disclosure.TEST_TABLE)


def _made(language: str) -> statement.Statement:
    return statement.compose(OWN, ca_world.SETTINGS, language)


def _pdf(language: str) -> bytes:
    return printed.set_statement(_made(language), OWN.font, OWN.bold_font)


@pytest.mark.peer
@pytest.mark.parametrize("language", settings.LANGUAGES)
def test_the_text_of_the_pdf_can_be_read_out(language: str, tmp_path: pathlib.Path) -> None:
    program = shutil.which("pdftotext")
    assert program, "needs poppler-utils"
    path = tmp_path / "pds.pdf"
    path.write_bytes(_pdf(language))
    said = subprocess.run(
        [program, "-layout", str(path), "-"], check=True, capture_output=True, text=True
    ).stdout
    letters = re.sub(r"\s|\f", "", said)
    made = _made(language)
    wanted = [made.notice, *made.introduction, *(one.heading for one in made.sections)]
    wanted += [text for one in made.sections for text in (*one.paragraphs, *one.points)]
    # A footer may stand in the middle of what goes over to the next page.
    title = re.escape(re.sub(r"\s", "", made.wording.title))
    footer = rf"{title},1\.0\w+\d/\d"
    letters = re.sub(footer, "", letters)
    for text in wanted:
        assert re.sub(r"\s", "", text) in letters, text


def test_the_same_statement_gives_the_same_bytes() -> None:
    assert _pdf("ka") == _pdf("ka")


def test_the_pdf_has_title_language_and_outline() -> None:
    content = _pdf("az")
    assert content.startswith(b"%PDF-")
    assert b"/Lang (az)" in content
    assert b"/Title" in content
    assert b"/Outlines" in content


def test_a_font_that_is_missing_is_told() -> None:
    with pytest.raises(printed.FontMissingError, match=r"/nowhere\.ttf"):
        printed.set_statement(_made("en"), pathlib.Path("/nowhere.ttf"), OWN.bold_font)


def test_a_letter_that_the_font_lacks_is_refused_not_printed_as_a_box() -> None:
    strange = dataclasses.replace(_made("en"), operator="TEST \U00013000")
    with pytest.raises(printed.FontMissingError, match=r"U\+13000"):
        printed.set_statement(strange, OWN.font, OWN.bold_font)
