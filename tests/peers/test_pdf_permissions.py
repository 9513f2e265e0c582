"""Certified and locked PDFs at every level, judged by pdfsig, pyHanko and qpdf."""

import datetime
import io
import pathlib
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image
from pyhanko.pdf_utils import reader
from pyhanko.sign import fields
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import dss, pdf_embedded

from pki import algorithms
from signing_service import augmentation, documents, parameters
from signing_service.creation.pdf import pictures
from tests.support import form_pdfs, hierarchy, signing_desk, signing_world

pytestmark = pytest.mark.peer

PADES = documents.SignatureFormat.PADES
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
NO_CHANGES, FORM_FILLING, ANNOTATIONS = parameters.PermittedChanges
INCLUDE = parameters.LockAction.INCLUDE


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[signing_desk.Desk]:
    with signing_desk.open_desk(tmp_path, at) as made:
        yield made


@pytest.fixture
def form(tmp_path: pathlib.Path) -> pathlib.Path:
    """A form with text fields, and a signature field for a buyer that locks the price."""
    path = tmp_path / "form.pdf"
    path.write_bytes(signing_world.make_pdf())
    form_pdfs.add_text_fields(path, "Price", "Date")
    form_pdfs.add_signature_field(
        path,
        fields.SigFieldSpec(
            "Buyer",
            box=(60, 300, 300, 380),
            field_mdp_spec=fields.FieldMDPSpec(fields.FieldMDPAction.INCLUDE, ["Price"]),
        ),
    )
    return path


@pytest.fixture
def picture(tmp_path: pathlib.Path) -> parameters.Picture:
    path = tmp_path / "logo.png"
    Image.new("RGBA", (300, 100), (0, 60, 160, 200)).save(path)
    return pictures.read(path)


def sign(
    desk: signing_desk.Desk,
    source: pathlib.Path,
    level: documents.SignatureLevel,
    signer: hierarchy.Holder | None = None,
    **chosen: object,
) -> pathlib.Path:
    return desk.sign([source], PADES, level, signer, **chosen)


def embedded(path: pathlib.Path) -> dict[str, pdf_embedded.EmbeddedPdfSignature]:
    # Not strict: hybrid files are refused otherwise.
    opened = reader.PdfFileReader(io.BytesIO(path.read_bytes()), strict=False)
    return {one.field_name: one for one in opened.embedded_regular_signatures}


def pyhanko_permits(path: pathlib.Path) -> dict[str, tuple[str, bool]]:
    """What pyHanko's comparison says of each signature: how much was changed, and if it may."""
    found = {}
    for name, one in embedded(path).items():
        one.compute_integrity_info()
        status = one.summarise_integrity_info()
        level = getattr(one.diff_result, "modification_level", ModificationLevel.OTHER)
        found[name] = (level.name, bool(status["docmdp_ok"]))
    return found


def ours(desk: signing_desk.Desk, path: pathlib.Path) -> dict[str, tuple[str, str]]:
    found = desk.judge(path)["signatures"]
    return {one["id"]: (one["indication"], one["changes_after_signing"]) for one in found}


def pdfsig(desk: signing_desk.Desk, path: pathlib.Path) -> list[str]:
    """The verdicts of poppler on persons' signatures, with the root in its key database."""
    folder = desk.folder / "nss"
    name = f"sql:{folder}"
    if not folder.exists():
        folder.mkdir()
        certutil = signing_desk.program("certutil")
        for arguments in (
            ("-N", "--empty-password"),
            ("-A", "-n", "root", "-t", "CT,C,C", "-i", str(desk.root)),
        ):
            assert signing_desk.run(certutil, "-d", name, *arguments).returncode == 0
    shown = signing_desk.run(signing_desk.program("pdfsig"), "-nssdir", name, str(path))
    parts = shown.stdout.decode().split("Signature #")[1:]
    return [
        "valid" if "Signature is Valid" in one and "Certificate is Trusted" in one else one
        for one in parts
        if "ETSI.CAdES.detached" in one
    ]


def qpdf_finds_nothing(path: pathlib.Path) -> bool:
    answer = signing_desk.run(signing_desk.program("qpdf"), "--check", str(path))
    return answer.returncode == 0


KINDS: dict[str, dict[str, object]] = {
    "no-changes": {"certification": NO_CHANGES},
    "form-filling": {"certification": FORM_FILLING},
    "annotations": {"certification": ANNOTATIONS},
    "locked": {"lock": parameters.FieldLock(INCLUDE, ("Price",), FORM_FILLING)},
    "approval": {},
}
"""The kinds of signatures in a PDF, made in every level and on the page or in its field."""


