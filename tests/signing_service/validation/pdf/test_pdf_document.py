"""What somebody may do to a signed PDF, and what our validation says of it."""

import hashlib
import io
import re

import pytest
from asn1crypto import cms
from asn1crypto import tsp as asn1_tsp
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields
from pyhanko.sign.fields import MDPPerm

from pki import algorithms, errors, signature
from signing_service.validation import process, report
from tests.support import forged_pdfs, signed_pdfs, statuses, time_stamps
from tests.support import hierarchy as hierarchy_support
from tests.support.forged_pdfs import name

CONSTRAINTS = report.SubIndication.SIG_CONSTRAINTS_FAILURE


@pytest.fixture
def signed(maker) -> bytes:
    """A B-LT signature that passes."""
    return maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))


def only(validated: report.ValidationReport) -> report.SignatureReport:
    (signature,) = validated.signatures
    return signature


def codes(found: report.SignatureReport) -> set[str]:
    return {one.code for one in (*found.errors, *found.warnings)}


# --- bytes that no revision accounts for -------------------------------------------------------

JUNK = b"\n5 0 obj\n<< /Length 3 >>\nstream\nabc\nendstream\nendobj\n"


def test_honest_signature_passes(signed, judge):
    assert only(judge(signed)).indication is report.Indication.TOTAL_PASSED
    assert only(judge(signed + b"\r\n \n")).indication is report.Indication.TOTAL_PASSED


@pytest.mark.clause("ISO 32000-1", "7.5.6")
@pytest.mark.parametrize("ending", ["none", "again", "comment"])
@pytest.mark.parametrize("evidence", [True, False])
def test_objects_behind_the_last_revision_are_undefined(maker, signed, judge, ending, evidence):
    """A reader that repairs damaged files would show them."""
    content = signed if evidence else maker.sign(signed_pdfs.make_pdf(), stamped=True)
    forged = content + JUNK
    if ending == "again":
        forged += content[content.rindex(b"startxref") :]
    elif ending == "comment":
        forged += b"% " + content[content.rindex(b"startxref") :]
    try:
        found = only(judge(forged))
    except errors.InputError:
        return
    assert found.changes_after_signing is report.Changes.UNDEFINED
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert found.indication is not report.Indication.TOTAL_PASSED


# --- later revisions ---------------------------------------------------------------------------


def add_annotation(writer) -> None:
    page, _ = writer.find_page_for_modification(0)
    note = generic.DictionaryObject(
        {
            name("/Type"): name("/Annot"),
            name("/Subtype"): name("/FreeText"),
            name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 400, 800))),
            name("/Contents"): generic.pdf_string("TEST forged"),
        }
    )
    page = page.get_object()
    if "/Annots" in page:
        page["/Annots"].append(writer.add_object(note))
        writer.update_container(page["/Annots"])
    else:
        page["/Annots"] = generic.ArrayObject([writer.add_object(note)])
    writer.update_container(page)


def change_font(writer) -> None:
    fonts = writer.root["/Pages"]["/Kids"][0]["/Resources"]["/Font"]
    reference = fonts.raw_get(next(iter(fonts)))
    reference.get_object()["/BaseFont"] = name("/Symbol")
    writer.mark_update(reference)


def add_script(writer) -> None:
    writer.root["/OpenAction"] = generic.DictionaryObject(
        {name("/S"): name("/JavaScript"), name("/JS"): generic.pdf_string("app.alert(1)")}
    )
    writer.update_root()


def swap_pages(writer) -> None:
    pages = writer.root["/Pages"]
    pages["/Kids"] = generic.ArrayObject(reversed([pages["/Kids"].raw_get(i) for i in (0, 1)]))
    writer.mark_update(writer.root.raw_get("/Pages"))


def replace_catalogue(writer) -> None:
    """The document turns to a page tree that lay hidden in it."""
    other = generic.DictionaryObject(
        {
            name("/Type"): name("/Pages"),
            name("/Kids"): generic.ArrayObject(),
            name("/Count"): generic.NumberObject(0),
        }
    )
    writer.root["/Pages"] = writer.add_object(other)
    writer.update_root()


def picture(data: bytes = b"BT /F1 12 Tf (TEST forged) Tj ET") -> generic.StreamObject:
    box = generic.ArrayObject(map(generic.NumberObject, (0, 0, 490, 790)))
    return generic.StreamObject(
        {name("/Type"): name("/XObject"), name("/Subtype"): name("/Form"), name("/BBox"): box},
        stream_data=data,
    )


