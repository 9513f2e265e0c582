"""Documents of other projects, which lie beside the repository: each is judged or refused."""

import datetime
import json
import pathlib

import pytest

from pki import errors
from signing_service import documents, trust
from signing_service.validation import process, report

CORPUS = pathlib.Path(__file__).resolve().parents[4] / "shared" / "corpus"
AT = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_document_of_the_corpus_crashes_or_passes_without_trust():
    if not (CORPUS / "manifest.jsonl").is_file():
        pytest.skip("the corpus of signed documents is not at ../shared/corpus")
    judged = 0
    with (CORPUS / "manifest.jsonl").open(encoding="utf-8") as lines:
        for entry in map(json.loads, lines):
            files = CORPUS / "files"
            try:
                validated = process.validate(
                    documents.Document(entry["file"], files / entry["file"]),
                    trust=trust.TrustAnchors(),
                    at=AT,
                    fetch=None,
                    detached=[
                        documents.Document(one["name"], files / one["file"])
                        for one in entry["detached"]
                    ],
                )
            except errors.InputError:
                continue
            json.dumps(validated.to_json())
            assert validated.overall is not report.Indication.TOTAL_PASSED
            judged += 1
    assert judged > 80
