import base64
import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from pki import (
    algorithms,
    errors,
    signature,
    xml_algorithms,
    xml_signature,
    xml_trees,
)
from tests.support import hierarchy

DOCUMENT = b'<f xmlns="urn:test" xml:lang="az"><a Id="a">TEST one</a><b Id="b">TEST two</b></f>'
DS = xml_signature.name
KEY = hierarchy.MemoryKey("k", hierarchy.make_key(algorithms.KeyKind.P256))


def signed(
    document: bytes = DOCUMENT,
    *,
    uri: str = "",
    transforms: tuple[str, ...] = (xml_signature.ENVELOPED, xml_trees.C14N_11),
    key: hierarchy.MemoryKey = KEY,
) -> bytes:
    """A document with one signature over what `uri` names."""
    tree = xml_trees.parse(document)
    root = tree.getroot()
    node = tree if uri == "" else xml_trees.find_by_id(root, uri[1:])
    octets = xml_trees.canonicalise(node)
    element = etree.SubElement(
        root, xml_signature.name("Signature"), nsmap={"ds": xml_signature.DS}
    )
    reference = xml_signature.build_reference(
        octets, uri=uri, hash_algorithm=algorithms.HashAlgorithm.SHA256, transforms=transforms
    )
    kind = algorithms.key_kind(key.public_key)
    method = xml_algorithms.signature_uri(kind.signature_algorithm, kind.hash_algorithm)
    element.append(xml_signature.build_signed_info([reference], signature_method=method))
    value = key.sign(
        signature.represent(xml_signature.signed_info_octets(element), kind.hash_algorithm)
    )
    holder = etree.SubElement(element, xml_signature.name("SignatureValue"))
    holder.text = base64.b64encode(value.value).decode()
    return etree.tostring(tree, encoding="UTF-8")


def verify(content: bytes, key: hierarchy.MemoryKey = KEY, **others: object):
    (element, *_) = xml_signature.signatures_in(xml_trees.parse(content).getroot())
    return xml_signature.verify(element, key.public_key, **others)


def resolve(content: bytes, **others: object):
    (element, *_) = xml_signature.signatures_in(xml_trees.parse(content).getroot())
    return xml_signature.check_references(element, **others)


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_what_is_signed_verifies_and_is_returned_byte_for_byte(kind):
    key = hierarchy.MemoryKey("k", hierarchy.make_key(kind))
    (reference,) = verify(signed(key=key), key)
    assert reference.octets == xml_trees.canonicalise(xml_trees.parse(DOCUMENT))
    assert reference.whole_document


def test_part_that_is_signed_by_its_identifier_is_that_part_and_no_more():
    (reference,) = verify(signed(uri="#a", transforms=(xml_trees.C14N_11,)))
    assert reference.element.get("Id") == "a"
    assert not reference.whole_document
    assert b"TEST two" not in reference.octets


@pytest.mark.clause("Canonical XML 1.1", "2.4")
def test_inherited_xml_attributes_are_part_of_what_is_signed():
    tree = xml_trees.parse(DOCUMENT)
    part = xml_trees.find_by_id(tree.getroot(), "a")
    assert b'xml:lang="az"' in xml_trees.canonicalise(part)
    assert b"xml:lang" not in xml_trees.canonicalise(part, xml_trees.C14N_EXCLUSIVE)
    assert part.attrib == {"Id": "a"}


def test_changed_content_is_a_digest_error():
    with pytest.raises(xml_signature.ReferenceDigestError):
        verify(signed().replace(b"TEST one", b"TEST won"))


def test_changed_signed_info_is_a_value_error():
    content = signed()
    old = base64.b64encode(
        hashlib.sha256(xml_trees.canonicalise(xml_trees.parse(DOCUMENT))).digest()
    )
    forged = DOCUMENT.replace(b"one", b"won")
    new = base64.b64encode(hashlib.sha256(xml_trees.canonicalise(xml_trees.parse(forged))).digest())
    with pytest.raises(xml_signature.XMLSignatureValueError):
        verify(content.replace(old, new).replace(b"TEST one", b"TEST won"))


