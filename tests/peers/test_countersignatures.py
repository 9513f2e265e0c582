"""Counter-signatures made here in two phases, checked by software we did not write."""

import datetime
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from pyhanko.sign.ades import cades_asn1

from pki import algorithms, xades_elements, xml_signature
from signing_service import documents, parameters
from signing_service.creation import xades_signature, xades_unsigned
from tests.support import signing_desk

pytestmark = pytest.mark.peer

PADES, XADES, ASIC_E, ASIC_S, CADES = documents.SignatureFormat
B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
ENVELOPED, ENVELOPING, DETACHED = parameters.Packaging
COUNTERSIGNED = "http://uri.etsi.org/01903#CountersignedSignature"

XML = [
    (XADES, {"packaging": ENVELOPED}),
    (XADES, {"packaging": ENVELOPING}),
    (XADES, {"packaging": DETACHED}),
    (ASIC_E, {"container_signature": XADES}),
    (ASIC_S, {"container_signature": XADES}),
]
CMS = [
    (CADES, {"packaging": ENVELOPING}),
    (CADES, {"packaging": DETACHED}),
    (ASIC_E, {"container_signature": CADES}),
    (ASIC_S, {"container_signature": CADES}),
]


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
    level: documents.SignatureLevel, identifier: str, *,
    kind: algorithms.KeyKind = algorithms.KeyKind.P384,
) -> pathlib.Path:  # fmt: skip
    return desk.sign(
        [signed], format, level, desk.world.authorities.signer("9ZZ99ZZ", kind),
        counter_signature_of=identifier, place="Tbilisi", role="notarius",
        commitment=parameters.CommitmentType.PROOF_OF_RECEIPT,
    )  # fmt: skip


def judged(desk: signing_desk.Desk, signed: pathlib.Path, form: pathlib.Path, *more: Any) -> Any:
    """The signatures of a document, with its original where it is detached."""
    beside = [form] if ".p7s" in signed.name or ".xades" in signed.name else []
    return desk.judge(signed, beside)["signatures"]


