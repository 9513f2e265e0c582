"""The exit codes that scripts rely on; with --json one document is printed, whatever happens."""

import json
import pathlib
import subprocess
from typing import Any

import pytest

from tests.support import servers
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]


def run(*arguments: str, expect: int) -> dict[str, Any]:
    """Run a command with --json; return the one document it prints."""
    done = subprocess.run(
        [*worlds.IMZA, *arguments, "--json"],
        capture_output=True, text=True, timeout=worlds.STEP_LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def signed(
    world: worlds.World, contract: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    path = tmp_path_factory.mktemp("signed") / "signed.pdf"
    signer = worlds.certify(world.office(), "7EX77EX")
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-T"))
    address = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{address}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed"])["state"] == "completed"
    path.write_bytes(api.call("GET", f"{address}/document"))
    return path


def test_0_is_done(world: worlds.World, signed: pathlib.Path) -> None:
    report = run("verify", str(signed), "--trust", str(world.root), expect=0)
    assert report["overall"] == "TOTAL-PASSED"


def test_1_is_a_verdict_of_failure(
    world: worlds.World, signed: pathlib.Path, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    content = bytearray(signed.read_bytes())
    content[content.index(b"stream") + 20] ^= 1
    (tmp_path / "changed.pdf").write_bytes(content)
    changed = str(tmp_path / "changed.pdf")
    assert run("verify", changed, "--trust", str(world.root), expect=1)["overall"] == "TOTAL-FAILED"
    unsigned = run("verify", str(contract), "--trust", str(world.root), expect=1)
    assert unsigned["overall"] == "NO-SIGNATURE"


def test_2_is_a_wrong_call(world: worlds.World, contract: pathlib.Path) -> None:
    assert run("sign", str(contract), "--card", expect=2)["code"] == "usage"
    assert run("verify", "/no/such/file", expect=2)["code"] == "usage"
    assert run("sign", *world.service, "--card", "-o", "x.pdf", expect=2)["code"] == "usage"
    assert run("no-such-command", expect=2)["code"] == "usage"


def test_3_is_a_verdict_that_cannot_be_reached(
    world: worlds.World, signed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    # The time-stamping unit's own certificate is no root of anything here.
    other_root = world.folder / "tls-ca.pem"
    report = run("verify", str(signed), "--trust", str(other_root), expect=3)
    assert report["overall"] == "INDETERMINATE"


def test_4_is_a_refusal(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    nobody = tmp_path / "nobody.json"
    nobody.write_text(json.dumps({"client_id": "sandbox-portal", "client_secret": "wrong"}))
    phone = ("--phone", "+994500000001", "--person", "5AB12CD", "-o", str(tmp_path / "x.pdf"))
    server = ("--server", world.base_url)
    problem = run("sign", str(contract), *phone, *server, "--credentials", str(nobody), expect=4)
    assert problem["code"] == "client-refused"
    (tmp_path / "no.pdf").write_bytes(b"not a PDF at all")
    problem = run("sign", str(tmp_path / "no.pdf"), *phone, *world.service, expect=4)
    assert problem["code"]
    assert run("verify", str(tmp_path / "no.pdf"), expect=4)["exit_code"] == 4


def test_5_is_a_peer_that_failed(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    nowhere = f"http://127.0.0.1:{servers.free_port()}"
    problem = run(
        "sign", str(contract), "--phone", "+994500000001", "--person", "5AB12CD",
        "-o", str(tmp_path / "x.pdf"), "--server", nowhere, *world.credentials, expect=5,
    )  # fmt: skip
    assert (problem["code"], problem["retriable"]) == ("peer-unavailable", True)
    assert not (tmp_path / "x.pdf").exists()


def test_5_is_a_device_that_failed(contract: pathlib.Path, tmp_path: pathlib.Path) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"client_id": "any", "client_secret": "any"}))
    done = subprocess.run(
        [*worlds.IMZA, "sign", str(contract), "--card", "--server", "http://127.0.0.1:9",
         "--credentials", str(credentials), "-o", str(tmp_path / "x.pdf"), "--json"],
        capture_output=True, text=True, check=False, timeout=worlds.STEP_LIMIT_S,
        env={"PATH": "/usr/bin", "PCSCLITE_CSOCK_NAME": str(tmp_path / "nobody-listens")},
    )  # fmt: skip
    assert done.returncode == 5
    assert json.loads(done.stdout)["code"] == "reader-service-down"
