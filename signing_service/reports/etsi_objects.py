"""The objects that a validation rests on, each told once and referred to (TS 119 102-2 4)."""

import base64

from lxml import etree

from pki import clock
from signing_service.reports import etsi_constraints
from signing_service.reports.etsi_xml import DSIG, OWN, WORDS, add, name
from signing_service.validation import processes, report
from signing_service.validation.diagnostics import diagnostic_data

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
FINDING = f"{OWN}finding:"
"""What a finding of ours is typed as, with `error`, `warning` or `info` after it."""
PROVED_BY_VALIDATION = f"{WORDS}poetype:validation"
"""The validation itself found the proof; nobody else stated it."""
SIGNED_DATA, CERTIFICATE, TIME_STAMP = "signedData", "certificate", "timestamp"
_REVOCATION = {"OCSP": "OCSPResponse", "CRL": "CRL"}


class Objects:
    """Collects the objects that the signatures' reports refer to."""

    def __init__(self) -> None:
        """Begin with none."""
        self._identifiers: dict[tuple[str, str], str] = {}
        self._judged: set[str] = set()
        self.element = etree.Element(name("SignatureValidationObjects"))

    def refer(self, parent: etree._Element, tag: str, kind: str, sha256: str) -> None:
        """Add an element that refers to an object."""
        add(parent, tag).set("VOReference", self.identifier(kind, sha256))

    def identifier(self, kind: str, sha256: str, value: str | None = None) -> str:
        """Return the identifier of an object, which is added when it is first named.

        Args:
            kind: As the standard's annex calls it.
            sha256: In hex.
            value: In base64, where it is told too.
        """
        if (kind, sha256) not in self._identifiers:
            identifier = f"{kind}-{len(self._identifiers) + 1}"
            self._identifiers[kind, sha256] = identifier
            told = add(self.element, "ValidationObject")
            told.set("id", identifier)
            add(told, "ObjectType", f"{WORDS}validationObject:{kind}")
            shown = add(told, "ValidationObjectRepresentation")
            if value is not None:
                add(shown, "base64", value)
            digest = add(shown, "DigestAlgAndValue")
            method = etree.SubElement(digest, f"{{{DSIG}}}DigestMethod")
            method.set("Algorithm", _SHA256)
            digest_value = etree.SubElement(digest, f"{{{DSIG}}}DigestValue")
            digest_value.text = base64.b64encode(bytes.fromhex(sha256)).decode("ascii")
        return self._identifiers[kind, sha256]

    def time_stamp(self, stamp: report.TimeStampReport, policy: str) -> str | None:
        """Tell of a time stamp once: since when it exists, what it proves, and the verdict on it.

        Args:
            stamp: The verdict on it.
            policy: The name of the policy that it was judged by.
        """
        if stamp.sha256 is None:
            return None
        identifier = self.identifier(TIME_STAMP, stamp.sha256)
        if identifier in self._judged:
            return identifier
        self._judged.add(identifier)
        told = next(one for one in self.element if one.get("id") == identifier)
        for proof in stamp.proofs_of_existence[:1]:
            self.proof(add(told, "POE"), proof)
        if stamp.indication == "PASSED" and stamp.time is not None:
            add(add(told, "POEProvisioning"), "POETime", clock.time_text(stamp.time))
        judged = add(told, "ValidationReport")
        if stamp.past_validation is not None:
            judged.append(etsi_constraints.of_time_stamp(stamp.past_validation, policy))
        status = add(judged, "SignatureValidationStatus")
        add(status, "MainIndication", f"{WORDS}mainindication:{stamp.indication.lower()}")
        if stamp.sub_indication is not None:
            add(status, "SubIndication", f"{WORDS}subindication:{stamp.sub_indication.value}")
        if stamp.problem is not None:
            add_findings(add(status, "AssociatedValidationReportData"), (("error", stamp.problem),))
        return identifier

    def proof(self, told: etree._Element, proof: processes.ProofOfExistence) -> None:
        """Tell a proof of existence; of an evidence record its first time stamp is the object."""
        add(told, "POETime", clock.time_text(proof.time))
        add(told, "TypeOfProof", PROVED_BY_VALIDATION)
        self.refer(told, "POEObject", TIME_STAMP, proof.sha256)

    def add_all(self, data: diagnostic_data.DiagnosticData) -> None:
        """Tell every certificate, OCSP response and CRL that was at hand."""
        for one in data.certificates:
            self.identifier(CERTIFICATE, one.sha256, one.der)
        for datum in data.revocation_data:
            self.identifier(_REVOCATION[datum.kind], datum.sha256, datum.der)


def add_findings(data: etree._Element, found: tuple[tuple[str, report.Finding], ...]) -> None:
    """Tell findings as report data: a code, then a sentence."""
    if not found:
        return
    listed = add(data, "AdditionalValidationReportData")
    for kind, finding in found:
        told = add(listed, "ReportData")
        add(told, "Type", FINDING + kind)
        add(told, "Value", f"{finding.code}: {finding.message}")
