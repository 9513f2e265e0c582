"""What somebody may do to signed XML, and what our validation says of it."""

import base64
import hashlib
import re

import pytest

from pki import errors, xml_signature, xml_trees
from signing_service import documents, trust
from signing_service.validation import process, report
from tests.support import forged_xml, statuses
from tests.support.forged_xml import Wanted

OBJECT = xml_signature.DS + "Object"
MANIFEST = xml_signature.DS + "Manifest"
PART = '<r><c Id="C">TEST signed</c></r>'
PASSED = report.Indication.TOTAL_PASSED
FAILED = report.Indication.TOTAL_FAILED


@pytest.fixture
def signer(hierarchy):
    return hierarchy.signer()


@pytest.fixture
def judge(tmp_path, hierarchy, signer, at):
    """Validate with every status good, so that only the XML decides."""
    responder = hierarchy.ocsp_responder()

    def fetch(missing):
        good = statuses.ocsp_response(
            signer.certificate, hierarchy.issuing.certificate, responder, at
        )
        return process.FetchedEvidence(
            ocsp_responses=(good,), crls=(hierarchy.crl(hierarchy.root),)
        )

    def validate(content: bytes, detached=()) -> report.SignatureReport:
        path = tmp_path / "judged.xml"
        path.write_bytes(content)
        beside = []
        for number, data in enumerate(detached):
            file = tmp_path / f"beside-{number}"
            file.write_bytes(data)
            beside.append(documents.Document(f"beside-{number}", file))
        validated = process.validate(
            documents.Document("form.xml", path),
            trust=trust.TrustAnchors((hierarchy.root.certificate,)),
            at=at,
            fetch=fetch,
            detached=beside,
        )
        return validated.signatures[0]

    return validate


def codes(found: report.SignatureReport) -> set[str]:
    return {one.code for one in (*found.errors, *found.warnings)}


# --- wrapping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["<r>", "<refusal>"])
def test_part_that_is_signed_passes_as_a_part_since_nobody_signed_what_it_is_part_of(
    judge, signer, root
):
    signed = forged_xml.sign(PART, signer, Wanted("#C"))
    found = judge(signed.replace(b"<r>", root.encode()).replace(b"</r>", b"</" + root[1:].encode()))
    assert found.indication is PASSED, found.errors
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert found.scope_names == ("#C",)


def test_root_that_is_signed_by_its_identifier_passes_in_full(judge, signer):
    document = '<r Id="R"><c>TEST</c></r>'
    enveloped = (xml_signature.ENVELOPED, xml_trees.C14N_11)
    wanted = Wanted("#R", transforms=enveloped, octets=document.encode())
    found = judge(forged_xml.sign(document, signer, wanted))
    assert found.indication is PASSED, found.errors
    assert found.scope_kind is report.ScopeKind.FULL


def test_wrapped_part_is_told_as_a_part(judge, signer):
    """The signed part is moved into a wrapper; a forged one takes its place."""
    signed = forged_xml.sign(PART, signer, Wanted("#C")).decode()
    moved = '<c Id="C">TEST signed</c>'
    assert moved in signed
    forged = signed.replace(moved, f"<c>TEST forged</c><hidden>{moved}</hidden>")
    found = judge(forged.encode())
    assert found.intact
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert "partial-scope" in codes(found)


def test_signed_part_moved_into_an_object_of_the_signature_is_told_as_a_part(judge, signer):
    signed = forged_xml.sign(PART, signer, Wanted("#C")).decode()
    moved = '<c Id="C">TEST signed</c>'
    forged = signed.replace(moved, "<c>TEST forged</c>").replace(
        "</ds:Signature>", f"<ds:Object>{moved}</ds:Object></ds:Signature>"
    )
    found = judge(forged.encode())
    assert found.scope_kind is not report.ScopeKind.FULL
    assert found.indication is not PASSED


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<r>", "<r>TEST forged"),
        lambda text: text.replace("</c><ds:", "</c>TEST forged<ds:"),
        lambda text: text.replace("<r>", '<r amount="900">'),
        lambda text: text.replace("<r>", '<?xml-stylesheet href="forged.xsl"?><r>'),
        lambda text: text.replace("<r>", "<r><c>TEST forged</c>"),
        lambda text: text.replace(
            "</ds:Signature>", "<ds:Object>TEST forged</ds:Object></ds:Signature>"
        ),
        lambda text: text.replace("</x:QualifyingProperties>", "</x:QualifyingProperties><f/>"),
    ],
    ids=["text", "tail", "attribute", "style sheet", "sibling", "object", "beside properties"],
)
def test_whatever_stands_around_the_signed_part_is_not_called_covered(judge, signer, change):
    text = forged_xml.sign(PART, signer, Wanted("#C")).decode()
    text = text.replace("<?xml version='1.0' encoding='UTF-8'?>\n", "")
    forged = change(text)
    assert forged != text
    found = judge(forged.encode())
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert "partial-scope" in codes(found)


