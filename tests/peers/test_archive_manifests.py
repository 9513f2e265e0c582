"""Archive manifests of containers with CAdES, as other programs make them, renewed here."""

import datetime
import pathlib
import zipfile
from collections.abc import Iterator

import pytest
from lxml import etree

from pki import algorithms, signature
from signing_service import augmentation, documents
from tests.support import packed_containers, signing_desk

pytestmark = pytest.mark.peer

PADES, XADES, ASIC_E, ASIC_S, CADES = documents.SignatureFormat
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
NEWEST = "META-INF/ASiCArchiveManifest.xml"


@pytest.fixture
def desk(tmp_path: pathlib.Path, at: datetime.datetime) -> Iterator[signing_desk.Desk]:
    with signing_desk.open_desk(tmp_path, at) as made:
        yield made


@pytest.fixture
def text(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "contract.txt"
    path.write_text("TEST müqavilə")
    return path


def archived(
    desk: signing_desk.Desk, text: pathlib.Path, format: documents.SignatureFormat
) -> pathlib.Path:
    """A container at B-LT with an archive manifest over it, as EU DSS puts it there."""
    signed = desk.sign([text], format, B_LT, container_signature=CADES)
    with zipfile.ZipFile(signed) as archive:
        entries = {one: archive.read(one) for one in archive.namelist()}
    kind = entries.pop("mimetype")
    listed = {one: octets for one, octets in entries.items() if one != "META-INF/manifest.xml"}
    manifest = packed_containers.manifest("META-INF/timestamp.tst", listed)
    token = desk.service.request_token(
        signature.represent(manifest, algorithms.HashAlgorithm.SHA512)
    )
    entries |= {NEWEST: manifest, "META-INF/timestamp.tst": token}
    target = desk.folder / f"archived-{signed.name}"
    target.write_bytes(packed_containers.pack(entries, mimetype=kind))
    return target


def augment(
    desk: signing_desk.Desk, source: pathlib.Path, level: documents.SignatureLevel
) -> pathlib.Path:
    target = desk.folder / f"{level.label}-{source.name}"
    augmentation.augment_document(
        desk.service, documents.Document(source.name, source), target, level, desk.at
    )
    return target


@pytest.mark.clause("EN 319 162-1", "A.4")
@pytest.mark.parametrize("format", [ASIC_E, ASIC_S])
def test_archive_manifest_is_renewed_by_another_over_it_and_nothing_under_it_changes(
    desk: signing_desk.Desk, text: pathlib.Path, format: documents.SignatureFormat
) -> None:
    first = archived(desk, text, format)
    (found,) = desk.judge(first)["signatures"]
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", "CAdES-BASELINE-LTA")
    desk.world.clock.move(datetime.timedelta(days=1))
    second = augment(desk, first, B_LTA)
    desk.world.clock.move(datetime.timedelta(days=1))
    third = augment(desk, second, B_LTA)
    (found,) = desk.judge(third)["signatures"]
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", "CAdES-BASELINE-LTA")
    stamps = [one for one in found["time_stamps"] if one["kind"] == "container"]
    assert [one["intact"] for one in stamps] == [True] * 3
    folder = desk.folder / "unpacked"
    with zipfile.ZipFile(third) as new, zipfile.ZipFile(first) as old:
        new.extractall(folder)
        assert new.read("META-INF/ASiCArchiveManifest001.xml") == old.read(NEWEST)
        for name in old.namelist():
            if name not in (NEWEST, "META-INF/timestamp.tst"):
                assert new.read(name) == old.read(name)
    manifest = folder / NEWEST
    signing_desk.check_schema("en_31916201v010101.xsd", manifest)
    root = etree.parse(str(manifest)).getroot()
    assert [one.get("URI") for one in root if one.get("Rootfile")] == [
        "META-INF/ASiCArchiveManifest002.xml"
    ]
    token = folder / "META-INF" / "timestamp002.tst"
    assert root[0].get("URI") == "META-INF/timestamp002.tst"
    infrastructure = desk.folder / "infrastructure.pem"
    infrastructure.write_bytes(desk.world.authorities.infrastructure.pem)
    for data, stamp in (
        (manifest, token),
        (folder / "META-INF" / "ASiCArchiveManifest001.xml", folder / "META-INF" / "timestamp.tst"),
    ):
        answer = signing_desk.run(
            "openssl", "ts", "-verify", "-token_in", "-in", str(stamp), "-data", str(data),
            "-CAfile", str(desk.root), "-untrusted", str(infrastructure),
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()


def test_what_an_archive_manifest_covers_is_not_raised_and_not_countersigned(
    desk: signing_desk.Desk, text: pathlib.Path
) -> None:
    first = archived(desk, text, ASIC_E)
    for level in (B_T, B_LT):
        with pytest.raises(augmentation.NothingToAugmentError):
            augment(desk, first, level)
    (found,) = desk.judge(first)["signatures"]
    with pytest.raises(documents.DocumentRefusedError) as caught:
        desk.sign([first], ASIC_E, B_B, counter_signature_of=found["id"])
    assert caught.value.code == "counter-signature-would-break"


def test_further_signature_stands_beside_and_is_archived_with_the_next_manifest(
    desk: signing_desk.Desk, text: pathlib.Path
) -> None:
    other = desk.world.authorities.signer("5ZZ99ZZ")
    both = desk.sign([archived(desk, text, ASIC_E)], ASIC_E, B_B, other)
    renewed = augment(desk, both, B_LTA)
    assert [
        (one["indication"], one["level"], [stamp["intact"] for stamp in one["time_stamps"]])
        for one in desk.judge(renewed)["signatures"]
    ] == [
        ("TOTAL-PASSED", "CAdES-BASELINE-LTA", [True] * 3),
        ("TOTAL-PASSED", "CAdES-BASELINE-LTA", [True] * 2),
    ]


def test_further_signer_of_a_simple_container_would_break_the_archive_time_stamp(
    desk: signing_desk.Desk, text: pathlib.Path
) -> None:
    with pytest.raises(documents.DocumentRefusedError, match="archive time stamp"):
        desk.sign([archived(desk, text, ASIC_S)], ASIC_S, B_B)
