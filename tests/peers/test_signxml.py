"""XAdES made by signxml, judged by our validation."""

from pathlib import Path

import pytest
from lxml import etree
from signxml import CanonicalizationMethod, SignatureConstructionMethod
from signxml.xades import XAdESSigner

from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import hierarchy as hierarchy_support

pytestmark = pytest.mark.peer

# With a default namespace, as most business documents have one.
FORM = '<form xmlns="urn:test"><name>TEST Günay</name><sum>100</sum></form>'
NAMES = {
    "enveloped": SignatureConstructionMethod.enveloped,
    "enveloping": SignatureConstructionMethod.enveloping,
}


@pytest.fixture
def judge(tmp_path: Path, hierarchy: hierarchy_support.Hierarchy, at):
    def validate(content: bytes) -> report.SignatureReport:
        (tmp_path / "judged.xml").write_bytes(content)
        (found,) = process.validate(
            documents.Document("form.xml", tmp_path / "judged.xml"),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=None,
        ).signatures
        return found

    return validate


@pytest.fixture(params=NAMES)
def made(request, hierarchy: hierarchy_support.Hierarchy) -> bytes:
    holder = hierarchy.signer()
    signer = XAdESSigner(
        method=NAMES[request.param],
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_1,
        signature_algorithm="ecdsa-sha256",
    )
    signed = signer.sign(etree.fromstring(FORM), key=holder.key, cert=[holder.pem.decode()])
    return etree.tostring(signed)


def test_xades_of_signxml_is_intact_and_covers_the_form(made, judge):
    found = judge(made)
    assert found.intact, found.errors
    assert found.level.startswith("XAdES-")
    assert found.person_code == "5AB12CD"
    assert found.scope_kind is report.ScopeKind.FULL


def test_changed_form_is_not(made, judge):
    found = judge(made.replace(b"<sum>100", b"<sum>900"))
    assert found.sub_indication is report.SubIndication.HASH_FAILURE
