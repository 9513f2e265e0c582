"""Certifications, locks and existing fields: what is written, and what is refused."""

import contextlib
import datetime
import functools
import io
import pathlib
import tempfile
from collections.abc import Callable

import pytest
from asn1crypto import x509 as asn1_x509
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic, reader
from pyhanko.sign import fields
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import pdf_embedded

from pki import certificates, errors, signature
from signing_service import parameters
from signing_service.creation import pades
from signing_service.validation import report
from signing_service.validation.pdf import pdf_document
from tests.support import form_pdfs, hierarchy, signing_world
from tests.support import hierarchy as hierarchy_support

NO_CHANGES, FORM_FILLING, ANNOTATIONS = parameters.PermittedChanges
ALL, INCLUDE, EXCLUDE = parameters.LockAction

Sign = Callable[..., pathlib.Path]


@pytest.fixture
def form(tmp_path: pathlib.Path) -> pathlib.Path:
    """A contract with the text fields Price and Date."""
    path = tmp_path / "form.pdf"
    path.write_bytes(signing_world.make_pdf())
    form_pdfs.add_text_fields(path, "Price", "Date")
    return path


@pytest.fixture
def sign(tmp_path: pathlib.Path, hierarchy: hierarchy.Hierarchy, at: datetime.datetime) -> Sign:
    holder = hierarchy.signer()

    def sign_file(source: pathlib.Path, **chosen: object) -> pathlib.Path:
        wanted = signing_world.pades(**chosen)
        pades.check_document(source, wanted)
        number = len(list(tmp_path.iterdir()))
        prepared_path, target = tmp_path / f"{number}.prepared", tmp_path / f"{number}.pdf"
        prepared = pades.prepare(
            source,
            prepared_path,
            certificate=holder.certificate,
            chain=holder.issuers,
            parameters=wanted,
            at=at,
        )
        value = holder.handle.sign(
            signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
        )
        pades.embed(prepared, prepared_path, target, value)
        return target

    return sign_file


def refusal(sign: Sign, source: pathlib.Path, **chosen: object) -> str:
    with pytest.raises(errors.InputError) as caught:
        sign(source, **chosen)
    return caught.value.code


def signatures(path: pathlib.Path) -> list[pdf_embedded.EmbeddedPdfSignature]:
    opened = reader.PdfFileReader(io.BytesIO(path.read_bytes()))
    return list(opened.embedded_regular_signatures)


def changes(path: pathlib.Path) -> list[report.Changes]:
    """What our validator says came after each signature."""
    return [one.changes for one in pdf_document.read(path, path.name).signatures]


def judged_by_pyhanko(path: pathlib.Path) -> list[str]:
    found = []
    for one in signatures(path):
        one.compute_integrity_info()
        level = getattr(one.diff_result, "modification_level", None)
        found.append("refused" if level is None else level.name)
    return found


@pytest.mark.clause("ISO 32000-1", "12.8.2.2")
@pytest.mark.parametrize("permitted", list(parameters.PermittedChanges))
def test_certification_stands_in_the_signature_and_in_the_catalog(
    form: pathlib.Path, sign: Sign, permitted: parameters.PermittedChanges
) -> None:
    signed = sign(form, certification=permitted)

    (found,) = signatures(signed)
    assert found.docmdp_level is fields.MDPPerm(permitted.number)
    certified = pdf_embedded.read_certification_data(found.reader)
    assert certified is not None
    assert certified.permission is found.docmdp_level
    assert certified.author_sig.raw_get("/ByteRange") == found.sig_object.raw_get("/ByteRange")
    assert changes(signed) == [report.Changes.NONE]


def test_signature_without_a_certification_is_an_approval(form: pathlib.Path, sign: Sign) -> None:
    (found,) = signatures(sign(form))
    assert found.docmdp_level is None
    assert "/Reference" not in found.sig_object
    assert "/Perms" not in found.reader.root


def test_document_that_is_signed_cannot_be_certified(form: pathlib.Path, sign: Sign) -> None:
    signed = sign(form)
    assert refusal(sign, signed, certification=FORM_FILLING) == "certification-not-first"


def test_certification_without_changes_refuses_a_further_signature(
    form: pathlib.Path, sign: Sign
) -> None:
    signed = sign(form, certification=NO_CHANGES)
    assert refusal(sign, signed) == "document-certified"