def sneak_in_a_picture(writer) -> None:
    """A signature field over the page, which shows a text and is not signed."""
    fields.append_signature_field(
        writer, fields.SigFieldSpec("Sneaky", on_page=0, box=(10, 10, 500, 800))
    )
    for one in writer.root["/AcroForm"]["/Fields"]:
        if one.get_object()["/T"] == "Sneaky":
            one.get_object()["/AP"] = generic.DictionaryObject(
                {name("/N"): writer.add_object(picture())}
            )
            writer.mark_update(one)


@pytest.mark.parametrize(
    "change",
    [
        add_annotation,
        change_font,
        add_script,
        swap_pages,
        replace_catalogue,
        sneak_in_a_picture,
    ],
)
def test_later_revision_that_changes_what_is_shown_is_undefined(signed, judge, change):
    found = only(judge(forged_pdfs.update(signed, change)))
    assert found.intact
    assert found.changes_after_signing is report.Changes.UNDEFINED
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert found.sub_indication is CONSTRAINTS


def test_empty_field_left_for_a_later_signer_is_permitted(signed, judge):
    def add(writer) -> None:
        spec = fields.SigFieldSpec("Second", on_page=0, box=(10, 10, 200, 80))
        fields.append_signature_field(writer, spec)

    found = only(judge(forged_pdfs.update(signed, add)))
    assert found.changes_after_signing is report.Changes.PERMITTED
    assert found.indication is report.Indication.TOTAL_PASSED


def form() -> bytes:
    """A PDF with one text field."""

    def add(writer) -> None:
        page, _ = writer.find_page_for_modification(0)
        box = generic.ArrayObject(map(generic.NumberObject, (0, 0, 100, 20)))
        field = generic.DictionaryObject(
            {
                name("/Type"): name("/Annot"),
                name("/Subtype"): name("/Widget"),
                name("/FT"): name("/Tx"),
                name("/T"): generic.pdf_string("amount"),
                name("/V"): generic.pdf_string("100"),
                name("/Rect"): box,
                name("/AP"): generic.DictionaryObject(
                    {name("/N"): writer.add_object(picture(b"q Q"))}
                ),
            }
        )
        reference = writer.add_object(field)
        page.get_object()["/Annots"] = generic.ArrayObject([reference])
        writer.update_container(page.get_object())
        writer.root["/AcroForm"] = generic.DictionaryObject(
            {name("/Fields"): generic.ArrayObject([reference])}
        )
        writer.update_root()

    return forged_pdfs.update(signed_pdfs.make_pdf(), add)


def fill_in(writer, *, value: bool = True) -> None:
    for one in writer.root["/AcroForm"]["/Fields"]:
        field = one.get_object()
        if field["/T"] == "amount":
            if value:
                field["/V"] = generic.pdf_string("900")
            field["/AP"] = generic.DictionaryObject(
                {name("/N"): writer.add_object(picture(b"q 0 0 100 20 re f Q"))}
            )
            writer.mark_update(one)


def test_form_that_is_filled_in_after_signing_is_covered_in_part(maker, judge):
    signed = maker.add_evidence(maker.sign(form(), stamped=True))
    before = only(judge(signed))
    assert before.scope_kind is report.ScopeKind.FULL
    found = only(judge(forged_pdfs.update(signed, fill_in)))
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert "filled-in-after-signing" in codes(found)


def certify(maker, pdf: bytes, permission: MDPPerm) -> bytes:
    """Certified by the maker's person, with what may change afterwards."""
    signed = maker.sign(pdf, stamped=True, certify=permission)
    return maker.add_evidence(signed)


@pytest.mark.clause("ISO 32000-1", "12.8.2.2")
def test_certification_that_forbids_changes_is_obeyed(maker, judge, hierarchy, at):
    forbidden = certify(maker, form(), MDPPerm.NO_CHANGES)
    assert only(judge(forbidden)).indication is report.Indication.TOTAL_PASSED
    found = only(judge(forged_pdfs.update(forbidden, fill_in)))
    assert found.changes_after_signing is report.Changes.UNDEFINED
    assert found.sub_indication is CONSTRAINTS
    allowed = certify(maker, form(), MDPPerm.FILL_FORMS)
    found = only(judge(forged_pdfs.update(allowed, fill_in)))
    assert found.changes_after_signing is report.Changes.PERMITTED
    found = only(judge(forged_pdfs.update(allowed, add_annotation)))
    assert found.changes_after_signing is report.Changes.UNDEFINED


# --- byte ranges -------------------------------------------------------------------------------


