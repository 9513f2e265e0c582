"""A certificate's life by the commands of three operators, to the letter that tells of its end."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tomli_w

from imza import config as configs
from imza import installation, sandbox_operators
from imza.wiring import founding, resources
from pki import clock, outbound
from tests.support import mail_server, servers

pytestmark = [pytest.mark.peer, pytest.mark.slow]

LIMIT_S = 90
IMZA = [sys.executable, "-m", "imza"]
FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
DAYS_TO_LAST_MONTH = 3 * 365 - 20


class Office:
    """The CA zone as a process, and the commands of its operators."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{servers.free_port()}"
        self.world = installation.Installation(folder / "w")
        self.world.lay_out(installation.Addresses.together(self.url))
        self.path = self.world.config_path("ca")
        config = configs.read(self.path)
        with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
            made = founding.initialise(opened, config)
            installation.write_certificates(made, self.world.folder)
            sandbox_operators.enrol(opened, config, self.world.operators_folder, self.url)
        self.operators = self.world.operators_folder / sandbox_operators.FILE_NAME

    def change(self, **sections: object) -> None:
        content = tomllib.loads(self.path.read_text(encoding="utf-8"))
        self.path.write_text(tomli_w.dumps({**content, **sections}), encoding="utf-8")

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Serve the CA under a clock that `move_clock` moves."""
        self.move_clock(0)
        environment = {
            **os.environ,
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            # Waiting is done by the steady clock.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        log = self.folder / "ca.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*IMZA, "serve", "ca", "--config", str(self.path)], stderr=output, env=environment
            )
        try:
            await_that(self.is_ready, log)
            yield
        finally:
            process.terminate()
            process.wait(LIMIT_S)

    def move_clock(self, days: int) -> None:
        temporary = self.folder / "offset.new"
        temporary.write_text(f"+{days}d\n")
        temporary.rename(self.folder / "offset")

    def is_ready(self) -> bool:
        with contextlib.closing(outbound.Client()) as client:
            try:
                client.send("GET", f"{self.url}/healthz")
            except outbound.PeerUnavailableError:
                return False
        return True

    def imza(self, *arguments: str, expect: int = 0) -> Any:
        """Run `imza ca … --json` and return what it prints."""
        done = subprocess.run(
            [*IMZA, "ca", *arguments, "--json"],
            capture_output=True, text=True, timeout=LIMIT_S, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return json.loads(done.stdout)

    def call(self, operator: str, *arguments: str, expect: int = 0) -> Any:
        return self.imza(
            *arguments, "--operator", str(self.operators), "--as", operator, expect=expect
        )

    def named(self, role: str) -> list[str]:
        known = json.loads(self.operators.read_text(encoding="utf-8"))["operators"]
        return [one["name"] for one in known if one["role"] == role]


def await_that(holds: Callable[[], bool], log: pathlib.Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)


@pytest.fixture
def office(tmp_path: pathlib.Path) -> Office:
    if FAKETIME is None or shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("expected the packages faketime and openssl")
        pytest.skip("needs the packages faketime and openssl")
    return Office(tmp_path)


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
