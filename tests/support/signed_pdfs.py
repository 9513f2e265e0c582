"""Signed PDFs made by plain pyHanko, so that our validation is not tested by our own signing."""

import dataclasses
import datetime
import io

import fpdf
from asn1crypto import cms, keys
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from pki import algorithms, signature
from tests.support import hierarchy, statuses, time_stamps


class UnitTimeStamper(TimeStamper):
    """Gives pyHanko tokens of a unit in memory."""

    def __init__(self, unit: hierarchy.Holder, at: datetime.datetime) -> None:
        super().__init__()
        self._unit = unit
        self.at = at

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        algorithm = algorithms.HashAlgorithm.SHA256
        wanted = signature.DataToBeSignedRepresentation(algorithm, message_digest)
        return cms.ContentInfo.load(time_stamps.time_stamp_token(self._unit, wanted, self.at))


@dataclasses.dataclass
class PdfMaker:
    """Signs PDFs with one person's key and raises them level by level."""

    authorities: hierarchy.Hierarchy
    signer: hierarchy.Holder
    at: datetime.datetime

    def __post_init__(self) -> None:
        self.unit = self.authorities.time_stamping_unit()
        self.responder = self.authorities.ocsp_responder()

    def sign(
        self,
        pdf: bytes,
        *,
        name: str = "Signature1",
        stamped: bool = False,
        subfilter: fields.SigSeedSubFilter = fields.SigSeedSubFilter.PADES,
        certify: fields.MDPPerm | None = None,
        reason: str | None = None,
        password: str | None = None,
        field: fields.SigFieldSpec | None = None,
    ) -> bytes:
        """B-B, or B-T where stamped.

        `certify` tells what may change afterwards; `field` makes a field with a place or a lock.
        """
        metadata = signers.PdfSignatureMetadata(
            field_name=name,
            subfilter=subfilter,
            md_algorithm="sha256",
            certify=certify is not None,
            docmdp_permissions=certify or fields.MDPPerm.FILL_FORMS,
            reason=reason,
        )
        signer = signers.SimpleSigner(
            signing_cert=_asn1(self.signer.certificate),
            signing_key=keys.PrivateKeyInfo.load(
                self.signer.key.private_bytes(
                    serialization.Encoding.DER,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            ),
            cert_registry=SimpleCertificateStore.from_certs(
                [_asn1(one) for one in self.signer.issuers[:-1]]
            ),
        )
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=False)
        if writer.prev.encrypted:
            writer.encrypt(password or b"")
        out = signers.PdfSigner(
            metadata,
            signer,
            timestamper=self._stamper() if stamped else None,
            new_field_spec=field,
        ).sign_pdf(writer)
        return out.getvalue()

    def add_evidence(
        self,
        pdf: bytes,
        *,
        at: datetime.datetime | None = None,
        revoked_at: datetime.datetime | None = None,
        crls: tuple[str, ...] = ("root", "infrastructure"),
        certificates: tuple[str, ...] = ("issuing",),
    ) -> bytes:
        """B-LT: statuses of signer, issuers and time-stamping unit in the DSS."""
        at = at or self.at
        good = statuses.ocsp_response(
            self.signer.certificate,
            self.authorities.issuing.certificate,
            self.responder,
            at,
            revoked_at=revoked_at,
        )
        stream = io.BytesIO(pdf)
        DocumentSecurityStore.add_dss(
            stream,
            sig_contents=None,
            certs=[_asn1(getattr(self.authorities, one).certificate) for one in certificates],
            ocsps=[asn1_ocsp.OCSPResponse.load(good)],
            crls=[asn1_crl.CertificateList.load(self.crl(one, at)) for one in crls],
        )
        return stream.getvalue()

    def add_document_time_stamp(self, pdf: bytes, *, at: datetime.datetime | None = None) -> bytes:
        """A document time stamp over everything: B-LTA after evidence."""
        stamper = signers.PdfTimeStamper(self._stamper(at))
        out = stamper.timestamp_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), "sha256")
        return out.getvalue()

    def crl(self, name: str, at: datetime.datetime) -> bytes:
        """A CRL of one of the authorities, with nothing on it."""
        return self.authorities.crl(getattr(self.authorities, name), at=at)

    def _stamper(self, at: datetime.datetime | None = None) -> UnitTimeStamper:
        return UnitTimeStamper(self.unit, at or self.at)


def make_pdf(text: str = "TEST contract") -> bytes:
    """A document of two pages whose text stands uncompressed in its content streams."""
    pdf = fpdf.FPDF()
    pdf.set_compression(False)
    pdf.set_font("Helvetica", size=12)
    for number in (1, 2):
        pdf.add_page()
        pdf.cell(text=f"{text} {number}")
    written = io.BytesIO()
    pdf.output(written)
    return written.getvalue()


def _asn1(certificate) -> asn1_x509.Certificate:  # type: ignore[no-untyped-def]
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