@pytest.mark.clause("EN 319 142-1", "6.3")
@pytest.mark.parametrize("level", list(documents.SignatureLevel))
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_signature_is_accepted_everywhere_in_every_level(
    desk: signing_desk.Desk, form: pathlib.Path, picture: parameters.Picture,
    kind: str, level: documents.SignatureLevel,
) -> None:  # fmt: skip
    look = parameters.Appearance(1, (300, 60, 560, 130), picture=picture)
    if kind != "locked":
        look = parameters.Appearance(field="Buyer", picture=picture)
    signed = sign(desk, form, level, appearance=look, **KINDS[kind])

    assert pdfsig(desk, signed) == ["valid"]
    assert qpdf_finds_nothing(signed)
    ((changed, is_permitted),) = pyhanko_permits(signed).values()
    assert is_permitted
    assert changed in ("NONE", "LTA_UPDATES"), "evidence and time stamps"
    ((verdict, changes),) = ours(desk, signed).values()
    assert changes in ("none", "permitted")
    if level >= B_LT:
        assert verdict == "TOTAL-PASSED"


@pytest.mark.parametrize("permitted", [FORM_FILLING, ANNOTATIONS])
def test_filled_in_and_signed_by_others_a_certified_form_stays_valid_for_all(
    desk: signing_desk.Desk, form: pathlib.Path, picture: parameters.Picture,
    permitted: parameters.PermittedChanges,
) -> None:  # fmt: skip
    people = desk.world.authorities
    certified = sign(desk, form, B_LTA, certification=permitted)
    form_pdfs.fill(certified, "Price", "100 AZN")
    look = parameters.Appearance(field="Buyer", picture=picture)
    buyer = people.signer("5AB12CE", algorithms.KeyKind.RSA3072)
    bought = sign(desk, certified, B_LTA, buyer, appearance=look)
    form_pdfs.fill(bought, "Date", "2026-11-01")
    witness = people.signer("5AB12CF", algorithms.KeyKind.P384)
    witnessed = sign(desk, bought, B_LTA, witness)

    assert pdfsig(desk, witnessed) == ["valid"] * 3
    assert qpdf_finds_nothing(witnessed)
    assert all(is_permitted for _, is_permitted in pyhanko_permits(witnessed).values())
    assert set(ours(desk, witnessed).values()) == {("TOTAL-PASSED", "permitted")}

    # The buyer's field locks the price, which somebody raises.
    form_pdfs.fill(witnessed, "Price", "999 AZN")
    judged = pyhanko_permits(witnessed)
    assert judged["Buyer"] == ("OTHER", False)
    assert ours(desk, witnessed)["Buyer"][1] == "undefined"
    assert ours(desk, witnessed)["Buyer"][0] != "TOTAL-PASSED"


