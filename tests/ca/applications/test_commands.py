"""The commands of registration, as three operators use them."""

import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ca import commands
from pki import errors
from tests.support import ca_world

PERSON = ("--country", "AZ", "--person-code", "5AB12CD", "--surname", "TEST Əliyeva")
GIVEN_NAME = ("--given-name", "Günay")
ORGANISATION = ("--organisation-code", "1400000021", "--organisation-name", "TEST MMC")
PASSPORT = ("--document", "passport:AZ:C0123456:2099-01-31")
PASSPHRASE = "a TEST passphrase"


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(commands.group, list(arguments))


def _run(*arguments: str) -> Any:
    result = _invoke(*arguments, "--json")
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return json.loads(result.stdout)


def test_an_application_is_recorded_vetted_approved_and_looked_at(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    who = ("--credentials", str(registration_office))
    made = _run("request", "--category", "business", *PERSON, *GIVEN_NAME, *ORGANISATION, *who)
    assert made["state"] == "recorded"
    assert isinstance(_invoke("approve", made["id"], *who).exception, errors.ImzaError)
    vetted = _run("vet", made["id"], "--method", "in_person", *PASSPORT, *who)
    assert vetted["state"] == "awaiting_approval"
    listed = _run("application", "list", "--state", "awaiting_approval", *who)["applications"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert _run("approve", made["id"], *who)["state"] == "approved"
    shown = _run("application", "show", made["id"], *who)
    assert shown["vetting"]["officer"] != shown["decided_by"]
    text = tmp_path / "text"
    _run("application", "text", made["id"], "-o", str(text), *who)
    assert made["id"] in text.read_text(encoding="utf-8")
    assert made["id"] in _invoke("application", "list", *who).output


def test_an_application_is_rejected_with_its_reason(registration_office: pathlib.Path) -> None:
    who = ("--credentials", str(registration_office))
    made = _run("request", "--category", "citizen", *PERSON, *GIVEN_NAME, *who)
    rejected = _run("reject", made["id"], "--reason", "The photograph is of another.", *who)
    assert rejected["state"] == "rejected"
    shown = _run("application", "show", made["id"], *who)
    assert shown["rejection_reason"] == "The photograph is of another."


def test_a_document_that_cannot_be_read_is_refused(registration_office: pathlib.Path) -> None:
    who = ("--credentials", str(registration_office))
    for document in ("C0123456", "passport:AZ:C0123456", "paper:AZ:C0123456:2099-01-31"):
        result = _invoke(
            *("request", "--category", "citizen", *PERSON, *GIVEN_NAME, *who),
            *("--document", document),
        )
        assert isinstance(result.exception, errors.InputError)


def _passphrase_fd(text: str) -> int:
    reading, writing = os.pipe()
    os.write(writing, f"{text}\n".encode())
    os.close(writing)
    return reading


@pytest.mark.peer
def test_a_test_installation_gives_a_key_in_a_file(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed")
    who = ("--credentials", str(registration_office))
    made = _run("request", "--category", "citizen", *PERSON, *GIVEN_NAME, *PASSPORT, *who)
    file = tmp_path / "key.p12"
    arguments = ("issue", made["id"], "--profile", "sign", "--pkcs12", str(file), *who)
    short = _invoke(*arguments, "--passphrase-fd", str(_passphrase_fd("short")))
    assert isinstance(short.exception, errors.InputError)
    assert not file.exists()

    issued = _run(*arguments, "--passphrase-fd", str(_passphrase_fd(PASSPHRASE)))

    assert issued["pkcs12"] == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        ["openssl", "pkcs12", "-in", str(file), "-passin", "stdin", "-noenc", "-info"],
        input=PASSPHRASE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "BEGIN PRIVATE KEY" in shown.stdout
    assert shown.stdout.count("BEGIN CERTIFICATE") == 2
    assert "AES-256-CBC" in shown.stderr
    again = _invoke(*arguments, "--passphrase-fd", str(_passphrase_fd(PASSPHRASE)))
    assert isinstance(again.exception, errors.InputError)


def test_a_request_and_a_key_in_a_file_are_not_asked_for_together(
    registration_office: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    csr_file = tmp_path / "key.csr"
    csr_file.write_bytes(ca_world.make_csr())
    who = ("--credentials", str(registration_office))
    for options in (
        (),
        ("--csr", str(csr_file), "--pkcs12", "x.p12"),
        ("--pkcs12", "x.p12"),
        ("--csr", str(csr_file), "--passphrase-fd", "5"),
    ):
        assert _invoke("issue", "x", "--profile", "sign", *options, *who).exit_code == 2
