import json
import pathlib

import click
import pytest
from click.testing import CliRunner

from ca import commands
from tests.support import ca_world


def _run(*arguments: str, root: click.Command = commands.group) -> str:
    result = CliRunner().invoke(root, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_administrators_work_goes_through_the_api(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    credentials = ("--credentials", str(registration_office), "--json")
    person = ("--country", "AZ", "--person-code", "5AB12CD", "--surname", "Əliyeva")
    vetting = ("--given-name", "Günay", "--document", "passport:AZ:P1234567:2035-01-31")
    organisation = ("--organisation-code", "1234567890", "--organisation-name", "TEST MMC")
    made = json.loads(
        _run("request", "--category", "business", *person, *vetting, *organisation, *credentials)
    )
    assert made["state"] == "awaiting_approval"
    approved = json.loads(_run("approve", made["id"], *credentials))
    assert approved["state"] == "approved"
    csr_file, output = tmp_path / "key.csr", tmp_path / "certificate.pem"
    csr_file.write_bytes(ca_world.make_csr())

    issued = json.loads(
        _run(
            *("issue", made["id"], "--profile", "sign", "--csr", str(csr_file)),
            *("-o", str(output), *credentials),
        )
    )

    serial = issued["serial_number"]
    assert output.read_text().count("BEGIN CERTIFICATE") == 3
    listed = json.loads(_run("list", "--person-code", "5AB12CD", *credentials))["certificates"]
    assert [one["serial_number"] for one in listed] == [serial]
    _run("hold", serial, *credentials)
    assert json.loads(_run("show", serial, *credentials))["status"] == "held"
    _run("release", serial, *credentials)
    _run("revoke", serial, "--reason", "superseded", *credentials)
    assert json.loads(_run("show", serial, *credentials))["status"] == "revoked"
    assert json.loads(_run("crl", "business", *credentials))["number"] > 1
    assert json.loads(_run("audit", "verify", *credentials))["entries"] > 40
    assert serial in _run("list", *credentials[:2])


def test_a_pem_request_that_is_none_is_refused(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    csr_file = tmp_path / "key.csr"
    csr_file.write_text("-----BEGIN CERTIFICATE REQUEST-----\nx\n")
    arguments = ["issue", "x", "--profile", "sign", "--csr", str(csr_file)]
    result = CliRunner().invoke(
        commands.group, [*arguments, "--credentials", str(registration_office)]
    )
    assert result.exit_code == 2


@pytest.mark.parametrize(
    "name",
    [
        "request",
        "vet",
        "approve",
        "reject",
        "issue",
        "application",
        "revoke",
        "hold",
        "release",
        "list",
        "show",
        "crl",
    ],
)
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert "Example:" in _run(name, "--help")
