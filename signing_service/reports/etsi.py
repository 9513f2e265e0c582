"""The validation report as XML of TS 119 102-2, for programs that judge by the standard's words."""

import base64
import datetime

from lxml import etree

from pki import clock, errors
from signing_service.validation import report

NAMESPACE = "http://uri.etsi.org/19102/v1.4.1#"
_XADES = "http://uri.etsi.org/01903/v1.3.2#"
_DSIG = "http://www.w3.org/2000/09/xmldsig#"
_NSMAP = {None: NAMESPACE, "xades": _XADES, "ds": _DSIG}

_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_WORDS = "urn:etsi:019102:"

FINDING = "urn:imza:finding:"
"""What a finding of ours is typed as, with `error`, `warning` or `info` after it."""

_STAMPS = {
    report.TimeStampKind.CONTENT: "AllDataObjectsTimeStamp",
    report.TimeStampKind.SIGNATURE: "SignatureTimeStamp",
    report.TimeStampKind.ARCHIVE: "ArchiveTimeStamp",
    report.TimeStampKind.DOCUMENT: "DocTimeStamp",
}
"""The attribute that a time stamp of a signature is told as (TS 119 102-2 annex A)."""


class NothingToReportError(errors.InputError):
    """The document has no signature, and the schema has no report without one."""

    code = "report-without-signature"


def build(shown: report.ValidationReport) -> bytes:
    """Return the report as an XML document in UTF-8, valid against TS 119 102-2 v1.4.1.

    Certificates and time stamps are named by their SHA-256. What an indication rests on is told
    as report data of the types `urn:imza:finding:error`, `warning` and `info`: a code, then a
    sentence.

    Raises:
        NothingToReportError: The document has no signature.
    """
    if not shown.signatures:
        raise NothingToReportError(
            "expected a document with signatures: this form has no report without one"
        )
    return _Builder(shown).build()


class _Builder:
    """Collects the objects that the signatures' reports refer to."""

    def __init__(self, shown: report.ValidationReport) -> None:
        self._shown = shown
        self._identifiers: dict[tuple[str, str], str] = {}
        self._objects = etree.Element(_name("SignatureValidationObjects"))

    def build(self) -> bytes:
        root = etree.Element(_name("ValidationReport"), nsmap=_NSMAP)  # type: ignore[arg-type]
        self._object("signedData", self._shown.document_sha256)
        for number, one in enumerate(self._shown.signatures, start=1):
            root.append(self._signature(number, one))
        for stamp in self._shown.time_stamps:
            self._time_stamp(stamp)
        root.append(self._objects)
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    def _signature(self, number: int, one: report.SignatureReport) -> etree._Element:
        told = etree.Element(_name("SignatureValidationReport"))
        identifier = _add(told, "SignatureIdentifier")
        identifier.set("id", f"signature-{number}")
        _add(identifier, "HashOnly", "false")
        _add(identifier, "DocHashOnly", "false")
        _add(identifier, "DAIdentifier", one.identifier)
        evaluation = _add(told, "ValidationConstraintsEvaluationReport")
        policy = _add(evaluation, "SignatureValidationPolicy")
        chosen = _add(policy, "SignaturePolicyIdentifier")
        etree.SubElement(chosen, f"{{{_XADES}}}SignaturePolicyImplied")
        _add(policy, "PolicyName", self._shown.policy)
        stamps = [(stamp, self._time_stamp(stamp)) for stamp in one.time_stamps]
        times = _add(told, "ValidationTimeInfo")
        _add(times, "ValidationTime", clock.time_text(self._shown.validated_at))
        _proof(_add(times, "BestSignatureTime"), one, stamps, self._shown.validated_at)
        signed = _add(told, "SignersDocument")
        self._refer(
            signed, "SignersDocumentRepresentation", "signedData", self._shown.document_sha256
        )
        attributes = self._attributes(one, stamps)
        if len(attributes):
            told.append(attributes)
        certificate = one.signing_certificate
        if certificate is not None:
            signer = _add(told, "SignerInformation")
            self._refer(signer, "SignerCertificate", "certificate", certificate.sha256)
            if one.signed_by is not None:
                _add(signer, "Signer", one.signed_by)
        process = _add(told, "SignatureValidationProcess")
        _add(process, "SignatureValidationProcessID", f"{_WORDS}validationprocess:LTA")
        told.append(_status(one))
        return told

    def _attributes(
        self, one: report.SignatureReport, stamps: list[tuple[report.TimeStampReport, str | None]]
    ) -> etree._Element:
        attributes = etree.Element(_name("SignatureAttributes"))
        if one.claimed_signing_time is not None:
            claimed = _add(attributes, "SigningTime")
            claimed.set("Signed", "true")
            _add(claimed, "Time", clock.time_text(one.claimed_signing_time))
        for stamp, identifier in stamps:
            if stamp.time is None or identifier is None or stamp.kind not in _STAMPS:
                continue
            told = _add(attributes, _STAMPS[stamp.kind])
            told.set("Signed", "true" if stamp.kind is report.TimeStampKind.CONTENT else "false")
            _add(told, "AttributeObject").set("VOReference", identifier)
            _add(told, "TimeStampValue", clock.time_text(stamp.time))
        return attributes

    def _time_stamp(self, stamp: report.TimeStampReport) -> str | None:
        """Tell of a time stamp once, with the verdict on it."""
        if stamp.sha256 is None:
            return None
        known = ("timestamp", stamp.sha256) in self._identifiers
        identifier = self._object("timestamp", stamp.sha256)
        if known:
            return identifier
        verdict = etree.SubElement(self._objects[-1], _name("ValidationReport"))
        status = _add(verdict, "SignatureValidationStatus")
        word = "passed"
        if stamp.problem is not None or stamp.intact is None:
            word = "failed" if stamp.intact is False else "indeterminate"
        _add(status, "MainIndication", f"{_WORDS}mainindication:{word}")
        if stamp.problem is not None:
            _findings(status, (("error", stamp.problem),))
        return identifier

    def _refer(self, parent: etree._Element, tag: str, kind: str, sha256: str) -> None:
        _add(parent, tag).set("VOReference", self._object(kind, sha256))

    def _object(self, kind: str, sha256: str) -> str:
        """Return the identifier of a validation object, which is added when first named."""
        if (kind, sha256) not in self._identifiers:
            identifier = f"{kind}-{len(self._identifiers) + 1}"
            self._identifiers[kind, sha256] = identifier
            told = _add(self._objects, "ValidationObject")
            told.set("id", identifier)
            _add(told, "ObjectType", f"{_WORDS}validationObject:{kind}")
            digest = _add(_add(told, "ValidationObjectRepresentation"), "DigestAlgAndValue")
            method = etree.SubElement(digest, f"{{{_DSIG}}}DigestMethod")
            method.set("Algorithm", _SHA256)
            value = etree.SubElement(digest, f"{{{_DSIG}}}DigestValue")
            value.text = base64.b64encode(bytes.fromhex(sha256)).decode("ascii")
        return self._identifiers[kind, sha256]


