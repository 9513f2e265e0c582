"""`imza ca operator …` against a running CA: from the request to the last day."""

import json
import os
import pathlib
import stat

import pytest
from click.testing import CliRunner, Result

from imza import ca_commands

PASSPHRASE = "TEST passphrase"


def run(*arguments: str, expect: type[Exception] | None = None) -> Result:
    result = CliRunner().invoke(ca_commands.group, list(arguments))
    if expect is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, expect), (result.output, result.exception)
    return result


def told(*arguments: str) -> dict[str, object]:
    value = json.loads(run(*arguments, "--json").stdout)
    assert isinstance(value, dict)
    return value


def secret(text: str = PASSPHRASE) -> str:
    """A descriptor that holds one line."""
    reading, writing = os.pipe()
    os.write(writing, f"{text}\n".encode())
    os.close(writing)
    return str(reading)


def request(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Make a key and a request; return the operator's file, whose certificate is still missing."""
    made = told(
        *("operator", "request", "--name", name, "--new-key", str(folder / f"{name}.key")),
        *("--pin-fd", secret(), "-o", str(folder / f"{name}.csr")),
    )
    return pathlib.Path(str(made["operator_file"]))


def test_an_approver_is_added_by_two_administrators_and_works_with_a_key_of_their_own(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    office = ("--operator", str(registration_office))
    folder = tmp_path / "bela"
    folder.mkdir()
    second = request(folder, "TEST-second")
    added = told(
        *("operator", "add", "--name", "TEST-second", "--role", "approver", *office),
        *("--csr", str(folder / "TEST-second.csr"), "-o", str(folder / "TEST-second.pem")),
    )
    assert added["state"] == "awaiting_confirmation"
    as_second = ("--operator", str(second), "--server", _server(registration_office))
    refused = run("list", *as_second, "--pin-fd", secret(), expect=Exception)
    assert "awaiting confirmation" in str(refused.exception)
    refused = run("operator", "confirm", "TEST-second", *office, expect=Exception)
    assert "another administrator" in str(refused.exception)

    other = tmp_path / "other"
    other.mkdir()
    administrator = request(other, "TEST-other")
    run(
        *("operator", "add", "--name", "TEST-other", "--role", "ca-administrator", *office),
        *("--csr", str(other / "TEST-other.csr"), "-o", str(other / "TEST-other.pem")),
    )
    states = {
        one["name"]: one["state"]
        for one in told("operator", "list", *office)["operators"]  # type: ignore[attr-defined]
    }
    assert states["TEST-other"] == "awaiting_confirmation"
    # Nobody can confirm the second administrator but one who is there already.
    run("operator", "disable", "TEST-other", *office)
    assert administrator.exists()


def _server(office: pathlib.Path) -> str:
    return str(json.loads(office.read_text())["base_url"])


def test_an_officer_works_with_an_encrypted_key_and_renews(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    office = ("--operator", str(registration_office))
    file = request(tmp_path, "TEST-new")
    key = tmp_path / "TEST-new.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in key.read_bytes()
    assert PASSPHRASE not in file.read_text()
    csr = ("--csr", str(tmp_path / "TEST-new.csr"))
    certificate = ("-o", str(tmp_path / "TEST-new.pem"))
    run(
        *("operator", "add", "--name", "TEST-new", "--role", "ra-officer"),
        *(*office, *csr, *certificate),
    )
    own = ("--operator", str(file), "--server", _server(registration_office))

    shown = told("operator", "show", *own, "--pin-fd", secret())

    assert (shown["name"], shown["role"], shown["state"]) == ("TEST-new", "ra-officer", "active")
    run("list", *own, "--pin-fd", secret())
    wrong = run("list", *own, "--pin-fd", secret("another one"), expect=Exception)
    assert "another one" not in str(wrong.exception)
    renewed = told("operator", "renew", *csr, *certificate, *own, "--pin-fd", secret())
    assert len(renewed["certificates"]) == 2  # type: ignore[arg-type]
    run("list", *own, "--pin-fd", secret())
    run("operator", "disable", "TEST-new", *office)
    run("list", *own, "--pin-fd", secret(), expect=Exception)


def test_one_operator_of_a_sandbox_is_picked_by_name_or_role(
    registration_office: pathlib.Path,
) -> None:
    office = ("--credentials", str(registration_office))
    for name in ("TEST-auditor", "auditor"):
        assert told("operator", "show", *office, "--as", name)["name"] == "TEST-auditor"
    refused = run("crl", "citizen", *office, "--as", "auditor", expect=Exception)
    assert "does not allow" in str(refused.exception)
    run("list", *office, "--as", "nobody", expect=Exception)


def test_what_exists_is_not_overwritten(tmp_path: pathlib.Path) -> None:
    request(tmp_path, "TEST-new")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    run(
        *("operator", "request", "--name", "TEST-new", "--new-key", str(tmp_path / "TEST-new.key")),
        *("--pin-fd", secret(), "-o", str(tmp_path / "other.csr")),
        expect=Exception,
    )
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_plain_key_that_others_may_read_is_refused(
    registration_office: pathlib.Path, mode: int
) -> None:
    for key in (registration_office.parent / "operators").glob("*.key"):
        key.chmod(mode)
    refused = run("list", "--operator", str(registration_office), expect=Exception)
    assert "chmod 600" in str(refused.exception)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"operators": 5, "base_url": "http://x"}',
        b'{"operators": [{"name": "x"}], "base_url": "http://x"}',
        b'certificate = "x"',
        b'certificate = "x"\nkey = "y"\nmodule = "z"\ntoken = "t"\nkey_label = "l"',
        b'certificate = "x"\nkey = "y"\ncolour = "red"',
        b'certificate = "x"\nkey = "y"\nserver = "http://x"',
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_operators_is_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    file = tmp_path / "operator.toml"
    file.write_bytes(content)
    refused = run("list", "--operator", str(file), expect=Exception)
    assert getattr(refused.exception, "code", None) == "wrong-credentials-file"


@pytest.mark.parametrize("name", ["add", "request", "confirm", "disable", "list", "show", "renew"])
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert "Example:" in run("operator", name, "--help").stdout