def test_value_of_another_key_is_refused():
    other = hierarchy.MemoryKey("o", hierarchy.make_key(algorithms.KeyKind.P256))
    with pytest.raises(xml_signature.XMLSignatureValueError):
        verify(signed(), other)


def test_ecdsa_value_in_der_is_refused():
    content = signed()
    start = content.index(b"<ds:SignatureValue>") + len(b"<ds:SignatureValue>")
    end = content.index(b"<", start)
    der = algorithms.ecdsa_raw_to_der(base64.b64decode(content[start:end]))
    with pytest.raises(xml_signature.XMLSignatureValueError):
        verify(content[:start] + base64.b64encode(der) + content[end:])


@pytest.mark.parametrize("attribute", ["Id", "ID", "id", "xml:id"])
def test_wrapping_by_a_second_element_with_the_identifier_is_refused(attribute):
    """The signed element is moved aside and a forged one with its identifier takes its place."""
    content = signed(uri="#a", transforms=(xml_trees.C14N_11,))
    forged = content.replace(b'<b Id="b">', f'<b {attribute}="a">'.encode())
    with pytest.raises(xml_trees.AmbiguousIdError):
        verify(forged)


def test_wrapping_by_moving_the_signed_part_reports_the_part_that_was_signed():
    """A forged part stands where the signed one stood; what is reported is not the forged one."""
    content = signed(uri="#a", transforms=(xml_trees.C14N_11,))
    part = b'<a Id="a">TEST one</a>'
    assert part in content
    (reference,) = verify(content.replace(part, b"<a>TEST won</a><w>" + part + b"</w>"))
    assert reference.element.getparent().tag == "{urn:test}w"
    assert reference.element.text == "TEST one"
    assert not reference.whole_document


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#x",
        "urn:unknown",
    ],
)
def test_transforms_that_run_programs_are_refused(transform):
    content = signed().replace(xml_signature.ENVELOPED.encode(), transform.encode())
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        resolve(content)


def test_other_xpath_expressions_are_refused_where_they_are_not_allowed():
    content = signed(transforms=(xml_signature.XPATH, xml_trees.C14N_11))
    verify(content)
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        resolve(content.replace(b"not(ancestor-or-self::ds:Signature)", b"not(ancestor::ds:X)"))


def test_prefix_of_the_known_expression_has_to_mean_xml_signature():
    content = signed(transforms=(xml_signature.XPATH, xml_trees.C14N_11))
    forged = content.replace(
        b"not(ancestor-or-self::ds:Signature)", b"not(ancestor-or-self::x:Signature)"
    )
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        resolve(forged.replace(b"<ds:XPath>", b'<ds:XPath xmlns:x="urn:test">'))


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "http://127.0.0.1:1/x", "//host/x", "../x"])
def test_external_references_are_never_fetched(uri):
    content = signed().replace(b'URI=""', f'URI="{uri}"'.encode())
    with pytest.raises(xml_trees.ReferenceNotFoundError):
        resolve(content)


@pytest.mark.clause("XML Signature", "6.6.4")
def test_reference_without_uri_but_enveloped_is_to_its_own_document():
    """xadesjs and programs like it write no URI."""
    tree = xml_trees.parse(signed())
    (element,) = xml_signature.signatures_in(tree.getroot())
    reference = element.find(f"{DS('SignedInfo')}/{DS('Reference')}")
    del reference.attrib["URI"]
    (checked,) = xml_signature.check_references(element, detached={"a": b"1"})
    assert checked.whole_document
    reference.remove(reference.find(DS("Transforms")))
    with pytest.raises(xml_trees.ReferenceNotFoundError):
        xml_signature.check_references(element)


