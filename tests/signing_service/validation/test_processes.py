"""The three processes of EN 319 102-1, and what was judged in the past by proofs of existence."""

import datetime

import pytest

from pki import der
from signing_service import documents, trust
from signing_service.validation import process, report
from signing_service.validation.building_blocks import BlockIndication
from signing_service.validation.cades import attributes
from signing_service.validation.processes import ProofSource
from tests.support import evidence_records, signed_cms, signed_pdfs, statuses
from tests.support.evidence_records import sha

MINUTE = datetime.timedelta(minutes=1)


def concluded(signature: report.SignatureReport) -> list[tuple[str, str | None]]:
    return [
        (
            one.kind.value,
            None if one.conclusion.sub_indication is None else one.conclusion.sub_indication.value,
        )
        for one in signature.processes
    ]


@pytest.mark.clause("EN 319 102-1", "5.3")
def test_processes_end_alike_where_nothing_proves_an_age(maker, judge):
    (signature,) = judge(maker.add_evidence(maker.sign(signed_pdfs.make_pdf()))).signatures
    assert {one.conclusion.problem for one in signature.processes} == {None}
    assert signature.past_validation is None
    assert signature.proofs_of_existence == ()


@pytest.mark.clause("EN 319 102-1", "5.5")
def test_signature_time_stamp_decides_what_basic_validation_leaves_open(maker, judge, at):
    signed = maker.add_evidence(
        maker.sign(signed_pdfs.make_pdf(), stamped=True),
        at=at + 2 * MINUTE,
        revoked_at=at + MINUTE,
    )
    (signature,) = judge(signed, when=at + 3 * MINUTE).signatures
    assert concluded(signature) == [
        ("basic", "REVOKED_NO_POE"), ("with-time", None), ("long-term", None),
    ]  # fmt: skip
    assert [one.judged_at for one in signature.processes] == [at + 3 * MINUTE, at, at]
    # The time stamp is good today, so nothing had to be judged in the past.
    assert signature.past_validation is None
    (proof,) = signature.proofs_of_existence
    assert (proof.time, proof.kind) == (at, report.TimeStampKind.SIGNATURE)
    assert proof.sha256 == signature.time_stamps[0].sha256


@pytest.mark.clause("EN 319 102-1", "5.6.2.1")
@pytest.mark.clause("EN 319 102-1", "5.6.2.4")
def test_document_time_stamp_lets_the_past_be_judged(judge, hierarchy, at):
    short = signed_pdfs.PdfMaker(
        hierarchy, hierarchy.signer(not_after=at + datetime.timedelta(days=1)), at
    )
    stamped = short.add_document_time_stamp(short.sign(signed_pdfs.make_pdf()), at=at + MINUTE)
    signed = short.add_evidence(stamped, at=at + 2 * MINUTE)
    (signature,) = judge(signed, when=at + datetime.timedelta(days=2)).signatures
    assert concluded(signature) == [
        ("basic", "OUT_OF_BOUNDS_NO_POE"), ("with-time", "OUT_OF_BOUNDS_NO_POE"),
        ("long-term", None),
    ]  # fmt: skip
    past = signature.past_validation
    assert past is not None
    assert past.control_time == signature.best_signature_time == at + MINUTE
    assert [one.kind for one in past.proofs] == [report.TimeStampKind.DOCUMENT]
    assert past.certificate is not None
    assert past.certificate.indication is BlockIndication.PASSED


