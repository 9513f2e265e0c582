"""Our XML signatures verified by xmlsec1, which shares no code with us but libxml2."""

import os
import pathlib
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pki import signature, xml_signature, xml_trees
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


TEMPLATE = """<?look at?><r xmlns="urn:t" xmlns:p="urn:p" xml:lang="az"><a Id="A">one<!-- c -->
<b p:x="2">two<c/></b>tail</a> <p:d><e>three</e><a>x</a></p:d><g:Signature
xmlns:g="http://www.w3.org/2000/09/xmldsig#" Id="S"><g:SignedInfo><g:CanonicalizationMethod
Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><g:SignatureMethod
Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><g:Reference URI="{uri}">
<g:Transforms>{transforms}</g:Transforms><g:DigestMethod
Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><g:DigestValue/></g:Reference></g:SignedInfo>
<g:SignatureValue/><g:KeyInfo><g:KeyValue/></g:KeyInfo></g:Signature></r><!-- end -->"""
RSA_KEY = rsa.generate_private_key(65537, 2048)
FILTER = "http://www.w3.org/2002/06/xmldsig-filter2"


def xpath(text: str) -> str:
    return (
        f'<g:Transform Algorithm="{xml_signature.XPATH}"><g:XPath xmlns:t="urn:t">{text}'
        "</g:XPath></g:Transform>"
    )


def filters(*wanted: tuple[str, str]) -> str:
    listed = "".join(
        f'<XPath xmlns="{FILTER}" xmlns:t="urn:t" Filter="{mode}">{text}</XPath>'
        for mode, text in wanted
    )
    return f'<g:Transform Algorithm="{FILTER}">{listed}</g:Transform>'


EXCLUSIVE = (
    '<g:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"><i:InclusiveNamespaces'
    ' xmlns:i="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="p #default"/></g:Transform>'
)
COMMENTS = '<g:Transform Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"/>'
ENVELOPED = f'<g:Transform Algorithm="{xml_signature.ENVELOPED}"/>'


@pytest.mark.parametrize(
    ("uri", "transforms"),
    [
        ("", xpath(" not( ancestor-or-self::g:Signature )")),
        ("", xpath("not(ancestor-or-self::*[@Id = 'S'])")),
        ("", xpath("count(ancestor-or-self::g:Signature | here()/ancestor::g:Signature[1]) !="
                   " count(ancestor-or-self::g:Signature)")),
        ("", xpath("ancestor-or-self::t:a")),
        ("", xpath("ancestor-or-self::t:a") + EXCLUSIVE),
        ("", ENVELOPED + xpath("not(ancestor-or-self::t:b)") + EXCLUSIVE),
        ("", filters(("subtract", "here()/ancestor::g:Signature[1]"))),
        ("", filters(("intersect", "/t:r"), ("subtract", "//g:Signature | //t:b"))),
        ("", filters(("intersect", "//t:a"), ("union", "//t:e"), ("subtract", "//t:b"))),
        ("", filters(("intersect", "id('A')")) + COMMENTS),
        ("#xpointer(/)", ENVELOPED + COMMENTS),
        ("#xpointer(id('A'))", filters(("subtract", "//t:c")) + COMMENTS),
        ("#A", filters(("subtract", "//t:c")) + xpath("not(ancestor-or-self::t:b)")),
    ],
)  # fmt: skip
def test_what_xmlsec1_signs_by_xpath_is_what_we_verify(xmlsec1, tmp_path, uri, transforms):
    key, template, made = (tmp_path / one for one in ("key.pem", "template.xml", "made.xml"))
    key.write_bytes(
        RSA_KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    template.write_text(TEMPLATE.format(uri=uri, transforms=transforms), encoding="utf-8")
    subprocess.run(
        [
            *(xmlsec1, "--sign", "--id-attr:Id", "urn:t:a", "--privkey-pem", str(key)),
            *("--output", str(made), str(template)),
        ],
        capture_output=True,
        timeout=60,
        check=True,
    )
    (element,) = xml_signature.signatures_in(xml_trees.parse(made.read_bytes()).getroot())
    xml_signature.check_value(element, RSA_KEY.public_key())
    (reference,) = xml_signature.check_references(element, expressions=True)
    assert reference.octets.startswith((b"<?look at?>", b"<r xmlns", b"<a xmlns"))
    assert b"SignatureValue" not in reference.octets