@pytest.mark.parametrize("permitted", [FORM_FILLING, ANNOTATIONS])
def test_certified_form_can_be_filled_and_signed_in_its_field_or_without_a_picture(
    form: pathlib.Path, sign: Sign, permitted: parameters.PermittedChanges
) -> None:
    form_pdfs.add_signature_field(form, fields.SigFieldSpec("Buyer", box=(60, 300, 300, 380)))
    certified = sign(form, certification=permitted)
    form_pdfs.fill(certified, "Price", "100 AZN")
    once = sign(certified, appearance=parameters.Appearance(field="Buyer"))
    twice = sign(once)

    assert [one.field_name for one in signatures(twice)] == ["Signature1", "Buyer", "Signature2"]
    assert changes(twice) == [report.Changes.PERMITTED] * 2 + [report.Changes.NONE]
    filled, untouched = ModificationLevel.FORM_FILLING.name, ModificationLevel.NONE.name
    assert judged_by_pyhanko(twice) == [filled, filled, untouched]


@pytest.mark.parametrize("permitted", [FORM_FILLING, ANNOTATIONS])
def test_certified_document_takes_no_new_field_that_can_be_seen(
    form: pathlib.Path, sign: Sign, permitted: parameters.PermittedChanges
) -> None:
    certified = sign(form, certification=permitted)
    assert refusal(sign, certified, appearance=parameters.Appearance()) == "document-certified"


def test_change_against_a_certification_is_seen(form: pathlib.Path, sign: Sign) -> None:
    for permitted in parameters.PermittedChanges:
        certified = sign(form, certification=permitted)
        form_pdfs.add_page_content(certified)
        assert changes(certified) == [report.Changes.UNDEFINED]
        assert judged_by_pyhanko(certified) == ["refused"]
    certified = sign(form, certification=NO_CHANGES)
    form_pdfs.fill(certified, "Price", "999 EUR")
    assert changes(certified) == [report.Changes.UNDEFINED]


@pytest.mark.clause("ISO 32000-1", "12.8.2.4")
def test_lock_stands_in_the_field_and_in_the_signature(form: pathlib.Path, sign: Sign) -> None:
    lock = parameters.FieldLock(INCLUDE, ("Price",), FORM_FILLING)
    signed = sign(form, lock=lock)

    (found,) = signatures(signed)
    wanted = fields.FieldMDPSpec(fields.FieldMDPAction.INCLUDE, ["Price"])
    assert found.fieldmdp == wanted
    assert fields.FieldMDPSpec.from_pdf_object(found.sig_field["/Lock"]) == wanted
    assert found.sig_field["/Lock"]["/P"] == FORM_FILLING.number
    assert found.docmdp_level is fields.MDPPerm.FILL_FORMS
    assert "/Perms" not in found.reader.root, "a lock makes no certification"

    form_pdfs.fill(signed, "Date", "2026-11-01")
    assert changes(signed) == [report.Changes.PERMITTED]
    form_pdfs.fill(signed, "Price", "999 EUR")
    assert changes(signed) == [report.Changes.UNDEFINED]
    assert judged_by_pyhanko(signed) == ["refused"]


def test_lock_of_all_but_some_fields_leaves_those_open(form: pathlib.Path, sign: Sign) -> None:
    form_pdfs.add_signature_field(form, fields.SigFieldSpec("Buyer"))
    signed = sign(form, lock=parameters.FieldLock(EXCLUDE, ("Buyer", "Date")))
    form_pdfs.fill(signed, "Date", "2026-11-01")
    assert changes(signed) == [report.Changes.PERMITTED]
    assert refusal(sign, signed) == "field-locked"
    again = sign(signed, appearance=parameters.Appearance(field="Buyer"))
    # In the order of the form, where the new signature's field comes first.
    assert changes(again) == [report.Changes.NONE, report.Changes.PERMITTED]


def test_certification_can_lock_fields_too(form: pathlib.Path, sign: Sign) -> None:
    lock = parameters.FieldLock(INCLUDE, ("Price",))
    signed = sign(form, certification=FORM_FILLING, lock=lock)
    (found,) = signatures(signed)
    assert found.docmdp_level is fields.MDPPerm.FILL_FORMS
    assert found.fieldmdp is not None
    form_pdfs.fill(signed, "Price", "999 EUR")
    assert changes(signed) == [report.Changes.UNDEFINED]