def test_change_that_a_certification_forbids_is_refused_by_all_who_look(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    for permitted, change in (
        (NO_CHANGES, lambda path: form_pdfs.fill(path, "Price", "999 AZN")),
        (FORM_FILLING, form_pdfs.add_page_content),
        (ANNOTATIONS, form_pdfs.add_page_content),
    ):
        signed = sign(desk, form, B_LTA, certification=permitted)
        change(signed)
        (name,) = ours(desk, signed)
        assert pyhanko_permits(signed)[name][1] is False
        assert ours(desk, signed)[name][1] == "undefined"
        assert ours(desk, signed)[name][0] != "TOTAL-PASSED"


def test_lock_is_kept_through_evidence_and_archive_time_stamps(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    """Time stamps add fields of their own, which a lock of all fields does not mean."""
    lock = parameters.FieldLock(parameters.LockAction.ALL, changes=NO_CHANGES)
    signed = sign(desk, form, B_LTA, lock=lock)
    assert pdfsig(desk, signed) == ["valid"]
    assert pyhanko_permits(signed) == {"Signature1": ("LTA_UPDATES", True)}
    assert ours(desk, signed) == {"Signature1": ("TOTAL-PASSED", "permitted")}


def test_closed_document_is_raised_and_its_archive_time_stamp_renewed(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    """ISO 32000-2 12.8.2.2: evidence and document time stamps may be added to what is closed."""
    current = sign(desk, form, B_B, certification=NO_CHANGES)
    for number in range(2):
        target = desk.folder / f"raised-{number}.pdf"
        augmentation.augment_document(
            desk.service, documents.Document("form.pdf", current), target, B_LTA, desk.at
        )
        current = target
        if not number:  # pdfsig's clock is the machine's, and the renewal is tomorrow.
            assert pdfsig(desk, current) == ["valid"]
        assert pyhanko_permits(current) == {"Signature1": ("LTA_UPDATES", True)}
        assert ours(desk, current) == {"Signature1": ("TOTAL-PASSED", "permitted")}
        desk.world.clock.move(datetime.timedelta(days=1))


def test_evidence_of_two_signatures_that_are_raised_is_named_under_each(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    once = sign(desk, form, B_B)
    twice = sign(desk, once, B_T, desk.world.authorities.signer("5AB12CE"))
    target = desk.folder / "raised.pdf"
    augmentation.augment_document(
        desk.service, documents.Document("form.pdf", twice), target, B_LT, desk.at
    )
    opened = reader.PdfFileReader(io.BytesIO(target.read_bytes()))
    named = opened.root["/DSS"]["/VRI"]
    for one in opened.embedded_regular_signatures:
        mine = named[dss.DocumentSecurityStore.sig_content_identifier(one.pkcs7_content)]
        inside = {entry.get_object().data for entry in mine["/Cert"]}
        assert one.signer_cert.dump() in inside
        others = [other for other in opened.embedded_regular_signatures if other is not one]
        assert not {other.signer_cert.dump() for other in others} & inside


@pytest.mark.clause("EN 319 142-1", "5.4.2.3")
def test_pyhanko_finds_the_evidence_of_each_signature_by_its_hash(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    once = sign(desk, form, B_LT)
    twice = sign(desk, once, B_LTA, desk.world.authorities.signer("5AB12CE"))
    opened = reader.PdfFileReader(io.BytesIO(twice.read_bytes()))
    store = dss.DocumentSecurityStore.read_dss(opened)
    for one in opened.embedded_regular_signatures:
        key = dss.DocumentSecurityStore.sig_content_identifier(one.pkcs7_content)
        mine = store.vri_entries[key].get_object()
        assert mine["/Cert"], "the path of the signer and of the time-stamping unit"
        assert "/OCSP" in mine
        named = {entry.reference for entry in (*mine["/Cert"], *mine["/OCSP"])}
        assert named <= {entry.reference for entry in (*store.certs.values(), *store.ocsps)}


@pytest.mark.parametrize(
    "arguments",
    [("--linearize",), ("--object-streams=generate",), ("--object-streams=disable", "--qdf")],
)
def test_pdf_of_every_structure_is_signed_twice_and_stays_valid(
    desk: signing_desk.Desk, form: pathlib.Path, arguments: tuple[str, ...]
) -> None:
    source = desk.folder / "other.pdf"
    qpdf = signing_desk.program("qpdf")
    assert signing_desk.run(qpdf, *arguments, str(form), str(source)).returncode == 0
    _sign_twice(desk, source)


def test_pdf_with_two_tables_of_contents_is_signed_twice_and_stays_valid(
    desk: signing_desk.Desk,
) -> None:
    source = desk.folder / "hybrid.pdf"
    source.write_bytes(form_pdfs.hybrid(b"BT ET"))
    _sign_twice(desk, source)


def test_page_deep_in_the_tree_is_found(desk: signing_desk.Desk) -> None:
    source = desk.folder / "nested.pdf"
    source.write_bytes(form_pdfs.nested(levels=5, pages=3))
    signed = sign(desk, source, B_T, appearance=parameters.Appearance(2, (60, 60, 300, 130)))
    ((_, one),) = embedded(signed).items()
    pages = [kid.reference for kid in one.sig_field["/P"]["/Parent"]["/Kids"]]
    assert pages.index(one.sig_field.raw_get("/P").reference) == 1
    assert pdfsig(desk, signed) == ["valid"]


def _sign_twice(desk: signing_desk.Desk, source: pathlib.Path) -> None:
    whole = shutil.copyfile(source, desk.folder / "before.pdf").read_bytes()
    look = parameters.Appearance()
    once = sign(desk, source, B_LTA, appearance=look)
    twice = sign(desk, once, B_LTA, desk.world.authorities.signer("5AB12CE"), appearance=look)
    assert twice.read_bytes().startswith(once.read_bytes())
    assert once.read_bytes().startswith(whole)
    assert pdfsig(desk, twice) == ["valid", "valid"]
    assert all(is_permitted for _, is_permitted in pyhanko_permits(twice).values())
    assert {verdict for verdict, _ in ours(desk, twice).values()} == {"TOTAL-PASSED"}
    assert {changes for _, changes in ours(desk, twice).values()} == {"permitted"}
