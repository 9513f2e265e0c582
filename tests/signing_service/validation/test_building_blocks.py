"""The rules that a signature went through, as they are told."""

import dataclasses
import datetime

import pytest

from signing_service import documents, trust
from signing_service.validation import building_blocks, policy, process, report
from signing_service.validation.building_blocks import BlockIndication, BlockKind, Rule
from tests.support import signed_pdfs

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def blocks(tmp_path, hierarchy, at):
    """The blocks of the only signature of a PDF, by their short names."""

    def judge(
        content: bytes,
        when: datetime.datetime = at,
        rules: policy.ValidationPolicy = policy.DEFAULT,
    ) -> dict[str, building_blocks.Block]:
        path = tmp_path / "judged.pdf"
        path.write_bytes(content)
        (signature,) = process.validate(
            documents.Document("judged.pdf", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=when,
            fetch=None,
            rules=rules,
        ).signatures
        return {one.kind.value: one for one in signature.building_blocks}

    return judge


def rules_of(block: building_blocks.Block) -> list[str]:
    return [one.rule.code for one in block.constraints]


@pytest.mark.clause("EN 319 102-1", "5.3.4")
def test_signature_that_passed_went_through_every_block(maker, blocks, at):
    found = blocks(maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True)))
    assert list(found) == ["FC", "ISC", "VCI", "CV", "XCV", "SAV", "TST", "TIME", "POE", "QUAL"]
    assert {one.indication for one in found.values()} == {BlockIndication.PASSED}
    assert found["XCV"].judged_at == found["SAV"].judged_at == at
    assert found["FC"].judged_at is None
    assert all(one.is_complete for one in found.values())
    assert found["VCI"].constraints[0].parameter == "imza-ades-1"
    assert found["TST"].about is not None
    assert found["TST"].about.startswith("signature ")


def test_rules_that_a_policy_does_not_have_are_told_as_disabled(maker, blocks):
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    determined, left_out = blocks(signed)["QUAL"].constraints
    assert determined.parameter == "AdESig"
    assert (left_out.rule, left_out.is_applied, left_out.indication) == (
        Rule.QUALIFIED_DEMANDED, False, None,
    )  # fmt: skip
    strict = policy.ValidationPolicy(
        name="strict", require_time_stamp=True, require_qualified=("QESig",)
    )
    found = blocks(signed, rules=strict)
    assert found["QUAL"].indication is BlockIndication.INDETERMINATE
    assert found["QUAL"].sub_indication is report.SubIndication.SIG_CONSTRAINTS_FAILURE
    assert found["QUAL"].constraints[1].parameter == "QESig"


def test_changed_document_stops_at_the_digests(maker, blocks):
    signed = maker.sign(signed_pdfs.make_pdf())
    found = blocks(signed.replace(b"TEST contract 1", b"TEST contract 9"))
    assert list(found) == ["FC", "CV"]
    assert found["CV"].indication is BlockIndication.FAILED
    assert found["CV"].sub_indication is report.SubIndication.HASH_FAILURE
    assert rules_of(found["CV"]) == ["signed-data-present", "algorithms-known", "digests-match"]


def test_missing_status_stops_at_the_last_rule_of_the_path(maker, blocks):
    found = blocks(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    assert found["XCV"].sub_indication is report.SubIndication.TRY_LATER
    assert rules_of(found["XCV"])[-1] == "status-known"
    assert {one.indication for one in found["XCV"].constraints[:-1]} == {BlockIndication.PASSED}
    assert "QUAL" not in found
    # The algorithms were looked at, and nothing else of acceptance.
    assert rules_of(found["SAV"]) == ["algorithms-reliable"]
    assert not found["SAV"].is_complete
    assert {one for one, block in found.items() if block.is_complete} == set(found) - {"SAV"}


def test_time_stamp_that_proves_nothing_is_told_with_the_reason(maker, blocks, at):
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    found = blocks(signed, when=at - 60 * MINUTE)
    assert rules_of(found["TST"]) == ["time-stamp-intact", "time-stamp-proves"]
    assert found["TST"].indication is BlockIndication.INDETERMINATE
    assert "future" in (found["TST"].to_json()["constraints"][1]["message"])


def test_every_rule_is_of_a_block_and_has_a_name_of_its_own():
    assert len({one.code for one in Rule}) == len(Rule)
    assert {one.block for one in Rule} == set(BlockKind)


def test_conclusion_is_the_worst_of_the_rules():
    finding = report.Finding("x", "y")
    kept = building_blocks.Constraint(Rule.PATH_FOUND)
    doubtful = building_blocks.Constraint(
        Rule.STATUS_KNOWN, sub_indication=report.SubIndication.TRY_LATER, problem=finding
    )
    failed = dataclasses.replace(doubtful, sub_indication=report.SubIndication.REVOKED)
    for constraints, expected in (
        ((kept,), BlockIndication.PASSED),
        ((kept, doubtful), BlockIndication.INDETERMINATE),
        ((doubtful, failed, kept), BlockIndication.FAILED),
    ):
        block = building_blocks.Block(BlockKind.CERTIFICATE_VALIDATION, constraints)
        assert block.indication is expected
