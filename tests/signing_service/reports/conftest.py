import datetime

import pytest

from signing_service.validation import report


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
        report.Finding("time-stamp-imprint", "the token is over something else"),
        sha256="cd" * 32,
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
        warnings=(report.Finding("time-stamp-imprint", "a time stamp proves nothing"),),
        info=(report.Finding("no-trusted-list", "not judged"),),
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
    )
    return report.ValidationReport(
        "contract.pdf", "12" * 32, "PAdES", at, "imza-ades-1", (passed, failed)
    )
