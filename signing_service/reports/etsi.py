"""The validation report as XML of TS 119 102-2, for programs that judge by the standard's words."""

import base64

from cryptography import x509
from lxml import etree

from pki import certificates, clock, errors
from signing_service.reports import etsi_attributes, etsi_constraints, etsi_objects
from signing_service.reports.etsi_xml import (
    NAMESPACE,
    NSMAP,
    OWN,
    OWN_NAMESPACE,
    TSL,
    WORDS,
    add,
    name,
)
from signing_service.validation import report
from signing_service.validation.diagnostics import diagnostic_data

__all__ = ["NAMESPACE", "NothingToReportError", "build"]

QUALITY = f"{OWN}signature-quality:"
"""What a signature is by TS 119 615, with the contract's word after it."""
NOT_DETERMINED = "not-determined"


class NothingToReportError(errors.InputError):
    """The document has no signature, and the schema has no report without one."""

    code = "report-without-signature"


def build(shown: report.ValidationReport, validator: x509.Certificate | None = None) -> bytes:
    """Return the report as an XML document in UTF-8, valid against TS 119 102-2 v1.4.1.

    Certificates, time stamps and revocation data are objects, named by their SHA-256; with their
    values where the report's diagnostic data has them. What an indication rests on is told as
    report data of the types `urn:imza:finding:error`, `warning` and `info`: a code, then a
    sentence.

    Args:
        shown: The report; one with diagnostic data tells more.
        validator: The certificate of the service that is going to sign the report.

    Raises:
        NothingToReportError: The document has no signature.
    """
    if not shown.signatures:
        raise NothingToReportError(
            "expected a document with signatures: this form has no report without one"
        )
    objects = etsi_objects.Objects()
    root = etree.Element(name("ValidationReport"), nsmap=NSMAP)  # type: ignore[arg-type]
    objects.identifier(etsi_objects.SIGNED_DATA, shown.document_sha256)
    # By their places: identifiers are the signers' own, and may be the same.
    details: list[diagnostic_data.SignatureDetails | None] = [None] * len(shown.signatures)
    if shown.diagnostic is not None:
        objects.add_all(shown.diagnostic)
        details = [one.details for one in shown.diagnostic.signatures]
    for record in shown.evidence_records:
        for stamp in record.time_stamps:
            objects.time_stamp(stamp, shown.policy)
    for number, (one, said) in enumerate(zip(shown.signatures, details, strict=True), start=1):
        root.append(_signature(number, one, shown, objects, said))
    for stamp in shown.time_stamps:
        objects.time_stamp(stamp, shown.policy)
    root.append(objects.element)
    if validator is not None:
        identity = add(add(root, "SignatureValidator"), "DigitalId")
        holder = etree.SubElement(identity, f"{{{TSL}}}X509Certificate")
        holder.text = base64.b64encode(certificates.to_der(validator)).decode("ascii")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _signature(
    number: int,
    one: report.SignatureReport,
    shown: report.ValidationReport,
    objects: etsi_objects.Objects,
    details: diagnostic_data.SignatureDetails | None,
) -> etree._Element:
    told = etree.Element(name("SignatureValidationReport"))
    identifier = add(told, "SignatureIdentifier")
    identifier.set("id", f"signature-{number}")
    add(identifier, "HashOnly", "false")
    add(identifier, "DocHashOnly", "false")
    add(identifier, "DAIdentifier", one.identifier)
    told.append(etsi_constraints.evaluation(one, shown.policy))
    stamps = [(stamp, objects.time_stamp(stamp, shown.policy)) for stamp in one.time_stamps]
    times = add(told, "ValidationTimeInfo")
    add(times, "ValidationTime", clock.time_text(shown.validated_at))
    best = add(times, "BestSignatureTime")
    if one.proofs_of_existence:
        objects.proof(best, one.proofs_of_existence[0])
    else:
        # EN 319 102-1 5.5.4 begins with the time of validation. Whatever time was asked about:
        # here the signature was seen when it was judged.
        add(best, "POETime", clock.time_text(shown.judged_on or shown.validated_at))
        add(best, "TypeOfProof", etsi_objects.PROVED_BY_VALIDATION)
    objects.refer(
        add(told, "SignersDocument"),
        "SignersDocumentRepresentation",
        etsi_objects.SIGNED_DATA,
        shown.document_sha256,
    )
    attributes = etsi_attributes.attributes(one, stamps, details)
    if len(attributes):
        told.append(attributes)
    certificate = one.signing_certificate
    if certificate is not None:
        signer = add(told, "SignerInformation")
        objects.refer(signer, "SignerCertificate", etsi_objects.CERTIFICATE, certificate.sha256)
        if one.signed_by is not None:
            add(signer, "Signer", one.signed_by)
    quality = NOT_DETERMINED if one.qualified is None else one.qualified
    add(add(told, "SignatureQuality"), "SignatureQualityInformation", QUALITY + quality)
    process = add(told, "SignatureValidationProcess")
    add(process, "SignatureValidationProcessID", f"{WORDS}validationprocess:LTA")
    if one.processes:
        _processes(add(process, "OtherInformation"), one, objects)
    told.append(_status(one, objects))
    return told


def _processes(
    told: etree._Element, one: report.SignatureReport, objects: etsi_objects.Objects
) -> None:
    """The three processes with their conclusions, then every proof of the signature's existence."""
    for process in one.processes:
        concluded = process.conclusion
        shown = etree.SubElement(told, f"{{{OWN_NAMESPACE}}}Process", Name=process.kind.value)
        shown.set("JudgedAt", clock.time_text(process.judged_at))
        add(shown, "MainIndication", f"{WORDS}mainindication:{concluded.indication.value.lower()}")
        if concluded.sub_indication is not None:
            reason = concluded.sub_indication.value
            add(shown, "SubIndication", f"{WORDS}subindication:{reason}")
    for proof in one.proofs_of_existence:
        shown = etree.SubElement(told, f"{{{OWN_NAMESPACE}}}Proof", Source=proof.source.value)
        objects.proof(shown, proof)


def _status(one: report.SignatureReport, objects: etsi_objects.Objects) -> etree._Element:
    status = etree.Element(name("SignatureValidationStatus"))
    word = one.indication.value.lower()
    add(status, "MainIndication", f"{WORDS}mainindication:{word}")
    if one.sub_indication is not None:
        add(status, "SubIndication", f"{WORDS}subindication:{one.sub_indication.value}")
    found = (
        *(("error", finding) for finding in one.errors),
        *(("warning", finding) for finding in one.warnings),
        *(("info", finding) for finding in one.info),
    )
    if not found and not one.certificate_path:
        return status
    data = add(status, "AssociatedValidationReportData")
    if one.certificate_path:
        _path(data, one.certificate_path, objects)
    etsi_objects.add_findings(data, found)
    return status


def _path(data: etree._Element, path: tuple[str, ...], objects: etsi_objects.Objects) -> None:
    """The path that the signing certificate was judged by; its last certificate is trusted."""
    kind = etsi_objects.CERTIFICATE
    objects.refer(data, "TrustAnchor", kind, path[-1])
    chain = add(data, "CertificateChain")
    objects.refer(chain, "SigningCertificate", kind, path[0])
    for sha256 in path[1:-1]:
        objects.refer(chain, "IntermediateCertificate", kind, sha256)
    if len(path) > 1:
        objects.refer(chain, "TrustAnchor", kind, path[-1])