def test_lock_permits_no_more_than_an_earlier_signature(form: pathlib.Path, sign: Sign) -> None:
    certified = sign(form, certification=FORM_FILLING)
    again = sign(certified, lock=parameters.FieldLock(INCLUDE, ("Price",), ANNOTATIONS))
    assert signatures(again)[1].docmdp_level is fields.MDPPerm.FILL_FORMS


def test_lock_without_changes_closes_the_document(form: pathlib.Path, sign: Sign) -> None:
    signed = sign(form, lock=parameters.FieldLock(ALL, changes=NO_CHANGES))
    assert refusal(sign, signed) == "document-certified"


def test_lock_of_all_fields_refuses_a_further_signature(form: pathlib.Path, sign: Sign) -> None:
    signed = sign(form, lock=parameters.FieldLock(ALL))
    assert refusal(sign, signed) == "field-locked"


def test_lock_on_a_field_that_is_not_there_is_refused(form: pathlib.Path, sign: Sign) -> None:
    lock = parameters.FieldLock(INCLUDE, ("Price", "Pirce"))
    assert refusal(sign, form, lock=lock) == "lock-field-unknown"


def test_lock_of_a_signed_field_counts_where_its_signature_does_not_repeat_it(
    form: pathlib.Path, sign: Sign
) -> None:
    form_pdfs.add_signature_field(form, fields.SigFieldSpec("Buyer"))
    signed = sign(form, lock=parameters.FieldLock(INCLUDE, ("Buyer",)))
    assert signatures(signed)[0].fieldmdp is not None

    def forget(opened: object) -> None:
        value = opened.root["/AcroForm"]["/Fields"][-1]["/V"]  # type: ignore[attr-defined]
        del value["/Reference"]
        opened.update_container(value)  # type: ignore[attr-defined]

    form_pdfs.changed(signed, forget)
    wanted = parameters.Appearance(field="Buyer")
    assert refusal(sign, signed, appearance=wanted) == "field-locked"


def test_certification_without_its_permission_permits_form_filling(
    form: pathlib.Path, sign: Sign
) -> None:
    """ISO 32000-1 table 254: P is 2 where it is left out."""
    signed = sign(form, certification=ANNOTATIONS)

    def forget(opened: object) -> None:
        value = opened.root["/Perms"]["/DocMDP"]  # type: ignore[attr-defined]
        del value["/Reference"][0]["/TransformParams"]
        opened.update_container(value)  # type: ignore[attr-defined]

    form_pdfs.changed(signed, forget)
    assert refusal(sign, signed, appearance=parameters.Appearance()) == "document-certified"


