"""CAdES: what is signed is told, what was manipulated is not accepted."""

import datetime
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import der, errors
from signing_service import documents, trust
from signing_service.validation import process, report
from signing_service.validation.cades import signed_data
from tests.support import signed_cms, statuses

CONTENT = b"TEST contract over 100 manat"
SUB = report.SubIndication


@pytest.fixture
def signer(hierarchy):
    return hierarchy.signer()


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes, *, detached=(), when=at, anchors=None):
        path = tmp_path / "judged.p7m"
        path.write_bytes(content)
        originals = []
        for name, octets in detached:
            (tmp_path / name).write_bytes(octets)
            originals.append(documents.Document(name, tmp_path / name))
        return process.validate(
            documents.Document("contract.p7m", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,) if anchors is None else anchors),
            at=when,
            fetch=None,
            detached=originals,
        )

    return validate


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (found,) = validated.signatures
    return found


def long_term(hierarchy, signer, at) -> signed_cms.Cms:
    return signed_cms.long_term(CONTENT, hierarchy, signer, at)


def test_attached_signature_says_what_it_covers(judge, signer, at):
    found = only(judge(signed_cms.sign(CONTENT, signer, at).encode()))
    assert found.intact
    assert found.format == "CAdES"
    assert found.level == "CAdES-BASELINE-B"
    assert found.claimed_signing_time == at
    assert found.scope_kind is report.ScopeKind.FULL
    assert found.scope_names == ("contract.p7m",)
    assert found.sub_indication is SUB.TRY_LATER


@pytest.mark.clause("EN 319 122-1", "6")
def test_long_term_signature_passes_offline(judge, hierarchy, signer, at):
    found = only(judge(long_term(hierarchy, signer, at).encode()))
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert found.level == "CAdES-BASELINE-LT"
    assert found.best_signature_time == at


@pytest.mark.clause("EN 319 122-1", "5.5.3")
def test_archive_time_stamp_keeps_a_signature_after_its_first_unit_has_ended(
    judge, hierarchy, signer, at
):
    made = long_term(hierarchy, signer, at)
    later = at + datetime.timedelta(days=2 * 365)
    hierarchy.at = later
    unit = hierarchy.time_stamping_unit()
    made.crls = (
        *made.crls,
        *(hierarchy.crl(one, at=later) for one in (hierarchy.infrastructure, hierarchy.root)),
    )
    made.add_archive_time_stamp(unit, later)
    when = later + datetime.timedelta(days=2 * 365)
    found = only(judge(made.encode(), when=when))
    assert found.level == "CAdES-BASELINE-LTA"
    assert [one.intact for one in found.time_stamps] == [True, True]
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)


@pytest.mark.clause("EN 319 102-1", "5.6.2.3")
def test_time_stamp_that_the_archive_time_stamp_does_not_have_has_no_proof_of_it(
    judge, hierarchy, signer, at
):
    """Whoever broke the key of a unit that has ended writes its tokens, with any time in them."""
    made = long_term(hierarchy, signer, at)
    ended = hierarchy.time_stamping_unit()
    later = at + datetime.timedelta(days=2 * 365)
    hierarchy.at = later
    made.crls = (
        *made.crls,
        *(hierarchy.crl(one, at=later) for one in (hierarchy.infrastructure, hierarchy.root)),
    )
    made.add_archive_time_stamp(hierarchy.time_stamping_unit(), later)
    forged = signed_cms.stamp(ended, made.signers[0].value, at - datetime.timedelta(minutes=1))
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, forged))
    found = only(judge(made.encode(), when=later + datetime.timedelta(days=2 * 365)))
    assert found.best_signature_time == at
    assert found.indication is report.Indication.TOTAL_PASSED, (found.errors, found.warnings)
    assert "time-stamp-expired" in {one.code for one in found.warnings}


@pytest.mark.parametrize("taken", ["certificate", "status", "attribute"])
def test_archive_time_stamp_notices_what_was_taken_out(judge, hierarchy, signer, at, taken):
    made = long_term(hierarchy, signer, at)
    made.add_archive_time_stamp(hierarchy.time_stamping_unit(), at)
    if taken == "certificate":
        made.certificates = made.all_certificates()[:1]
    elif taken == "status":
        made.crls = made.crls[1:]
    else:
        made.signers[0].unsigned.pop(0)
    archive = [one for one in only(judge(made.encode())).time_stamps if one.kind.value == "archive"]
    assert [one.intact for one in archive] == [False]


def test_archive_time_stamp_lets_more_evidence_be_added(judge, hierarchy, signer, at):
    made = long_term(hierarchy, signer, at)
    made.add_archive_time_stamp(hierarchy.time_stamping_unit(), at)
    made.crls = (*made.crls, hierarchy.crl(hierarchy.root, number=2))
    assert all(one.intact for one in only(judge(made.encode())).time_stamps)