def test_object_that_is_added_to_an_enveloped_signature_is_not_called_covered(judge, signer):
    """`enveloped-signature` leaves out all that the signature holds, whoever put it there."""
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted("")).decode()
    assert judge(signed.encode()).scope_kind is report.ScopeKind.FULL
    forged = signed.replace("</ds:Signature>", "<ds:Object>TEST forged</ds:Object></ds:Signature>")
    found = judge(forged.encode())
    assert found.intact
    assert found.scope_kind is report.ScopeKind.PARTIAL


@pytest.mark.clause("EN 319 132-1", "4.4")
@pytest.mark.parametrize("type_uri", [OBJECT, MANIFEST])
def test_reference_whose_type_does_not_fit_its_target_finds_nothing(judge, signer, type_uri):
    """It says that it is to an object of its signature, and leads outside."""
    found = judge(forged_xml.sign(PART, signer, Wanted("#C", type_uri)))
    assert found.intact is None
    assert found.sub_indication is report.SubIndication.SIGNED_DATA_NOT_FOUND
    assert found.indication is not PASSED


def test_object_inside_the_signature_that_its_type_names_is_found(judge, signer):
    data = '<ds:Object Id="O">TEST signed</ds:Object>'
    found = judge(forged_xml.sign("", signer, Wanted("#O", OBJECT), objects=data, alone=True))
    assert found.indication is PASSED, found.errors
    assert found.scope_kind is report.ScopeKind.FULL


def test_object_of_another_signature_is_not_taken_for_an_own_one(judge, signer):
    other = f'<ds:Signature xmlns:ds="{xml_signature.DS}"><ds:Object Id="O">a</ds:Object>'
    found = judge(forged_xml.sign(f"<r>{other}</ds:Signature></r>", signer, Wanted("#O", OBJECT)))
    assert found.indication is not PASSED


def test_decoded_text_of_an_element_does_not_cover_its_names_and_attributes(judge, signer):
    """With base64 the digest is over the text alone: tags around it change at will."""
    data = base64.b64encode(b"TEST").decode()
    text = f'<r><c Id="C" kind="text">{data}</c></r>'
    wanted = Wanted("#C", transforms=(xml_signature.BASE64,), octets=b"TEST")
    found = judge(forged_xml.sign(text, signer, wanted).replace(b'"text"', b'"html"'))
    assert found.intact
    assert found.scope_kind is report.ScopeKind.PARTIAL


def test_signature_over_nothing_but_its_own_properties_covers_nothing(judge, signer):
    found = judge(forged_xml.sign("<r>TEST</r>", signer))
    assert found.scope_kind is report.ScopeKind.NONE
    assert found.indication is not PASSED
    found = judge(forged_xml.sign("<r>TEST</r>", signer, Wanted("#K")))
    assert found.scope_kind is report.ScopeKind.NONE
    assert found.indication is not PASSED


# --- references --------------------------------------------------------------------------------


def test_empty_list_of_references_is_a_format_failure(judge, signer):
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted(""))
    forged = re.sub(rb"<ds:Reference .*</ds:Reference>", b"", signed, flags=re.DOTALL)
    found = judge(forged)
    assert found.indication is FAILED
    assert found.intact is not True


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/x", "file:///etc/passwd", "ldap://127.0.0.1/x", "../x", "//x/y"]
)
def test_outside_reference_is_not_found_and_never_fetched(judge, signer, uri):
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted(uri, octets=b"x"))
    found = judge(signed)
    assert found.sub_indication is report.SubIndication.SIGNED_DATA_NOT_FOUND
    assert found.intact is None


def test_reference_without_address_means_the_only_file_beside_it(judge, signer):
    wanted = Wanted(None, transforms=(xml_trees.C14N_11,), octets=b"<t>1</t>")
    signed = forged_xml.sign("", signer, wanted, alone=True)
    assert judge(signed, detached=[b"<t>1</t>"]).intact is True
    assert judge(signed, detached=[b"<t>2</t>"]).intact is False
    assert judge(signed).intact is None
    assert judge(signed, detached=[b"<t>1</t>", b"<t>1</t>"]).intact is None


def manifest(digest: str, method: str = "http://www.w3.org/2001/04/xmlenc#sha256") -> str:
    return (
        '<ds:Object><ds:Manifest Id="M"><ds:Reference URI="#C"><ds:DigestMethod'
        f' Algorithm="{method}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>'
        "</ds:Manifest></ds:Object>"
    )