class TestExistingField:
    """A field that the document's author left for the signer."""

    LOCKING = fields.SigFieldSpec(
        "Buyer",
        box=(60, 300, 300, 380),
        field_mdp_spec=fields.FieldMDPSpec(fields.FieldMDPAction.INCLUDE, ["Price"]),
        doc_mdp_update_value=fields.MDPPerm.FILL_FORMS,
    )

    def test_its_place_and_its_lock_are_kept(self, form: pathlib.Path, sign: Sign) -> None:
        form_pdfs.add_signature_field(form, self.LOCKING)
        signed = sign(form, appearance=parameters.Appearance(field="Buyer"))

        (found,) = signatures(signed)
        assert found.field_name == "Buyer"
        assert [float(one) for one in found.sig_field["/Rect"]] == [60, 300, 300, 380]
        assert found.fieldmdp == self.LOCKING.field_mdp_spec
        assert found.docmdp_level is fields.MDPPerm.FILL_FORMS
        assert found.sig_field["/AP"]["/N"].data
        form_pdfs.fill(signed, "Price", "999 EUR")
        assert changes(signed) == [report.Changes.UNDEFINED]

    def test_another_lock_than_its_own_is_refused(self, form: pathlib.Path, sign: Sign) -> None:
        form_pdfs.add_signature_field(form, self.LOCKING)
        look = parameters.Appearance(field="Buyer")
        lock = parameters.FieldLock(ALL)
        assert refusal(sign, form, appearance=look, lock=lock) == "field-demands"

    def test_field_without_a_lock_takes_the_callers(self, form: pathlib.Path, sign: Sign) -> None:
        form_pdfs.add_signature_field(form, fields.SigFieldSpec("Buyer", box=(60, 300, 300, 380)))
        look = parameters.Appearance(field="Buyer")
        signed = sign(form, appearance=look, lock=parameters.FieldLock(ALL))
        assert signatures(signed)[0].fieldmdp is not None

    def test_field_under_another_is_found_by_its_full_name(
        self, form: pathlib.Path, sign: Sign
    ) -> None:
        for field in ("contract.buyer", "contract.seller"):
            form_pdfs.add_signature_field(form, fields.SigFieldSpec(field))
        signed = sign(form, appearance=parameters.Appearance(field="contract.seller"))
        assert [one.field_name for one in signatures(signed)] == ["contract.seller"]

    def test_widget_apart_from_its_field_gets_the_look(
        self, form: pathlib.Path, sign: Sign
    ) -> None:
        box = (60, 300, 300, 380)
        spec = fields.SigFieldSpec("Buyer", box=box, combine_annotation=False)
        form_pdfs.add_signature_field(form, spec)
        (found,) = signatures(sign(form, appearance=parameters.Appearance(field="Buyer")))
        assert found.sig_field["/Kids"][0]["/AP"]["/N"].data

    def test_field_that_is_signed_missing_or_of_another_kind_is_refused(
        self, form: pathlib.Path, sign: Sign
    ) -> None:
        signed = sign(form)
        for name in ("Signature1", "Seller", "Price"):
            look = parameters.Appearance(field=name)
            assert refusal(sign, signed, appearance=look) == "appearance-field"

    def test_field_that_an_earlier_signature_locked_is_refused(
        self, form: pathlib.Path, sign: Sign
    ) -> None:
        form_pdfs.add_signature_field(form, fields.SigFieldSpec("Buyer"))
        signed = sign(form, lock=parameters.FieldLock(INCLUDE, ("Buyer",)))
        look = parameters.Appearance(field="Buyer")
        assert refusal(sign, signed, appearance=look) == "field-locked"
        assert changes(sign(signed)) == [report.Changes.PERMITTED, report.Changes.NONE]


def _seeded(**demands: object) -> fields.SigFieldSpec:
    seed = fields.SigSeedValueSpec(**demands)  # type: ignore[arg-type]
    return fields.SigFieldSpec("Buyer", seed_value_dict=seed)


FLAGS = fields.SigSeedValFlags
PADES = fields.SigSeedSubFilter.PADES
ADOBE = fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED


@pytest.mark.clause("ISO 32000-1", "12.7.4.5")
@pytest.mark.parametrize(
    ("demands", "chosen"),
    [
        ({"flags": FLAGS.SUBFILTER, "subfilters": [PADES, ADOBE]}, {}),
        ({"subfilters": [ADOBE]}, {}),
        ({"flags": FLAGS.REASONS, "reasons": ["Alıram", "Satıram"]}, {"reason": "Alıram"}),
        ({"flags": FLAGS.REASONS, "reasons": ["."]}, {}),
        ({"flags": FLAGS.DIGEST_METHOD, "digest_methods": ["SHA256", "SHA512"]}, {}),
        ({"seed_signature_type": fields.SeedSignatureType(None)}, {}),
        (
            {"seed_signature_type": fields.SeedSignatureType(fields.MDPPerm.FILL_FORMS)},
            {"certification": FORM_FILLING},
        ),
        (
            {"flags": FLAGS.LOCK_DOCUMENT, "lock_document": fields.SeedLockDocument.LOCK},
            {"certification": NO_CHANGES},
        ),
    ],
)
def test_demands_of_a_field_that_are_met_let_it_be_signed(
    form: pathlib.Path, sign: Sign, demands: dict[str, object], chosen: dict[str, object]
) -> None:
    form_pdfs.add_signature_field(form, _seeded(**demands))
    signed = sign(form, appearance=parameters.Appearance(field="Buyer"), **chosen)
    (found,) = signatures(signed)
    # pyHanko's own check of seed values; it wants a path only for demands on issuers.
    pdf_embedded._validate_sv_constraints(found, None, timestamp_found=False)


