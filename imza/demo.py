"""`imza demo`: the main job in a fresh sandbox, told line by line.

Every step runs the command or the API that a person would use, in a process of its own; what other
people's software says of the results is shown beside what we say.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

import click

from imza import peers, people, samples
from pki import errors

READY_LIMIT_S = 60.0
STEP_LIMIT_S = 120.0

IMZA = (sys.executable, "-m", "imza")

HOLDER = people.HOLDER


FILES = (
    "contract.pdf",
    "signed-by-card.pdf",
    "signed-by-phone.pdf",
    "form-by-card.xml",
    "form-by-phone.xml",
    "tampered.pdf",
    "reports/*.json",
)


class DemoError(errors.StateError):
    """A step did not end as the demo says it should."""

    code = "demo-step"


class Demo:
    """One run in one folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Name the folder; what an earlier run left in it is removed."""
        self._folder = folder.absolute()
        self._reports = self._folder / "reports"
        self._description: dict[str, Any] = {}
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        """Make an empty folder."""
        if self._folder.exists():
            if any(self._folder.iterdir()) and not (self._folder / "world.json").exists():
                raise DemoError(
                    f"expected an empty folder or an earlier demo's, but {self._folder} holds"
                    " something else"
                )
            shutil.rmtree(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the sandbox; the documents stay."""
        if self._sandbox is not None:
            self._sandbox.send_signal(signal.SIGTERM)
            try:
                self._sandbox.wait(20)
            except subprocess.TimeoutExpired:
                self._sandbox.kill()
                self._sandbox.wait()

    def run(self) -> None:
        """Play every step; the first that goes wrong raises."""
        self._make_world()
        certificate = self._personalise_card()
        self._sign_contract_by_card()
        self._sign_contract_by_phone()
        self._sign_form()
        self._verify()
        self._tamper()
        self._revoke(certificate)
        self._title("Done")
        self._say(f"{time.monotonic() - self._start:.0f} s. The files are in {self._folder}:")
        for name in FILES:
            self._say(f"  {name}")
        self._say("Card and SIM are software, marked TEST; imza is not a QSCD and not a QTSP.")

    def _make_world(self) -> None:
        self._title("1. A throw-away world: certification authorities, OCSP, TSA, phones, readers")
        # sandbox.json is looked for, not the output, since this is what portals rely on.
        self._sandbox = subprocess.Popen(  # noqa: S603 - ourselves
            [*IMZA, "sandbox", "--dir", str(self._folder), "--port", "0", "--tls-port", "0"],
            stderr=subprocess.PIPE,
        )
        threading.Thread(target=self._echo, args=(self._sandbox,), daemon=True).start()
        description = self._folder / "sandbox.json"
        deadline = time.monotonic() + READY_LIMIT_S
        while not description.exists():
            if self._sandbox.poll() is not None or time.monotonic() > deadline:
                raise DemoError("the sandbox did not become ready; see imza.log in its folder")
            time.sleep(0.05)
        self._description = json.loads(description.read_text(encoding="utf-8"))
        self._reports.mkdir()
        samples.write_contract(self._folder / "contract.pdf")
        samples.write_form(self._folder / "form.xml")
        self._say(f"{self._folder / 'contract.pdf'}: a contract of three pages")

    def _echo(self, process: "subprocess.Popen[bytes]") -> None:
        for line in process.stderr or ():
            self._say(line.decode(errors="replace").rstrip())

    @property
    def _has_reader(self) -> bool:
        return self._description["pcscd"] is not None

    @property
    def _reader(self) -> str:
        """The reader with the blank card: the one behind those with personalised cards."""
        return str(self._description["blank_card_reader"])

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self._has_reader:
            environment["PCSCLITE_CSOCK_NAME"] = self._description["pcscd"]["socket"]
        return environment

    def _personalise_card(self) -> str:
        self._title("2. A citizen is vetted, and her card is personalised through the reader")
        if not self._has_reader:
            raise DemoError(
                "this machine refuses namespaces, so there is no card reader: run make demo as"
                " root, or allow unprivileged user namespaces (see imza doctor)"
            )
        letter = self._folder / "pin-letter.json"
        done = self._imza(
            "card", "personalise", "--reader", self._reader, *self._credentials(),
            "--person-code", HOLDER.person_code, "--surname", HOLDER.surname,
            "--given-name", HOLDER.given_name, "--document", "passport:AZ:TEST1:2099-12-31",
            "--pin-letter", str(letter), "--json",
        )  # fmt: skip
        serial = str(json.loads(done.stdout)["certificates"]["sign"])
        self._say(f"{HOLDER.name}, FIN {HOLDER.person_code}: keys made on the card in")
        self._say(f"  {self._reader!r}, requests signed by the card, certificates written back")
        self._say(f"  signing certificate {serial}")
        shown = self._imza("card", "show", "--reader", self._reader)
        for line in shown.stdout.splitlines():
            self._say(f"  {line}")
        return serial

    def _sign_contract_by_card(self) -> None:
        self._title("3. She signs the contract with the card, level B-LTA")
        self._sign_by_card("contract.pdf", "signed-by-card.pdf", "pades", "B-LTA")
        self._report("signed-by-card.pdf", "TOTAL-PASSED", "PAdES-BASELINE-LTA")

    def _sign_contract_by_phone(self) -> None:
        self._title("4. An official confirms on the phone: second signature on the same PDF")
        self._sign_by_phone("signed-by-card.pdf", "signed-by-phone.pdf", "pades", "B-LTA")
        self._report("signed-by-phone.pdf", "TOTAL-PASSED", "PAdES-BASELINE-LTA", signatures=2)

    def _sign_form(self) -> None:
        self._title("   The application form in XML, by card and by phone, level B-T")
        self._sign_by_card("form.xml", "form-by-card.xml", "xades", "B-T")
        self._report("form-by-card.xml", "TOTAL-PASSED", "XAdES-BASELINE-T")
        self._sign_by_phone("form.xml", "form-by-phone.xml", "xades", "B-T")
        self._report("form-by-phone.xml", "TOTAL-PASSED", "XAdES-BASELINE-T")

    def _verify(self) -> None:
        self._title("5. Software that we did not write")
        folder = self._folder
        root = folder / "trust-anchors.pem"
        nss = folder / "nss"
        peers.trust_in_nss(nss, [root])
        document = folder / "signed-by-phone.pdf"
        self._opinion("pdfsig", "signed-by-phone.pdf", peers.pdfsig(document, nss))
        self._opinion(
            "pyHanko, offline, only the root trusted",
            "signed-by-phone.pdf",
            peers.pyhanko(document, root),
        )
        for name in ("form-by-card.xml", "form-by-phone.xml"):
            self._opinion("xmlsec1", name, peers.xmlsec1(folder / name, root))

    def _tamper(self) -> None:
        self._title("6. One byte inside a covered content stream is changed")
        content = bytearray((self._folder / "signed-by-phone.pdf").read_bytes())
        position = _inside_content_stream(content)
        content[position] ^= 1
        (self._folder / "tampered.pdf").write_bytes(content)
        self._say(f"tampered.pdf: bit 0 of byte {position} is flipped")
        report = self._report("tampered.pdf", "TOTAL-FAILED", None, signatures=2)
        reasons = {one["sub_indication"] for one in report["signatures"]}
        if reasons != {"HASH_FAILURE"}:
            raise DemoError(f"expected HASH_FAILURE, got {sorted(map(str, reasons))}")

    def _revoke(self, serial: str) -> None:
        self._title("7. Her certificate is revoked")
        self._imza("ca", "revoke", serial, "--reason", "keyCompromise", *self._credentials())
        self._say(f"{serial}: revoked, key compromise")
        self._say("What she signed before stays good, because its time stamp proves when it was:")
        self._report("signed-by-card.pdf", "TOTAL-PASSED", "PAdES-BASELINE-LTA", name="after")
        refused = self._sign_by_card("contract.pdf", "refused.pdf", "pades", "B-LTA", expected=4)
        self._say(f"A new session is refused: {refused.strip().splitlines()[-1]}")
        if "certificate-revoked" not in refused:
            raise DemoError("expected the refusal to name the revoked certificate")

    def _sign_by_card(
        self, source: str, target: str, format_: str, level: str, *, expected: int = 0
    ) -> str:
        pin = json.loads((self._folder / "pin-letter.json").read_text(encoding="utf-8"))["pin"]
        reading, writing = os.pipe()
        os.write(writing, f"{pin}\n".encode())
        os.close(writing)
        try:
            done = self._imza(
                "sign", str(self._folder / source), "--format", format_, "--level", level,
                "--card", "--reader", self._reader, "--pin-fd", str(reading),
                *self._service(), "-o", str(self._folder / target),
                expected=expected, pass_fds=(reading,),
            )  # fmt: skip
        finally:
            os.close(reading)
        if expected == 0:
            for line in done.stderr.splitlines():
                self._say(line)
        return done.stderr

    def _sign_by_phone(self, source: str, target: str, format_: str, level: str) -> None:
        official = people.OFFICIAL
        self._say(
            f"{official.name}, {official.title}, {official.organisation.name}"
            if official.organisation
            else official.name
        )
        phone = str(official.phone_number)
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*IMZA, "sign", str(self._folder / source), "--format", format_, "--level", level,
             "--phone", phone, "--person", official.person_code, *self._service(),
             "-o", str(self._folder / target)],
            stderr=subprocess.PIPE, text=True, env=self._environment(),
        )  # fmt: skip
        code = None
        for line in process.stderr or ():
            self._say(f"portal | {line.rstrip()}")
            if found := re.search(r"control code (\d{4})", line):
                code = found.group(1)
                # The person compares the code on the phone with this one, and would refuse another.
                held = self._imza(
                    "mobile", "simulate", "--dir", str(self._folder), "--phone", phone,
                    "--code", code,
                )  # fmt: skip
                for shown in (held.stderr + held.stdout).splitlines():
                    self._say(f"phone  | {shown}")
        if process.wait(STEP_LIMIT_S) or code is None:
            raise DemoError("the phone's signature did not come")

    def _report(
        self,
        document: str,
        overall: str,
        level: str | None,
        *,
        signatures: int = 1,
        name: str | None = None,
    ) -> dict[str, Any]:
        done = self._imza(
            "verify", str(self._folder / document),
            "--trust", str(self._folder / "trust-anchors.pem"), "--json",
            expected=1 if overall == "TOTAL-FAILED" else 0,
        )  # fmt: skip
        report: dict[str, Any] = json.loads(done.stdout)
        suffix = f"-{name}" if name else ""
        path = self._reports / f"{document}{suffix}.json"
        path.write_text(json.dumps(report, ensure_ascii=False, indent=2), encoding="utf-8")
        self._say(f"imza verify {document}: {report['overall']}")
        for one in report["signatures"]:
            why = f", {one['sub_indication']}" if one["sub_indication"] else ""
            self._say(
                f"  {one['signed_by']}: {one['indication']}{why}, {one['level']},"
                f" proved before {one['best_signature_time']}"
            )
        if report["overall"] != overall or len(report["signatures"]) != signatures:
            raise DemoError(f"expected {overall} with {signatures} signatures in {document}")
        if level is not None and {one["level"] for one in report["signatures"]} != {level}:
            raise DemoError(f"expected every signature of {document} at {level}")
        return report

    def _opinion(self, program: str, document: str, opinion: peers.Opinion) -> None:
        self._say(f"{program}, {document}: {'accepted' if opinion.accepted else 'REFUSED'}")
        for line in opinion.lines:
            self._say(f"  {line}")
        if not opinion.accepted:
            raise DemoError(f"{program} refuses {document}")

    def _credentials(self) -> tuple[str, ...]:
        return ("--credentials", str(self._folder / "sandbox.json"))

    def _service(self) -> tuple[str, ...]:
        return ("--server", self._description["base_url"], *self._credentials())

    def _imza(
        self, *arguments: str, expected: int = 0, pass_fds: Sequence[int] = ()
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(  # noqa: S603 - ourselves
            [*IMZA, *arguments],
            capture_output=True,
            text=True,
            timeout=STEP_LIMIT_S,
            check=False,
            env=self._environment(),
            pass_fds=tuple(pass_fds),
        )
        if done.returncode != expected:
            raise DemoError(
                f"imza {arguments[0]}: expected exit code {expected}, got {done.returncode}:"
                f" {(done.stderr or done.stdout).strip()}"
            )
        return done

    @staticmethod
    def _title(text: str) -> None:
        click.echo(f"\n{text}")

    @staticmethod
    def _say(text: str) -> None:
        click.echo(f"   {text}")


def _inside_content_stream(content: bytes | bytearray) -> int:
    """A position inside the first stream of the file, which every signature covers."""
    begin = content.index(b"stream\n") + len(b"stream\n")
    return begin + (content.index(b"endstream", begin) - begin) // 2


@click.command("demo", epilog="Example: imza demo --dir demo")
@click.option(
    "--dir",
    "folder",
    default=pathlib.Path("demo"),
    show_default=True,
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    help="Emptied first, unless it holds something else than an earlier demo.",
)
def command(folder: pathlib.Path) -> int:
    """Play the main job: card, phone, verification, a changed byte, a revocation."""
    with Demo(folder) as demo:
        demo.run()
    return 0
