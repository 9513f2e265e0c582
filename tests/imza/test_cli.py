import json
import pathlib
import subprocess
import sys

import pytest

from imza import cli
from pki import errors
from tests.support import servers

HEAVY = ("fastapi", "sqlalchemy", "pyhanko", "lxml", "cryptography", "smartcard")


def _imza(*arguments: str, **running: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imza", *arguments],
        capture_output=True, text=True, timeout=60, check=False, **running,  # type: ignore[call-overload]
    )  # fmt: skip


def _python(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["-h"]])
def test_version_and_overview_import_nothing_heavy(arguments: list[str]) -> None:
    done = _python(
        "import sys\n"
        "from imza import cli\n"
        "try:\n"
        f"    cli.main({arguments!r})\n"
        "finally:\n"
        f"    sys.stderr.write(repr([one for one in {HEAVY!r} if one in sys.modules]))"
    )
    assert done.returncode == 0
    assert done.stdout.startswith(("imza 0.", "Usage: imza"))
    assert done.stderr == "[]"


def test_the_overview_names_every_command_with_a_line() -> None:
    shown = _imza("--help").stdout
    for name, (_, _, line) in cli.COMMANDS.items():
        assert f"  {name}" in shown
        assert line in shown


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_of_the_table_exists(name: str) -> None:
    done = _imza(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: imza {name}")


@pytest.mark.parametrize(
    ("module", "name"), [("fastapi", "sandbox"), ("sqlalchemy", "serve"), ("smartcard", "card")]
)
def test_a_missing_package_is_a_sentence_that_says_what_to_install(
    tmp_path: pathlib.Path, module: str, name: str
) -> None:
    # The settings are read first: what is missing is told where they can be read.
    settings = tmp_path / "ca.toml"
    settings.write_text('[database]\nurl = "sqlite:////nonexistent/x"\n')
    arguments = {
        "sandbox": ["sandbox", "--dir", "/nonexistent/world"],
        "serve": ["serve", "ca", "--config", str(settings)],
        "card": ["card", "list"],
    }[name]
    done = _python(
        f"import sys\nsys.modules[{module!r}] = None\nfrom imza import cli\ncli.main({arguments!r})"
    )
    assert done.returncode == cli.EXIT_REFUSED
    assert f"'{module}'" in done.stderr
    assert "imza[" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("family", "code"),
    [
        (errors.InputError, 4),
        (errors.LimitError, 4),
        (errors.NotFoundError, 4),
        (errors.StateError, 4),
        (errors.PolicyError, 4),
        (errors.AccessError, 4),
        (errors.DeviceError, 5),
        (errors.PeerError, 5),
        (errors.TamperedError, 70),
    ],
)
def test_the_exit_code_follows_from_the_errors_family(
    family: type[errors.ImzaError], code: int
) -> None:
    assert cli.exit_code(family("what")) == code


def test_wrong_use_leaves_with_2() -> None:
    done = _imza("serve", "nothing", "--config", __file__)
    assert done.returncode == 2
    assert "Usage: imza serve" in done.stderr
    assert done.stdout == ""


def test_an_unknown_command_leaves_with_2() -> None:
    done = _imza("sing")
    assert done.returncode == 2
    assert "sing" in done.stderr


def test_a_refusal_is_one_sentence_with_its_code(tmp_path: pathlib.Path) -> None:
    settings = tmp_path / "ca.toml"
    settings.write_text("[serve]\n")
    done = _imza("serve", "ca", "--config", str(settings))
    assert done.returncode == 4
    assert "unknown entry 'serve'" in done.stderr
    assert "[wrong-settings]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_peer_that_is_down_leaves_with_5_and_says_that_it_may_come_back() -> None:
    url = f"http://127.0.0.1:{servers.free_port()}/tsa"
    done = _imza("tsa", "query", __file__, "--url", url)
    assert done.returncode == 5
    assert "[peer-unavailable]" in done.stderr
    assert "trying again later" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["ca", "list", "--credentials", "FILE", "--json"], "wrong-credentials-file", 4),
        (["sign", "FILE", "--json"], "usage", 2),
        (["tsa", "query", "FILE", "--url", "http://127.0.0.1:1/", "--json"],
         "peer-unavailable", 5),
    ],
)  # fmt: skip
def test_with_json_a_failure_is_one_problem_document_on_standard_output(
    tmp_path: pathlib.Path, arguments: list[str], code: str, status: int
) -> None:
    file = tmp_path / "file"
    file.write_text("[]")
    done = _imza(*(str(file) if one == "FILE" else one for one in arguments))
    assert done.returncode == status
    problem = json.loads(done.stdout)
    assert problem["code"] == code
    assert problem["exit_code"] == status
    assert problem["detail"]
    assert set(problem) == {"type", "title", "code", "detail", "retriable", "exit_code"}


def test_a_fault_of_ours_is_told_without_a_traceback_unless_asked_for() -> None:
    with pathlib.Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "imza", "doctor"]
        silent = subprocess.run(command, stdout=full, stderr=-1, text=True, check=False)
        told = subprocess.run(
            [*command[:3], "--traceback", "doctor"],
            stdout=full, stderr=-1, text=True, check=False,
        )  # fmt: skip
    assert silent.returncode == told.returncode == cli.EXIT_FAULT
    assert "this is our fault" in silent.stderr
    assert "Traceback" not in silent.stderr
    assert "Traceback" in told.stderr
