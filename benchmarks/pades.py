"""Signing PDFs: B-B and B-LTA beside plain pyHanko, and the memory that a large one takes.

Both sides sign the same 100 KB document with the same P-256 key, get their time stamps from the
same unit and their revocation data from memory, and run in turns.
"""

import dataclasses
import datetime
import io
import logging
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import fpdf
from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import tsp as asn1_tsp
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils import incremental_writer
from pyhanko.sign import fields, signers, timestamps
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from benchmarks import row
from pki import algorithms, certificates, clock, signature
from signing_service import documents, parameters, revocation_data
from signing_service.creation import pades
from signing_service.creation.pdf import fonts
from tests.support import hierarchy
from tsa import messages, signed_token

ROUNDS = 30
DOCUMENT_BYTES = 100_000
LARGE_BYTES = 100 * 2**20
MEMORY_LIMIT_MB = 10.0
B_B_TARGET, B_LTA_TARGET = 0.4, 0.5
POLICY = "1.3.6.1.4.1.99999.2"


def rows() -> Iterator[row.Row]:
    """Measure and yield one row each for B-B, B-LTA and memory."""
    # It warns in every round that statuses come from memory, which is meant.
    logging.getLogger("pyhanko").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        bench = _Bench(pathlib.Path(name))
        yield bench.compare("PAdES B-B, 100 KB", bench.ours_b_b, bench.theirs_b_b, B_B_TARGET)
        yield bench.compare(
            "PAdES B-LTA, 100 KB", bench.ours_b_lta, bench.theirs_b_lta, B_LTA_TARGET
        )
        yield _memory(pathlib.Path(name))


@dataclasses.dataclass
class _Bench:
    folder: pathlib.Path

    def __post_init__(self) -> None:
        self.at = clock.whole_seconds(clock.SystemClock().now())
        self.authorities = hierarchy.make_hierarchy(self.at, crl_url="http://crl.example.com/")
        self.holder = self.authorities.signer()
        self.unit = self.authorities.time_stamping_unit()
        self.source = self.folder / "source.pdf"
        self.source.write_bytes(_document())
        crls = [
            self.authorities.crl(one, at=self.at)
            for one in (
                self.authorities.root,
                self.authorities.issuing,
                self.authorities.infrastructure,
            )
        ]
        everyone = {one for path in (self.holder, self.unit) for one in path.chain}
        self.data = revocation_data.ValidationData(tuple(everyone), (), tuple(crls))
        self.signer = _pyhanko_signer(self.holder)

    def compare(
        self, subject: str, ours: Callable[[], None], theirs: Callable[[], None], target: float
    ) -> row.Row:
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS + 2):
            for times, function in zip(taken, (ours, theirs), strict=True):
                start = time.perf_counter()
                function()
                if number >= 2:  # The first rounds warm caches up.
                    times.append(time.perf_counter() - start)
        mine, peer = (statistics.median(times) * 1000 for times in taken)
        slowest = max(taken[0]) * 1000
        ratio = mine / peer
        return row.Row(
            subject,
            "pyHanko",
            f"{mine:.1f} ms (slowest of {ROUNDS}: {slowest:.1f})",
            f"{peer:.1f} ms",
            ratio,
            f"<= {target}",
            ratio <= target,
        )

    def token(
        self, representation: signature.DataToBeSignedRepresentation, nonce: int | None = None
    ) -> bytes:
        """A time-stamp token, the same for both sides."""
        info = messages.TSTInfo(
            policy=POLICY,
            imprint=messages.MessageImprint(representation.hash_algorithm, representation.hash),
            serial_number=time.time_ns(),
            gen_time=self.at,
            nonce=nonce,
        )
        return signed_token.build_token(
            info, self.unit.certificate, self.unit.handle, self.unit.chain[:-1]
        )

    def ours_b_b(self) -> None:
        _sign(self.source, self.folder, self.holder, self.at)

    def ours_b_lta(self) -> None:
        self.ours_b_b()
        one, other = self.folder / "signed", self.folder / "raised"
        pades.add_signature_time_stamp(one, other, self.token)
        pades.add_validation_data(other, one, self.data)
        pades.add_document_time_stamp(one, other, self.token)

    def theirs_b_b(self) -> None:
        self._theirs(None, lta=False)

    def theirs_b_lta(self) -> None:
        self._theirs(_Stamper(self), lta=True)

    def _theirs(self, stamper: "_Stamper | None", *, lta: bool) -> None:
        context = None
        if lta:
            context = ValidationContext(
                trust_roots=[certificates.to_asn1(self.authorities.root.certificate)],
                other_certs=[certificates.to_asn1(one) for one in self.data.certificates],
                crls=[asn1_crl.CertificateList.load(one) for one in self.data.crls],
                allow_fetching=False,
                revocation_mode="hard-fail",
                moment=self.at,
            )
        metadata = signers.PdfSignatureMetadata(
            field_name="Signature1",
            md_algorithm="sha256",
            subfilter=fields.SigSeedSubFilter.PADES,
            embed_validation_info=lta,
            use_pades_lta=lta,
            validation_context=context,
        )
        with self.source.open("rb") as file:
            signed = signers.sign_pdf(
                incremental_writer.IncrementalPdfFileWriter(file),
                metadata,
                signer=self.signer,
                timestamper=stamper,
            )
        (self.folder / "theirs").write_bytes(signed.getbuffer())


