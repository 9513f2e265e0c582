"""Signing PDFs at all levels beside plain pyHanko.

Both sides sign the same 100 KB document with the same P-256 key, get their time stamps from the
same unit and their revocation data from memory, and run in turns.
"""

import dataclasses
import datetime
import functools
import io
import logging
import pathlib
import tempfile
import time
from collections.abc import Iterator

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

DOCUMENT_BYTES = 100_000
B_B_TARGET, HIGHER_TARGET, SLOWEST_TARGET = 0.4, 0.5, 3.0
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
POLICY = "1.3.6.1.4.1.99999.2"


def rows() -> Iterator[row.Row]:
    """Measure and yield one row for each level, and one for the slowest of many."""
    # It warns in every round that statuses come from memory, which is meant.
    logging.getLogger("pyhanko").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as name:
        bench = Bench(pathlib.Path(name))
        for level in documents.SignatureLevel:
            yield row.compare(
                f"PAdES {level.label}, 100 KB",
                "pyHanko",
                functools.partial(bench.ours, level),
                functools.partial(bench.theirs, level),
                B_B_TARGET if level is B_B else HIGHER_TARGET,
            )
        for level in (B_T, B_LT, B_LTA):
            yield row.steadiness(
                f"PAdES {level.label}, 100 KB",
                functools.partial(bench.ours, level),
                SLOWEST_TARGET,
                rounds=100,
            )


@dataclasses.dataclass
class Bench:
    """A signer, a time-stamping unit, statuses in memory, and a document of 100 KB."""

    folder: pathlib.Path

    def __post_init__(self) -> None:
        """Make the people, their data and the document."""
        self.at = clock.whole_seconds(clock.SystemClock().now())
        self.authorities = hierarchy.make_hierarchy(self.at, crl_url="http://crl.example.com/")
        self.holder = self.authorities.signer()
        self.unit = self.authorities.time_stamping_unit()
        self.source = self.folder / "source.pdf"
        self.source.write_bytes(document())
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

    def ours(self, level: documents.SignatureLevel) -> pathlib.Path:
        """Sign here, and return the signed document."""
        sign(self.source, self.folder, self.holder, self.at)
        one, other = self.folder / "signed", self.folder / "raised"
        if level >= B_T:
            pades.add_signature_time_stamp(one, other, self.token)
        if level >= B_LT:
            pades.add_validation_data(other, one, self.data)
        if level >= B_LTA:
            pades.add_document_time_stamp(one, other, self.token)
        return other if level in (B_T, B_LTA) else one

    def theirs(self, level: documents.SignatureLevel) -> None:
        """Sign with pyHanko."""
        context = None
        if level >= B_LT:
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
            embed_validation_info=level >= B_LT,
            use_pades_lta=level is B_LTA,
            validation_context=context,
        )
        with self.source.open("rb") as file:
            signed = signers.sign_pdf(
                incremental_writer.IncrementalPdfFileWriter(file),
                metadata,
                signer=self.signer,
                timestamper=None if level is B_B else _Stamper(self),
            )
        (self.folder / "theirs").write_bytes(signed.getbuffer())


class _Stamper(timestamps.TimeStamper):
    """Hands our unit's tokens to pyHanko."""

    def __init__(self, bench: Bench) -> None:
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


def sign(
    source: pathlib.Path, folder: pathlib.Path, holder: hierarchy.Holder, at: datetime.datetime
) -> None:
    """All of a B-B signature in two phases, into the file `signed` of a folder."""
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


def document() -> bytes:
    """Make a PDF of about 100 KB."""
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
