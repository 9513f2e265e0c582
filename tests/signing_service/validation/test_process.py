import datetime
import io
import json
import pathlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from pyhanko.pdf_utils import generic, incremental_writer

from pki import clock, errors
from signing_service import documents, trust
from signing_service.reports import etsi
from signing_service.validation import process, report
from tests.support import signed_pdfs, statuses

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def maker(hierarchy, at) -> signed_pdfs.PdfMaker:
    return signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)


@pytest.fixture
def judge(tmp_path: pathlib.Path, hierarchy, at):
    """Validate bytes with the hierarchy's root trusted, offline unless told otherwise."""

    def validate(content: bytes, *, when=at, fetch=None, anchors=None, name="contract.pdf"):
        path = tmp_path / "judged"
        path.write_bytes(content)
        return process.validate(
            documents.Document(name, path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)) if anchors is None else anchors,
            at=when,
            fetch=fetch,
        )

    return validate


def authorities_of(maker: signed_pdfs.PdfMaker, at, revoked_at=None) -> process.Fetch:
    """A fetch that answers from the test's authorities."""

    def fetch(missing):
        return process.FetchedEvidence(
            ocsp_responses=(
                statuses.ocsp_response(
                    maker.signer.certificate,
                    maker.authorities.issuing.certificate,
                    maker.responder,
                    at,
                    revoked_at=revoked_at,
                ),
            ),
            crls=(maker.crl("root", at), maker.crl("infrastructure", at)),
        )

    return fetch


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (signature,) = validated.signatures
    return signature


def test_levels_are_named_from_what_is_really_present(maker, judge):
    basic = maker.sign(signed_pdfs.make_pdf())
    stamped = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    long_term = maker.add_evidence(stamped)
    archived = maker.add_document_time_stamp(long_term)
    levels = [only(judge(one)).level for one in (basic, stamped, long_term, archived)]
    assert levels == [f"PAdES-BASELINE-{name}" for name in ("B", "T", "LT", "LTA")]


@pytest.mark.clause("EN 319 102-1", "5.5.4")
def test_long_term_signature_passes_offline(maker, judge, at):
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    found = only(judge(signed))
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert found.best_signature_time == at
    assert found.intact
    assert found.scope_kind is report.ScopeKind.FULL
    assert found.changes_after_signing is report.Changes.PERMITTED
    assert found.person_code == "5AB12CD"


@pytest.mark.clause("EN 319 102-1", "5.2.5")
def test_status_from_before_the_time_stamp_proves_nothing_about_the_signer(maker, judge, at):
    stamped = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    found = only(judge(maker.add_evidence(stamped, at=at - MINUTE)))
    assert found.sub_indication is report.SubIndication.TRY_LATER


def test_missing_status_is_try_later_offline_and_fetched_online(maker, judge, at):
    stamped = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    offline = only(judge(stamped))
    assert offline.indication is report.Indication.INDETERMINATE
    assert offline.sub_indication is report.SubIndication.TRY_LATER
    online = only(judge(stamped, fetch=authorities_of(maker, at)))
    assert online.indication is report.Indication.TOTAL_PASSED, online.errors


def test_judging_without_fetch_does_not_ask_and_with_it_asks_once(maker, judge, at):
    asked = []
    answer = authorities_of(maker, at)

    def fetch(missing):
        asked.append(missing)
        return answer(missing)

    judge(maker.sign(signed_pdfs.make_pdf(), stamped=True), fetch=fetch)
    assert len(asked) == 1


@pytest.mark.clause("EN 319 102-1", "5.5.4")
def test_revocation_after_the_time_stamp_leaves_the_signature_passed(maker, judge, at):
    stamped = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    later = at + 2 * MINUTE
    found = only(
        judge(stamped, when=later, fetch=authorities_of(maker, later, revoked_at=at + MINUTE))
    )
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert "revoked-later" in {one.code for one in found.info}