@pytest.mark.clause("EN 319 102-1", "5.6.3.4")
def test_evidence_record_is_named_as_the_proof_that_decided(tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    made = signed_cms.sign(b"TEST contract", signer, at).encode()
    record = evidence_records.RecordMaker(hierarchy.time_stamping_unit(), at + MINUTE)
    (tmp_path / "signed").write_bytes(made)
    (tmp_path / "record").write_bytes(record.record(sha(made)))
    now = at + 10 * MINUTE
    revoked = {signer.certificate.serial_number: at + 5 * MINUTE}

    def fetch(missing):
        del missing
        return process.FetchedEvidence(
            crls=(
                hierarchy.crl(hierarchy.issuing, revoked, at=now),
                hierarchy.crl(hierarchy.infrastructure, at=now),
                hierarchy.crl(hierarchy.root, at=now),
            )
        )

    found = process.validate(
        documents.Document("signed", tmp_path / "signed"),
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=now,
        fetch=fetch,
        detached=[documents.Document("record.ers", tmp_path / "record")],
    )
    (signature,) = found.signatures
    assert signature.indication is report.Indication.TOTAL_PASSED
    assert concluded(signature) == [
        ("basic", "REVOKED_NO_POE"), ("with-time", "REVOKED_NO_POE"), ("long-term", None),
    ]  # fmt: skip
    past = signature.past_validation
    assert past is not None
    assert past.before.sub_indication is report.SubIndication.REVOKED_NO_POE
    assert past.control_time == at + MINUTE
    assert past.certificate is not None
    assert past.certificate.indication is past.signature.indication is BlockIndication.PASSED
    (proof,) = past.proofs
    assert (proof.source, proof.kind, proof.time) == (
        ProofSource.EVIDENCE_RECORD, None, at + MINUTE,
    )  # fmt: skip
    (stamp,) = found.evidence_records[0].time_stamps
    assert stamp.sha256 == proof.sha256


@pytest.mark.clause("EN 319 102-1", "5.6.2.2")
def test_time_stamp_of_an_expired_unit_is_judged_at_the_time_of_a_later_one(judge, hierarchy, at):
    maker = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)
    ends = at + datetime.timedelta(days=1)
    maker.unit = hierarchy.time_stamping_unit(not_after=ends)
    stamped = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    maker.unit = hierarchy.time_stamping_unit()
    signed = maker.add_document_time_stamp(stamped, at=at + MINUTE)
    (signature,) = judge(signed, when=at + datetime.timedelta(days=2)).signatures
    own = signature.time_stamps[0]
    past = own.past_validation
    assert past is not None
    assert past.before.sub_indication is report.SubIndication.OUT_OF_BOUNDS_NO_POE
    assert (own.indication, own.judged_at) == ("PASSED", past.control_time)
    assert [one.time for one in past.proofs] == [at + MINUTE]
    told = signature.to_json(detailed=True)
    assert told["time_stamps"][0]["past_validation"]["proofs_of_existence"][0]["kind"] == "document"


def test_proof_decides_nothing_about_a_document_that_was_changed(maker, judge):
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    changed = signed.replace(b"TEST contract 1", b"TEST contract 9")
    (signature,) = judge(changed).signatures
    assert {name for _, name in concluded(signature)} == {"HASH_FAILURE"}
    assert signature.past_validation is None


@pytest.mark.clause("EN 319 102-1", "5.5.4")
def test_content_that_is_younger_than_the_signature_is_an_order_failure(judge, hierarchy, at):
    unit = hierarchy.time_stamping_unit()
    signer = signed_cms.Signer(hierarchy.signer(), b"TEST contract", at)
    late = signed_cms.stamp(unit, b"TEST contract", at + MINUTE)
    signer.signed = sorted(
        [*signer.signed, signed_cms.attribute(attributes.CONTENT_TIME_STAMP, late)]
    )
    hashed = signed_cms.signature.represent(
        der.encode(der.SET, *signer.signed), signed_cms.algorithms.HashAlgorithm.SHA256
    )
    signer.value = signer.holder.handle.sign(hashed).encoded_for_cms()
    token = signed_cms.stamp(unit, signer.value, at)
    signer.unsigned.append(signed_cms.attribute(attributes.SIGNATURE_TIME_STAMP, token))
    now = at + 2 * MINUTE
    good = statuses.ocsp_response(
        signer.holder.certificate, hierarchy.issuing.certificate, hierarchy.ocsp_responder(), now
    )

    def fetch(missing):
        del missing
        return process.FetchedEvidence(
            ocsp_responses=(good,),
            crls=(
                hierarchy.crl(hierarchy.infrastructure, at=now),
                hierarchy.crl(hierarchy.root, at=now),
            ),
        )

    made = signed_cms.Cms(b"TEST contract", [signer]).encode()
    (signature,) = judge(made, when=now, fetch=fetch, name="signed.p7m").signatures
    assert concluded(signature) == [
        ("basic", None),
        ("with-time", "TIMESTAMP_ORDER_FAILURE"),
        ("long-term", "TIMESTAMP_ORDER_FAILURE"),
    ]
    assert [one.code for one in signature.errors] == ["time-stamp-order"]