def with_ranges(pdf: bytes, change) -> bytes:
    """Write other numbers into the byte range, in the same place and length."""
    found = re.search(rb"/ByteRange \[([\d ]+)\](\s*)", pdf)
    numbers = change([int(one) for one in found.group(1).split()])
    text = b"/ByteRange [" + b" ".join(b"%d" % one for one in numbers) + b"]"
    whole = found.end() - found.start()
    assert len(text) <= whole
    return pdf[: found.start()] + text.ljust(whole) + pdf[found.end() :]


@pytest.mark.clause("ISO 32000-1", "12.8.1")
@pytest.mark.parametrize(
    "change",
    [
        lambda n: [n[0] + 1, n[1] - 1, n[2], n[3]],
        lambda n: [n[0], n[1] - 20, n[2], n[3]],
        lambda n: [n[0], n[1], n[2] + 20, n[3] - 20],
        lambda n: [n[0], n[1], n[2], n[3] - 20],
        lambda n: [n[0], n[1], n[2], n[3] + 10**6],
        lambda n: [n[0], n[1], n[1], n[3]],
        lambda n: [n[0], n[1]],
        lambda n: [],
        lambda n: [0, 0, 0, 0],
    ],
)
def test_byte_range_that_leaves_out_more_than_the_signature_never_passes(maker, judge, change):
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    try:
        found = only(judge(with_ranges(signed, change)))
    except errors.InputError:
        return
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.intact is not True


def test_signer_who_leaves_a_wide_hole_is_refused(maker, judge):
    """The value verifies over the byte range, whose hole holds more than the signature."""
    signed = maker.sign(signed_pdfs.make_pdf())
    forged = with_ranges(signed, lambda n: [n[0], n[1] - 20, n[2], n[3]])

    def fit(attributes):
        return [
            forged_pdfs.digest_attribute(forged_pdfs.covered(forged))
            if one["type"].native == "message_digest"
            else one
            for one in attributes
        ]

    found = only(judge(forged_pdfs.resign(forged, maker.signer.key, fit)))
    assert found.sub_indication is report.SubIndication.FORMAT_FAILURE
    assert found.intact is False
    assert "byte-range" in codes(found)


def test_bytes_behind_the_signature_in_its_place_are_told(signed, judge):
    start = signed.index(b"/Contents <") + len(b"/Contents <")
    end = signed.index(b">", start)
    found = only(judge(signed[: end - 8] + b"deadbeef" + signed[end:]))
    assert "bytes-behind-signature" in codes(found)


def test_copy_of_a_signature_in_a_later_revision_does_not_stand_for_it(signed, judge):
    """The same ranges and the same CMS a second time."""

    def copy(writer) -> None:
        (old,) = [one for one in writer.root["/AcroForm"]["/Fields"] if "/V" in one.get_object()]
        again = generic.DictionaryObject(dict(old.get_object()))
        again["/T"] = generic.pdf_string("Copy")
        value = generic.DictionaryObject(dict(old.get_object()["/V"]))
        again["/V"] = writer.add_object(value)
        writer.root["/AcroForm"]["/Fields"].append(writer.add_object(again))
        writer.update_container(writer.root["/AcroForm"])

    validated = judge(forged_pdfs.update(signed, copy))
    assert validated.overall is not report.Indication.TOTAL_PASSED


# --- the CMS -----------------------------------------------------------------------------------


def without(*types):
    return lambda attributes: [one for one in attributes if one["type"].native not in types]


def twice(kind):
    return lambda attributes: [
        *attributes,
        *[one for one in attributes if one["type"].native == kind],
    ]


def typed(kind):
    return lambda attributes: [
        cms.CMSAttribute({"type": "content_type", "values": [kind]})
        if one["type"].native == "content_type"
        else one
        for one in attributes
    ]


@pytest.mark.clause("RFC 5652", "11")
@pytest.mark.parametrize(
    "change",
    [
        without("message_digest"),
        without("content_type"),
        twice("message_digest"),
        twice("content_type"),
        typed("signed_data"),
        lambda attributes: [],
    ],
    ids=[
        "no digest",
        "no content type",
        "two digests",
        "two content types",
        "other content type",
        "nothing in the signed attributes",
    ],
)
def test_signed_attributes_that_are_not_as_prescribed_fail(maker, judge, change):
    signed = maker.sign(signed_pdfs.make_pdf())
    found = only(judge(forged_pdfs.resign(signed, maker.signer.key, change)))
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.sub_indication is report.SubIndication.FORMAT_FAILURE
    assert found.intact is False