@pytest.mark.parametrize("stamped", [False, True])
def test_time_that_was_asked_for_is_told_as_such(maker, hierarchy, at, tmp_path, stamped):
    """A revoked signer signs, and asks about a time before the revocation."""
    path = tmp_path / "contract.pdf"
    path.write_bytes(maker.sign(signed_pdfs.make_pdf(), stamped=stamped))
    later = at + 4 * MINUTE
    shown = process.validate(
        documents.Document("contract.pdf", path),
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=at,
        fetch=authorities_of(maker, later, revoked_at=at + MINUTE),
        present=later,
    )
    (found,) = shown.signatures
    told = {one.code: one.message for one in (*found.warnings, *found.info)}
    assert clock.time_text(later) in told["time-chosen"]
    for one in ("time-chosen", "revoked-later"):
        assert ("nothing proves" in told[one]) is not stamped
    # Nobody is told that the service saw the signature at the time that was asked about.
    poe = etree.fromstring(etsi.build(shown)).find(".//{*}BestSignatureTime/{*}POETime")
    assert poe.text == clock.time_text(at if stamped else later)


@pytest.mark.clause("EN 319 102-1", "5.3.4")
def test_revocation_without_a_proof_of_existence_is_indeterminate(maker, judge, at):
    signed = maker.sign(signed_pdfs.make_pdf())
    later = at + 2 * MINUTE
    found = only(
        judge(signed, when=later, fetch=authorities_of(maker, later, revoked_at=at + MINUTE))
    )
    assert found.indication is report.Indication.INDETERMINATE
    assert found.sub_indication is report.SubIndication.REVOKED_NO_POE


def test_revocation_before_the_time_stamp_is_indeterminate(maker, judge, at):
    stamped = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    found = only(judge(stamped, fetch=authorities_of(maker, at, revoked_at=at - MINUTE)))
    assert found.sub_indication is report.SubIndication.REVOKED_NO_POE


@pytest.mark.parametrize("raised", [False, True])
def test_changed_covered_byte_is_a_hash_failure(maker, judge, raised):
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=raised)
    if raised:
        signed = maker.add_document_time_stamp(maker.add_evidence(signed))
    assert signed.count(b"TEST contract 1") == 1
    found = only(judge(signed.replace(b"TEST contract 1", b"TEST contract 9")))
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.sub_indication is report.SubIndication.HASH_FAILURE
    assert found.intact is False


def test_signature_by_another_key_is_a_crypto_failure(maker, judge, hierarchy, at):
    """The certificate of one person over the value of another."""
    other = hierarchy.signer()
    forged = signed_pdfs.PdfMaker(
        hierarchy,
        type(other)(maker.signer.certificate, other.key, other.issuers),
        at,
    ).sign(signed_pdfs.make_pdf())
    found = only(judge(forged))
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.sub_indication is report.SubIndication.SIG_CRYPTO_FAILURE


def test_unknown_root_gives_no_certificate_chain(maker, judge):
    found = only(judge(maker.sign(signed_pdfs.make_pdf()), anchors=trust.TrustAnchors()))
    assert found.sub_indication is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert found.intact
    assert found.qualified is None


def test_two_signatures_are_both_judged_and_the_first_stays_permitted(maker, judge, hierarchy, at):
    second = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer("5ZZ99ZZ"), at)
    once = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    twice = second.add_evidence(second.sign(once, name="Signature2", stamped=True))
    validated = judge(twice)
    assert [one.indication for one in validated.signatures] == [
        report.Indication.TOTAL_PASSED,
        report.Indication.TOTAL_PASSED,
    ]
    assert validated.overall is report.Indication.TOTAL_PASSED


def test_pages_that_change_after_signing_are_undefined_and_do_not_pass(maker, judge, at):
    """A shadow: an incremental update replaces the content of the first page."""

    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    writer = incremental_writer.IncrementalPdfFileWriter(io.BytesIO(signed))
    page_reference, _ = writer.find_page_for_modification(0)
    stream = generic.StreamObject(stream_data=b"BT /F1 12 Tf 50 700 Td (other) Tj ET")
    page_reference.get_object()["/Contents"] = writer.add_object(stream)
    writer.update_container(page_reference.get_object())
    out = io.BytesIO()
    writer.write(out)
    found = only(judge(out.getvalue()))
    assert found.intact
    assert found.changes_after_signing is report.Changes.UNDEFINED
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert found.indication is report.Indication.INDETERMINATE


