"""Containers inside containers: whose signatures are told, and what proves their time."""

import pytest

from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import evidence_records, packed_containers, signed_cms
from tests.support.packed_containers import ASIC_S, FILES, cades, pack, with_cades, xades


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes) -> report.ValidationReport:
        path = tmp_path / "judged"
        path.write_bytes(content)
        lists = (hierarchy.issuing, hierarchy.infrastructure, hierarchy.root)
        return process.validate(
            documents.Document("archive.asics", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=lambda missing: process.FetchedEvidence(
                crls=tuple(hierarchy.crl(one, at=at) for one in lists)
            ),
        )

    return validate


@pytest.fixture
def signer(hierarchy):
    return hierarchy.signer()


@pytest.fixture
def inner(signer, at) -> bytes:
    return pack(with_cades(signer, at))


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (found,) = validated.signatures
    return found


@pytest.mark.clause("EN 319 162-1", "4.3.3")
@pytest.mark.parametrize("kind", ["time stamp", "evidence record"])
def test_signatures_of_a_container_kept_under_a_proof_of_time_are_told(
    judge, hierarchy, inner, at, kind
):
    unit = hierarchy.time_stamping_unit()
    if kind == "time stamp":
        proof = {"META-INF/timestamp.tst": signed_cms.stamp(unit, inner, at)}
    else:
        maker = evidence_records.RecordMaker(unit, at)
        proof = {"META-INF/evidencerecord.ers": maker.record(evidence_records.sha(inner))}
    judged = judge(pack({"old.asice": inner, **proof}, mimetype=ASIC_S))
    found = only(judged)
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert found.best_signature_time == at
    assert found.scope_kind is report.ScopeKind.FULL
    assert set(found.scope_names) == {f"old.asice/{one}" for one in FILES}
    assert "nested-container" in {one.code for one in found.info}
    assert judged.time_stamps == ()


def test_time_stamp_over_something_else_leads_into_no_container(judge, hierarchy, inner, at):
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), b"TEST other", at)
    judged = judge(pack({"old.asice": inner, "META-INF/timestamp.tst": token}, mimetype=ASIC_S))
    assert judged.overall is report.Indication.NO_SIGNATURE
    assert judged.time_stamps[0].intact is False


def test_hostile_container_inside_is_a_file_like_any_other(judge, hierarchy, inner, at):
    hostile = inner + inner
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), hostile, at)
    judged = judge(pack({"old.asice": hostile, "META-INF/timestamp.tst": token}, mimetype=ASIC_S))
    assert judged.overall is report.Indication.NO_SIGNATURE
    assert judged.time_stamps[0].intact is True


def test_container_in_a_container_in_a_container_is_not_looked_into(judge, hierarchy, inner, at):
    unit = hierarchy.time_stamping_unit()
    for _ in range(2):
        token = signed_cms.stamp(unit, inner, at)
        inner = pack({"old.asice": inner, "META-INF/timestamp.tst": token}, mimetype=ASIC_S)
    judged = judge(inner)
    assert judged.overall is report.Indication.NO_SIGNATURE
    assert judged.time_stamps


@pytest.mark.parametrize("kind", ["xades", "cades"])
def test_signature_over_a_container_is_told_that_it_was_not_looked_into(
    judge, signer, inner, at, kind
):
    made = {"META-INF/signatures.xml": xades(signer, {"old.asice": inner})}
    if kind == "cades":
        made = {"META-INF/signature.p7s": cades(inner, signer, at)}
    found = only(judge(pack({"old.asice": inner, **made}, mimetype=ASIC_S)))
    assert found.intact
    assert found.scope_names == ("old.asice",)
    assert "nested-container" in {one.code for one in found.warnings}


def test_broken_signature_inside_is_broken(judge, hierarchy, signer, at):
    entries = with_cades(signer, at) | {"contract.txt": b"TEST other"}
    inner = packed_containers.pack(entries)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), inner, at)
    found = only(
        judge(pack({"old.asice": inner, "META-INF/timestamp.tst": token}, mimetype=ASIC_S))
    )
    assert found.sub_indication is report.SubIndication.HASH_FAILURE
