"""Every format, packaging and level, by card, phone and seal, and which other programs accept it.

    python -m tests.support.format_table docs/formats.md

Runs a sandbox and signs through the REST API alone: the card's values come from OpenSC's
pkcs11-tool, the phone's from the simulated handset, the seal's from the service. Each document is
then given to programs that we did not write.
"""

import asyncio
import base64
import dataclasses
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils import reader
from pyhanko.sign import validation
from pyhanko_certvalidator import context

from pki import durable_files, xades_elements, xml_signature
from tests.support import signing_desk, signing_world
from tests.support import world as worlds

DEVICES = ("card", "phone", "seal")
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
CARD_HOLDER, PHONE_OWNER = "5AB12CD", "3KL78RS"
CARD_KEY = "02"

XAdES, CAdES = "XAdES", "CAdES"
TEXT, FORM = "müqavilə.txt", "forma.xml"


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is made.

    Attributes:
        format: As the API names it.
        shape: The packaging, or for a container the kind of signature in it.
        document: The name of what is signed.
    """

    format: str
    shape: str
    document: str

    @property
    def parameters(self) -> dict[str, str]:
        if self.format.startswith("ASiC"):
            return {"format": self.format, "container_signature": self.shape}
        if self.format == "PAdES":
            return {"format": self.format}
        return {"format": self.format, "packaging": self.shape}

    @property
    def signature(self) -> str:
        """The format of the signature itself."""
        return self.shape if self.format.startswith("ASiC") else self.format


KINDS = (
    Kind("PAdES", "in the PDF", "contract.pdf"),
    *(Kind(XAdES, one, FORM) for one in ("enveloped", "enveloping", "detached")),
    *(Kind(CAdES, one, TEXT) for one in ("enveloping", "detached")),
    *(Kind(format, one, TEXT) for format in ("ASiC-E", "ASiC-S") for one in (XAdES, CAdES)),
)


@dataclasses.dataclass
class Row:
    """One kind at one level.

    Attributes:
        verdicts: What our validator says, by device.
        accepted_by: The other programs that accept the document of every device.
        refused_by: Those that do not, with what they said.
    """

    kind: Kind
    level: str
    verdicts: dict[str, str] = dataclasses.field(default_factory=dict)
    accepted_by: list[str] = dataclasses.field(default_factory=list)
    refused_by: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def expected(self) -> str:
        """The verdict that each device's document has to get."""
        # Without revocation data in the document, its status is asked for when it is validated.
        return f"TOTAL-PASSED {self.kind.signature}-BASELINE-{self.level.removeprefix('B-')}"


