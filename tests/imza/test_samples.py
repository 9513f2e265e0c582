import os
import pathlib
import shutil
import subprocess

import pytest
from lxml import etree
from pyhanko.pdf_utils import reader

from imza import samples


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("samples") / "contract.pdf"
    samples.write_contract(path)
    return path


def test_the_contract_has_three_pages_and_no_signature(contract: pathlib.Path) -> None:
    with contract.open("rb") as stream:
        read = reader.PdfFileReader(stream)
        assert read.root["/Pages"]["/Count"] == 3
        assert list(read.embedded_signatures) == []


@pytest.mark.peer
def test_pdftotext_reads_every_azerbaijani_letter_of_the_contract(contract: pathlib.Path) -> None:
    if shutil.which("pdftotext") is None and not os.environ.get("CI"):
        pytest.skip("needs poppler-utils")
    done = subprocess.run(
        ["pdftotext", str(contract), "-"], capture_output=True, text=True, check=True
    )
    text = " ".join(done.stdout.split())
    assert samples.TITLE in text
    for letter in "əğıöüşçƏXİÜÖŞ":
        assert letter in text
    for heading, _ in samples.ARTICLES:
        assert heading in text
    assert "TEST" in text


def test_the_form_is_well_formed_and_carries_both_scripts(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "form.xml"
    samples.write_form(path)
    root = etree.parse(str(path)).getroot()
    assert root.tag == f"{{{samples.FORM_NAMESPACE}}}application"
    text = " ".join("".join(str(one) for one in root.itertext()).split())
    assert "Sahibkarlıq fəaliyyətinin" in text
    assert "განაცხადი" in text
    assert "TEST" in text


@pytest.mark.peer
def test_xmllint_finds_nothing_wrong_with_the_form(tmp_path: pathlib.Path) -> None:
    if shutil.which("xmllint") is None and not os.environ.get("CI"):
        pytest.skip("needs libxml2-utils")
    path = tmp_path / "form.xml"
    samples.write_form(path)
    done = subprocess.run(["xmllint", "--noout", str(path)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_form_is_the_same_each_time(tmp_path: pathlib.Path) -> None:
    for name in ("one", "two"):
        samples.write_form(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