class _Stamper(timestamps.TimeStamper):
    """Hands our unit's tokens to pyHanko."""

    def __init__(self, bench: _Bench) -> None:
        super().__init__()
        self._bench = bench

    async def async_request_tsa_response(
        self, req: asn1_tsp.TimeStampReq
    ) -> asn1_tsp.TimeStampResp:
        imprint = signature.DataToBeSignedRepresentation(
            algorithms.HashAlgorithm.SHA256, req["message_imprint"]["hashed_message"].native
        )
        token = self._bench.token(imprint, req["nonce"].native)
        return asn1_tsp.TimeStampResp.load(messages.build_granted(token))


def _sign(
    source: pathlib.Path, folder: pathlib.Path, holder: hierarchy.Holder, at: datetime.datetime
) -> None:
    chosen = parameters.SignatureParameters(
        documents.SignatureFormat.PADES, documents.SignatureLevel.B_B
    )
    pades.check_document(source, chosen)
    prepared = pades.prepare(
        source,
        folder / "prepared",
        certificate=holder.certificate,
        chain=holder.issuers,
        parameters=chosen,
        at=at,
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    pades.embed(prepared, folder / "prepared", folder / "signed", value)


def _pyhanko_signer(holder: hierarchy.Holder) -> signers.SimpleSigner:
    key = asn1_keys.PrivateKeyInfo.load(
        holder.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    along = SimpleCertificateStore.from_certs(
        [certificates.to_asn1(one) for one in holder.issuers[:-1]]
    )
    return signers.SimpleSigner(certificates.to_asn1(holder.certificate), key, along)


def _document() -> bytes:
    pdf = fpdf.FPDF()
    pdf.set_compression(False)
    pdf.add_font("DejaVu", "", fonts.DEFAULT_FONT)
    pdf.set_font("DejaVu", size=10)
    while True:
        pdf.add_page()
        for number in range(50):
            pdf.cell(text=f"Maddə {number}: tərəflər razılaşdılar.", new_x="LMARGIN", new_y="NEXT")
        if pdf.page_no() * 12_000 > DOCUMENT_BYTES:
            written = io.BytesIO()
            pdf.output(written)
            return written.getvalue()


def _memory(folder: pathlib.Path) -> row.Row:
    """Sign a small and then a large document in a fresh process and see how far its peak rose."""
    (folder / "small.pdf").write_bytes(_document())
    _write_large(folder / "large.pdf")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pades", str(folder)],
        check=True,
        capture_output=True,
        env=dict(os.environ, PYTHONPATH="."),
    )
    grown = float(done.stdout)
    return row.Row(
        "memory added by signing 100 MB (B-B)",
        "the limit",
        f"{grown:.1f} MB",
        f"{MEMORY_LIMIT_MB:.0f} MB",
        grown / MEMORY_LIMIT_MB,
        f"<= {MEMORY_LIMIT_MB:.0f} MB",
        grown <= MEMORY_LIMIT_MB,
    )


def _write_large(path: pathlib.Path) -> None:
    """A PDF of one page and a stream of 100 MB that does not compress."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        b"<< /Length %d >>\nstream\n" % LARGE_BYTES,
    )
    places = []
    with path.open("wb") as file:
        file.write(b"%PDF-1.7\n")
        for number, content in enumerate(objects, 1):
            places.append(file.tell())
            file.write(b"%d 0 obj\n%s" % (number, content))
            if number == len(objects):
                for _ in range(LARGE_BYTES // 2**20):
                    file.write(os.urandom(2**20))
                file.write(b"\nendstream")
            file.write(b"\nendobj\n")
        start = file.tell()
        file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
        file.writelines(b"%010d 00000 n \n" % place for place in places)
        file.write(
            b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
            % (len(objects) + 1, start)
        )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure_memory(folder: pathlib.Path) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    holder = hierarchy.make_hierarchy(at).signer()
    _sign(folder / "small.pdf", folder, holder, at)
    before = _peak_mb()
    _sign(folder / "large.pdf", folder, holder, at)
    sys.stdout.write(f"{_peak_mb() - before:.2f}")


if __name__ == "__main__":
    _measure_memory(pathlib.Path(sys.argv[1]))
