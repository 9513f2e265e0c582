import dataclasses
import os
import pathlib
import subprocess

import pytest
from lxml import etree

from signing_service.reports import etsi
from signing_service.validation import report
from signing_service.validation.building_blocks import Rule
from signing_service.validation.diagnostics import diagnostic_data

SCHEMAS = pathlib.Path(__file__).resolve().parents[4] / "shared" / "schemas"
VR = {"vr": etsi.NAMESPACE}


def texts(shown: report.ValidationReport, path: str) -> list[str]:
    return [str(one.text) for one in etree.fromstring(etsi.build(shown)).iterfind(path, VR)]


@pytest.mark.peer
@pytest.mark.clause("TS 119 102-2", "4")
def test_report_is_valid_against_the_schema(shown, tmp_path):
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    check_schema(shown, tmp_path / "report.xml")


def check_schema(shown: report.ValidationReport, written: pathlib.Path) -> None:
    written.write_bytes(etsi.build(shown))
    answer = subprocess.run(
        ["xmllint", "--nonet", "--noout", "--schema", str(SCHEMAS / "TS119102-2-v141.xsd"),
         str(written)],
        env={**os.environ, "XML_CATALOG_FILES": str(SCHEMAS / "catalog.xml")},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()


def test_indications_are_the_standards_words(shown):
    status = "vr:SignatureValidationReport/vr:SignatureValidationStatus"
    assert texts(shown, f"{status}/vr:MainIndication") == [
        "urn:etsi:019102:mainindication:total-passed",
        "urn:etsi:019102:mainindication:total-failed",
    ]
    assert texts(shown, f"{status}/vr:SubIndication") == [
        "urn:etsi:019102:subindication:HASH_FAILURE"
    ]


def test_best_signature_time_names_the_time_stamp_that_proves_it(shown):
    root = etree.fromstring(etsi.build(shown))
    proof = root.find(".//vr:BestSignatureTime/vr:POEObject", VR)
    assert proof is not None
    named = root.find(f".//vr:ValidationObject[@id='{proof.get('VOReference')}']", VR)
    assert named is not None
    assert named.findtext("vr:ObjectType", namespaces=VR).endswith(":timestamp")
    assert named.findtext(".//vr:MainIndication", namespaces=VR).endswith(":passed")


def test_every_reference_names_an_object_of_the_report(shown):
    root = etree.fromstring(etsi.build(shown))
    known = {one.get("id") for one in root.iterfind(".//vr:ValidationObject", VR)}
    named = set(root.xpath("//@VOReference"))
    assert named
    assert named <= known


def test_character_that_xml_does_not_have_is_replaced(shown):
    signature = dataclasses.replace(shown.signatures[0], signed_by="TEST\x00\ud800 B")
    told = dataclasses.replace(shown, signatures=(signature,))
    assert texts(told, ".//vr:Signer") == ["TEST\ufffd\ufffd B"]


def test_document_without_signature_has_no_report(shown):
    with pytest.raises(etsi.NothingToReportError):
        etsi.build(dataclasses.replace(shown, signatures=()))


@pytest.mark.clause("TS 119 102-2", "4")
def test_constraints_are_told_one_by_one_as_applied_or_disabled(shown):
    root = etree.fromstring(etsi.build(shown))
    passed, failed = (
        {
            str(one.findtext("vr:ValidationConstraintIdentifier", namespaces=VR)): one
            for one in signature.iterfind(
                "vr:ValidationConstraintsEvaluationReport/vr:ValidationConstraint", VR
            )
        }
        for signature in root.iterfind("vr:SignatureValidationReport", VR)
    )

    def told(one: etree._Element, path: str) -> str | None:
        found = one.findtext(path, namespaces=VR)
        return None if found is None else found.rpartition(":")[2]

    status, indication = "vr:ConstraintStatus/vr:Status", "vr:ValidationStatus/vr:MainIndication"
    names = {f"urn:imza:constraint:{one.code}" for one in Rule} - {
        "urn:imza:constraint:time-stamp-intact", "urn:imza:constraint:time-stamp-proves",
    }  # fmt: skip
    past = {f"urn:imza:constraint:past-{one}-validation" for one in ("certificate", "signature")}
    assert set(passed) == names | past
    kept = passed["urn:imza:constraint:signature-value"]
    assert (told(kept, status), told(kept, indication)) == ("applied", "passed")
    left_out = passed["urn:imza:constraint:qualified-demanded"]
    assert (told(left_out, status), told(left_out, indication)) == ("disabled", None)
    strong = passed["urn:imza:constraint:algorithms-reliable"]
    assert told(strong, "vr:ValidationConstraintParameter/vr:Value") == "sha256"
    broken = failed["urn:imza:constraint:digests-match"]
    assert told(broken, indication) == "failed"
    assert told(broken, "vr:ValidationStatus/vr:SubIndication") == "HASH_FAILURE"


def test_quality_is_the_word_of_the_report(shown):
    path = "vr:SignatureValidationReport/vr:SignatureQuality/vr:SignatureQualityInformation"
    assert texts(shown, path) == [etsi.QUALITY + "AdESig", etsi.QUALITY + etsi.NOT_DETERMINED]


@pytest.mark.peer
def test_report_stays_valid_whatever_a_signer_claims(shown, tmp_path):
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    details = diagnostic_data.SignatureDetails(
        byte_range=(0, -5, 2**70),
        claimed_roles=("\x00<role>", ""),
        production_place=("Bakı \ud800",),
        commitments=("1.2.840.113549.1.9.16.6.5", "no address", "http://[", "a:%zz", "", "urn:x"),
        reason="\x1b[2J",
    )
    signatures = tuple(
        diagnostic_data.Signature(
            id=one.identifier, format=one.format, level=one.level, file=None, intact=one.intact,
            signing_certificate=None, certificate_is_named=None, digest_algorithms=(),
            claimed_signing_time=None, is_counter_signature=False, counter_signature_of=None,
            scope="none", scope_names=(), signed_files=(), changes_after_signing="none",
            time_stamps=(), details=details,
        )
        for one in shown.signatures
    )  # fmt: skip
    document = diagnostic_data.Document("a.pdf", "12" * 32, "PAdES", ())
    told = dataclasses.replace(
        shown,
        diagnostic=diagnostic_data.DiagnosticData(
            "1", document, shown.validated_at, shown.policy, signatures, (), (), (), (), ()
        ),
    )
    assert "urn:oid:1.2.840.113549.1.9.16.6.5" in etsi.build(told).decode()
    check_schema(told, tmp_path / "report.xml")


@pytest.mark.clause("TS 119 102-2", "4")
def test_processes_proofs_and_past_validation_are_told(shown):
    root = etree.fromstring(etsi.build(shown))
    signature = root.find("vr:SignatureValidationReport", VR)
    told = signature.find("vr:SignatureValidationProcess/vr:OtherInformation", VR)
    own = {"imza": "urn:imza:report", **VR}
    assert [
        (one.get("Name"), one.findtext("vr:SubIndication", default="-", namespaces=VR)[-14:])
        for one in told.iterfind("imza:Process", own)
    ] == [("basic", "REVOKED_NO_POE"), ("with-time", "REVOKED_NO_POE"), ("long-term", "-")]
    objects = {one.get("id"): one for one in root.iterfind(".//vr:ValidationObject", VR)}
    proofs = told.findall("imza:Proof", own)
    assert [one.get("Source") for one in proofs] == ["time-stamp", "evidence-record"]
    stamp = objects[proofs[0].find("vr:POEObject", VR).get("VOReference")]
    # The time stamp itself is proven by the evidence record, and was judged as of then.
    assert stamp.find("vr:POE/vr:POEObject", VR).get("VOReference") == proofs[1].find(
        "vr:POEObject", VR
    ).get("VOReference")
    constraints = {
        one.findtext("vr:ValidationConstraintIdentifier", namespaces=VR): one.findtext(
            "vr:ValidationConstraintParameter/vr:Value", namespaces=VR
        )
        for one in stamp.iterfind(".//vr:ValidationConstraint", VR)
    }
    assert constraints == dict.fromkeys(
        (
            "urn:imza:constraint:past-certificate-validation",
            "urn:imza:constraint:past-signature-validation",
        ),
        stamp.findtext("vr:POE/vr:POETime", namespaces=VR),
    )