class Maker:
    """Signs by every device in one sandbox."""

    def __init__(self, world: worlds.World, folder: pathlib.Path) -> None:
        self._world = world
        self._folder = folder
        self._contents = {
            "contract.pdf": signing_world.make_pdf(),
            TEXT: "ხელშეკრულება TEST".encode(),
            FORM: '<f xmlns="urn:test"><ad>TEST ə</ad></f>'.encode(),
        }
        for name, content in self._contents.items():
            (folder / name).write_bytes(content)
        self._certificate = folder / "card.der"
        self._card("--read-object", "--type", "cert", "-o", str(self._certificate))
        self._nss = f"sql:{folder / 'nss'}"
        (folder / "nss").mkdir()
        for arguments in (
            ["-N", "--empty-password"],
            ["-A", "-n", "root", "-t", "CT,C,C", "-i", str(world.root)],
        ):
            signing_desk.run("certutil", "-d", self._nss, *arguments)

    def make(self, kind: Kind, level: str) -> Row:
        row = Row(kind, level)
        programs = _programs(kind)
        for device in DEVICES:
            signed = self._sign(kind, level, device)
            beside = self._folder / kind.document if kind.shape == "detached" else None
            report = self._verify(signed, beside)
            (one,) = report["signatures"]
            row.verdicts[device] = f"{one['indication']} {one['level']}"
            for name, accepts in programs.items():
                answer = accepts(self, signed, kind)
                if answer is not None:
                    row.refused_by[name] = f"{device}: {answer}"
        row.accepted_by = [one for one in programs if one not in row.refused_by]
        return row

    def _sign(self, kind: Kind, level: str, device: str) -> pathlib.Path:
        api = self._world.api()
        told = self._world.description
        signer: dict[str, str]
        if device == "card":
            signer = {"certificate": base64.b64encode(self._certificate.read_bytes()).decode()}
        elif device == "phone":
            person = self._world.person(PHONE_OWNER)
            signer = {"phone_number": person["phone_number"], "person_code": PHONE_OWNER}
        else:
            signer = {"seal": told["seals"][0]["name"]}
        opened = api.open_session(
            self._contents[kind.document],
            {**kind.parameters, "level": level, "signer": signer},
            name=kind.document,
        )
        path = f"/api/v1/signing-sessions/{opened['id']}"
        if device == "card":
            value = self._value(base64.b64decode(opened["representation"]["hash"]))
            sent = {
                "signature_value": base64.b64encode(value).decode(),
                "signature_algorithm": "ECDSA",
                "hash_algorithm": opened["representation"]["hash_algorithm"],
            }
            api.call("POST", f"{path}/signature-value", sent)
        done = api.wait(opened["id"], ("completed", "failed", "refused", "expired"))
        if done["state"] != "completed" or done["level_reached"] != level:
            raise AssertionError(f"{kind} {level} by {device}: {done}")
        target = self._folder / f"{kind.format}-{kind.shape}-{level}-{device}"
        document = api.call("GET", f"{path}/document")
        if kind.format.startswith("ASiC"):
            target = target.with_suffix(".asic")
        target.write_bytes(document)
        return target

    def _value(self, hashed: bytes) -> bytes:
        given, made = self._folder / "hash", self._folder / "value"
        given.write_bytes(hashed)
        self._card(
            "--sign", "--mechanism", "ECDSA", "--signature-format", "rs", "--login",
            "--pin", "env:PIN", "-i", str(given), "-o", str(made),
        )  # fmt: skip
        return made.read_bytes()

    def _card(self, *arguments: str) -> None:
        told = self._world.description
        subprocess.run(
            [signing_desk.program("pkcs11-tool"), "--module", told["pkcs11_module"],
             "--slot-index", "0", "--id", CARD_KEY, *arguments],
            env={**os.environ, "PCSCLITE_CSOCK_NAME": told["pcscd"]["socket"],
                 "PIN": self._world.card(CARD_HOLDER)["pin1"]},
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def _verify(self, signed: pathlib.Path, beside: pathlib.Path | None) -> Any:
        more = () if beside is None else ("--detached", str(beside))
        done = self._world.imza(
            "verify", str(signed), "--trust", str(self._world.root), "--json", *more, expect=None
        )
        return json.loads(done.stdout)

    def pdfsig(self, signed: pathlib.Path, kind: Kind) -> str | None:
        """Poppler with NSS, which trusts the root and asks our responders."""
        answer = signing_desk.run("pdfsig", "-nssdir", self._nss, str(signed)).stdout.decode()
        (first, *_) = [one for one in answer.split("Signature #")[1:] if "ETSI.CAdES" in one]
        wanted = ("Signature is Valid.", "Certificate is Trusted.")
        return None if all(one in first for one in wanted) else first

    def pyhanko(self, signed: pathlib.Path, kind: Kind) -> str | None:
        """pyHanko, with what the document carries and the root alone."""
        roots = [
            asn1_x509.Certificate.load(der)
            for _, _, der in pem.unarmor(self._world.root.read_bytes(), multiple=True)
        ]
        opened = reader.PdfFileReader(io.BytesIO(signed.read_bytes()))
        (embedded,) = opened.embedded_regular_signatures
        status = asyncio.run(
            validation.async_validate_pdf_signature(
                embedded, context.ValidationContext(trust_roots=roots)
            )
        )
        return None if status.bottom_line else status.pretty_print_details()

    def xmlsec1(self, signed: pathlib.Path, kind: Kind) -> str | None:
        """xmlsec1 on the XML signature, with the documents beside it."""
        path, folder = self._signature(signed, kind)
        answer = signing_desk.run(
            signing_desk.program("xmlsec1"), "--verify", "--enabled-key-data", "x509",
            "--trusted-pem", str(self._world.root),
            "--id-attr:Id", f"{xades_elements.XADES}:SignedProperties",
            "--id-attr:Id", f"{xml_signature.DS}:Object", str(path), folder=folder,
        )  # fmt: skip
        return None if answer.returncode == 0 else answer.stderr.decode()

    def openssl(self, signed: pathlib.Path, kind: Kind) -> str | None:
        """`openssl cms -verify -cades`, with the content beside it where it is not inside."""
        path, folder = self._signature(signed, kind)
        more: tuple[str, ...] = ()
        if kind.shape == "detached" or kind.format == "ASiC-S":
            more = ("-content", str(folder / kind.document))
        elif kind.format == "ASiC-E":
            more = ("-content", str(folder / "META-INF" / "ASiCManifest001.xml"))
        answer = signing_desk.run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(path),
            "-CAfile", str(self._world.root), "-purpose", "any", "-cades", *more,
        )  # fmt: skip
        return None if answer.returncode == 0 else answer.stderr.decode()

    def _signature(self, signed: pathlib.Path, kind: Kind) -> tuple[pathlib.Path, pathlib.Path]:
        """The signature file, and the folder in which what it covers lies."""
        if not kind.format.startswith("ASiC"):
            return signed, self._folder
        folder = signed.with_suffix(".unpacked")
        with zipfile.ZipFile(signed) as archive:
            archive.extractall(folder)
            name = next(
                one for one in archive.namelist()
                if "signature" in one and one.endswith((".xml", ".p7s"))
            )  # fmt: skip
        return folder / name, folder


