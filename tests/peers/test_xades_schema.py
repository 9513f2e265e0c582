"""Our XAdES signatures against ETSI's published schema, which lies beside the repository."""

import os
import pathlib
import subprocess

import pytest

from pki import signature, xml_signature, xml_trees
from signing_service import documents, parameters
from signing_service.creation import xades
from tests.support import time_stamps

pytestmark = pytest.mark.peer

SCHEMAS = pathlib.Path(__file__).resolve().parents[3] / "shared" / "schemas"


@pytest.mark.clause("EN 319 132-1", "4.3")
def test_signature_with_time_stamp_is_valid_against_the_schema(tmp_path, hierarchy, at):
    if not SCHEMAS.is_dir():
        pytest.skip("ETSI's schemas are not beside the repository (../shared/schemas)")
    form, prepared = tmp_path / "form.xml", tmp_path / "prepared.xml"
    form.write_text("<form><ad>TEST</ad></form>", encoding="utf-8")
    signer, unit = hierarchy.signer(), hierarchy.time_stamping_unit()
    result = xades.prepare(
        documents.single(form),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=parameters.SignatureParameters(
            format=documents.SignatureFormat.XADES,
            level=documents.SignatureLevel.B_T,
            commitment=parameters.CommitmentType.PROOF_OF_ORIGIN,
            place="Bakı",
        ),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    signed, stamped = tmp_path / "signed.xml", tmp_path / "stamped.xml"
    xades.embed(result, prepared, signed, signer.handle.sign(representation))
    xades.add_signature_time_stamp(
        signed, stamped, lambda wanted: time_stamps.time_stamp_token(unit, wanted, at)
    )
    (element,) = xml_signature.signatures_in(xml_trees.parse(stamped.read_bytes()).getroot())
    # Each part against the schema that declares it: ds:Object takes anything (lax).
    parts = {
        "xmldsig-core-schema.xsd": xml_trees.canonicalise(element),
        "XAdES01903v132-201601.xsd": xml_trees.canonicalise(
            next(element.iter(xades.name("QualifyingProperties")))
        ),
    }
    for schema, part in parts.items():
        path = tmp_path / f"part-of-{schema}.xml"
        path.write_bytes(part)
        answer = subprocess.run(
            ["xmllint", "--nonet", "--noout", "--schema", str(SCHEMAS / schema), str(path)],
            env={**os.environ, "XML_CATALOG_FILES": str(SCHEMAS / "catalog.xml")},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr.decode()