@pytest.mark.clause("ISO 32000-1", "12.7.4.5")
@pytest.mark.parametrize(
    ("demands", "chosen"),
    [
        ({"flags": FLAGS.SUBFILTER, "subfilters": [ADOBE]}, {}),
        ({"flags": FLAGS.REASONS, "reasons": ["Alıram"]}, {}),
        ({"flags": FLAGS.REASONS, "reasons": ["Alıram"]}, {"reason": "Satıram"}),
        ({"flags": FLAGS.REASONS, "reasons": ["."]}, {"reason": "Satıram"}),
        ({"flags": FLAGS.DIGEST_METHOD, "digest_methods": ["SHA512"]}, {}),
        ({"flags": FLAGS.ADD_REV_INFO, "add_rev_info": True}, {}),
        ({"flags": FLAGS.APPEARANCE_FILTER, "appearance": "Company"}, {}),
        ({"flags": FLAGS.V, "sv_dict_version": 4}, {}),
        ({"timestamp_server_url": "http://tsa.example.com", "timestamp_required": True}, {}),
        (
            {"seed_signature_type": fields.SeedSignatureType(None)},
            {"certification": FORM_FILLING},
        ),
        ({"seed_signature_type": fields.SeedSignatureType(fields.MDPPerm.FILL_FORMS)}, {}),
        (
            {"seed_signature_type": fields.SeedSignatureType(fields.MDPPerm.FILL_FORMS)},
            {"certification": ANNOTATIONS},
        ),
        ({"flags": FLAGS.LOCK_DOCUMENT, "lock_document": fields.SeedLockDocument.LOCK}, {}),
        (
            {"flags": FLAGS.LOCK_DOCUMENT, "lock_document": fields.SeedLockDocument.DO_NOT_LOCK},
            {"certification": NO_CHANGES},
        ),
    ],
)
def test_demand_of_a_field_that_is_not_met_is_refused(
    form: pathlib.Path, sign: Sign, demands: dict[str, object], chosen: dict[str, object]
) -> None:
    form_pdfs.add_signature_field(form, _seeded(**demands))
    look = parameters.Appearance(field="Buyer")
    assert refusal(sign, form, appearance=look, **chosen) == "field-demands"


def test_demand_that_nobody_knows_is_refused(form: pathlib.Path, sign: Sign) -> None:
    form_pdfs.add_signature_field(form, _seeded())

    def demand(opened: object) -> None:
        field = opened.root["/AcroForm"]["/Fields"][-1]  # type: ignore[attr-defined]
        field["/SV"]["/Ff"] = generic.NumberObject(1 << 12)
        opened.update_container(field["/SV"])  # type: ignore[attr-defined]

    form_pdfs.changed(form, demand)
    look = parameters.Appearance(field="Buyer")
    assert refusal(sign, form, appearance=look) == "field-demands"


def test_demands_on_the_certificate_are_met_or_refused(
    form: pathlib.Path, sign: Sign, hierarchy: hierarchy.Hierarchy
) -> None:
    mine = certificates.to_asn1(hierarchy.signer().certificate)
    others = certificates.to_asn1(hierarchy.signer("5ZZ99ZZ").certificate)
    issuing = certificates.to_asn1(hierarchy.issuing.certificate)
    root = certificates.to_asn1(hierarchy.root.certificate)
    infrastructure = certificates.to_asn1(hierarchy.infrastructure.certificate)
    flags, usage = fields.SigCertConstraintFlags, fields.SigCertKeyUsage
    tries = [
        (True, {"flags": flags.ISSUER, "issuers": [issuing]}),
        (True, {"flags": flags.ISSUER, "issuers": [infrastructure, root]}),
        (False, {"flags": flags.ISSUER, "issuers": [infrastructure]}),
        (False, {"flags": flags.SUBJECT, "subjects": [others]}),
        (True, {"subjects": [others]}),
        (
            True,
            {"flags": flags.SUBJECT_DN, "subject_dn": asn1_x509.Name.build({"country_name": "AZ"})},
        ),
        (
            False,
            {"flags": flags.SUBJECT_DN, "subject_dn": asn1_x509.Name.build({"country_name": "GE"})},
        ),
        (
            True,
            {"flags": flags.KEY_USAGE, "key_usage": [usage.from_sets({"non_repudiation"})]},
        ),
        (
            False,
            {"flags": flags.KEY_USAGE, "key_usage": [usage.from_sets({"key_agreement"})]},
        ),
        (False, {"flags": flags.OID}),
    ]
    assert mine.subject.native["country_name"] == "AZ"
    whole = form.read_bytes()
    for is_met, wanted in tries:
        form.write_bytes(whole)
        form_pdfs.add_signature_field(form, _seeded(cert=fields.SigCertConstraints(**wanted)))
        look = parameters.Appearance(field="Buyer")
        if is_met:
            assert len(signatures(sign(form, appearance=look))) == 1, wanted
        else:
            assert refusal(sign, form, appearance=look) == "field-demands", wanted


