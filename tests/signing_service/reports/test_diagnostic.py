"""Diagnostic data: what is told of a PDF, of XML and of a container, and what its schema says."""

import base64
import hashlib
import json
import pathlib
from typing import Any

import pytest

from pki import certificates
from signing_service import documents, trust
from signing_service.reports import diagnostic, forms
from signing_service.validation import isolation, process
from signing_service.validation.diagnostics import diagnostic_data, diagnostic_values
from tests.support import forged_xml, signed_pdfs, statuses

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def maker(hierarchy, at) -> signed_pdfs.PdfMaker:
    return signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)


@pytest.fixture
def tell(tmp_path, hierarchy, at):
    """The diagnostic data of a document, as JSON."""

    def diagnose(
        content: bytes,
        name: str = "contract.pdf",
        extent: diagnostic_data.Extent = diagnostic_data.Extent.NAMES,
        fetch: process.Fetch | None = None,
    ) -> dict[str, Any]:
        path = tmp_path / "told"
        path.write_bytes(content)
        found = process.validate(
            documents.Document(name, path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=fetch,
            diagnose=extent,
        )
        assert found.diagnostic is not None
        return dict(json.loads(diagnostic.render(found.diagnostic)))

    return diagnose


def test_schema_in_the_documents_is_that_of_the_program():
    written = (DOCS / diagnostic.SCHEMA_NAME).read_text(encoding="utf-8")
    assert written == diagnostic.schema_text(), "run `make docs`"


def test_every_object_of_a_long_term_pdf_is_told(maker, tell, hierarchy, at):
    signed = maker.add_document_time_stamp(
        maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    )
    told = tell(signed)
    assert told["version"] == diagnostic_data.VERSION
    assert told["document"]["sha256"] == hashlib.sha256(signed).hexdigest()
    (signature,) = told["signatures"]
    by_sha256 = {one["sha256"]: one for one in told["certificates"]}
    signer = by_sha256[signature["signing_certificate"]]
    assert signer["key_usage"] == ["nonRepudiation"]
    assert signer["key"] == "EC secp256r1"
    assert signer["origins"] == ["document"]
    root = by_sha256[certificates.sha256(hierarchy.root.certificate)]
    assert "trust-anchor" in root["origins"]
    start, first, second, last = signature["details"]["byte_range"]
    (reference,) = signature["details"]["references"]
    digest = hashlib.sha256(signed[:first] + signed[second : second + last]).digest()
    assert start == 0
    assert base64.b64decode(reference["digest"]) == digest
    assert reference["matches"] is True
    assert "signing_certificate_v2" in signature["details"]["signed_properties"]
    assert signature["details"]["unsigned_properties"] == ["signature_time_stamp_token"]
    own, over_document = told["time_stamps"]
    assert (own["kind"], own["covers"]) == ("signature", [signature["id"]])
    assert (over_document["kind"], over_document["signature"]) == ("document", None)
    assert own["generated_at"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert own["imprint_algorithm"] == "sha256"
    assert own["unit_certificate"] in by_sha256
    kinds = {one["kind"] for one in told["revocation_data"]}
    assert kinds == {"OCSP", "CRL"}
    (response,) = [one for one in told["revocation_data"] if one["kind"] == "OCSP"]
    assert response["statements"][0]["serial_number"] == signer["serial_number"]
    assert response["statements"][0]["state"] == "good"
    assert response["der"] is None
    existence = {one["object"]: one for one in told["existence"]}
    assert existence["signature"]["id"] == signature["id"]
    assert {one["time_stamp"] for one in existence["signature"]["proofs"]} == {
        own["sha256"], over_document["sha256"],
    }  # fmt: skip
    # The time stamp over the signature is proven by the later one, and needed no such proof.
    assert existence["time-stamp"]["id"] == own["sha256"]
    assert existence["time-stamp"]["proofs"][0]["time_stamp"] == over_document["sha256"]
    assert existence["time-stamp"]["judged_in_the_past"] is False


def test_what_was_fetched_is_told_apart_from_what_the_document_carries(maker, tell, at):
    def fetch(missing):
        return process.FetchedEvidence(
            ocsp_responses=(
                statuses.ocsp_response(
                    maker.signer.certificate, maker.authorities.issuing.certificate,
                    maker.responder, at,
                ),
            ),
            crls=(maker.crl("root", at),),
        )  # fmt: skip

    told = tell(maker.sign(signed_pdfs.make_pdf(), stamped=True), fetch=fetch)
    assert {tuple(one["origins"]) for one in told["revocation_data"]} == {("fetched",)}
    origins = {tuple(one["origins"]) for one in told["certificates"]}
    assert ("document",) in origins
    assert ("fetched",) in origins


def test_values_are_told_where_they_are_asked_for_and_until_a_limit(maker, tell):
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    told = tell(signed, extent=diagnostic_data.Extent.VALUES)
    for one in (*told["certificates"], *told["revocation_data"]):
        assert hashlib.sha256(base64.b64decode(one["der"])).hexdigest() == one["sha256"]
    values = diagnostic_values.Values(diagnostic_data.Extent.VALUES)
    assert values.told(b"x") == "eA=="
    assert values.told(b"x" * diagnostic_values.MAX_BYTES) is None
    assert values.told(b"y") == "eQ=="


def test_broken_reference_of_several_is_the_one_that_does_not_match(tell, hierarchy):
    document = '<form><name Id="name">TEST</name><sum Id="sum">100</sum></form>'
    signed = forged_xml.sign(
        document, hierarchy.signer(), forged_xml.Wanted("#name"), forged_xml.Wanted("#sum")
    )
    references = tell(signed, name="form.xml")["signatures"][0]["details"]["references"]
    assert [(one["uri"], one["matches"]) for one in references] == [
        ("#name", True), ("#sum", True), ("#P", True),
    ]  # fmt: skip
    (signature,) = tell(signed.replace(b">100<", b">900<"), name="form.xml")["signatures"]
    assert signature["intact"] is False
    assert [one["matches"] for one in signature["details"]["references"]] == [True, False, True]
    assert signature["details"]["signed_properties"] == ["SigningCertificateV2", "SigningTime"]


def test_the_same_document_gives_the_same_bytes(maker, tmp_path, hierarchy, at):
    path = tmp_path / "contract.pdf"
    path.write_bytes(maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True)))
    anchors = trust.TrustAnchors((hierarchy.root.certificate,))
    workers = isolation.ValidationWorkers(1)
    try:
        rendered = {
            diagnostic.render(found.diagnostic)
            for _ in range(2)
            if (
                found := workers.validate(
                    documents.Document("contract.pdf", path), trust=anchors, at=at, fetch=None,
                    diagnose=diagnostic_data.Extent.VALUES,
                )
            ).diagnostic
        }  # fmt: skip
    finally:
        workers.close()
    assert len(rendered) == 1


@pytest.mark.parametrize(
    ("kind", "form", "extent"),
    [
        ("simple", forms.Form.JSON, "NONE"),
        ("detailed", forms.Form.HTML, "NONE"),
        ("detailed", forms.Form.XML, "NAMES"),
        ("diagnostic", forms.Form.JSON, "NAMES"),
    ],
)
def test_diagnostic_data_is_collected_only_where_it_is_told(kind, form, extent):
    chosen = forms.Kind(kind)
    assert chosen.extent(form, values=False) is diagnostic_data.Extent[extent]
