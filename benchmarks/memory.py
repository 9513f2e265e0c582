"""The memory that a large document takes.

It is how far the peak of a fresh process rises above that of a small document, signed or validated
just before in the same process.
"""

import dataclasses
import datetime
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from benchmarks import detached, row
from pki import clock, signature
from signing_service import documents, parameters, trust
from signing_service.creation import formats
from signing_service.validation import process
from tests.support import hierarchy

MEGABYTE = 10**6
LARGE_BYTES = 100 * MEGABYTE
LARGE_XML_BYTES = 20 * MEGABYTE
SIGNING_LIMIT_MB = 10.0
VALIDATING_LIMIT = 1.2
"""Times the file."""

Format = documents.SignatureFormat
Packaging = parameters.Packaging


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of signature, and how large a document of it is measured."""

    title: str
    format: Format
    packaging: Packaging | None = None
    write: Callable[[pathlib.Path, int], None] | None = None
    large_bytes: int = LARGE_BYTES

    @property
    def parameters(self) -> parameters.SignatureParameters:
        level = documents.SignatureLevel.B_B
        if self.packaging is None:
            return parameters.SignatureParameters(self.format, level)
        return parameters.SignatureParameters(self.format, level, packaging=self.packaging)


def rows() -> Iterator[row.Row]:
    """Measure and yield two rows for each kind of signature."""
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        for place, kind in enumerate(KINDS):
            folder = pathlib.Path(name) / str(place)
            folder.mkdir()
            megabytes = kind.large_bytes // MEGABYTE
            signing, validating = _measured(folder, place)
            yield row.Row(
                f"memory added by signing {megabytes} MB, {kind.title}",
                "the limit",
                f"{signing:.1f} MB",
                f"{SIGNING_LIMIT_MB:.0f} MB",
                signing / SIGNING_LIMIT_MB,
                "<= 1",
                signing <= SIGNING_LIMIT_MB,
            )
            limit = VALIDATING_LIMIT * megabytes
            yield row.Row(
                f"memory added by validating {megabytes} MB, {kind.title}",
                f"{VALIDATING_LIMIT} times the file",
                f"{validating:.1f} MB",
                f"{limit:.0f} MB",
                validating / limit,
                "<= 1",
                validating <= limit,
            )


def _measured(folder: pathlib.Path, place: int) -> tuple[float, float]:
    """Sign and then validate, each in a process of its own."""
    found = []
    for work in ("sign", "validate"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.memory", work, str(place), str(folder)],
            check=True,
            capture_output=True,
            env=dict(os.environ, PYTHONPATH="."),
        )
        found.append(float(done.stdout))
    return found[0], found[1]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def _sign_both(kind: _Kind, folder: pathlib.Path) -> float:
    at = clock.whole_seconds(clock.SystemClock().now())
    authorities = hierarchy.make_hierarchy(at)
    holder = authorities.signer()
    (folder / "root.pem").write_bytes(authorities.root.pem)
    before = 0.0
    for name, size in (("small", MEGABYTE // 10), ("large", kind.large_bytes)):
        (kind.write or _write_noise)(folder / name, size)
        before = _peak_mb()
        _sign(kind, folder / name, holder, at)
    return _peak_mb() - before


def _sign(
    kind: _Kind, source: pathlib.Path, holder: hierarchy.Holder, at: datetime.datetime
) -> None:
    waiting, signed = source.with_suffix(".prepared"), source.with_suffix(".signed")
    prepared = formats.prepare(
        documents.single(source), waiting, path=holder.chain, chosen=kind.parameters, at=at
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    formats.embed(prepared, waiting, signed, value)


def _validate_both(kind: _Kind, folder: pathlib.Path) -> float:
    anchors = trust.load([folder / "root.pem"])
    at = clock.whole_seconds(clock.SystemClock().now())
    before = 0.0
    for name in ("small", "large"):
        before = _peak_mb()
        original = folder / name
        is_detached = kind.packaging is Packaging.DETACHED
        outcome = process.judge(
            documents.Document(name, original.with_suffix(".signed")),
            trust=anchors,
            at=at,
            detached=[documents.Document(name, original)] if is_detached else [],
        )
        if not outcome.report.signatures or not outcome.report.signatures[0].intact:
            raise AssertionError("expected a signature that is intact")
    return _peak_mb() - before


def _write_noise(path: pathlib.Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // 100_000):
            file.write(os.urandom(100_000))


def _write_form(path: pathlib.Path, size: int) -> None:
    start, _, end = detached.form_xml(0).partition(b"</")
    lines = detached.form_xml(MEGABYTE // 10)[len(start) : -len(b"</" + end)]
    with path.open("wb") as file:  # In pieces: this process is the one that is measured.
        file.write(start)
        for _ in range(size // len(lines)):
            file.write(lines)
        file.write(b"</" + end)


def _write_pdf(path: pathlib.Path, size: int) -> None:
    """A PDF of one page and a stream that does not compress."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        b"<< /Length %d >>\nstream\n" % size,
    )
    places = []
    with path.open("wb") as file:
        file.write(b"%PDF-1.7\n")
        for number, content in enumerate(objects, 1):
            places.append(file.tell())
            file.write(b"%d 0 obj\n%s" % (number, content))
            if number == len(objects):
                for _ in range(size // 100_000):
                    file.write(os.urandom(100_000))
                file.write(b"\nendstream")
            file.write(b"\nendobj\n")
        start = file.tell()
        file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
        file.writelines(b"%010d 00000 n \n" % place for place in places)
        file.write(
            b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(objects) + 1, start)
        )


KINDS = (
    _Kind("PAdES", Format.PADES, write=_write_pdf),
    _Kind("CAdES attached", Format.CADES, Packaging.ENVELOPING),
    _Kind("CAdES detached", Format.CADES, Packaging.DETACHED),
    _Kind("XAdES detached", Format.XADES, Packaging.DETACHED),
    _Kind("ASiC-E", Format.ASIC_E),
    _Kind(
        "XAdES enveloped",
        Format.XADES,
        Packaging.ENVELOPED,
        write=_write_form,
        large_bytes=LARGE_XML_BYTES,
    ),
)


if __name__ == "__main__":
    measure = {"sign": _sign_both, "validate": _validate_both}[sys.argv[1]]
    sys.stdout.write(f"{measure(KINDS[int(sys.argv[2])], pathlib.Path(sys.argv[3])):.2f}")
