"""A certificate's life by the commands of three operators, to the letter that tells of its end."""

import pathlib
import subprocess
from typing import Any

import pytest

from tests.support import mail_server
from tests.support.office import Office, await_that

pytestmark = [pytest.mark.peer, pytest.mark.slow]

DAYS_TO_LAST_MONTH = 3 * 365 - 20


def test_a_certificates_life_from_application_to_the_letter_of_its_end(office: Office) -> None:
    officer, approver = office.named("ra-officer")[0], office.named("approver")[0]
    auditor = office.named("auditor")[0]
    folder = office.folder
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=any"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    with office.served():
        application = office.call(
            officer, "request", "--category", "official", "--country", "AZ",
            "--person-code", "7HK93MZ", "--surname", "TEST Həsənova", "--given-name", "Aygün",
            "--organisation-code", "9900000001", "--organisation-name", "TEST Nazirlik",
            "--title", "Müşavir", "--profile", "sign",
        )["id"]  # fmt: skip
        office.call(
            officer, "contact", application, "--email", "aygun@example.az", "--language", "az"
        )
        # Nothing is certified that nobody vetted, or that one operator alone decided.
        asked = ["issue", application, "--profile", "sign", "--csr", "csr.pem", "-o", "c.pem"]
        office.call(officer, *asked, expect=4)
        office.call(
            officer, "vet", application, "--method", "in_person",
            "--document", "passport:AZ:C0123456:2099-01-31",
        )  # fmt: skip
        office.call(officer, *asked, expect=4)
        alone = office.call(officer, "approve", application, expect=4)
        assert "approve-applications" in alone["detail"], alone
        office.call(approver, *asked, expect=4)
        office.call(approver, "approve", application)
        office.call(officer, *asked)
        serial = _serial(folder / "c.pem")
        office.call(officer, "hold", serial)
        office.call(approver, "release", serial)
        office.call(auditor, "audit", "export", "audit.jsonl")
        office.call(officer, "audit", "export", "stolen.jsonl", expect=4)
    _judge_exports(office)
    with mail_server.serve() as mail:
        office.change(
            notices={
                "smtp": {
                    "host": "127.0.0.1",
                    "port": mail.port,
                    "sender": "ca@example.az",
                    "security": "none",
                }
            }
        )
        with office.served():
            office.move_clock(DAYS_TO_LAST_MONTH)
            await_that(lambda: bool(_ends(mail)), folder / "ca.log")
    (letter,) = _ends(mail)
    assert letter["To"] == "aygun@example.az"


def _ends(mail: mail_server.MailServer) -> list[Any]:
    """The letters about the certificate's end; others tell what was done to it."""
    return [one for one in mail.letters if "bitir" in str(one["Subject"]).lower()]


def _serial(path: pathlib.Path) -> str:
    told = subprocess.run(
        ["openssl", "x509", "-in", str(path), "-noout", "-serial"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return told.stdout.strip().partition("=")[2]


def _judge_exports(office: Office) -> None:
    """The export stands; copies with an entry removed, edited, swapped or cut off do not."""
    lines = (office.folder / "audit.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    entries = [place for place, line in enumerate(lines) if '"event"' in line]
    place = entries[len(entries) // 2]
    edited = lines[place].replace('"actor":"', '"actor":"x', 1)
    assert edited != lines[place]
    damaged = {
        "removed": lines[:place] + lines[place + 1 :],
        "edited": [*lines[:place], edited, *lines[place + 1 :]],
        "swapped": [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]],
        "cut": lines[: entries[-1]] + lines[entries[-1] + 1 :],
    }
    # Without a TSA in this journey no anchor is made: unbroken, and its end is not vouched for.
    office.imza("audit", "verify", "--export", "audit.jsonl", expect=3)
    for name, content in damaged.items():
        (office.folder / f"{name}.jsonl").write_text("".join(content), encoding="utf-8")
        told = office.imza("audit", "verify", "--export", f"{name}.jsonl", expect=4)
        assert told["code"] == "audit-export-tampered", name