@pytest.mark.clause("RFC 5652", "5.2")
def test_detached_signature_needs_its_document(judge, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    made.attached = False
    missing = only(judge(made.encode()))
    assert (missing.intact, missing.sub_indication) == (None, SUB.SIGNED_DATA_NOT_FOUND)
    wrong = only(judge(made.encode(), detached=[("other.txt", b"other")]))
    assert (wrong.intact, wrong.sub_indication) == (False, SUB.HASH_FAILURE)
    right = only(
        judge(made.encode(), detached=[("other.txt", b"other"), ("contract.txt", CONTENT)])
    )
    assert right.intact
    assert right.scope_names == ("contract.txt",)
    assert right.scope_kind is report.ScopeKind.PARTIAL


def test_signers_beside_each_other_are_judged_one_by_one(judge, hierarchy, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    made.signers.append(signed_cms.Signer(hierarchy.signer("9ZZ99ZZ"), b"another text", at))
    first, second = judge(made.encode()).signatures
    assert (first.intact, second.intact) == (True, False)
    assert second.sub_indication is SUB.HASH_FAILURE
    assert second.person_code == "9ZZ99ZZ"


@pytest.mark.clause("RFC 5652", "11.4")
def test_counter_signature_is_judged_over_the_value_it_lies_in(judge, hierarchy, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    other = hierarchy.signer("9ZZ99ZZ")
    genuine = signed_cms.Signer(other, made.signers[0].value, at, content_type=None)
    fake = signed_cms.Signer(other, b"the value of another signature", at, content_type=None)
    made.signers[0].unsigned.append(
        signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, genuine.raw, fake.raw)
    )
    made.certificates = [*made.all_certificates(), other.der]
    parent, first, second = judge(made.encode()).signatures
    assert (parent.intact, first.intact, second.intact) == (True, True, False)
    assert first.scope_kind is report.ScopeKind.PARTIAL
    assert second.sub_indication is SUB.HASH_FAILURE


def _countersigned(hierarchy, signer, at) -> signed_cms.Cms:
    """B-LT, with a counter-signature that has a time stamp and statuses too."""
    made = long_term(hierarchy, signer, at)
    other = hierarchy.signer("9ZZ99ZZ")
    counter = signed_cms.Signer(other, made.signers[0].value, at, content_type=None)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), counter.value, at)
    counter.unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, counter.raw))
    made.certificates = [*made.all_certificates(), other.der]
    good = statuses.ocsp_response(
        other.certificate, hierarchy.issuing.certificate, hierarchy.ocsp_responder(), at
    )
    made.crls = (*made.crls, signed_cms.ocsp_entry(good))
    return made


@pytest.mark.clause("EN 319 122-1", "5.5.2")
def test_archive_time_stamp_of_a_signature_keeps_the_counter_signatures_that_it_covers(
    judge, hierarchy, signer, at
):
    made = _countersigned(hierarchy, signer, at)
    _, inner = judge(made.encode()).signatures
    assert (inner.level, inner.counter_signature_of) == ("CAdES-BASELINE-LT", "signer-1")
    later = at + datetime.timedelta(days=2 * 365)
    when = later + datetime.timedelta(days=2 * 365)
    _, alone = judge(made.encode(), when=when).signatures
    assert alone.indication is not report.Indication.TOTAL_PASSED
    hierarchy.at = later
    made.crls = (
        *made.crls,
        *(hierarchy.crl(one, at=later) for one in (hierarchy.infrastructure, hierarchy.root)),
    )
    made.add_archive_time_stamp(hierarchy.time_stamping_unit(), later)
    outer, inner = judge(made.encode(), when=when).signatures
    assert outer.indication is report.Indication.TOTAL_PASSED, outer.errors
    assert inner.indication is report.Indication.TOTAL_PASSED, (inner.errors, inner.warnings)
    assert inner.level == "CAdES-BASELINE-LTA"


def test_hash_index_that_somebody_adds_to_another_token_keeps_nothing(judge, hierarchy, signer, at):
    """The index is not signed: in a signature time stamp it says nothing of what it names."""
    made = long_term(hierarchy, signer, at)
    counter = signed_cms.Signer(
        hierarchy.signer("9ZZ99ZZ"), made.signers[0].value, at, content_type=None
    )
    index = signed_cms.hash_index(
        (), (), [der.encode_oid(signed_cms.COUNTER_SIGNATURE) + counter.raw]
    )
    early = signed_cms.stamp(hierarchy.time_stamping_unit(), made.signers[0].value, at)
    forged = signed_cms.with_unsigned(early, signed_cms.attribute(signed_cms.HASH_INDEX_V3, index))
    made.signers[0].unsigned = [
        signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, forged),
        signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, counter.raw),
    ]
    made.certificates = [*made.all_certificates(), counter.holder.der]
    outer, inner = judge(made.encode()).signatures
    assert outer.best_signature_time == at
    assert inner.intact
    assert inner.time_stamps == ()
    assert inner.best_signature_time is None