@functools.cache
def demanding() -> tuple[bytes, hierarchy_support.Holder]:
    """A signed form whose field for the buyer has a lock and demands, and who signed it."""
    with tempfile.TemporaryDirectory() as name:
        return _make_demanding(pathlib.Path(name))


def _make_demanding(folder: pathlib.Path) -> tuple[bytes, hierarchy_support.Holder]:
    path, prepared_path, target = folder / "form", folder / "prepared", folder / "signed"
    path.write_bytes(signing_world.make_pdf(pages=1))
    form_pdfs.add_text_fields(path, "Price")
    constraints = fields.SigCertConstraints(
        flags=fields.SigCertConstraintFlags.KEY_USAGE,
        key_usage=[fields.SigCertKeyUsage.from_sets({"non_repudiation"})],
    )
    seed = fields.SigSeedValueSpec(flags=FLAGS.REASONS, reasons=["TEST"], cert=constraints)
    spec = fields.SigFieldSpec(
        "Buyer",
        box=(60, 300, 300, 380),
        seed_value_dict=seed,
        field_mdp_spec=fields.FieldMDPSpec(fields.FieldMDPAction.INCLUDE, ["Price"]),
        doc_mdp_update_value=fields.MDPPerm.FILL_FORMS,
    )
    form_pdfs.add_signature_field(path, spec)
    at = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    holder = hierarchy_support.make_hierarchy(at).signer()
    prepared = pades.prepare(
        path,
        prepared_path,
        certificate=holder.certificate,
        chain=holder.issuers,
        parameters=signing_world.pades(certification=FORM_FILLING),
        at=at,
    )
    value = holder.handle.sign(
        signature.represent(prepared.data_to_be_signed, prepared.hash_algorithm)
    )
    pades.embed(prepared, prepared_path, target, value)
    return target.read_bytes(), holder


PIECES = (
    b"/Lock", b"/SV", b"/Ff", b"/Fields", b"/Action", b"/Include", b"/P", b"/Rect", b"/MediaBox",
    b"/Perms", b"/DocMDP", b"/Reference", b"/TransformParams", b"/Kids", b"/Parent", b"/T ",
    b"/Reasons", b"/Cert", b"/KeyUsage", b"/Annots", b" 0 R", b"null", b"[", b"<<", b"-1", b"9e9",
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    swaps=st.lists(
        st.tuples(st.sampled_from(PIECES), st.integers(0, 20), st.sampled_from(PIECES)),
        min_size=1,
        max_size=6,
    )
)
def test_form_with_mixed_up_parts_is_signed_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    swaps: list[tuple[bytes, int, bytes]],
) -> None:
    """Words of the structure stand where others stood; lengths stay, so that all is found."""
    content, holder = demanding()
    for old, number, new in swaps:
        parts = content.split(old)
        if len(parts) > 1:
            place = number % (len(parts) - 1)
            start = sum(len(one) + len(old) for one in parts[: place + 1]) - len(old)
            swapped = new[: len(old)].ljust(len(old))
            content = content[:start] + swapped + content[start + len(old) :]
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "source").write_bytes(content)
    look = parameters.Appearance(field="Buyer")
    chosen = signing_world.pades(appearance=look, reason="TEST")
    with contextlib.suppress(errors.InputError):
        pades.check_document(folder / "source", chosen)
        pades.prepare(
            folder / "source",
            folder / "target",
            certificate=holder.certificate,
            chain=holder.issuers,
            parameters=chosen,
            at=datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC),
        )


def test_form_that_is_not_mixed_up_is_signed(tmp_path: pathlib.Path, sign: Sign) -> None:
    path = tmp_path / "source"
    path.write_bytes(demanding()[0])
    signed = sign(path, appearance=parameters.Appearance(field="Buyer"), reason="TEST")
    assert changes(signed)[0] in (report.Changes.PERMITTED, report.Changes.NONE)
