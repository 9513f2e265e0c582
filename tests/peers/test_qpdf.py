"""PDFs as qpdf writes them, signed by pyHanko, are validated here in every layout."""

import io
import os
import pathlib
import shutil
import subprocess

import pytest

from signing_service import documents, trust
from signing_service.validation import process, report
from signing_service.validation.pdf import pdf_structure
from tests.support import signed_pdfs

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not os.environ.get("CI") and not shutil.which("qpdf"), reason="needs qpdf"),
]


@pytest.fixture
def maker(hierarchy, at) -> signed_pdfs.PdfMaker:
    return signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)


def qpdf(folder: pathlib.Path, *options: str) -> bytes:
    """A document of ours rewritten by qpdf."""
    source, target = folder / "in.pdf", folder / "out.pdf"
    source.write_bytes(signed_pdfs.make_pdf())
    subprocess.run(
        [shutil.which("qpdf") or "qpdf", *options, source, target], check=True, timeout=60
    )
    return target.read_bytes()


def judge(maker: signed_pdfs.PdfMaker, folder: pathlib.Path, content: bytes):
    path = folder / "signed.pdf"
    path.write_bytes(content)
    anchors = trust.TrustAnchors((maker.authorities.root.certificate,))
    (found,) = process.validate(
        documents.Document("signed.pdf", path), trust=anchors, at=maker.at, fetch=None
    ).signatures
    return found


@pytest.mark.clause("ISO 32000-1", "7.5.8")
@pytest.mark.parametrize(
    "options",
    [
        ["--object-streams=disable"],
        ["--object-streams=generate"],
        ["--linearize"],
        ["--linearize", "--object-streams=generate"],
        ["--force-version=2.0"],
    ],
    ids="".join,
)
def test_every_layout_of_a_file_is_read(maker, tmp_path, options):
    signed = maker.add_evidence(maker.sign(qpdf(tmp_path, *options), stamped=True))
    found = judge(maker, tmp_path, signed)
    assert found.indication is report.Indication.TOTAL_PASSED
    assert found.level == "PAdES-BASELINE-LT"
    assert not found.warnings
    damaged = signed[: signed.rindex(b"startxref")] + b"startxref\n999999999\n%%EOF\n"
    found = judge(maker, tmp_path, damaged)
    assert found.intact
    assert "repaired-structure" in {one.code for one in found.warnings}


@pytest.mark.clause("ISO 32000-1", "7.6.3.3")
@pytest.mark.parametrize("bits", ["40", "128", "256"])
def test_encrypted_document_is_judged_where_everybody_may_read_it(maker, tmp_path, bits):
    weak = [] if bits == "256" else ["--allow-weak-crypto"]
    for password in ("", "TEST secret"):
        encrypted = qpdf(tmp_path, *weak, "--encrypt", password, "TEST owner", bits, "--")
        signed = maker.sign(encrypted, password=password)
        if password:
            with pytest.raises(pdf_structure.PDFPasswordError):
                judge(maker, tmp_path, signed)
            continue
        found = judge(maker, tmp_path, signed)
        assert (found.intact, found.scope_kind) == (True, report.ScopeKind.FULL)
        start = signed.index(b"/Filter /Adobe.PPKLite")
        forged = io.BytesIO(signed)
        forged.seek(start)
        forged.write(b"/Filter /Bdobe.PPKLite")
        assert judge(maker, tmp_path, forged.getvalue()).intact is False
        # Strings would be read with another key after a repair: nothing is guessed there.
        damaged = signed[: signed.rindex(b"startxref")] + b"startxref\n999999999\n%%EOF\n"
        with pytest.raises(pdf_structure.PDFUnreadableError):
            judge(maker, tmp_path, damaged)
