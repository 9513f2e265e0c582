"""What cannot be countersigned, and what is told about it; what can is in tests/peers."""

import pathlib

import pytest
from lxml import etree

from pki import signature, xml_signature
from signing_service import documents, parameters
from signing_service.creation import cms_countersignatures, cms_files, countersigning, formats
from tests.support import hierarchy as hierarchy_support
from tests.support import signed_cms, time_stamps

PADES, XADES, ASIC_E, ASIC_S, CADES = documents.SignatureFormat
B_B = documents.SignatureLevel.B_B
TEXT = b"<f>TEST</f>"


class Signers:
    """Signs files with keys in memory, in the two phases."""

    def __init__(self, folder: pathlib.Path, hierarchy: hierarchy_support.Hierarchy, at) -> None:
        self.folder, self.hierarchy, self.at = folder, hierarchy, at
        self.made = 0

    def sign(self, source: pathlib.Path, format: documents.SignatureFormat, **chosen):
        self.made += 1
        prepared = self.folder / f"prepared-{self.made}"
        target = self.folder / f"signed-{self.made}"
        wish = parameters.SignatureParameters(format, B_B, **chosen)
        formats.check_document(documents.Document(source.name, source), wish)
        holder = self.hierarchy.signer(f"{self.made}AA11AA")
        waiting = formats.prepare(
            documents.single(source), prepared, path=holder.chain, chosen=wish, at=self.at
        )
        representation = signature.represent(waiting.data_to_be_signed, waiting.hash_algorithm)
        formats.embed(waiting, prepared, target, holder.handle.sign(representation))
        return target

    def token(self, wanted: signature.DataToBeSignedRepresentation) -> bytes:
        return time_stamps.time_stamp_token(self.hierarchy.time_stamping_unit(), wanted, self.at)


@pytest.fixture
def signers(tmp_path, hierarchy, at) -> Signers:
    return Signers(tmp_path, hierarchy, at)


@pytest.fixture
def text(tmp_path) -> pathlib.Path:
    path = tmp_path / "form.xml"
    path.write_bytes(TEXT)
    return path


