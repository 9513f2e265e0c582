"""The list of codes is complete, and says the same in every language."""

import ast
import pathlib
import re

import pytest

from signing_service.reports import finding_words, languages
from signing_service.validation import report

ROOT = pathlib.Path(__file__).resolve().parents[3]
VALIDATION = ROOT / "signing_service" / "validation"
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)+")
NOT_IN_REPORTS = {
    # Refusals of a whole document, a policy or a worker: problem documents, and no findings.
    "cms-text", "container-malformed", "document-unreadable", "pages-undrawable",
    "pdf-beyond-repair", "pdf-password", "pdf-unreadable", "report-too-long", "validation-busy",
    "validation-failed", "validation-policy", "validation-policy-unknown", "validation-timeout",
    "worker-answer",
}  # fmt: skip


def findings_made() -> set[str]:
    """Codes written out where a finding is made, or where an error that becomes one is declared."""
    found = set()
    makers = {"Finding", "stop", "failed", "_conclusion", "_note", "_none", "_failed"}
    for path in VALIDATION.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                values = node.args if name in makers else []
            elif isinstance(node, ast.ClassDef):
                values = [
                    one.value
                    for one in node.body
                    if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "code"
                ]
            else:
                continue
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found |= {value.value} if CODE.fullmatch(value.value) else set()
    return found


def test_every_code_of_the_validation_is_in_the_list():
    made = findings_made()
    assert len(made) > 60
    assert made - NOT_IN_REPORTS - set(finding_words.FINDINGS) == set()


def test_every_code_has_words_in_every_language_of_its_own():
    assert set(finding_words.LANGUAGES) == set(languages.WORDINGS)
    for code, words in finding_words.FINDINGS.items():
        assert len(set(words)) == len(finding_words.LANGUAGES), code
        assert all(one == one.strip() and not one.endswith(".") for one in words), code


@pytest.mark.parametrize("one", report.SubIndication)
def test_no_sub_indication_has_words_twice(one):
    assert one.value.lower().replace("_", "-") not in finding_words.FINDINGS


def test_page_of_codes_is_that_of_the_program():
    written = (ROOT / "docs" / "finding-codes.md").read_text(encoding="utf-8")
    assert written == finding_words.table(), "run `make docs`"


def test_sub_indications_that_nobody_gives_are_those_of_the_conformance_page():
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in VALIDATION.rglob("*.py")
        if path.name not in ("report.py", "processes.py")
    )
    never = {one.name for one in report.SubIndication if f"SubIndication.{one.name}" not in source}
    told = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    section = told.partition("### Sub-indications that are never given")[2].partition("###")[0]
    rows = "".join(one.partition("|")[2].partition("|")[0] for one in section.splitlines())
    assert never == set(re.findall(r"`([A-Z_]+)`", rows))