def test_detached_content_is_taken_from_what_was_handed_in():
    content = signed(transforms=()).replace(b'URI=""', b'URI="a%20b.bin"')
    original = xml_trees.canonicalise(xml_trees.parse(DOCUMENT))
    (reference,) = resolve(content, detached={"a b.bin": original})
    assert reference.element is None
    assert reference.octets == original
    with pytest.raises(xml_signature.ReferenceDigestError):
        resolve(content, detached={"a b.bin": original + b" "})


@pytest.mark.parametrize(
    "bomb",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><a/>',
        b'<!DOCTYPE a [<!ENTITY a0 "lol">'
        + b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 12))
        + b"]><a>&a11;</a>",
        b"<a>" * 5000 + b"</a>" * 5000,
        b"\xff\xfe<\x00a\x00",
    ],
)
def test_hostile_documents_are_refused(bomb):
    with pytest.raises(xml_trees.XMLUnreadableError):
        xml_trees.parse(bomb)


def test_document_over_the_limit_is_refused():
    with pytest.raises(errors.LimitError):
        xml_trees.parse(b"<a>" + b" " * xml_trees.MAX_BYTES + b"</a>")


def test_comment_inside_a_value_is_refused():
    content = signed().replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>AA<!-- -->")
    with pytest.raises(xml_trees.XMLSignatureError):
        verify(content)


def test_element_hidden_in_signed_info_is_refused():
    content = signed().replace(b"</ds:SignedInfo>", b"<x/></ds:SignedInfo>")
    with pytest.raises(errors.InputError):
        verify(content)


def test_leaving_signatures_out_keeps_the_text_around_and_the_document_as_it_is():
    empty = f"<s:Signature xmlns:s='{xml_signature.DS}'/>"
    content = f"<?p?><f>one{empty}two<!--c-->{empty}three</f><?q?>"
    tree = xml_trees.parse(content.encode())
    before = etree.tostring(tree)
    signatures = xml_signature.signatures_in(tree.getroot())
    expected = b"<?p?>\n<f>onetwothree</f>\n<?q?>"
    assert xml_trees.canonicalise(xml_trees.without(tree, signatures)) == expected
    assert xml_trees.canonicalise(tree, left_out=signatures) == expected
    assert etree.tostring(tree) == before


@pytest.mark.parametrize("method", xml_trees.METHODS)
def test_what_is_left_out_while_canonicalising_is_as_if_it_had_been_taken_out(method):
    empty = f"<s:Signature xmlns:s='{xml_signature.DS}'/>"
    content = (
        f"<x><f xmlns='urn:f' xmlns:g='urn:g' a='1'>{empty}{empty}<![CDATA[a<]]>b<g:h><!--c-->"
        f"{empty}</g:h>&#13;<i xmlns=''>{empty}\u018f</i>{empty}</f></x>"
    )
    tree = xml_trees.parse(content.encode())
    signatures = xml_signature.signatures_in(tree.getroot())
    for node in (tree, tree.getroot()[0]):
        expected = xml_trees.canonicalise(
            xml_trees.without(node, signatures), method, keep_comments=True
        )
        before = xml_trees.canonicalise(tree)
        left = xml_trees.canonicalise(node, method, keep_comments=True, left_out=signatures)
        assert left == expected
        assert b"Signature" not in left
        assert xml_trees.canonicalise(tree) == before


def test_only_what_is_inside_can_be_left_out():
    empty = f"<s:Signature xmlns:s='{xml_signature.DS}'/>"
    tree = xml_trees.parse(f"<f><a/>{empty}</f>".encode())
    with pytest.raises(xml_trees.XMLSignatureError):
        xml_trees.canonicalise(
            tree.getroot()[0], left_out=xml_signature.signatures_in(tree.getroot())
        )