@pytest.mark.clause("XMLDSig", "5.1")
def test_manifest_is_judged_with_what_it_lists(judge, signer):
    right = base64.b64encode(hashlib.sha256(b'<c Id="C">TEST signed</c>').digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    weak = base64.b64encode(
        hashlib.sha1(b'<c Id="C">TEST signed</c>', usedforsecurity=False).digest()
    ).decode()

    def found(objects: str) -> report.SignatureReport:
        return judge(forged_xml.sign(PART, signer, Wanted("#M", MANIFEST), objects=objects))

    good = found(manifest(right))
    assert good.indication is PASSED, good.errors
    assert good.scope_names == ("#M", "#C")
    assert found(manifest(wrong)).sub_indication is report.SubIndication.HASH_FAILURE
    assert (
        found(manifest(weak, xml_signature.DS + "sha1")).sub_indication
        is report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    )
    empty = found('<ds:Object><ds:Manifest Id="M"/></ds:Object>')
    assert empty.indication is not PASSED


# --- keys and algorithms -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hmac-sha256", "hmac-sha1", "none", ""])
def test_shared_secret_or_unknown_method_is_no_signature(judge, signer, name):
    """The public key as the secret of an HMAC, cut to nothing: the classic confusion."""
    method = f"http://www.w3.org/2001/04/xmldsig-more#{name}" if name else "urn:none"
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted(""), method=method)
    cut = b'"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>'
    signed = re.sub(rb'(<ds:SignatureMethod [^>]*)"/>', rb"\1" + cut, signed)
    found = judge(signed)
    assert found.intact is not True
    assert found.indication is not PASSED


def test_certificate_in_front_of_the_signers_is_not_believed(judge, signer, hierarchy):
    """KeyInfo names a minister first; the signed properties name whose key it was."""
    minister = hierarchy.signer("5ZZ99ZZ")
    data = base64.b64encode(minister.der).decode()
    info = f"<ds:X509Data><ds:X509Certificate>{data}</ds:X509Certificate></ds:X509Data>"
    found = judge(forged_xml.sign("<r>TEST</r>", signer, Wanted(""), key_info=info))
    assert found.person_code == "5AB12CD"
    assert found.indication is PASSED, found.errors


def test_properties_that_name_another_certificate_do_not_make_it_the_signers(
    judge, signer, hierarchy
):
    minister = hierarchy.signer("5ZZ99ZZ")
    data = base64.b64encode(minister.der).decode()
    info = f"<ds:X509Data><ds:X509Certificate>{data}</ds:X509Certificate></ds:X509Data>"
    found = judge(forged_xml.sign("<r>TEST</r>", signer, Wanted(""), key_info=info, named=minister))
    assert found.indication is FAILED
    assert found.sub_indication is report.SubIndication.SIG_CRYPTO_FAILURE
    alone = judge(forged_xml.sign("<r>TEST</r>", signer, Wanted(""), named=minister))
    assert alone.sub_indication is report.SubIndication.NO_SIGNING_CERTIFICATE_FOUND


def test_address_of_a_key_is_not_followed(judge, signer):
    info = '<ds:RetrievalMethod URI="http://127.0.0.1:9/key" Type="urn:x"/>'
    found = judge(forged_xml.sign("<r>TEST</r>", signer, Wanted(""), key_info=info))
    assert found.person_code == "5AB12CD"


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "urn:unknown",
    ],
)
def test_transform_that_is_a_program_is_not_run(judge, signer, transform):
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted(""))
    forged = signed.replace(xml_trees.C14N_11.encode(), transform.encode(), 2)
    found = judge(forged)
    assert found.intact is not True
    assert found.indication is not PASSED


@pytest.mark.parametrize(
    "attack",
    [
        b"<!DOCTYPE r [<!ENTITY a 'TEST'>]><r>&a;</r>",
        b"<!DOCTYPE r SYSTEM 'http://127.0.0.1:9/x.dtd'><r/>",
        b"<r>" * 5000 + b"</r>" * 5000,
        b"<r " + b" ".join(b"a%d='1'" % n for n in range(3)) + b"a0='2'/>",
    ],
)
def test_xml_that_is_built_to_harm_is_refused(judge, attack):
    with pytest.raises(errors.InputError):
        judge(attack)


@pytest.mark.parametrize("hidden", [b"<!-- -->", b"<?x y?>", b"<y/>"])
def test_comment_that_splits_a_digest_or_value_is_refused(judge, signer, hidden):
    signed = forged_xml.sign("<r>TEST</r>", signer, Wanted(""))
    for tag in (b"<ds:DigestValue>", b'<ds:SignatureValue Id="V">'):
        place = signed.index(tag) + len(tag) + 4
        found = judge(signed[:place] + hidden + signed[place:])
        assert found.indication is FAILED
        assert found.intact is not True


def test_document_handed_in_that_is_not_signed_is_told(signer, tmp_path, at):
    made = forged_xml.sign("<f>TEST</f>", signer, Wanted(""))
    (tmp_path / "form.xml").write_bytes(made)
    (tmp_path / "other.txt").write_bytes(b"TEST other")
    (found,) = process.validate(
        documents.Document("form.xml", tmp_path / "form.xml"),
        trust=trust.TrustAnchors(),
        at=at,
        fetch=None,
        detached=[documents.Document("other.txt", tmp_path / "other.txt")],
    ).signatures
    assert found.intact
    assert found.scope_kind is report.ScopeKind.PARTIAL
    assert "other.txt" not in found.scope_names
