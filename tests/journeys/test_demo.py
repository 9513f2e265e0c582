"""The demo as a stranger sees it: two runs in one folder, with other signatures."""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.card, pytest.mark.peer, pytest.mark.xdist_group("demo")]

LEFT = ("sandbox.json", "contract.pdf", "signed-by-card.pdf", "signed-by-phone.pdf")


def play(folder: pathlib.Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "imza", "demo", "--dir", str(folder)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_demo_leaves_what_it_promises_and_other_signatures_each_time() -> None:
    with tempfile.TemporaryDirectory(prefix="imza-") as temporary:
        folder = pathlib.Path(temporary) / "demo"
        told = play(folder)
        for line in (
            "imza verify signed-by-phone.pdf: TOTAL-PASSED",
            "pdfsig, signed-by-phone.pdf: accepted",
            "TOTAL-FAILED, HASH_FAILURE",
            "[certificate-revoked]",
        ):
            assert line in told
        assert all((folder / name).exists() for name in LEFT)
        reports = [json.loads(one.read_text()) for one in (folder / "reports").glob("*.json")]
        assert {one["overall"] for one in reports} == {"TOTAL-PASSED", "TOTAL-FAILED"}
        first = hashlib.sha256((folder / "signed-by-phone.pdf").read_bytes()).digest()
        play(folder)
        assert hashlib.sha256((folder / "signed-by-phone.pdf").read_bytes()).digest() != first


def test_demo_does_not_empty_somebody_elses_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = subprocess.run(
        [sys.executable, "-m", "imza", "demo", "--dir", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
