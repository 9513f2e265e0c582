"""Format by level by packaging: each is made here in two phases and checked by other software."""

import datetime
import pathlib
import zipfile
from collections.abc import Iterator, Sequence

import pytest
from lxml import etree

from pki import algorithms, xades_elements, xml_signature
from signing_service import documents, parameters
from signing_service.creation import xades_signature, xades_unsigned
from signing_service.signing import sealing
from tests.support import seals, signing_desk, signing_world, softhsm

pytestmark = pytest.mark.peer

PADES, XADES, ASIC_E, ASIC_S, CADES = (
    documents.SignatureFormat.PADES, documents.SignatureFormat.XADES,
    documents.SignatureFormat.ASIC_E, documents.SignatureFormat.ASIC_S,
    documents.SignatureFormat.CADES,
)  # fmt: skip
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
ENVELOPED, ENVELOPING, DETACHED = parameters.Packaging

TABLE = [
    (format, packaging, level)
    for format, packaging in (
        (XADES, ENVELOPED), (XADES, ENVELOPING), (XADES, DETACHED),
        (CADES, ENVELOPING), (CADES, DETACHED),
    )
    for level in documents.SignatureLevel
]  # fmt: skip

CONTAINERS = [
    (format, inside, level)
    for format in (ASIC_E, ASIC_S)
    for inside in (XADES, CADES)
    for level in documents.SignatureLevel
]


SEALED = [
    (format, level)
    for format in (PADES, XADES, ASIC_E, CADES)
    for level in documents.SignatureLevel
]


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[signing_desk.Desk]:
    with signing_desk.open_desk(tmp_path, at) as made:
        yield made


@pytest.fixture
def sources(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    form, text = tmp_path / "forma ə ş.xml", tmp_path / "müqavilə.txt"
    form.write_text('<?look?><f xmlns="urn:test" xml:lang="az"><ad>TEST ə</ad></f>', "utf-8")
    text.write_text("ხელშეკრულება TEST", "utf-8")
    return [form, text]


@pytest.mark.parametrize(("format", "packaging", "level"), TABLE)
def test_signature_is_accepted_by_other_programs_and_has_its_level(
    desk: signing_desk.Desk, sources: list[pathlib.Path], format: documents.SignatureFormat,
    packaging: parameters.Packaging, level: documents.SignatureLevel,
) -> None:  # fmt: skip
    signed_files = sources if (format, packaging) == (XADES, ENVELOPING) else sources[:1]
    signed = desk.sign(
        signed_files, format, level, packaging=packaging, place="Bakı",
        commitment=parameters.CommitmentType.PROOF_OF_APPROVAL,
        role="direktor" if format is XADES else None,
    )  # fmt: skip
    detached = signed_files if packaging is DETACHED else []
    if format is XADES:
        _check_with_xmlsec1(desk, signed)
        _check_with_schemas(desk, signed)
    else:
        more = ("-content", str(detached[0])) if detached else ()
        answer = signing_desk.run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signed),
            "-CAfile", str(desk.root), "-purpose", "any", "-cades", *more,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
    _check_with_ours(desk, signed, detached, format, level)


