"""What is said of signatures whose XPath is not evaluated here, but is by who validates them."""

import re

from lxml import etree

from pki import xml_signature, xml_trees
from signing_service.creation import soundness
from signing_service.validation import findings
from signing_service.validation.xades import xml_document
from tests.support import forged_xml


def _found(document: bytes) -> findings.FoundDocument:
    return xml_document.read_octets(document, "form.xml", {}, (), expressions=False)


def _with_xpath(document: bytes) -> bytes:
    tree = xml_trees.parse(document)
    (transforms,) = tree.getroot().iterfind(".//{*}Reference[@URI='#A']/{*}Transforms")
    transforms.append(
        etree.fromstring(
            f'<t:Transform xmlns:t="{xml_signature.DS}" Algorithm="{xml_signature.XPATH}">'
            "<t:XPath>not(self::x)</t:XPath></t:Transform>"
        )
    )
    return etree.tostring(tree)


def test_one_that_may_see_another_signature_is_not_risked(hierarchy):
    part = forged_xml.Wanted("#A", octets=b"<sum>100</sum>", transforms=(xml_trees.C14N_11,))
    document = forged_xml.sign('<f><sum Id="A">100</sum></f>', hierarchy.signer(), part)
    alone = _with_xpath(document)
    own = re.search(rb"<ds:Signature .*</ds:Signature>", document, re.DOTALL)[0]
    other = re.sub(rb'"(#?)([SVPK])"', rb'"\g<1>\g<2>2"', own)
    beside = alone.replace(b"</f>", other + b"</f>")
    assert len(_found(beside).signatures) == 2
    assert soundness.loses_signature(_found(beside), _found(beside))
    assert not soundness.loses_signature(_found(alone), _found(alone))
