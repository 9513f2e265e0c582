"""The developer guide's blocks and the README's session, run as they are written."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from imza import samples, schema
from pki import database
from tests.support import conformance
from tests.support import world as worlds

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = ("curl", "jq", "openssl", "pkcs11-tool")

LIMIT_S = 120


@pytest.fixture(scope="module")
def folder() -> Iterator[pathlib.Path]:
    """A reader's folder: a sandbox in `world`, the sample documents, and `.venv/bin/imza`."""
    with tempfile.TemporaryDirectory(prefix="imza-") as name:
        home = pathlib.Path(name)
        samples.write_contract(home / "contract.pdf")
        samples.write_form(home / "form.xml")
        (home / ".venv").mkdir()
        (home / ".venv" / "bin").symlink_to(pathlib.Path(sys.executable).parent)
        with worlds.sandbox(home / "world"):
            yield home


def _run(folder: pathlib.Path, script: str) -> None:
    done = subprocess.run(
        ["bash", "-eo", "pipefail"],
        input=script, capture_output=True, text=True, cwd=folder, timeout=LIMIT_S, check=False,
        env={**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _has_reader(folder: pathlib.Path) -> bool:
    return json.loads((folder / "world" / "sandbox.json").read_text())["pcscd"] is not None


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.skipif(
    not os.environ.get("CI") and not all(shutil.which(one) for one in PROGRAMS),
    reason=f"needs {', '.join(PROGRAMS)}",
)
def test_the_developer_guide_does_what_it_says(folder: pathlib.Path) -> None:
    text = (ROOT / "docs" / "developer-guide.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```sh( card)?\n(.*?)^```", text)
    assert len(blocks) > 8
    reader = _has_reader(folder)
    _run(folder, "".join(block for card, block in blocks if reader or not card))


@pytest.mark.slow
@pytest.mark.peer
def test_the_readmes_commands_sign_and_verify(folder: pathlib.Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## A sandbox to build against")[2].partition("\n## ")[0]
    block = next(one for one in re.findall(r"(?m)(?:^ {4}.*\n)+", section) if "imza sign" in one)
    if not _has_reader(folder):
        if os.environ.get("CI"):
            pytest.fail("the sandbox has no card reader")
        pytest.skip("this machine refuses namespaces, so there is no card reader")
    address = json.loads((folder / "world" / "sandbox.json").read_text())["base_url"]
    assert "http://127.0.0.1:8080" in block
    block = block.replace("http://127.0.0.1:8080", address)
    # A person types the PIN; here it comes from sandbox.json through a descriptor.
    pin = "3< <(jq -r '.cards[0].pin1' world/sandbox.json)"
    _run(folder, block.replace("--card --level", f"--card --pin-fd 3 {pin} --level"))
    assert (folder / "signed.pdf").stat().st_size > (folder / "contract.pdf").stat().st_size


def test_the_conformance_table_is_the_one_that_the_tests_make() -> None:
    path = ROOT / "docs" / "conformance-table.md"
    assert path.read_text(encoding="utf-8") == conformance.table(), "run `make docs`"


def test_the_architecture_names_every_table() -> None:
    schema.import_tables()
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for table in database.Base.metadata.tables:
        assert f"`{table}`" in text


def test_documents_hold_no_path_of_a_developers_machine() -> None:
    for path in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*")]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/(?:home|work|root|tmp)/", text), path