@pytest.mark.clause("EN 319 162-1", "4.4")
@pytest.mark.parametrize(("format", "inside", "level"), CONTAINERS)
def test_container_is_accepted_by_other_programs_and_has_its_level(
    desk: signing_desk.Desk, sources: list[pathlib.Path], format: documents.SignatureFormat,
    inside: documents.SignatureFormat, level: documents.SignatureLevel,
) -> None:  # fmt: skip
    covered = sources if format is ASIC_E else sources[:1]
    signed = desk.sign(covered, format, level, container_signature=inside, place="Tbilisi")
    folder = desk.folder / "unpacked"
    with zipfile.ZipFile(signed) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type, first.extra) == ("mimetype", 0, b"")
        assert archive.testzip() is None
        archive.extractall(folder)
        names = archive.namelist()
    for one in covered:
        assert (folder / one.name).read_bytes() == one.read_bytes()
    if inside is XADES:
        (name,) = (one for one in names if "signatures" in one)
        _check_with_xmlsec1(desk, folder / name, beside=folder)
        _check_with_schemas(desk, folder / name)
        signing_desk.check_schema("en_31916201v010101.xsd", folder / name)
    else:
        (name,) = (one for one in names if one.endswith(".p7s"))
        content = folder / covered[0].name
        if format is ASIC_E:
            content = folder / "META-INF" / "ASiCManifest001.xml"
            signing_desk.check_schema("en_31916201v010101.xsd", content)
        answer = signing_desk.run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(folder / name),
            "-CAfile", str(desk.root), "-purpose", "any", "-cades", "-content", str(content),
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
    _check_with_ours(desk, signed, [], inside, level)
    if format is ASIC_E:
        signing_desk.check_schema(
            "OpenDocument_manifest_v1_2.xsd", folder / "META-INF" / "manifest.xml"
        )


@pytest.fixture
def seal(
    desk: signing_desk.Desk, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sealing.Seal]:
    """An organisation's, whose key is in SoftHSM 2."""
    module = softhsm.module_path()
    softhsm.make_folder(tmp_path / "softhsm", monkeypatch)
    softhsm.make_token(seals.TOKEN)
    softhsm.start_afresh(module)
    with seals.in_module(module, tmp_path, desk.world.authorities) as made:
        yield made.choose(seals.NAME, seals.PORTAL)


@pytest.mark.parametrize(("format", "level"), SEALED)
def test_seal_in_a_module_makes_what_other_programs_accept(
    desk: signing_desk.Desk, sources: list[pathlib.Path], seal: sealing.Seal,
    format: documents.SignatureFormat, level: documents.SignatureLevel,
) -> None:  # fmt: skip
    source = sources[0]
    if format is PADES:
        source = desk.folder / "contract.pdf"
        source.write_bytes(signing_world.make_pdf())
    packaging = DETACHED if format in (ASIC_E, CADES) else ENVELOPED
    signed = desk.sign([source], format, level, seal=seal, packaging=packaging)
    detached = [source] if format is CADES else []
    if format is PADES:
        answer = signing_desk.run(signing_desk.program("pdfsig"), "-nocert", str(signed))
        assert b"Signature is Valid." in answer.stdout, answer.stdout
    elif format is CADES:
        answer = signing_desk.run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(signed),
            "-CAfile", str(desk.root), "-purpose", "any", "-cades", "-content", str(source),
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
    elif format is XADES:
        _check_with_xmlsec1(desk, signed)
    else:
        folder = desk.folder / "unpacked"
        with zipfile.ZipFile(signed) as archive:
            archive.extractall(folder)
            (name,) = (one for one in archive.namelist() if "signatures" in one)
        _check_with_xmlsec1(desk, folder / name, beside=folder)
    _check_with_ours(desk, signed, detached, XADES if format is ASIC_E else format, level)
    (one,) = desk.judge(signed, detached)["signatures"]
    assert one["organisation"] == "TEST Nazirlik"


@pytest.mark.parametrize(
    ("format", "inside"), [(XADES, XADES), (CADES, CADES), (ASIC_E, XADES), (ASIC_E, CADES)]
)
def test_seal_in_a_module_countersigns_a_persons_signature(
    desk: signing_desk.Desk, sources: list[pathlib.Path], seal: sealing.Seal,
    format: documents.SignatureFormat, inside: documents.SignatureFormat,
) -> None:  # fmt: skip
    signed = desk.sign(sources[:1], format, B_LTA, container_signature=inside)
    detached = sources[:1] if format is CADES else []
    (main,) = desk.judge(signed, detached)["signatures"]
    both = desk.sign([signed], format, B_LTA, seal=seal, counter_signature_of=main["id"])
    outer, inner = desk.judge(both, detached)["signatures"]
    assert (outer["indication"], inner["indication"]) == ("TOTAL-PASSED", "TOTAL-PASSED")
    assert inner["level"] == f"{inside.value}-BASELINE-LTA"
    assert (inner["organisation"], inner["counter_signature_of"]) == ("TEST Nazirlik", main["id"])