@pytest.mark.clause("EN 319 132-1", "5.2.7.2")
@pytest.mark.parametrize("level", list(documents.SignatureLevel))
@pytest.mark.parametrize(("format", "chosen"), XML)
def test_xmlsec1_accepts_both_and_the_schemas_take_the_property(
    desk: signing_desk.Desk, form: pathlib.Path, format: documents.SignatureFormat,
    chosen: dict[str, Any], level: documents.SignatureLevel,
) -> None:  # fmt: skip
    first = desk.sign([form], format, B_LTA, **chosen)
    (main,) = judged(desk, first, form)
    signed = countersign(desk, first, format, level, main["id"])
    outer, inner = judged(desk, signed, form)
    assert (outer["indication"], outer["level"]) == (main["indication"], main["level"])
    assert inner["counter_signature_of"] == main["id"]
    assert inner["level"] == f"XAdES-BASELINE-{level.label[2:]}", inner
    assert inner["intact"] is True
    assert inner["person_code"] == "9ZZ99ZZ"
    if level >= B_LT:
        assert inner["indication"] == "TOTAL-PASSED", inner
    xml, beside = signed, desk.folder
    if format is not XADES:
        beside = desk.folder / "unpacked"
        with zipfile.ZipFile(signed) as archive:
            archive.extractall(beside)
            (name,) = (one for one in archive.namelist() if "signatures" in one)
        xml = beside / name
    for place in (1, 2):
        answer = signing_desk.run(
            signing_desk.program("xmlsec1"), "--verify", "--enabled-key-data", "x509",
            "--trusted-pem", str(desk.root),
            "--id-attr:Id", f"{xades_elements.XADES}:SignedProperties",
            "--id-attr:Id", f"{xml_signature.DS}:Object",
            "--id-attr:Id", f"{xml_signature.DS}:SignatureValue",
            "--node-xpath", f"(//*[local-name()='Signature'])[{place}]", str(xml), folder=beside,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr.decode()
    root = etree.parse(str(xml)).getroot()
    (holder,) = root.iter(xades_elements.name("CounterSignature"))
    assert holder.getnext() is None
    (reference,) = (
        one
        for one in holder.iter(xml_signature.name("Reference"))
        if one.get("Type") == COUNTERSIGNED
    )
    assert reference.get("URI") == f"#{main['id']}-value"
    for schema, tag in (
        ("xmldsig-core-schema.xsd", xml_signature.name("Signature")),
        ("XAdES01903v141-201601.xsd", xades_signature.name("QualifyingProperties")),
        ("XAdES01903v141-201601.xsd", f"{{{xades_unsigned.XADES_141}}}ArchiveTimeStamp"),
    ):
        for one in root.iter(tag):
            path = desk.folder / "part.xml"
            path.write_bytes(etree.tostring(one, method="c14n"))
            signing_desk.check_schema(schema, path)


@pytest.mark.clause("RFC 5652", "11.4")
@pytest.mark.clause("EN 319 122-1", "5.2.7")
@pytest.mark.parametrize("level", list(documents.SignatureLevel))
@pytest.mark.parametrize(("format", "chosen"), CMS)
def test_openssl_accepts_the_main_signature_and_the_value_of_the_counter_signature(
    desk: signing_desk.Desk, form: pathlib.Path, format: documents.SignatureFormat,
    chosen: dict[str, Any], level: documents.SignatureLevel,
) -> None:  # fmt: skip
    first = desk.sign([form], format, B_LTA, **chosen)
    (main,) = judged(desk, first, form)
    signed = countersign(desk, first, format, level, main["id"])
    outer, inner = judged(desk, signed, form)
    assert (outer["indication"], outer["level"]) == ("TOTAL-PASSED", "CAdES-BASELINE-LTA")
    assert [one["intact"] for one in outer["time_stamps"]] == [True] * (3 if level is B_LTA else 2)
    assert (inner["id"], inner["counter_signature_of"]) == (f"{main['id']}-counter-1", main["id"])
    assert inner["level"] == f"CAdES-BASELINE-{level.label[2:]}", inner
    assert inner["intact"] is True
    if level >= B_LT:
        assert inner["indication"] == "TOTAL-PASSED", inner
    message, content = signed, form
    if format is not CADES:
        folder = desk.folder / "unpacked"
        with zipfile.ZipFile(signed) as archive:
            archive.extractall(folder)
            (name,) = (one for one in archive.namelist() if one.endswith(".p7s"))
        message = folder / name
        content = folder / form.name
        if format is ASIC_E:
            content = folder / "META-INF" / "ASiCManifest001.xml"
    more = () if chosen.get("packaging") is ENVELOPING else ("-content", str(content))
    answer = signing_desk.run(
        "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(message),
        "-CAfile", str(desk.root), "-purpose", "any", "-cades", *more,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr.decode()
    _check_with_openssl(desk, message)


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_every_kind_of_key_countersigns(
    desk: signing_desk.Desk, form: pathlib.Path, kind: algorithms.KeyKind
) -> None:
    for format in (XADES, CADES):
        first = desk.sign([form], format, B_B)
        identifier = judged(desk, first, form)[0]["id"]
        signed = countersign(desk, first, format, B_LT, identifier, kind=kind)
        assert [one["intact"] for one in judged(desk, signed, form)] == [True, True]
        if format is CADES:
            _check_with_openssl(desk, signed)


def _check_with_openssl(desk: signing_desk.Desk, message: pathlib.Path) -> None:
    """The only counter-signature: read by asn1crypto, its value verified by openssl."""
    parsed = asn1_cms.ContentInfo.load(message.read_bytes())["content"]
    (outer,) = parsed["signer_infos"]
    (inner,) = (
        value
        for one in outer["unsigned_attrs"]
        if one["type"].native == "counter_signature"
        for value in one["values"]
    )
    types = [one["type"].dotted for one in inner["signed_attrs"]]
    assert "1.2.840.113549.1.9.3" not in types, "a counter-signature has no content type"
    assert len(types) == len(set(types))
    by_type = {one["type"].native: one["values"][0] for one in inner["signed_attrs"]}
    hash_name = inner["digest_algorithm"]["algorithm"].native
    value = desk.folder / "countersigned.bin"
    value.write_bytes(outer["signature"].native)
    answer = signing_desk.run("openssl", "dgst", f"-{hash_name}", "-r", str(value))
    assert by_type["message_digest"].native.hex() == answer.stdout.split()[0].decode()
    (claimed,) = by_type["signer_attributes_v2"]["claimed_attributes"]
    assert isinstance(by_type["signer_attributes_v2"], cades_asn1.SignerAttributesV2)
    assert [one.dump()[2:].decode() for one in claimed["values"]] == ["notarius"]
    serial = inner["sid"].chosen["serial_number"].native
    certificate = next(
        one.chosen for one in parsed["certificates"] if one.chosen.serial_number == serial
    )
    key, signature, attributes = (desk.folder / one for one in ("key.pem", "sig.bin", "attrs.bin"))
    key.write_bytes(
        x509.load_der_x509_certificate(certificate.dump())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    signature.write_bytes(inner["signature"].native)
    attributes.write_bytes(b"\x31" + inner["signed_attrs"].dump()[1:])
    padding = ()
    if inner["signature_algorithm"]["algorithm"].native == "rsassa_pss":
        padding = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
    verified = signing_desk.run(
        "openssl", "dgst", f"-{hash_name}", "-verify", str(key), *padding,
        "-signature", str(signature), str(attributes),
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr.decode()
    shown = signing_desk.run("openssl", "asn1parse", "-inform", "DER", "-in", str(message))
    assert re.search(rb"OBJECT +:countersignature", shown.stdout)


@pytest.mark.clause("EN 319 132-1", "5.5.2")
@pytest.mark.clause("EN 319 122-1", "5.5.2")
@pytest.mark.parametrize(("format", "chosen"), [XML[0], XML[3], CMS[0], CMS[2]])
def test_counter_signature_of_a_counter_signature_until_an_archive_time_stamp_covers_it(
    desk: signing_desk.Desk, form: pathlib.Path, format: documents.SignatureFormat,
    chosen: dict[str, Any],
) -> None:  # fmt: skip
    first = desk.sign([form], format, B_LT, **chosen)
    main = judged(desk, first, form)[0]["id"]
    second = countersign(desk, first, format, B_T, main)
    inner = judged(desk, second, form)[1]["id"]
    third = countersign(desk, second, format, B_LT, inner)
    found = judged(desk, third, form)
    assert [one.get("counter_signature_of") for one in found] == [None, main, inner]
    assert [one["intact"] for one in found] == [True] * 3
    # Now an archive time stamp covers all three: nothing can be put in, but something beside.
    if format in (XADES, ASIC_E) and chosen.get("container_signature") is not CADES:
        fourth = _archived_by_augmentation(desk, third)
    else:
        fourth = countersign(desk, third, format, B_LTA, main)
        inner = next(
            one.get("counter_signature_of")
            for one in judged(desk, fourth, form)
            if one.get("counter_signature_of") not in (None, main)
        )
    with pytest.raises(documents.DocumentRefusedError) as caught:
        countersign(desk, fourth, format, B_B, inner)
    assert caught.value.code == "counter-signature-would-break"
    fifth = countersign(desk, fourth, format, B_T, main)
    before, after = judged(desk, fourth, form), judged(desk, fifth, form)
    assert len(after) == len(before) + 1
    assert all(one["intact"] for one in after)
    assert all(stamp["intact"] for one in after for stamp in one["time_stamps"])


def _archived_by_augmentation(desk: signing_desk.Desk, source: pathlib.Path) -> pathlib.Path:
    from signing_service import augmentation

    target = desk.folder / f"archived-{source.name}"
    augmentation.augment_document(
        desk.service, documents.Document(source.name, source), target, B_LTA, desk.at
    )
    return target
