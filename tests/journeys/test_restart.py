"""A sandbox stops as a whole, and starting it again on its folder continues the same world."""

import os
import pathlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.support import servers
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("restart")]

SAME = ("base_url", "tls_base_url", "api_client", "operators", "people", "cards")


@pytest.fixture(scope="module")
def own_world() -> Iterator[worlds.World]:
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.sandbox(pathlib.Path(folder) / "w") as running,
    ):
        yield running


def processes_of(folder: pathlib.Path) -> list[str]:
    """The command lines of every process that has to do with a folder."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # It ended meanwhile.
        if str(folder) in arguments and process.name != str(os.getpid()):
            found.append(arguments)
    return found


def sandbox(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*worlds.IMZA, "sandbox", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def sign(world: worlds.World, contract: pathlib.Path, person_code: str) -> bytes:
    signer = worlds.certify(world.office(), person_code)
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LT"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed", "failed"])["state"] == "completed"
    content = api.call("GET", f"{path}/document")
    assert isinstance(content, bytes)
    return content


def test_second_sandbox_on_a_folder_that_runs_is_refused(own_world: worlds.World) -> None:
    done = sandbox("--dir", str(own_world.folder))
    assert done.returncode == 4
    assert "[sandbox-runs-already]" in done.stderr
    assert "Traceback" not in done.stderr
    # The one that runs is not disturbed: its description is still there.
    assert (own_world.folder / "sandbox.json").exists()
    own_world.api().call("GET", "/readyz")


def test_world_goes_on_after_a_stop_and_after_a_kill(
    own_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    world = own_world
    old = tmp_path / "old.pdf"
    old.write_bytes(sign(world, contract, "6RS11RS"))
    before = world.description
    waiting = worlds.certify(world.office(), "6RS22RS")
    opened = world.api().open_session(contract.read_bytes(), waiting.parameters("B-T"))

    for kill in (False, True):
        world.stop(kill=kill)
        again = worlds.start_sandbox(world.folder)
        world.process, world.description = again.process, again.description
        assert {name: world.description[name] for name in SAME} == {
            name: before[name] for name in SAME
        }
        assert world.verify(old)["overall"] == "TOTAL-PASSED"

    # A session that was open when the world stopped is completed in the next one.
    api = world.api()
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", waiting.value(opened))
    assert api.wait(opened["id"], ["completed", "failed"])["state"] == "completed"
    sign(world, contract, "6RS33RS")


def test_stopped_world_leaves_no_process_and_refuses_another_port(own_world: worlds.World) -> None:
    world = own_world
    if world.description["pcscd"] is not None:
        assert any("pcscd" in one for one in processes_of(world.folder))
    world.process.send_signal(signal.SIGTERM)
    assert world.process.wait(30) == 0
    assert processes_of(world.folder) == []
    assert "Stopping" in world.output

    port = str(servers.free_port())
    done = sandbox("--dir", str(world.folder), "--port", port)
    assert done.returncode == 4
    assert "[sandbox-other-port]" in done.stderr
    assert processes_of(world.folder) == []


def test_folder_with_something_else_in_it_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"not ours")
    done = sandbox("--dir", str(tmp_path))
    assert done.returncode == 4
    assert "[not-a-sandbox]" in done.stderr
    assert {one.name for one in tmp_path.iterdir()} <= {"holiday.jpg", "imza.log"}