def test_namespaces_declared_again_inside_a_signature_survive_leaving_it_out():
    """The library drops such declarations from what it takes out of a tree and puts back."""
    inner = f'<s:Object xmlns:s="{xml_signature.DS}" xmlns:t="urn:t" Id="o"/>'
    outer = f'<s:Signature xmlns:s="{xml_signature.DS}">{inner}</s:Signature>'
    content = f'<f xmlns:t="urn:t">{outer}</f>'
    tree = xml_trees.parse(content.encode())
    part = xml_trees.find_by_id(tree.getroot(), "o")
    before = xml_trees.canonicalise(part)
    xml_trees.without(tree, xml_signature.signatures_in(tree.getroot()))
    assert xml_trees.canonicalise(part) == before


@pytest.mark.parametrize("curve", ["P-521"])
def test_old_or_other_curves_are_verified_for_a_policy_to_judge(curve):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP521R1())
    raw = algorithms.ecdsa_der_to_raw(key.sign(b"data", ec.ECDSA(hashes.SHA1())), 66)  # noqa: S303
    method = xml_algorithms.SignatureMethod("ECDSA", "sha1")
    method.verify(key.public_key(), raw, b"data")
    with pytest.raises(xml_algorithms.ValueMismatchError):
        method.verify(key.public_key(), raw, b"other")


GOOD = signed()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutated_signature_raises_input_error_and_nothing_else(data):
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "repeat"]))
        if kind == "change":
            content[position] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[position : position + data.draw(st.integers(1, 40))]
        else:
            content[position:position] = content[position : position + 80]
        if not content:
            return
    try:
        root = xml_trees.parse(bytes(content)).getroot()
        for element in xml_signature.signatures_in(root):
            (reference,) = xml_signature.verify(element, KEY.public_key)
            # What still verifies is what was signed.
            assert reference.octets == xml_trees.canonicalise(xml_trees.parse(DOCUMENT))
    except errors.InputError:
        return


@pytest.mark.clause("Canonical XML 1.0", "4.6")
def test_relative_namespace_address_has_no_canonical_form_and_is_refused() -> None:
    root = xml_trees.parse(b'<a xmlns:p="relative/address"><p:b/></a>')
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError, match="canonical form"):
        xml_trees.canonicalise(root)


@pytest.mark.parametrize("method", [xml_trees.C14N_10, xml_trees.C14N_11])
@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            b'<w xmlns="urn:a"><p I="1"><q><r><s/></r></q></p></w>',
            b'<p xmlns="urn:a" I="1"><q><r><s></s></r></q></p>',
        ),
        (
            b'<w><p xmlns="urn:a" xmlns:b="urn:b"><q><r xmlns="">&#13;<b:s/></r></q></p></w>',
            b'<p xmlns="urn:a" xmlns:b="urn:b"><q><r xmlns="">&#xD;<b:s></b:s></r></q></p>',
        ),
        (
            b'<w xmlns="urn:a" xmlns:b="urn:b"><b:p><q><![CDATA[<]]><r/></q></b:p>tail</w>',
            b'<b:p xmlns="urn:a" xmlns:b="urn:b"><q>&lt;<r></r></q></b:p>',
        ),
    ],
)
def test_default_namespace_of_a_part_reaches_its_grandchildren(method, document, expected):
    """libxml2 2.14 writes xmlns="" there, so that honest signatures fail."""
    part = xml_trees.parse(document).getroot()[0]
    assert xml_trees.canonicalise(part, method) == expected


@pytest.mark.clause("Canonical XML 1.0", "2.4")
def test_addresses_above_a_part_are_inherited_by_the_older_method_alone():
    """1.1 joins them to one address, which is not done here."""
    document = b'<r xml:base="http://a/"><m xml:base="b/"><d/></m></r>'
    part = xml_trees.parse(document).getroot()[0][0]
    assert xml_trees.canonicalise(part, xml_trees.C14N_10) == b'<d xml:base="b/"></d>'
    part.set("{http://www.w3.org/XML/1998/namespace}base", "c/")
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        xml_trees.canonicalise(part, xml_trees.C14N_11)
