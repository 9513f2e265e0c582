import pathlib

import pytest

from signing_service import documents, trust
from signing_service.validation import process
from tests.support import signed_pdfs


@pytest.fixture
def maker(hierarchy, at) -> signed_pdfs.PdfMaker:
    return signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)


@pytest.fixture
def judge(tmp_path: pathlib.Path, hierarchy, at):
    """Validate bytes with the hierarchy's root trusted, offline unless told otherwise."""

    def validate(content: bytes, *, when=at, fetch=None, anchors=None, name="contract.pdf"):
        path = tmp_path / "judged"
        path.write_bytes(content)
        return process.validate(
            documents.Document(name, path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)) if anchors is None else anchors,
            at=when,
            fetch=fetch,
        )

    return validate