def test_digest_of_another_content_is_a_hash_failure(maker, judge):
    signed = maker.sign(signed_pdfs.make_pdf())

    def other(attributes):
        return [*without("message_digest")(attributes), forged_pdfs.digest_attribute(b"other")]

    found = only(judge(forged_pdfs.resign(signed, maker.signer.key, other)))
    assert found.sub_indication is report.SubIndication.HASH_FAILURE


@pytest.mark.clause("RFC 5035", "3")
@pytest.mark.parametrize("kind", ["missing", "another", "two"])
def test_signature_that_does_not_name_its_certificate_does_not_pass(maker, judge, hierarchy, kind):
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    other = cms.CMSAttribute(
        {
            "type": "signing_certificate_v2",
            "values": [
                asn1_tsp.SigningCertificateV2(
                    {"certs": [{"cert_hash": hashlib.sha256(hierarchy.signer().der).digest()}]}
                )
            ],
        }
    )

    def change(attributes):
        rest = without("signing_certificate_v2")(attributes)
        return {"missing": rest, "another": [*rest, other], "two": [*attributes, other]}[kind]

    forged = forged_pdfs.resign(signed, maker.signer.key, change)
    found = only(judge(maker.add_evidence(forged)))
    assert found.intact
    assert found.sub_indication is (
        report.SubIndication.SIG_CONSTRAINTS_FAILURE
        if kind == "missing"
        else report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    ) or (kind == "missing" and found.sub_indication is report.SubIndication.TRY_LATER)
    assert found.indication is report.Indication.INDETERMINATE


def test_signature_without_signed_attributes_is_bound_to_nobody(maker, judge, at):
    signed = maker.sign(signed_pdfs.make_pdf())
    forged = forged_pdfs.resign(signed, maker.signer.key, lambda attributes: None)
    found = only(judge(maker.add_evidence(forged), fetch=answers(maker, at)))
    assert found.intact
    assert found.sub_indication is CONSTRAINTS
    assert found.level == "PDF-NOT-ETSI"


def answers(maker, at):
    """A fetch that says that everything is good."""

    def fetch(missing):
        good = statuses.ocsp_response(
            maker.signer.certificate,
            maker.authorities.issuing.certificate,
            maker.responder,
            at,
        )
        return process.FetchedEvidence(
            ocsp_responses=(good,),
            crls=(maker.crl("root", at), maker.crl("infrastructure", at)),
        )

    return fetch


@pytest.mark.clause("TS 119 312", "5")
def test_weak_hash_is_intact_and_does_not_pass(maker, judge, at):
    signed = maker.sign(signed_pdfs.make_pdf())

    def weaken(attributes):
        rest = without("message_digest")(attributes)
        return [*rest, forged_pdfs.digest_attribute(forged_pdfs.covered(signed), "sha1")]

    forged = forged_pdfs.resign(signed, maker.signer.key, weaken, hash_name="sha1")
    found = only(judge(forged, fetch=answers(maker, at)))
    assert found.intact
    assert found.sub_indication is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE


@pytest.mark.clause("EN 319 142-1", "6.3")
def test_each_signer_of_a_cms_is_judged_and_several_are_a_format_failure(maker, judge, hierarchy):
    signed = maker.sign(signed_pdfs.make_pdf())
    message = forged_pdfs.read_cms(signed)
    signer = message["content"]["signer_infos"][0]
    other = signer.copy()
    other["signature"] = bytes(70)
    message["content"]["signer_infos"] = [signer, other]
    found = {
        one.identifier: one
        for one in judge(forged_pdfs.replace_cms(signed, message.dump())).signatures
    }
    assert set(found) == {"Signature1-signer-1", "Signature1-signer-2"}
    subs = {one.intact: one.sub_indication for one in found.values()}
    assert subs == {
        True: report.SubIndication.FORMAT_FAILURE,
        False: report.SubIndication.SIG_CRYPTO_FAILURE,
    }
    assert {one.level for one in found.values()} == {"PDF-NOT-ETSI"}


def test_cms_without_a_signer_is_a_format_failure(maker, judge):
    signed = maker.sign(signed_pdfs.make_pdf())
    message = forged_pdfs.read_cms(signed)
    message["content"]["signer_infos"] = []
    found = only(judge(forged_pdfs.replace_cms(signed, message.dump())))
    assert found.sub_indication is report.SubIndication.FORMAT_FAILURE
    assert found.intact is False


def test_cms_with_a_content_of_its_own_is_a_format_failure(maker, judge):
    signed = maker.sign(signed_pdfs.make_pdf())
    message = forged_pdfs.read_cms(signed)
    message["content"]["encap_content_info"] = {
        "content_type": "data",
        "content": b"TEST other document",
    }
    found = only(judge(forged_pdfs.replace_cms(signed, message.dump())))
    assert found.sub_indication is report.SubIndication.FORMAT_FAILURE
    assert found.intact is False


