"""What a signature with filters is said to sign, and what of it is believed."""

import base64
import hashlib

import pytest
from lxml import etree

from pki import xml_transforms, xml_trees
from signing_service.validation import report
from signing_service.validation.xades import xml_document
from tests.support import forged_xml
from tests.support.attacks import on_xml

DS = forged_xml.DS
NS = {"ds": DS, "x": forged_xml.XADES}


def filtered(signer, document: bytes, uri: str, octets: bytes | None, expression: str) -> bytes:
    """The document signed again, with an XPath in front of the transforms of one reference."""

    def edit(element: etree._Element) -> None:
        reference = element.find(f"ds:SignedInfo/ds:Reference[@URI='{uri}']", NS)
        transform = etree.Element(f"{{{DS}}}Transform", Algorithm=xml_transforms.XPATH)
        etree.SubElement(transform, f"{{{DS}}}XPath").text = expression
        reference.find("ds:Transforms", NS).insert(0, transform)
        if octets is not None:
            digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
            reference.find("ds:DigestValue", NS).text = digest

    return on_xml.resigned(document, signer, edit)


def found(document: bytes):
    (one,) = xml_document.read_octets(document, "TEST.xml", {}, expressions=True).signatures
    return one


def test_element_that_a_filter_chooses_is_told_by_its_place(hierarchy):
    signer = hierarchy.signer()
    plain = forged_xml.sign("<f><a>1</a><sum>100</sum></f>", signer, forged_xml.Wanted(""))
    document = filtered(signer, plain, "", b"<sum>100</sum>", "ancestor-or-self::sum")
    one = found(document)
    assert (one.intact, one.scope_kind) == (True, report.ScopeKind.PARTIAL)
    assert one.scope_names == ("TEST.xml /f/sum",)
    assert {each.code for each in one.warnings} == {"partial-scope", "partial-selection"}
    assert found(document.replace(b">1<", b">2<")).intact
    assert found(document.replace(b">100<", b">900<")).intact is False


def test_other_text_that_leaves_signatures_out_covers_the_whole_document(hierarchy):
    signer = hierarchy.signer()
    plain = forged_xml.sign("<f><sum>100</sum></f>", signer, forged_xml.Wanted(""))
    expression = "not(ancestor-or-self::*[@Id = 'S'])"
    one = found(filtered(signer, plain, "", None, expression))
    assert (one.intact, one.scope_kind, one.warnings) == (True, report.ScopeKind.FULL, ())


def test_foreign_xpath_is_not_evaluated_outside_of_a_worker(hierarchy):
    signer = hierarchy.signer()
    plain = forged_xml.sign("<f><sum>100</sum></f>", signer, forged_xml.Wanted(""))
    document = filtered(signer, plain, "", None, "true()")
    (one,) = xml_document.read_octets(document, "TEST.xml", {}).signatures
    assert (one.intact, one.failure[1].code) == (None, xml_trees.UnsupportedXMLSignatureError.code)


@pytest.mark.clause("EN 319 132-1", "4.4.2")
def test_properties_of_which_a_filter_leaves_some_out_are_nobody_s(hierarchy):
    """Whoever holds the document could put in what the filter leaves out."""
    signer = hierarchy.signer()
    plain = forged_xml.sign("<f><sum>100</sum></f>", signer, forged_xml.Wanted(""))
    tree = xml_trees.parse(plain)
    time = tree.getroot().find(".//x:SigningTime", NS)
    time.getparent().remove(time)
    octets = xml_trees.canonicalise(tree.getroot().find(".//x:SignedProperties", NS))

    def edit(element: etree._Element) -> None:
        reference = element.find("ds:SignedInfo/ds:Reference[@URI='#P']", NS)
        transform = etree.Element(f"{{{DS}}}Transform", Algorithm=xml_transforms.XPATH)
        text = "not(ancestor-or-self::*[local-name() = 'SigningTime'])"
        etree.SubElement(transform, f"{{{DS}}}XPath").text = text
        reference.find("ds:Transforms", NS).insert(0, transform)
        digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
        # `resigned` writes the digest of the whole properties to where it is named "#P".
        reference.find("ds:DigestValue", NS).text = digest
        reference.set("URI", "#xpointer(id('P'))")

    one = found(on_xml.resigned(plain, signer, edit))
    assert one.intact
    assert one.failure[0] is report.SubIndication.FORMAT_FAILURE
    assert one.claimed_signing_time is None


@pytest.mark.clause("XML Signature", "5.1")
def test_entries_that_a_filter_leaves_out_of_a_manifest_are_not_signed(hierarchy):
    signer = hierarchy.signer()
    manifest = '<ds:Object><ds:Manifest Id="M"></ds:Manifest></ds:Object>'
    plain = forged_xml.sign(
        '<f><sum Id="A">900</sum></f>', signer, forged_xml.Wanted("#M"), objects=manifest
    )
    signed = filtered(signer, plain, "#M", None, "not(ancestor-or-self::*[@Id = 'late'])")
    digest = base64.b64encode(hashlib.sha256(b'<sum Id="A">900</sum>').digest()).decode()
    added = (
        '<ds:Reference Id="late" URI="#A"><ds:DigestMethod'
        ' Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:Manifest>"
    ).encode()
    forged = signed.replace(b'<ds:Manifest Id="M"/>', b'<ds:Manifest Id="M">' + added, 1)
    assert forged != signed
    one = found(forged)
    assert one.intact
    assert one.scope_kind is report.ScopeKind.PARTIAL
    assert one.scope_names == ("#M",)
