"""Our XML signatures verified by xmlsec1, which shares no code with us but libxml2."""

import os
import pathlib
import shutil
import subprocess

import pytest

from pki import signature
from signing_service import documents, parameters
from signing_service.creation import xades
from tests.support import time_stamps

pytestmark = pytest.mark.peer

FORM = '<?xml version="1.0"?>\n<?look at?><f xmlns="urn:test" xml:lang="az"><ad>TEST ə</ad></f>'


@pytest.fixture
def xmlsec1() -> str:
    found = shutil.which("xmlsec1")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("xmlsec1 is missing")
        pytest.skip("xmlsec1 is missing: apt install xmlsec1")
    return found


def sign(source, target, signer, at):
    prepared = source.with_suffix(".prepared")
    result = xades.prepare(
        documents.single(source),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=parameters.SignatureParameters(
            format=documents.SignatureFormat.XADES,
            level=documents.SignatureLevel.B_T,
            commitment=parameters.CommitmentType.PROOF_OF_APPROVAL,
            place="Bakı",
        ),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    xades.embed(result, prepared, target, signer.handle.sign(representation))


def verify(program: str, root: pathlib.Path, path: pathlib.Path, position: int = 1) -> int:
    xpath = f"(//*[local-name()='Signature' and namespace-uri()='{xades.xml_signature.DS}'])"
    answer = subprocess.run(
        [
            program,
            "--verify",
            "--enabled-key-data",
            "x509",
            "--trusted-pem",
            str(root),
            "--id-attr:Id",
            f"{xades.XADES}:SignedProperties",
            "--node-xpath",
            f"{xpath}[{position}]",
            str(path),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return answer.returncode


def test_xmlsec1_accepts_card_and_phone_signatures_side_by_side_with_a_time_stamp(
    xmlsec1, tmp_path, hierarchy, at
):
    form, root = tmp_path / "form.xml", tmp_path / "root.pem"
    form.write_text(FORM, encoding="utf-8")
    root.write_bytes(hierarchy.root.pem)
    once, stamped, twice = tmp_path / "once.xml", tmp_path / "stamped.xml", tmp_path / "twice.xml"
    sign(form, once, hierarchy.signer(), at)
    unit = hierarchy.time_stamping_unit()
    xades.add_signature_time_stamp(
        once, stamped, lambda wanted: time_stamps.time_stamp_token(unit, wanted, at)
    )
    sign(stamped, twice, hierarchy.signer("5ZZ99ZZ"), at)
    assert verify(xmlsec1, root, once) == 0
    assert verify(xmlsec1, root, stamped) == 0
    assert verify(xmlsec1, root, twice, 1) == 0
    assert verify(xmlsec1, root, twice, 2) == 0


def test_xmlsec1_refuses_a_changed_form(xmlsec1, tmp_path, hierarchy, at):
    form, root, once = tmp_path / "form.xml", tmp_path / "root.pem", tmp_path / "once.xml"
    form.write_text(FORM, encoding="utf-8")
    root.write_bytes(hierarchy.root.pem)
    sign(form, once, hierarchy.signer(), at)
    once.write_bytes(once.read_bytes().replace(b"TEST", b"REST"))
    assert verify(xmlsec1, root, once) != 0