def write(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("format", [XADES, CADES, ASIC_E, ASIC_S])
def test_unknown_identifier_is_answered_with_those_that_there_are(signers, text, format):
    signed = signers.sign(text, format, container_signature=CADES)
    with pytest.raises(documents.UnknownSignatureError) as caught:
        signers.sign(signed, format, counter_signature_of="nobody")
    known = {XADES: "'S-", CADES: "'signer-1'", ASIC_E: "'signature001.p7s-signer-1'"}
    assert known.get(format, "'signature.p7s-signer-1'") in caught.value.message
    assert "'nobody', which none of them have" in caught.value.message


def test_identifier_of_two_signatures_names_neither(signers, text):
    signed = signers.sign(signers.sign(text, XADES), XADES)
    tree = etree.parse(str(signed))
    for one in xml_signature.signatures_in(tree.getroot()):
        one.set("Id", "twice")
    tree.write(str(signed))
    with pytest.raises(documents.UnknownSignatureError, match="2 of them"):
        signers.sign(signed, XADES, counter_signature_of="twice")


def test_broken_signature_is_not_countersigned(signers, text, hierarchy, at):
    made = signed_cms.sign(TEXT, hierarchy.signer(), at)
    made.content = b"another text"
    broken = write(text.with_suffix(".p7m"), made.encode())
    with pytest.raises(countersigning.CountersignedBrokenError):
        signers.sign(broken, CADES, counter_signature_of="signer-1")


def test_document_of_another_format_is_refused(signers, text):
    signed = signers.sign(text, ASIC_S)
    with pytest.raises(documents.DocumentRefusedError, match=r"expected ASiC-E, got .* ASiC-S"):
        signers.sign(signed, ASIC_E, counter_signature_of="signature.p7s-signer-1")


def test_pdf_has_no_counter_signatures():
    with pytest.raises(parameters.UnsupportedFormatError) as caught:
        parameters.SignatureParameters(PADES, B_B, counter_signature_of="Signature1")
    assert caught.value.field == "counter_signature_of"


@pytest.mark.parametrize("number", [27, 48])
def test_archive_time_stamp_of_the_old_kind_covers_whatever_is_added(
    signers, text, hierarchy, at, number
):
    made = signed_cms.sign(TEXT, hierarchy.signer(), at)
    token = signed_cms.stamp(hierarchy.time_stamping_unit(), b"all that there is", at)
    made.signers[0].unsigned.append(
        signed_cms.attribute(f"1.2.840.113549.1.9.16.2.{number}", token)
    )
    old = write(text.with_suffix(".p7m"), made.encode())
    with pytest.raises(documents.errors.InputError) as caught:
        signers.sign(old, CADES, counter_signature_of="signer-1")
    assert caught.value.code == "cms-old-archive-time-stamp"


@pytest.mark.clause("EN 319 132-1", "5.5.2")
def test_xml_signature_under_an_archive_time_stamp_takes_no_counter_signature(signers, text):
    main = signers.sign(text, XADES)
    names = _ids(main)
    once = signers.sign(main, XADES, counter_signature_of=names[0])
    stamped = once.with_name("stamped")
    formats.add_archive_time_stamp(XADES, once, stamped, signers.token)
    with pytest.raises(countersigning.CounterSignatureBreaksError, match="a time stamp covers"):
        signers.sign(stamped, XADES, counter_signature_of=_ids(once)[1])
    beside = signers.sign(stamped, XADES, counter_signature_of=names[0])
    assert len(_ids(beside)) == 3


def test_signature_that_covers_the_properties_of_another_is_not_broken(signers, text):
    """A signer who covers all but the own signature covers what a counter-signature changes."""
    first = signers.sign(text, XADES)
    second = signers.sign(first, XADES)
    tree = etree.parse(str(second))
    transforms = [
        one
        for one in tree.getroot().iter(xml_signature.name("Transform"))
        if one.get("Algorithm") == xml_signature.XPATH
    ]
    # Only a document whose second signature really covers the first shows it: it is forged here.
    assert len(transforms) == 2
    from tests.support import forged_xml

    covering = forged_xml.sign(
        first.read_text("utf-8").split("?>")[-1],
        signers.hierarchy.signer(),
        forged_xml.Wanted(""),
    )
    document = write(text.with_name("covered.xml"), covering)
    with pytest.raises(countersigning.CounterSignatureBreaksError, match="covers the place"):
        signers.sign(document, XADES, counter_signature_of=_ids(document)[0])


def test_signature_value_without_an_id_cannot_be_referred_to(signers, text, hierarchy):
    from tests.support import forged_xml

    made = forged_xml.sign("<f>TEST</f>", hierarchy.signer(), forged_xml.Wanted(""))
    document = write(text, made.replace(b' Id="V"', b"", 1))
    with pytest.raises(documents.DocumentRefusedError) as caught:
        signers.sign(document, XADES, counter_signature_of="S")
    assert caught.value.code == "document-signature-value-without-id"


def test_levels_of_counter_signatures_have_an_end(signers, text):
    signed = signers.sign(text, CADES)
    identifier = "signer-1"
    for _ in range(cms_countersignatures.MAX_DEPTH):
        signed = signers.sign(signed, CADES, counter_signature_of=identifier)
        identifier += "-counter-1"
    with pytest.raises(documents.errors.InputError):
        signers.sign(signed, CADES, counter_signature_of=identifier)


def test_counter_signatures_of_others_keep_their_bytes(signers, text):
    once = signers.sign(signers.sign(text, CADES), CADES, counter_signature_of="signer-1")
    twice = signers.sign(once, CADES, counter_signature_of="signer-1")
    before, after = cms_files.read(once), cms_files.read(twice)
    assert set(before.signer(0).unsigned_attributes) < set(after.signer(0).unsigned_attributes)
    assert [name for name, _ in cms_countersignatures.identifiers(after)] == [
        "signer-1", "signer-1-counter-1", "signer-1-counter-2"
    ]  # fmt: skip


def _ids(path: pathlib.Path) -> list[str]:
    root = etree.parse(str(path)).getroot()
    return [str(one.get("Id")) for one in xml_signature.signatures_in(root)]
