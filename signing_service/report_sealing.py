"""The service's own seal under its XML reports (TS 119 102-2 4, XAdES baseline B-B, enveloped).

A reader can then tell who validated, and that nobody changed what was said.
"""

import dataclasses
import datetime
import pathlib
import tempfile

from pki import audit, certificates, signature
from signing_service import documents, parameters
from signing_service.creation import xades
from signing_service.reports import etsi
from signing_service.service import SigningService
from signing_service.signing import sealing
from signing_service.validation import report

CHOSEN = parameters.SignatureParameters(
    format=documents.SignatureFormat.XADES,
    level=documents.SignatureLevel.B_B,
    packaging=parameters.Packaging.ENVELOPED,
)


@dataclasses.dataclass(frozen=True)
class ReportSealer:
    """Signs XML reports with one of the seals.

    Attributes:
        service: Its clock, database and authorities.
        seals: The seals of the settings.
        name: Which of them; the setting `report_seal`.
    """

    service: SigningService
    seals: sealing.Seals
    name: str

    def build(self, shown: report.ValidationReport, client_id: str, at: datetime.datetime) -> bytes:
        """Return a report as `etsi.build` does, signed.

        The use of the seal is in the audit log before the report leaves.

        Args:
            shown: The report.
            client_id: Who asked for it.
            at: The claimed signing time.

        Raises:
            NothingToReportError: The document has no signature.
            SealUnavailableError: The key or the certificate cannot be used now.
            UntrustedCertificateError: No path leads from the certificate to a known root.
        """
        seal = self.seals.own(self.name)
        path = self.service.authorities.path(seal.certificate, at)
        content = etsi.build(shown, seal.certificate)
        with tempfile.TemporaryDirectory(prefix="imza-report-") as folder:
            bare, prepared, signed = (
                pathlib.Path(folder) / one for one in ("bare.xml", "prepared.xml", "signed.xml")
            )
            bare.write_bytes(content)
            waiting = xades.prepare(
                documents.SignersDocuments((documents.Document("report.xml", bare),)),
                prepared,
                certificate=seal.certificate,
                chain=path[1:],
                parameters=CHOSEN,
                at=at,
            )
            representation = signature.represent(waiting.data_to_be_signed, waiting.hash_algorithm)
            xades.embed(waiting, prepared, signed, seal.sign(representation))
            sealed = signed.read_bytes()
        with self.service.database.begin() as session:
            audit.append(
                session,
                audit.AuditEvent.SEAL_USED,
                at,
                actor=client_id,
                details={
                    "seal": seal.name,
                    "purpose": "validation report",
                    "certificate_sha256": certificates.sha256(seal.certificate),
                    "representation": representation.hash.hex(),
                },
            )
        return sealed


def configured(service: SigningService, seals: sealing.Seals) -> ReportSealer | None:
    """The sealer that the settings ask for, or None.

    Raises:
        SettingsError: They name a seal that is not there.
    """
    chosen = service.settings.report_seal
    if chosen is None:
        return None
    seals.check_own(chosen)
    return ReportSealer(service, seals, chosen)