def test_hole_that_holds_more_than_the_signature_is_refused(maker, judge):
    signed = maker.sign(signed_pdfs.make_pdf())
    start = signed.index(b"/Contents <") + len(b"/Contents <")
    end = signed.index(b">", start)
    with pytest.raises(errors.InputError):
        judge(signed[: end - 4] + b"(hi)" + signed[end:])


def test_document_without_signature_is_no_signature(judge):
    validated = judge(signed_pdfs.make_pdf())
    assert validated.overall is report.Indication.NO_SIGNATURE


def test_document_with_only_a_time_stamp_reports_it_alone(maker, judge, at):
    validated = judge(maker.add_document_time_stamp(signed_pdfs.make_pdf()))
    assert validated.overall is report.Indication.NO_SIGNATURE
    (stamp,) = validated.to_json()["time_stamps"]
    assert stamp["kind"] == "document"
    assert stamp["intact"] is True
    assert stamp["scope"] == ["contract.pdf"]


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7\n%%EOF", b"<a", b"\x00" * 4096])
def test_document_that_cannot_be_parsed_is_an_input_error(judge, content):
    with pytest.raises(errors.InputError):
        judge(content)


def test_report_has_exactly_the_fields_of_the_contract(maker, judge, at):
    shown = json.loads(
        json.dumps(judge(maker.sign(signed_pdfs.make_pdf(), stamped=True)).to_json())
    )
    assert set(shown) == {
        "document",
        "validated_at",
        "policy",
        "overall",
        "signatures",
        "time_stamps",
        "evidence_records",
    }
    assert set(shown["document"]) == {"name", "sha256", "format"}
    assert set(shown["signatures"][0]) == {
        "id",
        "format",
        "level",
        "indication",
        "sub_indication",
        "intact",
        "signing_certificate",
        "signed_by",
        "person_code",
        "organisation",
        "qualified",
        "claimed_signing_time",
        "best_signature_time",
        "time_stamps",
        "scope",
        "changes_after_signing",
        "errors",
        "warnings",
        "info",
    }
    assert set(shown["signatures"][0]["time_stamps"][0]) == {"kind", "intact", "time", "issuer"}
    assert shown["validated_at"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_expired_certificate_without_time_stamp_is_out_of_bounds(judge, hierarchy, at):
    signer = hierarchy.signer(not_before=at - 9 * MINUTE, not_after=at + MINUTE)
    maker = signed_pdfs.PdfMaker(hierarchy, signer, at)
    found = only(judge(maker.sign(signed_pdfs.make_pdf()), when=at + 3 * MINUTE))
    assert found.sub_indication is report.SubIndication.OUT_OF_BOUNDS_NO_POE


@pytest.mark.clause("EN 319 102-1", "5.6.2.2")
def test_archived_signature_outlives_its_certificate(judge, hierarchy, at):
    signer = hierarchy.signer(not_before=at - 9 * MINUTE, not_after=at + MINUTE)
    maker = signed_pdfs.PdfMaker(hierarchy, signer, at)
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    archived = maker.add_document_time_stamp(signed)
    found = only(judge(archived, when=at + datetime.timedelta(days=300)))
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_pdf_is_judged_or_refused_and_never_passes_when_covered(maker, judge, data):
    """Bytes of a signed PDF are changed anywhere: an InputError or a report, nothing else."""
    if not hasattr(maker, "fuzzed"):
        maker.fuzzed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    content = bytearray(maker.fuzzed)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        validated = judge(bytes(content))
    except errors.InputError:
        return
    if content[:200] != bytearray(maker.fuzzed)[:200]:
        assert validated.overall is not report.Indication.TOTAL_PASSED
