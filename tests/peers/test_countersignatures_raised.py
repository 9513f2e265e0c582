"""Counter-signatures of others' and our own signatures raised to B-LTA, before other programs."""

import datetime
import pathlib
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from lxml import etree

from pki import der, errors, signature, xades_elements, xml_signature, xml_trees
from signing_service import augmentation, documents, parameters
from signing_service.creation import (
    cms_countersignatures,
    cms_files,
    countersigning,
    formats,
    xades_signature,
    xades_unsigned,
)
from tests.support import forged_xml, signing_desk
from tests.support import hierarchy as hierarchy_support

pytestmark = pytest.mark.peer

PADES, XADES, ASIC_E, ASIC_S, CADES = documents.SignatureFormat
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
DETACHED = parameters.Packaging.DETACHED

XML = [
    (XADES, {}),
    (XADES, {"packaging": DETACHED}),
    (ASIC_E, {"container_signature": XADES}),
]
CMS = [(CADES, {}), (ASIC_E, {"container_signature": CADES}), (ASIC_S, {})]


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[signing_desk.Desk]:
    with signing_desk.open_desk(tmp_path, at) as made:
        yield made


@pytest.fixture
def form(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "form.xml"
    path.write_text('<?look?><f xmlns="urn:test" xml:lang="az"><ad>TEST ə</ad></f>', "utf-8")
    return path


def countersign(
    desk: signing_desk.Desk, signed: pathlib.Path, format: documents.SignatureFormat,
    identifier: str, person_code: str, level: documents.SignatureLevel = B_B,
) -> pathlib.Path:  # fmt: skip
    signer = desk.world.authorities.signer(person_code)
    return desk.sign([signed], format, level, signer, counter_signature_of=identifier)


def beside(signed: pathlib.Path, form: pathlib.Path) -> list[pathlib.Path]:
    return [form] if ".p7s" in signed.name or ".xades" in signed.name else []


def judged(desk: signing_desk.Desk, signed: pathlib.Path, form: pathlib.Path) -> Any:
    return desk.judge(signed, beside(signed, form))["signatures"]


def augment(
    desk: signing_desk.Desk, source: pathlib.Path, level: documents.SignatureLevel,
    form: pathlib.Path,
) -> tuple[pathlib.Path, list[str]]:  # fmt: skip
    """The raised document, and why counter-signatures were left."""
    target = source.with_name(f"{level.label}-{source.name}")
    done = augmentation.augment_document(
        desk.service,
        documents.Document(source.name, source),
        target,
        level,
        desk.at,
        detached=[documents.Document(one.name, one) for one in beside(source, form)],
    )
    return target, sorted(one.code for one in done.left.values())


def levels(found: Sequence[dict[str, Any]]) -> list[str]:
    return [one["level"].rpartition("-")[2] for one in found]


@pytest.fixture
def three(desk: signing_desk.Desk, form: pathlib.Path, request: Any) -> pathlib.Path:
    """A signature, a counter-signature of it, another of that one, and one more beside."""
    format, chosen = request.param
    signed = desk.sign([form], format, B_B, **{"container_signature": CADES, **chosen})
    (main,) = judged(desk, signed, form)
    signed = countersign(desk, signed, format, main["id"], "1ZZ11ZZ")
    inner = judged(desk, signed, form)[1]["id"]
    signed = countersign(desk, signed, format, inner, "2ZZ22ZZ")
    return countersign(desk, signed, format, main["id"], "3ZZ33ZZ")


def people(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["person_code"]: one for one in found}


@pytest.mark.clause("EN 319 132-1", "5.2.7.2")
@pytest.mark.clause("EN 319 122-1", "5.2.7")
@pytest.mark.slow
@pytest.mark.parametrize("three", [*XML[1:], *CMS[:2]], indirect=True)
def test_counter_signatures_are_raised_level_by_level_with_the_main_one_and_then_kept(
    desk: signing_desk.Desk, form: pathlib.Path, three: pathlib.Path
) -> None:
    current = three
    for level in (B_T, B_LTA):
        current, left = augment(desk, current, level, form)
        found = judged(desk, current, form)
        assert left == []
        assert levels(found) == [level.label[2:]] * 4, level
        assert all(one["intact"] for one in found)
        assert all(stamp["intact"] for one in found for stamp in one["time_stamps"])
    assert {one["indication"] for one in found} == {"TOTAL-PASSED"}
    with pytest.raises(augmentation.NothingToAugmentError):
        augment(desk, current, B_T, form)
    _check_elsewhere(desk, current, form)
    # From now on an archive time stamp of the main signature covers them.
    desk.world.clock.move(datetime.timedelta(days=1))
    renewed, left = augment(desk, current, B_LTA, form)
    assert left == ["counter-signature-archived"] * 3
    before, after = people(judged(desk, current, form)), people(judged(desk, renewed, form))
    for code, one in after.items():
        assert (one["indication"], one["level"][-3:]) == ("TOTAL-PASSED", "LTA")
        # The further one, on the main signature, is over the others too.
        assert len(one["time_stamps"]) == len(before[code]["time_stamps"]) + 1
        assert all(stamp["intact"] for stamp in one["time_stamps"])


@pytest.mark.clause("EN 319 132-1", "5.5.2")
@pytest.mark.clause("EN 319 122-1", "5.5.2")
@pytest.mark.parametrize(("format", "chosen"), [XML[0], XML[2], CMS[0], CMS[1]])
def test_counter_signature_under_an_archive_time_stamp_is_left_and_a_later_one_raised(
    desk: signing_desk.Desk, form: pathlib.Path, format: documents.SignatureFormat,
    chosen: dict[str, Any],
) -> None:  # fmt: skip
    signed = desk.sign([form], format, B_LT, **chosen)
    (main,) = judged(desk, signed, form)
    signed = countersign(desk, signed, format, main["id"], "1ZZ11ZZ")
    archived = desk.folder / f"archived-{signed.name}"
    formats.add_archive_time_stamp(format, signed, archived, desk.service.request_token)
    both = countersign(desk, archived, format, main["id"], "2ZZ22ZZ")
    inside = people(judged(desk, both, form))["1ZZ11ZZ"]["id"]
    with pytest.raises(countersigning.CounterSignatureBreaksError):
        countersign(desk, both, format, inside, "3ZZ33ZZ")
    raised, left = augment(desk, both, B_LTA, form)
    assert left == ["counter-signature-archived"]
    found = people(judged(desk, raised, form))
    assert all(one["intact"] for one in found.values())
    assert all(stamp["intact"] for one in found.values() for stamp in one["time_stamps"])
    assert {one["kind"] for one in found["1ZZ11ZZ"]["time_stamps"]} == {"archive"}
    assert found["2ZZ22ZZ"]["level"].endswith("-LTA")
    only_covered, left = augment(desk, archived, B_LTA, form)
    assert left == ["counter-signature-archived"]
    assert all(one["intact"] for one in judged(desk, only_covered, form))


@pytest.mark.parametrize(("format", "chosen"), [XML[0], CMS[0]])
def test_counter_signature_of_somebody_revoked_keeps_no_other_signature_down(
    desk: signing_desk.Desk, form: pathlib.Path, format: documents.SignatureFormat,
    chosen: dict[str, Any],
) -> None:  # fmt: skip
    signed = desk.sign([form], format, B_B, **chosen)
    main = judged(desk, signed, form)[0]["id"]
    signed = countersign(desk, signed, format, main, "1ZZ11ZZ")
    revoked = desk.world.authorities.signer("2ZZ22ZZ")
    signed = desk.sign([signed], format, B_B, revoked, counter_signature_of=main)
    desk.world.revoked[revoked.certificate.serial_number] = desk.at
    raised, left = augment(desk, signed, B_LTA, form)
    assert left == ["certificate-revoked"]
    found = people(judged(desk, raised, form))
    assert found["2ZZ22ZZ"]["level"].rpartition("-")[2] in ("T", "LTA")
    kinds = [one["kind"] for one in found["2ZZ22ZZ"]["time_stamps"]]
    assert kinds == ["signature", "archive"]
    assert found["1ZZ11ZZ"]["indication"] == "TOTAL-PASSED"
    assert all(one["intact"] for one in found.values())


def test_counter_signature_that_is_no_xades_stays_as_it_is(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    signed = desk.sign([form], XADES, B_B)
    tree = xml_trees.parse(signed.read_bytes())
    (main,) = xml_signature.signatures_in(tree.getroot())
    place = etree.SubElement(
        etree.SubElement(
            xades_unsigned.unsigned_properties(main), xades_elements.name("CounterSignature")
        ),
        xml_signature.name("Signature"),
    )
    _sign_plainly(place, main, desk.world.authorities.signer("1ZZ11ZZ"))
    plain = desk.folder / "plain.xml"
    tree.write(str(plain))
    assert [one["intact"] for one in judged(desk, plain, form)] == [True, True]
    raised, left = augment(desk, plain, B_LTA, form)
    assert left == ["document-not-xades"]
    outer, inner = judged(desk, raised, form)
    assert (outer["indication"], outer["level"]) == ("TOTAL-PASSED", "XAdES-BASELINE-LTA")
    assert (inner["intact"], inner["level"]) == (True, "XML-NOT-ETSI")


def test_counter_signatures_without_end_are_refused_before_anything_is_asked_for(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    signed = desk.sign([form], CADES, B_B)
    signed = countersign(desk, signed, CADES, "signer-1", "1ZZ11ZZ")
    signed = countersign(desk, signed, CADES, "signer-1-counter-1", "2ZZ22ZZ")
    held = cms_files.read(signed)
    main = held.signer(0)
    (both,) = main.values(der.encode_oid("1.2.840.113549.1.9.6"))
    for _ in range(augmentation.MAX_COUNTER_SIGNATURES // 2):
        held = cms_countersignatures.add(held, main.signature_value, both)
    many = desk.folder / "many.p7s"
    held.write(many)
    asked = desk.world.asked["tsa"]
    with pytest.raises(errors.LimitError, match="at most 50 counter-signatures, got"):
        augment(desk, many, B_T, form)
    assert desk.world.asked["tsa"] == asked


def test_the_same_counter_signature_twice_is_raised_as_one(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    signed = desk.sign([form], CADES, B_B)
    signed = countersign(desk, signed, CADES, "signer-1", "1ZZ11ZZ")
    held = cms_files.read(signed)
    main = held.signer(0)
    (only,) = main.values(der.encode_oid("1.2.840.113549.1.9.6"))
    twice = desk.folder / "twice.p7s"
    cms_countersignatures.add(held, main.signature_value, only).write(twice)
    raised, left = augment(desk, twice, B_LTA, form)
    found = judged(desk, raised, form)
    assert (levels(found), left) == (["LTA"] * 3, [])
    assert all(stamp["intact"] for one in found for stamp in one["time_stamps"])


def test_nothing_is_raised_where_another_signature_covers_it(
    desk: signing_desk.Desk, form: pathlib.Path
) -> None:
    """A second signer covered the document with the first signature and all that is in it."""
    form.write_text("<f>TEST</f>", "utf-8")
    first = desk.sign([form], XADES, B_B)
    covering = forged_xml.sign(
        first.read_text("utf-8"),
        desk.world.authorities.signer("1ZZ11ZZ"),
        forged_xml.Wanted(""),
    )
    both = desk.folder / "covered.xml"
    both.write_bytes(covering)
    assert [one["intact"] for one in judged(desk, both, form)] == [True, True]
    with pytest.raises(augmentation.AugmentationBreaksError) as caught:
        augment(desk, both, B_T, form)
    assert caught.value.code == "augmentation-would-break"


def _sign_plainly(
    place: etree._Element, main: etree._Element, holder: hierarchy_support.Holder
) -> None:
    """XML Signature alone over the value of another one."""
    import base64

    from pki import algorithms, xml_algorithms

    kind = algorithms.key_kind(holder.key.public_key())
    value = xml_trees.child(main, xml_signature.name("SignatureValue"))
    reference = xml_signature.build_reference(
        xml_trees.canonicalise(value, xml_trees.C14N_11),
        uri=f"#{value.get('Id')}",
        hash_algorithm=kind.hash_algorithm,
        transforms=(xml_trees.C14N_11,),
        type_uri=xml_signature.COUNTERSIGNED_TYPE,
    )
    method = xml_algorithms.signature_uri(kind.signature_algorithm, kind.hash_algorithm)
    place.append(xml_signature.build_signed_info([reference], signature_method=method))
    made = holder.handle.sign(
        signature.represent(xml_signature.signed_info_octets(place), kind.hash_algorithm)
    )
    holder_of_value = etree.SubElement(place, xml_signature.name("SignatureValue"))
    holder_of_value.text = base64.b64encode(made.value).decode()
    place.append(xades_elements.key_info([holder.certificate]))


def _check_elsewhere(desk: signing_desk.Desk, signed: pathlib.Path, form: pathlib.Path) -> None:
    """Every XML signature by xmlsec1 and ETSI's schemas; the main CMS signature by openssl."""
    path, folder, content = signed, desk.folder, form
    if zipfile.is_zipfile(signed):
        folder = desk.folder / "unpacked"
        with zipfile.ZipFile(signed) as archive:
            archive.extractall(folder)
            (name,) = (one for one in archive.namelist() if one.endswith(("s0.xml", ".p7s")))
            path = folder / name
            if "META-INF/ASiCManifest001.xml" in archive.namelist():
                content = folder / "META-INF" / "ASiCManifest001.xml"
    if path.suffix == ".p7s":
        answer = signing_desk.run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(path),
            "-CAfile", str(desk.root), "-purpose", "any", "-cades", "-content", str(content),
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
        return
    for place in range(1, 5):
        answer = signing_desk.run(
            signing_desk.program("xmlsec1"), "--verify", "--enabled-key-data", "x509",
            "--trusted-pem", str(desk.root),
            "--id-attr:Id", f"{xades_elements.XADES}:SignedProperties",
            "--id-attr:Id", f"{xml_signature.DS}:Object",
            "--id-attr:Id", f"{xml_signature.DS}:SignatureValue",
            "--node-xpath", f"(//*[local-name()='Signature'])[{place}]", str(path), folder=folder,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
    root = etree.parse(str(path)).getroot()
    for schema, tag in (
        ("xmldsig-core-schema.xsd", xml_signature.name("Signature")),
        ("XAdES01903v141-201601.xsd", xades_signature.name("QualifyingProperties")),
    ):
        for one in root.iter(tag):
            part = desk.folder / "part.xml"
            part.write_bytes(etree.tostring(one, method="c14n"))
            signing_desk.check_schema(schema, part)
