"""A certificate judged by itself, with OCSP responses and CRLs made by the test's authorities."""

import datetime
import functools

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import certificates
from signing_service import trust
from signing_service.validation import policy, process, report
from signing_service.validation.certificates import certificate_report, certificate_validation
from tests.support import statuses
from tests.support.hierarchy import Hierarchy, Holder, make_hierarchy

MINUTE = datetime.timedelta(minutes=1)


def judge(
    hierarchy: Hierarchy,
    holder: Holder,
    at: datetime.datetime,
    fetched: process.FetchedEvidence | None = None,
    certificate: bytes | None = None,
    rules: policy.ValidationPolicy = policy.DEFAULT,
) -> certificate_report.CertificateReport:
    return certificate_validation.judge(
        holder.der if certificate is None else certificate,
        intermediates=[hierarchy.issuing.der, hierarchy.infrastructure.pem],
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=at,
        rules=rules,
        fetched=fetched,
    ).report


def answers(
    hierarchy: Hierarchy,
    holder: Holder,
    at: datetime.datetime,
    revoked_at: datetime.datetime | None = None,
) -> process.FetchedEvidence:
    response = statuses.ocsp_response(
        holder.certificate, hierarchy.issuing.certificate, hierarchy.ocsp_responder(), at,
        revoked_at=revoked_at,
    )  # fmt: skip
    return process.FetchedEvidence(
        ocsp_responses=(response,), crls=(hierarchy.crl(hierarchy.root, at=at),)
    )


@pytest.mark.clause("EN 319 102-1", "5.2.6")
@pytest.mark.parametrize("as_pem", [False, True])
def test_certificate_with_a_path_and_good_statuses_passes(hierarchy, at, as_pem):
    signer = hierarchy.signer()
    found = judge(
        hierarchy, signer, at, answers(hierarchy, signer, at), signer.pem if as_pem else signer.der
    )
    assert found.sub_indication is None, found.problem
    told = found.to_json()
    assert told["indication"] == "PASSED"
    assert told["status"]["state"] == "good"
    assert told["status"]["source"]["kind"] == "OCSP"
    assert told["usage"]["allowed_for"] == ["signature"]
    assert [one["sha256"] for one in told["path"]] == [
        certificates.sha256(one) for one in signer.chain
    ]
    assert [one["trust_anchor"] for one in told["path"]] == [False, False, True]
    assert told["path"][1]["status"]["source"]["kind"] == "CRL"
    assert told["qualification"]["qualified"] is None
    assert told["holder"]["person_code"] == "5AB12CD"


def test_without_statuses_nothing_is_said_and_what_is_missing_is_named(hierarchy, at):
    signer = hierarchy.signer()
    outcome = certificate_validation.judge(
        signer.der,
        intermediates=[hierarchy.issuing.der],
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=at,
    )
    assert outcome.report.sub_indication is report.SubIndication.TRY_LATER
    assert [one.certificate_der for one in outcome.missing] == [
        signer.der, hierarchy.issuing.der,
    ]  # fmt: skip
    assert outcome.report.to_json()["status"]["state"] == "unknown"


def test_revoked_certificate_is_told_with_its_time_and_source(hierarchy, at):
    signer = hierarchy.signer()
    found = judge(hierarchy, signer, at, answers(hierarchy, signer, at, at - MINUTE)).to_json()
    assert (found["indication"], found["sub_indication"]) == ("INDETERMINATE", "REVOKED_NO_POE")
    assert found["status"]["state"] == "revoked"
    assert found["status"]["revoked_at"] == (at - MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "was revoked at" in found["errors"][0]["message"]
    assert "signature" not in found["errors"][0]["message"]


def test_revocation_after_the_time_judged_leaves_the_certificate_good_then(hierarchy, at):
    signer = hierarchy.signer()
    now = at + 3 * MINUTE
    found = judge(hierarchy, signer, at, answers(hierarchy, signer, now, at + MINUTE)).to_json()
    assert found["indication"] == "PASSED"
    assert found["revoked_later_at"] == (at + MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_certificate_that_ended_is_told_since_when(hierarchy, at):
    ended = hierarchy.signer(not_before=at - 60 * MINUTE, not_after=at - MINUTE)
    found = judge(hierarchy, ended, at).to_json()
    assert found["indication"] == "INDETERMINATE"
    assert found["sub_indication"].startswith("OUT_OF_BOUNDS")
    assert "the certificate ended at" in found["errors"][0]["message"]


def test_certificate_of_strangers_has_no_path_and_no_status(hierarchy, at):
    stranger = make_hierarchy(at).signer()
    found = judge(hierarchy, stranger, at).to_json()
    assert found["sub_indication"] == "NO_CERTIFICATE_CHAIN_FOUND"
    assert found["path"] == []
    assert found["status"]["state"] == "unknown"


def test_anchor_itself_passes_and_nobody_states_its_status(hierarchy, at):
    found = judge(hierarchy, hierarchy.root, at).to_json()
    assert found["indication"] == "PASSED"
    assert found["status"] is None


def test_uses_are_told_in_words(hierarchy, at):
    def allowed(holder: Holder) -> list[str]:
        return judge(hierarchy, holder, at).to_json()["usage"]["allowed_for"]

    assert allowed(hierarchy.signer(authentication=True)) == ["authentication"]
    assert allowed(hierarchy.time_stamping_unit()) == ["time-stamping"]
    assert allowed(hierarchy.ocsp_responder()) == ["ocsp-signing"]
    assert allowed(hierarchy.issuing) == ["certificate-signing", "crl-signing"]


def test_key_that_is_too_weak_for_the_policy_does_not_pass(hierarchy, at):
    signer = hierarchy.signer()
    strict = policy.ValidationPolicy(name="strict", ecdsa=(policy.KeyRule(521),))
    found = judge(hierarchy, signer, at, answers(hierarchy, signer, at), rules=strict)
    assert found.sub_indication is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


def test_several_certificates_in_one_file_are_refused(hierarchy, at):
    signer = hierarchy.signer()
    both = signer.pem + hierarchy.issuing.pem
    with pytest.raises(certificates.CertificateError, match="expected one certificate in PEM"):
        judge(hierarchy, signer, at, certificate=both)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255), pem=st.booleans())
def test_mutated_certificate_is_judged_or_refused_and_nothing_else(place, value, pem):
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    hierarchy, signer = _made(at)
    octets = bytearray(signer.pem if pem else signer.der)
    octets[place % len(octets)] = value
    try:
        found = judge(hierarchy, signer, at, certificate=bytes(octets))
    except certificates.CertificateError:
        return
    # Whatever was changed, no path leads from it, unless nothing was.
    changed = bytes(octets) != (signer.pem if pem else signer.der)
    read = x509.load_der_x509_certificate if not pem else x509.load_pem_x509_certificate
    same = certificates.to_der(read(bytes(octets))) == signer.der
    assert same or not changed or found.sub_indication is not None


@functools.cache
def _made(at: datetime.datetime) -> tuple[Hierarchy, Holder]:
    made = make_hierarchy(at)
    return made, made.signer()
