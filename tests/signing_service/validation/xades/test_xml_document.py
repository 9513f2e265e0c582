import datetime
import pathlib
import re

import pytest
from lxml import etree

from pki import signature, xml_signature, xml_trees
from signing_service import documents, parameters, trust
from signing_service.creation import xades
from signing_service.validation import process, report
from tests.support import hierarchy as hierarchy_support
from tests.support import statuses, time_stamps

FORM = '<?xml version="1.0"?><form xmlns="urn:test"><ad>TEST Günay</ad><məbləğ>100</məbləğ></form>'


def sign_form(
    folder: pathlib.Path,
    hierarchy: hierarchy_support.Hierarchy,
    signer: hierarchy_support.Holder,
    at: datetime.datetime,
    *,
    stamped: bool = True,
    content: bytes = FORM.encode(),
) -> bytes:
    """An application form signed by our own XAdES."""
    source, prepared, signed = folder / "form.xml", folder / "prepared.xml", folder / "signed.xml"
    source.write_bytes(content)
    result = xades.prepare(
        documents.single(source),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=parameters.SignatureParameters(
            format=documents.SignatureFormat.XADES, level=documents.SignatureLevel.B_T
        ),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    xades.embed(result, prepared, signed, signer.handle.sign(representation))
    if stamped:
        unit = hierarchy.time_stamping_unit()
        target = folder / "stamped.xml"
        xades.add_signature_time_stamp(
            signed, target, lambda wanted: time_stamps.time_stamp_token(unit, wanted, at)
        )
        signed = target
    return signed.read_bytes()


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    def validate(content: bytes, *signers: hierarchy_support.Holder, detached=()):
        path = tmp_path / "judged.xml"
        path.write_bytes(content)
        responder = hierarchy.ocsp_responder()

        def fetch(missing):
            return process.FetchedEvidence(
                ocsp_responses=tuple(
                    statuses.ocsp_response(
                        one.certificate, hierarchy.issuing.certificate, responder, at
                    )
                    for one in signers
                ),
                crls=tuple(
                    hierarchy.crl(one) for one in (hierarchy.root, hierarchy.infrastructure)
                ),
            )

        return process.validate(
            documents.Document("form.xml", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=fetch,
            detached=detached,
        )

    return validate


def test_stamped_form_passes_and_is_named_b_t(tmp_path, hierarchy, at, judge):
    signer = hierarchy.signer()
    validated = judge(sign_form(tmp_path, hierarchy, signer, at), signer)
    (found,) = validated.signatures
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert found.level == "XAdES-BASELINE-T"
    assert found.best_signature_time == at
    assert found.claimed_signing_time == at
    assert found.scope_kind is report.ScopeKind.FULL
    assert found.qualified == "AdESig"
    assert validated.document_format == "XAdES"


def test_card_and_phone_signatures_side_by_side_both_pass(tmp_path, hierarchy, at, judge):
    card, phone = hierarchy.signer(), hierarchy.signer("5ZZ99ZZ")
    once = sign_form(tmp_path, hierarchy, card, at)
    twice = sign_form(tmp_path, hierarchy, phone, at, content=once)
    validated = judge(twice, card, phone)
    assert [one.person_code for one in validated.signatures] == ["5AB12CD", "5ZZ99ZZ"]
    assert validated.overall is report.Indication.TOTAL_PASSED


def test_changed_form_is_a_hash_failure(tmp_path, hierarchy, at, judge):
    content = sign_form(tmp_path, hierarchy, hierarchy.signer(), at)
    (found,) = judge(content.replace(b">100<", b">900<")).signatures
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.sub_indication is report.SubIndication.HASH_FAILURE
    assert found.intact is False


def test_changed_signed_property_is_a_hash_failure(tmp_path, hierarchy, at, judge):
    content = sign_form(tmp_path, hierarchy, hierarchy.signer(), at)
    forged = re.sub(rb"<xades:SigningTime>\d{4}", b"<xades:SigningTime>2001", content)
    assert forged != content
    (found,) = judge(forged).signatures
    assert found.sub_indication is report.SubIndication.HASH_FAILURE


def test_forged_content_hidden_in_a_false_signature_does_not_pass(tmp_path, hierarchy, at, judge):
    """Signatures leave each other out, so each ds:Signature in the document is itself judged."""
    signer = hierarchy.signer()
    content = sign_form(tmp_path, hierarchy, signer, at)
    false = (
        f'<Signature xmlns="{xml_signature.DS}"><Object><ad>TEST forged</ad></Object></Signature>'
    )
    validated = judge(content.replace(b"<ad>", false.encode() + b"<ad>"), signer)
    assert len(validated.signatures) == 2
    assert validated.overall is not report.Indication.TOTAL_PASSED


def test_properties_of_another_place_are_not_believed(tmp_path, hierarchy, at, judge):
    """A second, unsigned QualifyingProperties with another signing time is put in front."""
    signer = hierarchy.signer()
    tree = xml_trees.parse(sign_form(tmp_path, hierarchy, signer, at))
    (element,) = xml_signature.signatures_in(tree.getroot())
    false = etree.fromstring(
        f'<ds:Object xmlns:ds="{xml_signature.DS}"><x:QualifyingProperties xmlns:x="{xades.XADES}"'
        f' Target="#{element.get("Id")}"><x:SignedProperties><x:SignedSignatureProperties>'
        "<x:SigningTime>2001-01-01T00:00:00Z</x:SigningTime></x:SignedSignatureProperties>"
        "</x:SignedProperties></x:QualifyingProperties></ds:Object>"
    )
    element.insert(2, false)
    (found,) = judge(etree.tostring(tree, encoding="UTF-8"), signer).signatures
    assert found.indication is not report.Indication.TOTAL_PASSED
    assert found.claimed_signing_time != datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


def test_two_elements_with_the_signed_identifier_are_a_format_failure(
    tmp_path, hierarchy, at, judge
):
    content = sign_form(tmp_path, hierarchy, hierarchy.signer(), at)
    identifier = re.search(rb'<xades:SignedProperties[^>]* Id="([^"]+)"', content).group(1)
    second = b'<ds:Object Id="' + identifier + b'"/></ds:Signature>'
    forged = content.replace(b"</ds:Signature>", second)
    (found,) = judge(forged).signatures
    assert found.indication is report.Indication.TOTAL_FAILED
    assert found.intact is None


def test_time_stamp_over_another_signature_proves_nothing(tmp_path, hierarchy, at, judge):
    signer = hierarchy.signer()
    first = sign_form(tmp_path, hierarchy, signer, at)
    second = sign_form(tmp_path, hierarchy, signer, at)
    pattern = rb"<xades:EncapsulatedTimeStamp>[^<]+<"
    swapped = re.sub(pattern, re.search(pattern, first).group(0), second)
    (found,) = judge(swapped, signer).signatures
    assert found.best_signature_time is None
    assert found.time_stamps[0].intact is False


def test_certificate_that_the_properties_do_not_name_is_not_believed(
    tmp_path, hierarchy, at, judge
):
    import base64

    signer, other = hierarchy.signer(), hierarchy.signer("5ZZ99ZZ")
    content = sign_form(tmp_path, hierarchy, signer, at, stamped=False)
    swapped = content.replace(base64.b64encode(signer.der), base64.b64encode(other.der))
    (found,) = judge(swapped, signer, other).signatures
    assert found.indication is not report.Indication.TOTAL_PASSED


def test_missing_detached_document_is_signed_data_not_found(tmp_path, hierarchy, at, judge):
    content = sign_form(tmp_path, hierarchy, hierarchy.signer(), at)
    (found,) = judge(content.replace(b'URI=""', b'URI="other.xml"')).signatures
    assert found.sub_indication is report.SubIndication.SIGNED_DATA_NOT_FOUND
    assert found.intact is None


def test_xml_without_signature_is_no_signature(judge):
    assert judge(FORM.encode()).overall is report.Indication.NO_SIGNATURE