@pytest.mark.clause("RFC 5652", "1")
def test_signature_written_as_a_stream_is_read(judge, signer, at):
    made = signed_cms.indefinite(signed_cms.sign(CONTENT, signer, at).encode())
    assert b"\x24\x80" in made
    assert only(judge(made)).intact


def test_certificate_left_out_is_found_among_the_trusted_ones(judge, hierarchy, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    made.certificates = []
    alone = only(judge(made.encode()))
    assert alone.sub_indication is SUB.NO_SIGNING_CERTIFICATE_FOUND
    trusted = (hierarchy.root.certificate, signer.certificate)
    found = only(judge(made.encode(), anchors=trusted))
    assert found.intact
    assert not found.level.startswith("CAdES-BASELINE")


@pytest.mark.clause("RFC 5652", "5.4")
def test_attributes_are_verified_in_the_order_of_der_however_they_were_sent(judge, signer, at):
    sent_otherwise = signed_cms.Signer(signer, CONTENT, at, sent_order=-1)
    assert only(judge(signed_cms.Cms(CONTENT, [sent_otherwise]).encode())).intact
    signed_otherwise = signed_cms.Signer(signer, CONTENT, at, order=-1)
    found = only(judge(signed_cms.Cms(CONTENT, [signed_otherwise]).encode()))
    assert (found.intact, found.sub_indication) == (False, SUB.SIG_CRYPTO_FAILURE)
    assert found.errors[0].code == "signed-attributes-order"
    signed_otherwise.value = bytes(len(signed_otherwise.value))
    found = only(judge(signed_cms.Cms(CONTENT, [signed_otherwise]).encode()))
    assert found.errors[0].code == "signature-value"


# What somebody might try, and what is said of it.


def test_content_changed_after_signing_fails(judge, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    made.content = CONTENT.replace(b"100", b"900")
    found = only(judge(made.encode()))
    assert (found.intact, found.sub_indication) == (False, SUB.HASH_FAILURE)


def test_signed_attributes_passed_off_as_a_content_fail(judge, signer, at):
    """RFC 5652 5.4: a value over attributes is one over a content that looks like them."""
    honest = signed_cms.Signer(signer, CONTENT, at)
    forged = signed_cms.Cms(der.encode(der.SET, *honest.signed), [honest])
    honest.without_attributes = True
    found = only(judge(forged.encode()))
    assert found.indication is not report.Indication.TOTAL_PASSED
    assert found.level == "CMS-NOT-ETSI"


def test_attributes_that_name_another_certificate_do_not_pass(judge, hierarchy, signer, at):
    made = signed_cms.Cms(
        CONTENT, [signed_cms.Signer(signer, CONTENT, at, named=hierarchy.signer("9ZZ99ZZ"))]
    )
    assert only(judge(made.encode())).sub_indication is SUB.NO_SIGNING_CERTIFICATE_FOUND


def test_document_handed_in_beside_an_attached_one_is_not_called_signed(judge, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    found = only(judge(made.encode(), detached=[("other.txt", b"other")]))
    assert found.scope_names == ("contract.p7m",)
    assert "detached-not-used" in [one.code for one in found.warnings]


def test_time_stamp_of_another_signature_proves_nothing(judge, hierarchy, signer, at):
    made = signed_cms.sign(CONTENT, signer, at)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), b"another value", at)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    found = only(judge(made.encode()))
    assert [one.intact for one in found.time_stamps] == [False]
    assert found.best_signature_time is None


def test_time_stamp_token_is_no_signature_of_a_document(judge, hierarchy, at):
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), CONTENT, at)
    assert judge(token).signatures == ()


def test_content_called_a_time_stamp_is_signed_by_nobody(judge, signer, at):
    kind = "1.2.840.113549.1.9.16.1.4"
    made = signed_cms.Signer(signer, CONTENT, at, content_type=kind)
    found = only(judge(signed_cms.Cms(CONTENT, [made], content_type=kind).encode()))
    assert found.sub_indication is SUB.FORMAT_FAILURE


@pytest.mark.parametrize("values", [(), (b"\x04\x01x",), (signed_cms.sign,)])
def test_attribute_without_a_time_stamp_raises_no_level(judge, signer, at, values):
    made = signed_cms.sign(CONTENT, signer, at)
    held = [one if isinstance(one, bytes) else one(CONTENT, signer, at).encode() for one in values]
    for kind in (signed_cms.SIGNATURE_TIME_STAMP, signed_cms.ARCHIVE_TIME_STAMP_V3):
        made.signers[0].unsigned.append(signed_cms.attribute(kind, *held))
    found = only(judge(made.encode()))
    assert found.intact
    assert found.level == "CAdES-BASELINE-B"


