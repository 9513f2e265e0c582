"""The ways in which a PDF may hold a signature, the odd and the old ones too."""

import hashlib
import io
import re

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from pki import algorithms, der, signature
from signing_service.validation import report
from tests.support import (
    forged_pdfs,
    odd_certificates,
    scheme_cms,
    signed_pdfs,
    time_stamps,
)

SUB = report.SubIndication
RSA_KEY = rsa.generate_private_key(65537, 3072)
RSA_SHA1 = scheme_cms.identifier("1.2.840.113549.1.1.5", b"\x05\x00")


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (found,) = validated.signatures
    return found


def replaced(pdf: bytes, old: bytes, new: bytes) -> bytes:
    """Put something no longer than it in place of something, so that no offset changes."""
    assert pdf.count(old) == 1
    assert len(new) <= len(old)
    return pdf.replace(old, new.ljust(len(old)))


def with_object(pdf: bytes, value: generic.PdfObject) -> tuple[bytes, bytes]:
    """The PDF with one more object, and the reference to it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    reference = writer.add_object(value)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue(), b"%d 0 R" % reference.idnum


def sign_sha1(signed: bytes, _: str) -> bytes:
    return RSA_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


# --- kinds of signature dictionaries -----------------------------------------------------------


@pytest.fixture
def certificate(hierarchy, at) -> bytes:
    return odd_certificates.certify(hierarchy, RSA_KEY.public_key(), at)


@pytest.mark.clause("ISO 32000-1", "12.8.3.3")
@pytest.mark.parametrize("change", ["none", "content", "document"])
def test_signature_over_the_sha1_of_the_document_is_verified(maker, judge, certificate, change):
    pdf = replaced(maker.sign(signed_pdfs.make_pdf()), b"/ETSI.CAdES.detached", b"/adbe.pkcs7.sha1")
    content = hashlib.sha1(forged_pdfs.covered(pdf), usedforsecurity=False).digest()
    if change == "content":
        content = bytes(20)
    message = scheme_cms.make_cms(certificate, content, "sha1", RSA_SHA1, sign_sha1, attached=True)
    pdf = forged_pdfs.replace_cms(pdf, message)
    if change == "document":
        pdf = pdf.replace(b"TEST contract", b"TEST c0ntract", 1)
    found = only(judge(pdf))
    assert found.level == "PDF-NOT-ETSI"
    if change == "none":
        assert found.intact
        assert found.indication is report.Indication.INDETERMINATE
    else:
        assert (found.intact, found.sub_indication) == (False, SUB.HASH_FAILURE)


@pytest.mark.clause("ISO 32000-1", "12.8.3.2")
def test_pkcs1_signature_is_verified_with_the_certificate_beside_it(maker, judge, certificate):
    plain, reference = with_object(signed_pdfs.make_pdf(), generic.ByteStringObject(certificate))
    pdf = maker.sign(plain)
    pdf = replaced(pdf, b"/ETSI.CAdES.detached", b"/adbe.x509.rsa_sha1")
    time = re.search(rb"/M \([^)]*\)", pdf)[0]
    pdf = replaced(pdf, time, b"/Cert " + reference)

    def put(value: bytes) -> report.SignatureReport:
        return only(judge(forged_pdfs.replace_cms(pdf, der.encode(der.OCTET_STRING, value))))

    value = sign_sha1(forged_pdfs.covered(pdf), "sha1")
    found = put(value)
    assert (found.intact, found.level) == (True, "PDF-NOT-ETSI")
    assert found.signed_by == "TEST odd key"
    assert found.sub_indication is SUB.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    found = put(bytes(len(value)))
    assert (found.intact, found.sub_indication) == (False, SUB.SIG_CRYPTO_FAILURE)
    assert found.changes_after_signing is report.Changes.NONE
    found = only(judge(forged_pdfs.replace_cms(pdf, b"\x30\x00")))
    assert (found.intact, found.sub_indication) == (False, SUB.FORMAT_FAILURE)


def test_kind_that_is_not_known_is_verified_and_does_not_pass(maker, judge, hierarchy, at):
    pdf = replaced(maker.sign(signed_pdfs.make_pdf()), b"/ETSI.CAdES.detached", b"/TEST.private")
    certificate = odd_certificates.certify(hierarchy, RSA_KEY.public_key(), at)
    algorithm = scheme_cms.identifier("1.2.840.113549.1.1.11", b"\x05\x00")
    message = scheme_cms.make_cms(
        certificate,
        forged_pdfs.covered(pdf),
        "sha256",
        algorithm,
        lambda signed, _: RSA_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256()),
    )
    found = only(judge(forged_pdfs.replace_cms(pdf, message)))
    assert (found.intact, found.sub_indication) == (True, SUB.SIG_CONSTRAINTS_FAILURE)
    assert found.errors[0].code == "subfilter"


@pytest.mark.clause("EN 319 142-1", "5.4.3")
def test_document_time_stamp_of_type_sig_is_a_time_stamp(maker, judge):
    """Older programs wrote /Type /Sig; the SubFilter tells."""
    signed = maker.sign(signed_pdfs.make_pdf())
    stamped = maker.add_document_time_stamp(signed)
    old = replaced(stamped, b"/DocTimeStamp", b"/Sig")
    ranges = re.findall(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)", old)[-1]
    start, first, second, last = map(int, ranges)
    over = old[start : start + first] + old[second : second + last]
    wanted = signature.represent(over, algorithms.HashAlgorithm.SHA256)
    token = time_stamps.time_stamp_token(maker.unit, wanted, maker.at)
    digits = token.hex().encode().ljust(second - first - 2, b"0")
    found = only(judge(old[: first + 1] + digits + old[second - 1 :]))
    assert found.intact
    assert [(one.kind, one.intact) for one in found.time_stamps] == [
        (report.TimeStampKind.DOCUMENT, True)
    ]


# --- how entries are written -------------------------------------------------------------------


def with_indirect_range(maker, *, elements: bool) -> bytes:
    """The byte range in an object of its own, or its numbers in objects of their own."""
    numbers = [0, 1000, 1000, 1000]
    for _ in range(50):  # a signature's length, and so its place, is not always the same
        if elements:
            plain, reference = with_object(signed_pdfs.make_pdf(), generic.NumberObject(numbers[3]))
            entry = b"/ByteRange [%d %d %d %s]" % (*numbers[:3], reference)
        else:
            plain, reference = with_object(
                signed_pdfs.make_pdf(),
                generic.ArrayObject([generic.NumberObject(one) for one in numbers]),
            )
            entry = b"/ByteRange " + reference
        pdf = maker.sign(plain)
        written = re.search(rb"/ByteRange \[([\d ]*)\] *", pdf)
        real = [int(one) for one in written[1].split()]
        if real == numbers:
            break
        numbers = real
    else:
        raise AssertionError("the byte range never was what it was before")
    pdf = replaced(pdf, written[0], entry)
    attributes = forged_pdfs.digest_attribute(_covered(pdf, numbers))

    def again(old):
        return [one for one in old if one["type"].native != "message_digest"] + [attributes]

    return forged_pdfs.resign(pdf, maker.signer.key, again)


def _covered(pdf: bytes, numbers: list[int]) -> bytes:
    start, first, second, last = numbers
    return pdf[start : start + first] + pdf[second : second + last]


@pytest.mark.parametrize("elements", [False, True])
def test_byte_range_may_be_written_indirectly(maker, judge, elements):
    found = only(judge(with_indirect_range(maker, elements=elements)))
    assert found.intact, found.errors
    assert found.changes_after_signing is report.Changes.NONE


@pytest.mark.clause("ISO 32000-1", "12.8.1")
@pytest.mark.parametrize("spelling", ["spaces", "upper", "literal", "name", "indirect"])
def test_value_is_a_hexadecimal_string_in_its_gap(maker, judge, spelling):
    """Blanks and capitals are hexadecimal, too; anything else in the gap is not signed."""
    signed = maker.sign(signed_pdfs.make_pdf())
    value = re.search(rb"/Contents (<[0-9a-fA-F]{100,}>)", signed)
    raw = bytes.fromhex(value[1][1:-1].decode()).rstrip(b"\0")
    room = len(value[1])
    spelled = {
        "spaces": b"<" + re.sub(rb"(.{60})", rb"\1\n", raw.hex().encode()) + b">",
        "upper": b"<" + raw.hex().upper().encode().ljust(room - 2, b"0") + b">",
        "literal": b"(" + re.sub(rb"([()\\\r\n])", rb"\\\1", raw) + b")",
        "name": b"/" + raw.hex().encode(),
        "indirect": b"1 0 R",
    }[spelling]
    assert len(spelled) <= room
    if spelling == "spaces":
        spelled = spelled[:-1].ljust(room - 1) + b">"
    found = only(judge(signed[: value.start(1)] + spelled.ljust(room) + signed[value.end(1) :]))
    if spelling in ("spaces", "upper"):
        assert found.intact
    else:
        assert found.intact is False
        assert found.indication is report.Indication.TOTAL_FAILED


@pytest.mark.parametrize(
    "ranges", [b"[/a /b /c /d]", b"(TEST)", b"<< >>", b"null", b"[1 2 3 null]"]
)
def test_malformed_byte_range_breaks_its_own_signature_alone(maker, judge, ranges):
    first = maker.sign(signed_pdfs.make_pdf(), name="First")
    second = maker.sign(first, name="Second")
    at_second = second.rindex(b"/ByteRange [")
    end = second.index(b"]", at_second) + 1
    entry = (b"/ByteRange " + ranges).ljust(end - at_second)
    found = {
        one.identifier: one for one in judge(second[:at_second] + entry + second[end:]).signatures
    }
    assert found["First"].intact
    assert found["Second"].intact is False
    assert found["Second"].indication is report.Indication.TOTAL_FAILED


# --- documents ---------------------------------------------------------------------------------


def test_hybrid_tables_are_read(maker, judge):
    """ISO 32000-1 7.5.8.4: a table for old readers, a stream beside it for new ones."""
    writer = IncrementalPdfFileWriter(io.BytesIO(signed_pdfs.make_pdf()))
    writer.root["/TEST"] = generic.NumberObject(1)
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    head, _, ending = out.getvalue().rpartition(b"trailer")
    table = head.rindex(b"xref\n")
    size = int(re.search(rb"/Size (\d+)", ending)[1])
    place = table
    stream = (
        b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 1] /Index [%d 1] /Length 6 >>\nstream\n"
        % (
            size,
            size + 1,
            size,
        )
        + b"\x01"
        + place.to_bytes(4, "big")
        + b"\0\nendstream\nendobj\n"
    )
    hybrid = (
        head[:table]
        + stream
        + head[table:]
        + b"trailer"
        + re.sub(rb"/Size \d+", b"/Size %d /XRefStm %d" % (size + 1, place), ending, count=1)
    )
    hybrid = re.sub(
        rb"startxref\s+\d+\s+%%EOF\s*$", b"startxref\n%d\n%%%%EOF\n" % (table + len(stream)), hybrid
    )
    reader = PdfFileReader(io.BytesIO(hybrid))
    assert reader.xrefs.hybrid_xrefs_present
    found = only(judge(maker.sign(hybrid)))
    assert (found.intact, found.scope_kind) == (True, report.ScopeKind.FULL)
    assert not found.warnings


# --- levels ------------------------------------------------------------------------------------


@pytest.mark.clause("EN 319 142-1", "6.3")
@pytest.mark.parametrize("left_out", ["nothing", "unit", "authorities", "signer", "store"])
def test_long_term_level_needs_the_statuses_that_its_store_calls_for(maker, judge, left_out):
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    if left_out == "nothing":
        assert only(judge(maker.add_evidence(signed))).level == "PAdES-BASELINE-LT"
    elif left_out == "authorities":
        assert only(judge(maker.add_evidence(signed, crls=()))).level == ("PAdES-BASELINE-LT")
    elif left_out == "store":
        assert only(judge(signed)).level == "PAdES-BASELINE-T"
    elif left_out == "unit":
        kept = maker.add_evidence(
            signed, crls=("root",), certificates=("issuing", "infrastructure")
        )
        assert only(judge(kept)).level == "PAdES-BASELINE-T"
    else:
        other = signed_pdfs.PdfMaker(
            maker.authorities, maker.authorities.signer("9ZZ99ZZ"), maker.at
        )
        assert only(judge(other.add_evidence(signed))).level == "PAdES-BASELINE-T"


@pytest.mark.clause("EN 319 142-1", "6.3")
def test_reason_beside_a_commitment_is_no_baseline(maker, judge):
    """What the signer means by it is said once."""

    def commit(attributes):
        value = {"commitment_type_id": "1.2.840.113549.1.9.16.6.1"}
        return [*attributes, cms.CMSAttribute({"type": "commitment_type", "values": [value]})]

    for reason, level in ((None, "PAdES-BASELINE-B"), ("TEST", "PAdES-BES")):
        signed = maker.sign(signed_pdfs.make_pdf(), reason=reason)
        assert only(judge(signed)).level == "PAdES-BASELINE-B"
        found = only(judge(forged_pdfs.resign(signed, maker.signer.key, commit)))
        assert (found.intact, found.level) == (True, level)
