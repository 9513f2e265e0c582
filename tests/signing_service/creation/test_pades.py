import contextlib
import datetime
import hashlib
import io
import pathlib
import subprocess
from collections.abc import Callable

import pytest
from asn1crypto import cms as asn1_cms
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic, reader, writer
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from pki import algorithms, certificates, errors, signature
from signing_service import documents, parameters, revocation_data
from signing_service.creation import cms, cms_signed_attributes, pades
from signing_service.creation.pdf import pdf_structure, permissions
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

Sign = Callable[..., pathlib.Path]


@pytest.fixture
def pdf(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "contract.pdf"
    path.write_bytes(signing_world.make_pdf())
    return path


@pytest.fixture
def sign(
    tmp_path: pathlib.Path, hierarchy: hierarchy_support.Hierarchy, at: datetime.datetime
) -> Sign:
    def sign_file(
        source: pathlib.Path,
        holder: hierarchy_support.Holder | None = None,
        chosen: parameters.SignatureParameters | None = None,
    ) -> pathlib.Path:
        holder = holder or hierarchy.signer()
        number = len(list(tmp_path.iterdir()))
        prepared_path, target = tmp_path / f"{number}.prepared", tmp_path / f"{number}.pdf"
        prepared = pades.prepare(
            source,
            prepared_path,
            certificate=holder.certificate,
            chain=holder.issuers,
            parameters=chosen or signing_world.pades(),
            at=at,
        )
        value = holder.handle.sign(
            signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
        )
        pades.embed(prepared, prepared_path, target, value)
        return target

    return sign_file


def embedded(path: pathlib.Path) -> list[reader.PdfFileReader]:
    opened = reader.PdfFileReader(io.BytesIO(path.read_bytes()))
    return opened.embedded_signatures


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_signed_pdf_holds_the_document_unchanged_and_a_signature_over_it(
    pdf: pathlib.Path,
    sign: Sign,
    hierarchy: hierarchy_support.Hierarchy,
    kind: algorithms.KeyKind,
) -> None:
    signed = sign(pdf, hierarchy.signer(kind=kind))

    assert signed.read_bytes().startswith(pdf.read_bytes())
    (found,) = embedded(signed)
    digest = next(
        one["values"][0].native
        for one in found.signer_info["signed_attrs"]
        if one["type"].native == "message_digest"
    )
    assert found.compute_digest() == digest
    assert found.evaluate_signature_coverage().name == "ENTIRE_FILE"


@pytest.mark.clause("EN 319 142-1", "6.3")
def test_signed_attributes_are_those_of_a_baseline_signature_without_a_signing_time(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    holder = hierarchy.signer()
    chosen = signing_world.pades(
        commitment=parameters.CommitmentType.PROOF_OF_APPROVAL, place="Bakı"
    )

    (found,) = embedded(sign(pdf, holder, chosen))

    attributes = {one["type"].native: one["values"][0] for one in found.signer_info["signed_attrs"]}
    assert set(attributes) == {
        "content_type",
        "message_digest",
        "signing_certificate_v2",
        "commitment_type",
    }
    certificate_id = attributes["signing_certificate_v2"]["certs"][0]
    assert certificate_id["cert_hash"].native == bytes.fromhex(
        certificates.sha256(holder.certificate)
    )
    assert certificate_id["issuer_serial"]["serial_number"].native == (
        holder.certificate.serial_number
    )
    assert found.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert found.sig_object["/Location"] == "Bakı"
    assert "/M" in found.sig_object
    inside = found.signed_data["certificates"]
    assert {one.chosen.dump() for one in inside} == {
        certificates.to_der(one) for one in holder.chain[:-1]
    }


@pytest.mark.clause("RFC 5652", "5.4")
def test_signature_is_over_the_very_attributes_that_lie_in_the_file(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    holder = hierarchy.signer()
    (found,) = embedded(sign(pdf, holder))
    attributes = found.signer_info["signed_attrs"].untag().dump(force=True)
    raw = algorithms.ecdsa_der_to_raw(found.signer_info["signature"].native, 32)

    signature.check_value(
        holder.certificate.public_key(),
        signature.represent(attributes, algorithms.HashAlgorithm.SHA256),
        signature.SignatureValue(
            algorithms.SignatureAlgorithm.ECDSA, algorithms.HashAlgorithm.SHA256, raw
        ),
    )


def test_prepared_signature_can_be_finished_elsewhere_and_twice_gives_the_same_bytes(
    tmp_path: pathlib.Path,
    pdf: pathlib.Path,
    hierarchy: hierarchy_support.Hierarchy,
    at: datetime.datetime,
) -> None:
    holder = hierarchy.signer()
    prepared = pades.prepare(
        pdf,
        tmp_path / "prepared",
        certificate=holder.certificate,
        chain=holder.issuers,
        parameters=signing_world.pades(),
        at=at,
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    stored = documents.PreparedSignature(
        prepared.format,
        prepared.data_to_be_signed,
        prepared.hash_algorithm,
        bytes(prepared.context),
    )

    pades.embed(prepared, tmp_path / "prepared", tmp_path / "first", value)
    pades.embed(stored, tmp_path / "prepared", tmp_path / "second", value)

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_second_signature_leaves_every_byte_of_the_first(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    first = sign(pdf)
    second = sign(first, hierarchy.signer("5AB12CE"))

    assert second.read_bytes().startswith(first.read_bytes())
    names = [one.field_name for one in embedded(second)]
    assert names == ["Signature1", "Signature2"]


@pytest.mark.peer
def test_visible_signature_shows_azerbaijani_and_georgian_letters_that_can_be_read_out(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    holder = hierarchy.signer(surname="Əliyeva-Ğışöç TEST", given_name="გიორგი")
    look = parameters.Appearance(1, (300, 60, 540, 130))

    signed = sign(pdf, holder, signing_world.pades(appearance=look, reason="100 % razıyam"))

    shown = subprocess.run(
        ["pdftotext", "-f", "1", "-l", "1", str(signed), "-"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "გიორგი Əliyeva-Ğışöç TEST" in shown
    assert "100 % razıyam" in shown


def test_signatures_without_a_named_place_stand_side_by_side_at_the_foot_of_the_page(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    chosen = signing_world.pades(appearance=parameters.Appearance(-1))
    signed = pdf
    for code in ("5AB12CD", "7XY34ZK", "3KL78RS"):
        signed = sign(signed, hierarchy.signer(code), chosen)
    boxes = [[float(one) for one in found.sig_field["/Rect"]] for found in embedded(signed)]
    first, second, third = boxes
    assert first[1] == second[1] < third[1], "the row is filled before the next one begins"
    assert first[2] < second[0]
    assert third[0] == first[0]


def test_name_in_letters_that_the_font_lacks_is_refused_and_not_drawn_as_boxes(
    pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    holder = hierarchy.signer(surname="山田 TEST")
    look = parameters.Appearance(-1, (300, 60, 540, 130))

    with pytest.raises(errors.InputError) as caught:
        sign(pdf, holder, signing_world.pades(appearance=look))
    assert caught.value.code == "appearance-character"
    assert "山" not in caught.value.message


def changed(pdf: pathlib.Path, change: Callable[[IncrementalPdfFileWriter], None]) -> None:
    with pdf.open("r+b") as file:
        opened = IncrementalPdfFileWriter(file)
        change(opened)
        opened.write_in_place()


def script() -> generic.DictionaryObject:
    return generic.DictionaryObject(
        {
            generic.pdf_name("/S"): generic.pdf_name("/JavaScript"),
            generic.pdf_name("/JS"): generic.pdf_string("app.alert(1)"),
        }
    )


def with_open_action(opened: IncrementalPdfFileWriter) -> None:
    opened.root["/OpenAction"] = opened.add_object(script())
    opened.update_root()


def with_named_script(opened: IncrementalPdfFileWriter) -> None:
    names = generic.DictionaryObject({generic.pdf_name("/JavaScript"): script()})
    opened.root["/Names"] = opened.add_object(names)
    opened.update_root()


def with_page_trigger(opened: IncrementalPdfFileWriter) -> None:
    page = opened.find_page_for_modification(1)[0].get_object()
    page["/AA"] = generic.DictionaryObject({generic.pdf_name("/O"): script()})
    opened.update_container(page)


def with_link_script(opened: IncrementalPdfFileWriter) -> None:
    page = opened.find_page_for_modification(0)[0].get_object()
    link = generic.DictionaryObject(
        {
            generic.pdf_name("/Subtype"): generic.pdf_name("/Link"),
            generic.pdf_name("/A"): generic.DictionaryObject(
                {
                    generic.pdf_name("/S"): generic.pdf_name("/GoTo"),
                    generic.pdf_name("/Next"): generic.ArrayObject([opened.add_object(script())]),
                }
            ),
        }
    )
    page["/Annots"] = generic.ArrayObject([opened.add_object(link)])
    opened.update_container(page)


def with_xfa(opened: IncrementalPdfFileWriter) -> None:
    form = {generic.pdf_name("/XFA"): generic.pdf_string("<xdp/>")}
    opened.root["/AcroForm"] = opened.add_object(generic.DictionaryObject(form))
    opened.update_root()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (with_open_action, "document-javascript"),
        (with_named_script, "document-javascript"),
        (with_page_trigger, "document-javascript"),
        (with_link_script, "document-javascript"),
        (with_xfa, "document-xfa"),
    ],
)
def test_pdf_that_can_change_its_looks_is_refused(
    pdf: pathlib.Path, change: Callable[[IncrementalPdfFileWriter], None], code: str
) -> None:
    changed(pdf, change)
    with pytest.raises(documents.DocumentRefusedError) as caught:
        pades.check_document(pdf, signing_world.pades())
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "document-empty"),
        (b"PK\x03\x04 no pdf at all", "document-not-pdf"),
        (b"%PDF-1.7\nhello\n%%EOF", "document-malformed"),
    ],
)
def test_file_that_is_no_pdf_is_refused_with_its_own_code(
    pdf: pathlib.Path, content: bytes, code: str
) -> None:
    pdf.write_bytes(content)
    with pytest.raises(documents.DocumentRefusedError) as caught:
        pades.check_document(pdf, signing_world.pades())
    assert caught.value.code == code


def test_truncated_pdf_is_refused(pdf: pathlib.Path) -> None:
    whole = pdf.read_bytes()
    pdf.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(pdf_structure.PdfTruncatedError):
        pades.check_document(pdf, signing_world.pades())


def test_encrypted_pdf_is_refused(pdf: pathlib.Path) -> None:
    with pdf.open("rb") as file:
        opened = writer.copy_into_new_writer(reader.PdfFileReader(file))
        opened.encrypt(owner_pass="TEST", user_pass="TEST")
        written = io.BytesIO()
        opened.write(written)
    pdf.write_bytes(written.getvalue())
    with pytest.raises(pdf_structure.PdfEncryptedError):
        pades.check_document(pdf, signing_world.pades())


def test_document_that_an_earlier_signature_closed_is_refused(
    pdf: pathlib.Path, sign: Sign
) -> None:
    signed = sign(pdf)

    def close(opened: IncrementalPdfFileWriter) -> None:
        value = opened.root["/AcroForm"]["/Fields"][0]["/V"]
        limits = generic.DictionaryObject({generic.pdf_name("/P"): generic.NumberObject(1)})
        reference = generic.DictionaryObject(
            {
                generic.pdf_name("/TransformMethod"): generic.pdf_name("/DocMDP"),
                generic.pdf_name("/TransformParams"): limits,
            }
        )
        value["/Reference"] = generic.ArrayObject([reference])
        opened.update_container(value)

    changed(signed, close)
    with pytest.raises(permissions.PdfCertifiedError):
        pades.check_document(signed, signing_world.pades())


def test_page_that_does_not_exist_is_refused(pdf: pathlib.Path) -> None:
    look = parameters.Appearance(3, (10, 10, 200, 60))
    with pytest.raises(pdf_structure.PdfPageError):
        pades.check_document(pdf, signing_world.pades(appearance=look))


PDF = signing_world.make_pdf()
SIGNER = hierarchy_support.make_hierarchy(
    datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
).signer()


@settings(max_examples=150, deadline=None)
@given(
    places=st.lists(
        st.tuples(st.integers(0, len(PDF) - 1), st.integers(0, 255)), min_size=1, max_size=40
    )
)
def test_mutated_pdf_is_signed_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    content = bytearray(PDF)
    for place, value in places:
        content[place] = value
    source = folder / "source"
    source.write_bytes(content)
    at = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    with contextlib.suppress(errors.InputError):
        pades.check_document(source, signing_world.pades())
        prepared = pades.prepare(
            source,
            folder / "target",
            certificate=SIGNER.certificate,
            chain=SIGNER.issuers,
            parameters=signing_world.pades(),
            at=at,
        )
        assert prepared.data_to_be_signed


@settings(max_examples=100, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=10))
def test_mutated_signed_pdf_is_augmented_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("mutated")
    (folder / "source").write_bytes(PDF)
    prepared = pades.prepare(
        folder / "source",
        folder / "prepared",
        certificate=SIGNER.certificate,
        chain=SIGNER.issuers,
        parameters=signing_world.pades(),
        at=datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC),
    )
    value = SIGNER.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    pades.embed(prepared, folder / "prepared", folder / "signed", value)
    content = bytearray((folder / "signed").read_bytes())
    for place, byte in places:
        # Most of the file is the document; what matters here comes after it.
        content[len(PDF) + place % (len(content) - len(PDF))] = byte
    (folder / "signed").write_bytes(content)
    for source, target in (("signed", "stamped"), ("stamped", "again")):
        with contextlib.suppress(errors.InputError, errors.StateError, FileNotFoundError):
            pades.check_document(folder / source, signing_world.pades())
            pades.add_signature_time_stamp(folder / source, folder / target, lambda _: b"\x30\x00")
            pades.time_stamp_tokens(folder / target)


def test_time_stamp_goes_into_the_room_that_was_kept_and_changes_nothing_else(
    tmp_path: pathlib.Path, pdf: pathlib.Path, sign: Sign
) -> None:
    signed = sign(pdf)
    asked: list[signature.DataToBeSignedRepresentation] = []

    def request_token(representation: signature.DataToBeSignedRepresentation) -> bytes:
        asked.append(representation)
        return b"\x30\x03\x02\x01\x07"  # Its content is not looked at here.

    pades.add_signature_time_stamp(signed, tmp_path / "stamped", request_token)

    (before,), (after,) = embedded(signed), embedded(tmp_path / "stamped")
    assert len(signed.read_bytes()) == (tmp_path / "stamped").stat().st_size
    value = after.signer_info["signature"].native
    assert asked == [signature.represent(value, algorithms.HashAlgorithm.SHA256)]
    assert before.signer_info["signed_attrs"].dump() == after.signer_info["signed_attrs"].dump()
    assert after.signer_info["unsigned_attrs"][0]["type"].native == "signature_time_stamp_token"


def test_token_larger_than_its_room_is_refused(
    tmp_path: pathlib.Path, pdf: pathlib.Path, sign: Sign
) -> None:
    with pytest.raises(pades.SignatureRoomError):
        pades.add_signature_time_stamp(
            sign(pdf), tmp_path / "stamped", lambda _: b"\x30\x82\x80\x00" + bytes(0x8000)
        )


def test_signature_under_a_document_time_stamp_cannot_be_stamped_any_more(
    tmp_path: pathlib.Path, pdf: pathlib.Path, sign: Sign
) -> None:
    archived = tmp_path / "archived"
    pades.add_document_time_stamp(sign(pdf), archived, lambda _: b"\x30\x00")
    with pytest.raises(pades.SignatureNotNewestError):
        pades.add_signature_time_stamp(archived, tmp_path / "again", lambda _: b"\x30\x00")


def test_broken_signature_of_somebody_else_does_not_hinder_ours(
    tmp_path: pathlib.Path, pdf: pathlib.Path, sign: Sign, hierarchy: hierarchy_support.Hierarchy
) -> None:
    first = sign(pdf)
    content = bytearray(first.read_bytes())
    content[content.index(b"/Contents <") + 20] = ord("!")
    first.write_bytes(content)
    second = sign(first, hierarchy.signer("5AB12CE"))

    pades.add_signature_time_stamp(second, tmp_path / "stamped", lambda _: b"\x30\x00")

    assert pades.time_stamp_tokens(tmp_path / "stamped") == (b"\x30\x00",)


def test_unsigned_pdf_cannot_be_augmented(tmp_path: pathlib.Path, pdf: pathlib.Path) -> None:
    with pytest.raises(pdf_structure.PdfUnsignedError):
        pades.add_signature_time_stamp(pdf, tmp_path / "stamped", lambda _: b"\x30\x00")


@pytest.mark.clause("EN 319 142-1", "5.4")
def test_validation_data_is_stored_once_and_what_was_stored_before_stays(
    tmp_path: pathlib.Path,
    pdf: pathlib.Path,
    sign: Sign,
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    first = revocation_data.ValidationData(
        (hierarchy.root.certificate,), (b"\x30\x01\x00",), (b"\x30\x00",)
    )
    second = revocation_data.ValidationData(
        (hierarchy.root.certificate, hierarchy.issuing.certificate),
        (b"\x30\x01\x01",),
        (b"\x30\x00",),
    )

    pades.add_validation_data(sign(pdf), tmp_path / "first", first)
    pades.add_validation_data(tmp_path / "first", tmp_path / "second", second)

    store = reader.PdfFileReader(io.BytesIO((tmp_path / "second").read_bytes())).root["/DSS"]
    stored = {
        key: [one.get_object().data for one in store[key]] for key in ("/Certs", "/OCSPs", "/CRLs")
    }
    assert stored == {
        "/Certs": [hierarchy.root.der, hierarchy.issuing.der],
        "/OCSPs": [b"\x30\x01\x00", b"\x30\x01\x01"],
        "/CRLs": [b"\x30\x00"],
    }


@pytest.mark.clause("EN 319 142-1", "5.4.2.3")
def test_what_each_signature_needs_is_named_under_its_hash_and_stored_once(
    tmp_path: pathlib.Path,
    pdf: pathlib.Path,
    sign: Sign,
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    root, issuing = hierarchy.root.certificate, hierarchy.issuing.certificate
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    one = revocation_data.ValidationData((root,), (b"\x30\x01\x00",), ())
    two = revocation_data.ValidationData((root, issuing), (), (b"\x30\x00",))
    pades.add_validation_data(sign(pdf), first, one)
    again = sign(first, hierarchy.signer("5AB12CE"))
    pades.add_validation_data(again, second, two)
    pades.add_validation_data(second, third, two, position=0)

    opened = reader.PdfFileReader(io.BytesIO(third.read_bytes()))
    store = opened.root["/DSS"]
    assert len(store["/Certs"]) == 2
    named = {}
    for found in opened.embedded_signatures:
        # ISO 32000-2 table 261: over the bytes of Contents with their padding.
        key = hashlib.sha1(found.pkcs7_content, usedforsecurity=False).hexdigest().upper()
        entry = store["/VRI"]["/" + key]
        assert entry["/Type"] == "/VRI"
        named[found.field_name] = {
            kind: [one.get_object().data for one in entry[kind]]
            for kind in ("/Cert", "/OCSP", "/CRL")
            if kind in entry
        }
        for kind, all_of_them in (("/Cert", "/Certs"), ("/OCSP", "/OCSPs"), ("/CRL", "/CRLs")):
            inside = {one.reference for one in entry[kind]} if kind in entry else set()
            assert inside <= {one.reference for one in store.get(all_of_them, ())}
    both = [hierarchy.root.der, hierarchy.issuing.der]
    assert named == {
        "Signature1": {"/Cert": both, "/OCSP": [b"\x30\x01\x00"], "/CRL": [b"\x30\x00"]},
        "Signature2": {"/Cert": both, "/CRL": [b"\x30\x00"]},
    }
    assert pades.find_signatures(third)[0].is_archived is False


def test_signature_is_read_by_another_library_with_every_scheme(
    hierarchy: hierarchy_support.Hierarchy,
) -> None:
    holder = hierarchy.signer()
    for scheme, name in (
        (algorithms.SignatureAlgorithm.ECDSA, "sha256_ecdsa"),
        (algorithms.SignatureAlgorithm.RSA_PKCS1, "sha256_rsa"),
        (algorithms.SignatureAlgorithm.RSA_PSS, "rsassa_pss"),
    ):
        content = cms.signed_data(
            attributes=cms_signed_attributes.build(
                content_digest=bytes(32),
                hash_algorithm=algorithms.HashAlgorithm.SHA256,
                certificate=holder.certificate,
                chosen=signing_world.pades(documents.SignatureLevel.B_B),
            ),
            value=signature.SignatureValue(scheme, algorithms.HashAlgorithm.SHA256, b"\x01" * 64),
            chain=holder.chain[:-1],
        )
        signed = asn1_cms.ContentInfo.load(content, strict=True)["content"]
        assert signed["signer_infos"][0]["signature_algorithm"]["algorithm"].native == name
        assert signed.dump(force=True) in content
        assert cms.parse(content + bytes(100)).certificates == tuple(
            sorted(certificates.to_der(one) for one in holder.chain[:-1])
        )