# --- time stamps -------------------------------------------------------------------------------


def with_token(pdf: bytes, token: bytes) -> bytes:
    """Put another token into the unsigned attributes, where nothing covers it."""
    message = forged_pdfs.read_cms(pdf)
    signer = message["content"]["signer_infos"][0]
    signer["unsigned_attrs"] = [
        {"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(token)]}
    ]
    return forged_pdfs.replace_cms(pdf, message.dump())


def token_over(pdf: bytes, unit, at) -> bytes:
    value = forged_pdfs.read_cms(pdf)["content"]["signer_infos"][0]["signature"].native
    algorithm = algorithms.HashAlgorithm.SHA256
    wanted = signature.DataToBeSignedRepresentation(algorithm, algorithm.digest(value))
    return time_stamps.time_stamp_token(unit, wanted, at)


def test_time_stamp_over_the_value_of_another_signature_proves_nothing(maker, judge, at):
    first, second = (
        maker.sign(signed_pdfs.make_pdf(text), stamped=True) for text in ("TEST a", "TEST b")
    )
    honest = with_token(second, token_over(second, maker.unit, at))
    assert only(judge(maker.add_evidence(honest))).best_signature_time == at
    forged = with_token(second, token_over(first, maker.unit, at))
    found = only(judge(maker.add_evidence(forged)))
    assert found.best_signature_time is None
    assert found.time_stamps[0].intact is False


def test_time_stamp_by_somebody_who_is_no_unit_proves_nothing(maker, judge, hierarchy, at):
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    for unit in (hierarchy.signer(), hierarchy.ocsp_responder()):
        found = only(judge(with_token(signed, token_over(signed, unit, at))))
        assert found.best_signature_time is None
        assert "time-stamp-certificate" in codes(found)


def test_time_stamp_of_a_unit_nobody_trusts_proves_nothing(maker, judge, at):
    stranger = hierarchy_support.make_hierarchy(at).time_stamping_unit()
    signed = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    found = only(judge(with_token(signed, token_over(signed, stranger, at))))
    assert found.best_signature_time is None
    assert found.time_stamps[0].intact is True


def test_document_time_stamp_that_came_before_a_signature_proves_nothing_about_it(maker, judge):
    stamped = maker.add_document_time_stamp(maker.add_evidence(signed_pdfs.make_pdf()))
    validated = judge(maker.sign(stamped))
    assert only(validated).best_signature_time is None
    assert only(validated).level == "PAdES-BASELINE-B"


# --- the certificate's purpose -----------------------------------------------------------------


@pytest.mark.clause("EN 319 412-2", "4.3.2")
def test_certificate_for_logging_in_signs_no_document(judge, hierarchy, at):
    maker = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(authentication=True), at)
    signed = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    found = only(judge(signed))
    assert found.intact
    assert found.sub_indication is report.SubIndication.CHAIN_CONSTRAINTS_FAILURE


def test_two_signatures_of_which_one_is_broken_are_judged_by_the_worst(maker, judge, hierarchy, at):
    second = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer("5ZZ99ZZ"), at)
    once = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    twice_signed = second.sign(once, name="Signature2", stamped=True)
    validated = judge(twice_signed)
    assert [one.indication for one in validated.signatures] == [
        report.Indication.TOTAL_PASSED,
        report.Indication.INDETERMINATE,
    ]
    assert validated.overall is report.Indication.INDETERMINATE


def test_number_named_before_it_was_used_may_become_evidence_and_no_source(maker, judge):
    """Office programs name the editable source in the trailer; a later one might be put there."""
    plain = maker.sign(signed_pdfs.make_pdf())
    store = PdfFileReader(io.BytesIO(maker.add_evidence(plain))).root.raw_get("/DSS").idnum
    named = f"trailer\n<<\n/AdditionalStreams [/application#2Fvnd.test {store} 0 R]".encode()
    honest = maker.sign(signed_pdfs.make_pdf().replace(b"trailer\n<<", named))
    assert only(judge(maker.add_evidence(honest))).changes_after_signing is report.Changes.PERMITTED
    writer = IncrementalPdfFileWriter(io.BytesIO(honest))
    while writer.add_object(generic.NullObject()).idnum < store - 1:
        pass
    source = writer.add_object(generic.StreamObject(stream_data=b"TEST another contract"))
    assert source.idnum == store
    changed = io.BytesIO()
    writer.write(changed)
    found = only(judge(changed.getvalue()))
    assert found.changes_after_signing is report.Changes.UNDEFINED