def test_hash_alone_makes_the_signature_that_the_document_verifies(
    desk: signing_desk.Desk, sources: list[pathlib.Path]
) -> None:
    sha256 = algorithms.HashAlgorithm.SHA256
    for format in (XADES, CADES):
        known = documents.DocumentDigest(
            sources[0].name, sha256, sha256.digest(sources[0].read_bytes())
        )
        signed = desk.sign([], format, B_LT, packaging=DETACHED, digests=[known])
        _check_with_ours(desk, signed, sources[:1], format, B_LT)


@pytest.mark.parametrize("inside", [XADES, CADES])
def test_further_signature_of_a_container_covers_the_same_documents_and_keeps_the_first(
    desk: signing_desk.Desk, sources: list[pathlib.Path], inside: documents.SignatureFormat
) -> None:
    for format in (ASIC_E, ASIC_S):
        covered = sources if format is ASIC_E else sources[:1]
        once = desk.sign(covered, format, B_LTA, container_signature=inside)
        twice = desk.sign(
            [once], format, B_LTA, desk.world.authorities.signer("5ZZ99ZZ", algorithms.KeyKind.P384)
        )
        with zipfile.ZipFile(once) as old, zipfile.ZipFile(twice) as new:
            for name in old.namelist():
                if format is ASIC_E:
                    assert new.read(name) == old.read(name)
            count = 2 if format is ASIC_E else 1
            assert sum("signature" in one for one in new.namelist()) == count
        both = desk.judge(twice)["signatures"]
        assert [(one["indication"], one["scope"]["kind"]) for one in both] == [
            ("TOTAL-PASSED", "full"), ("TOTAL-PASSED", "full")
        ]  # fmt: skip


def _check_with_ours(
    desk: signing_desk.Desk, signed: pathlib.Path, detached: Sequence[pathlib.Path],
    format: documents.SignatureFormat, level: documents.SignatureLevel,
) -> None:  # fmt: skip
    (one,) = desk.judge(signed, detached)["signatures"]
    assert one["intact"] is True, one
    assert one["level"] == f"{format.value}-BASELINE-{level.label[2:]}", one
    if level >= B_LT:
        assert one["indication"] == "TOTAL-PASSED", one


def _check_with_xmlsec1(
    desk: signing_desk.Desk, signed: pathlib.Path, *, beside: pathlib.Path | None = None
) -> None:
    answer = signing_desk.run(
        signing_desk.program("xmlsec1"), "--verify", "--enabled-key-data", "x509",
        "--trusted-pem", str(desk.root), "--id-attr:Id", f"{xades_elements.XADES}:SignedProperties",
        "--id-attr:Id", f"{xml_signature.DS}:Object", str(signed), folder=beside or desk.folder,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()


def _check_with_schemas(desk: signing_desk.Desk, signed: pathlib.Path) -> None:
    """Each part against the schema that declares it: ds:Object takes anything (lax)."""
    root = etree.parse(str(signed)).getroot()
    xades_141 = f"{{{xades_unsigned.XADES_141}}}"
    parts = [
        ("xmldsig-core-schema.xsd", xml_signature.name("Signature")),
        ("XAdES01903v141-201601.xsd", xades_signature.name("QualifyingProperties")),
        ("XAdES01903v141-201601.xsd", f"{xades_141}TimeStampValidationData"),
        ("XAdES01903v141-201601.xsd", f"{xades_141}ArchiveTimeStamp"),
    ]
    for schema, tag in parts:
        for one in root.iter(tag):
            path = desk.folder / "part.xml"
            path.write_bytes(etree.tostring(one, method="c14n"))
            signing_desk.check_schema(schema, path)