Accepts = Callable[[Maker, pathlib.Path, Kind], str | None]
"""None where a program accepts a document, or what it said."""


def _programs(kind: Kind) -> dict[str, Accepts]:
    if kind.format == "PAdES":
        return {"pdfsig": Maker.pdfsig, "pyHanko": Maker.pyhanko}
    if kind.signature == XAdES:
        return {"xmlsec1": Maker.xmlsec1}
    return {"openssl cms": Maker.openssl}


def make(
    world: worlds.World,
    folder: pathlib.Path,
    *,
    levels: Sequence[str] = LEVELS,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Row]:
    """Sign and check every kind at every level."""
    maker = Maker(world, folder)
    for kind in KINDS:
        for level in levels:
            row = maker.make(kind, level)
            tell(f"{kind.format} {kind.shape} {level}: {', '.join(row.verdicts.values())}")
            yield row


HEAD = """\
# Formats, levels and devices

Written by `python -m tests.support.format_table docs/formats.md`, which signs in a sandbox through
the REST API: by a (virtual) card whose values come from OpenSC's `pkcs11-tool`, by the simulated
phone, and by a seal of a TEST organisation. "Passed" is our own validator's TOTAL-PASSED at just
that level, with the root alone trusted. The last column names other people's programs that accept
each of the three documents. XAdES signatures are valid against ETSI's schemas besides, and ASiC-E
with XAdES at B-LT and B-LTA is VALID in libdigidocpp with our trusted list:
`tests/peers/test_formats.py` and `tests/peers/test_libdigidocpp.py` show it.

| format | packaging | level | card | phone | seal | accepted by |
|---|---|---|---|---|---|---|
"""


def show(rows: Sequence[Row]) -> str:
    """The rows as a page."""
    lines = []
    for row in rows:
        told = [
            "passed" if row.verdicts[one] == row.expected else row.verdicts[one] for one in DEVICES
        ]
        refused = [f"not {one}" for one in row.refused_by]
        programs = ", ".join([*row.accepted_by, *refused])
        cells = [row.kind.format, row.kind.shape, row.level, *told, programs]
        lines.append(f"| {' | '.join(cells)} |")
    return HEAD + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the table."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory(prefix="imza-") as place:
        folder = pathlib.Path(place) / "made"
        folder.mkdir()
        with worlds.sandbox(pathlib.Path(place) / "w") as world:
            rows = list(
                make(world, folder, tell=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
            )
    durable_files.replace(pathlib.Path(arguments[0]), show(rows).encode())
    wrong = [row for row in rows if row.refused_by or set(row.verdicts.values()) != {row.expected}]
    for row in wrong:
        print(row, file=sys.stderr)  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
