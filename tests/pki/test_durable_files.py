import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from pki import durable_files


def test_a_replaced_file_is_its_owners_alone_and_leaves_nothing_beside_it(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    durable_files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), durable_files.replacing(path) as partial:  # noqa: PT012
        partial.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    program = (
        "import os, pathlib, signal\n"
        "from pki import durable_files\n"
        f"with durable_files.replacing(pathlib.Path({os.fspath(path)!r})) as partial:\n"
        "    partial.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_a_created_file_replaces_no_other(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "key.pem"
    durable_files.create(path, b"first")
    with pytest.raises(FileExistsError):
        durable_files.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key.pem"]


def test_a_folder_that_is_gone_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        durable_files.replace(tmp_path / "gone" / "file", b"")