def _proof(
    told: etree._Element,
    one: report.SignatureReport,
    stamps: list[tuple[report.TimeStampReport, str | None]],
    validated_at: datetime.datetime,
) -> None:
    """Say since when the signature is known to exist: the present, where no time stamp says more.

    EN 319 102-1 5.5.4 begins with the time of validation.
    """
    best = one.best_signature_time
    _add(told, "POETime", clock.time_text(validated_at if best is None else best))
    _add(told, "TypeOfProof", f"{_WORDS}poetype:validation")
    shows = [
        identifier
        for stamp, identifier in stamps
        if identifier is not None and stamp.problem is None and stamp.time == best is not None
    ]
    if shows:
        _add(told, "POEObject").set("VOReference", shows[0])


def _status(one: report.SignatureReport) -> etree._Element:
    status = etree.Element(_name("SignatureValidationStatus"))
    word = one.indication.value.lower()
    _add(status, "MainIndication", f"{_WORDS}mainindication:{word}")
    if one.sub_indication is not None:
        _add(status, "SubIndication", f"{_WORDS}subindication:{one.sub_indication.value}")
    _findings(
        status,
        (
            *(("error", finding) for finding in one.errors),
            *(("warning", finding) for finding in one.warnings),
            *(("info", finding) for finding in one.info),
        ),
    )
    return status


def _findings(status: etree._Element, found: tuple[tuple[str, report.Finding], ...]) -> None:
    if not found:
        return
    data = _add(_add(status, "AssociatedValidationReportData"), "AdditionalValidationReportData")
    for kind, finding in found:
        told = _add(data, "ReportData")
        _add(told, "Type", FINDING + kind)
        _add(told, "Value", f"{finding.code}: {finding.message}")


def _add(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    """Add an element; what XML cannot hold (names come from strangers) becomes U+FFFD."""
    element = etree.SubElement(parent, _name(tag))
    if text is not None:
        element.text = "".join(one if _is_xml(one) else "\ufffd" for one in text)
    return element


def _is_xml(character: str) -> bool:
    """Whether XML 1.0 2.2 has the character."""
    point = ord(character)
    return (
        point in {0x9, 0xA, 0xD}
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or point >= 0x10000
    )


def _name(tag: str) -> str:
    return f"{{{NAMESPACE}}}{tag}"