def test_signature_over_a_signature_is_told(judge, signer, at):
    inner = signed_cms.sign(CONTENT, signer, at).encode()
    found = only(judge(signed_cms.sign(inner, signer, at).encode()))
    assert found.intact
    assert [one.code for one in found.warnings] == ["nested-signature"]


@pytest.mark.clause("RFC 3161", "2.4.1")
def test_unit_of_a_time_stamp_may_lie_elsewhere_in_the_document(judge, hierarchy, signer, at):
    unit = hierarchy.time_stamping_unit()
    made = signed_cms.sign(CONTENT, signer, at)
    token = signed_cms.without_certificates(signed_cms.stamp(unit, made.signers[0].value, at))
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.SIGNATURE_TIME_STAMP, token))
    (stamp,) = only(judge(made.encode())).time_stamps
    assert stamp.intact is None
    made.certificates = [*made.all_certificates(), unit.der]
    (stamp,) = only(judge(made.encode())).time_stamps
    assert stamp.intact


@pytest.mark.clause("RFC 5652", "10.2.2")
@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2, 0xA3])
def test_certificates_of_other_kinds_are_passed_over(judge, signer, at, tag):
    made = signed_cms.sign(CONTENT, signer, at)
    made.certificates = [der.encode(tag, b"\x02\x01\x01"), *made.all_certificates()]
    found = only(judge(made.encode()))
    assert found.intact
    assert found.level == "CAdES-BASELINE-B"


def test_bytes_behind_the_signature_are_told(judge, signer, at):
    found = only(judge(signed_cms.sign(CONTENT, signer, at).encode() + b"more"))
    assert "bytes-behind-signature" in [one.code for one in found.warnings]


@pytest.mark.parametrize("depth", [3, 70])
def test_counter_signatures_without_end_are_refused(judge, hierarchy, signer, at, depth):
    value = b"x"
    raw = b""
    for _ in range(depth):
        one = signed_cms.Signer(signer, value, at, content_type=None)
        if raw:
            one.unsigned.append(signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, raw))
        raw = one.raw
    made = signed_cms.sign(CONTENT, signer, at)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, raw))
    if depth < 5:
        assert len(judge(made.encode()).signatures) == depth + 1
    else:
        with pytest.raises(errors.LimitError):
            judge(made.encode())


def test_lengths_that_look_indefinite_cost_no_time(judge, signer, at):
    """asn1crypto encodes such a level over and over: each multiple of eight meets some."""
    made = signed_cms.sign(CONTENT, signer, at)
    began = time.process_time()
    for size in range(0, 256, 8):
        padding = signed_cms.attribute("1.3.6.1.4.1.99999.5", der.encode(4, bytes(size)))
        made.signers[0].unsigned = [padding]
        assert only(judge(made.encode())).intact
    assert time.process_time() - began < 10


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_mutated_signature_is_judged_or_refused(judge, hierarchy, signer, at, data):
    if not hasattr(hierarchy, "made"):
        made = long_term(hierarchy, signer, at)
        made.add_archive_time_stamp(hierarchy.time_stamping_unit(), at)
        hierarchy.made = made.encode()
    content = bytearray(hierarchy.made)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        judge(bytes(content))
    except errors.InputError:
        return


def test_large_original_is_hashed_where_it_lies(judge, signer, at):
    original = bytes(process.HELD_BYTES + 1)
    made = signed_cms.sign(original, signer, at)
    made.attached = False
    signed = made.encode()
    found = only(judge(signed, detached=[("large.bin", original)]))
    assert found.intact
    assert found.scope_names == ("large.bin",)
    changed = only(judge(signed, detached=[("large.bin", original[:-1] + b"x")]))
    assert changed.sub_indication is SUB.HASH_FAILURE


@pytest.mark.parametrize("tail", [b"\x02\x80", b"\x30", b"\x30\x82\xff\xff"])
def test_certificates_that_do_not_end_where_they_say_are_refused(judge, signer, at, tail):
    made = signed_cms.sign(CONTENT, signer, at).encode()
    content_info = list(signed_data.elements(signed_data.content_of(made, der.SEQUENCE)))
    (body,) = signed_data.elements(signed_data.content_of(content_info[1], 0xA0))
    members = list(signed_data.elements(signed_data.content_of(body, der.SEQUENCE)))
    place = next(n for n, one in enumerate(members) if one[0] == 0xA0)
    members[place] = der.encode(0xA0, signed_data.content_of(members[place], 0xA0), tail)
    broken = der.encode(
        der.SEQUENCE, content_info[0], der.encode(0xA0, der.encode(der.SEQUENCE, *members))
    )
    with pytest.raises(errors.InputError):
        judge(broken)
