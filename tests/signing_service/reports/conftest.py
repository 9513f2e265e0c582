import dataclasses
import datetime

import pytest

from signing_service.validation import building_blocks, processes, report
from signing_service.validation.building_blocks import Rule


def passed_blocks(at: datetime.datetime) -> tuple[building_blocks.Block, ...]:
    """Every rule kept, two not demanded, and a time stamp that proves nothing."""
    course = building_blocks.Course()
    for rule in Rule:
        if rule in (Rule.QUALIFIED_DEMANDED, Rule.STAMP_DEMANDED):
            course.leave_out(rule)
        elif rule.block is not building_blocks.BlockKind.TIME_STAMP:
            course.keep(rule, parameter="sha256" if rule is Rule.ALGORITHMS else None)
    problem = report.Finding("time-stamp-path", "TRY_LATER: the status is not known")
    stamp = report.TimeStampReport(report.TimeStampKind.SIGNATURE, True, at, "TEST unit", problem)
    return course.blocks(at, (stamp,))


def failed_blocks(at: datetime.datetime) -> tuple[building_blocks.Block, ...]:
    """A digest that differs."""
    course = building_blocks.Course()
    course.keep(Rule.FORMAT, Rule.DATA_PRESENT)
    course.stop(
        Rule.DIGESTS,
        report.SubIndication.HASH_FAILURE,
        report.Finding("digest", "the digest <b>differs</b>"),
    )
    return course.blocks(at, ())


@pytest.fixture
def shown(at: datetime.datetime) -> report.ValidationReport:
    """A report with a signature that passed, one that failed, and every kind of finding."""
    stamp = report.TimeStampReport(
        report.TimeStampKind.SIGNATURE, True, at, "TEST unit", sha256="ab" * 32
    )
    bad_stamp = report.TimeStampReport(
        report.TimeStampKind.ARCHIVE,
        False,
        at,
        None,
        report.Finding("content-digest", "the token is over something else"),
        sha256="cd" * 32,
        sub_indication=report.SubIndication.HASH_FAILURE,
    )
    expired = processes.Conclusion(
        report.SubIndication.OUT_OF_BOUNDS_NO_POE, report.Finding("x", "the unit has ended")
    )
    revoked = processes.Conclusion(
        report.SubIndication.REVOKED_NO_POE, report.Finding("y", "it was revoked <b>since</b>")
    )
    known = processes.Known(at + datetime.timedelta(days=9)).with_proofs(
        processes.ProofOfExistence(
            at, processes.ProofSource.TIME_STAMP, report.TimeStampKind.SIGNATURE, "ab" * 32
        ),
        processes.ProofOfExistence(
            at + datetime.timedelta(days=1), processes.ProofSource.EVIDENCE_RECORD, None, "ba" * 32
        ),
    )
    good = processes.Conclusion()
    stamp = dataclasses.replace(
        stamp,
        judged_at=known.proofs[1].time,
        proofs_of_existence=known.proofs[1:],
        past_validation=processes.in_the_past(
            expired, processes.Known(known.at, known.proofs[1:]), good, good
        ),
    )
    passed = report.SignatureReport(
        identifier="Signature1",
        format="PAdES",
        level="PAdES-BASELINE-T",
        indication=report.Indication.TOTAL_PASSED,
        sub_indication=None,
        intact=True,
        signing_certificate=report.CertificateSummary("CN=TEST Əliyeva", "0a", "CN=CA", "ef" * 32),
        signed_by="TEST Əliyeva Günay",
        person_code="5AB12CD",
        organisation="TEST Gənclik MMC",
        qualified="AdESig",
        claimed_signing_time=at,
        best_signature_time=at,
        time_stamps=(stamp, bad_stamp),
        scope_kind=report.ScopeKind.FULL,
        scope_names=("contract.pdf",),
        changes_after_signing=report.Changes.PERMITTED,
        errors=(),
        warnings=(report.Finding("time-stamp-path", "a time stamp proves nothing"),),
        info=(report.Finding("no-trusted-list", "not judged"),),
        building_blocks=passed_blocks(at),
        processes=(
            processes.Process(processes.ProcessKind.BASIC, known.at, revoked),
            processes.Process(processes.ProcessKind.WITH_TIME, known.at, revoked),
            processes.Process(processes.ProcessKind.LONG_TERM, at, good),
        ),
        proofs_of_existence=known.proofs,
        past_validation=processes.in_the_past(revoked, known, good, good),
    )
    failed = report.SignatureReport(
        identifier="Signature2",
        format="PAdES",
        level="PAdES-BASELINE-B",
        indication=report.Indication.TOTAL_FAILED,
        sub_indication=report.SubIndication.HASH_FAILURE,
        intact=False,
        signing_certificate=None,
        signed_by=None,
        person_code=None,
        organisation=None,
        qualified=None,
        claimed_signing_time=None,
        best_signature_time=None,
        time_stamps=(),
        scope_kind=report.ScopeKind.NONE,
        scope_names=(),
        changes_after_signing=report.Changes.UNDEFINED,
        errors=(report.Finding("digest", "the digest <b>differs</b>"),),
        warnings=(),
        info=(),
        building_blocks=failed_blocks(at),
    )
    return report.ValidationReport(
        "contract.pdf", "12" * 32, "PAdES", at, "imza-ades-1", (passed, failed)
    )
