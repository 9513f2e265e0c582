import datetime
import hashlib
import pathlib

import pytest
from lxml import etree

from pki import algorithms, errors, signature, xml_signature, xml_trees
from signing_service import documents, parameters
from signing_service.creation import xades, xml_room
from tests.support import hierarchy as hierarchy_support

FORM = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet href="form.xsl"?>
<!-- TEST form -->
<müraciət xmlns="urn:test:form" xmlns:x="urn:test:x" xml:lang="az" Id="form">
  <ad>Günay TEST</ad><x:qeyd><![CDATA[a < b & c]]></x:qeyd>
  <!-- inside --><boş/>
</müraciət>
"""


def sign(
    source: pathlib.Path,
    target: pathlib.Path,
    signer: hierarchy_support.Holder,
    at: datetime.datetime,
    **chosen: object,
) -> None:
    """Sign a file with a key in memory, in the two phases."""
    prepared = source.with_suffix(".prepared")
    result = xades.prepare(
        documents.single(source),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=xades_parameters(**chosen),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    xades.embed(result, prepared, target, signer.handle.sign(representation))


def xades_parameters(**chosen: object) -> parameters.SignatureParameters:
    return parameters.SignatureParameters(
        format=documents.SignatureFormat.XADES,
        level=documents.SignatureLevel.B_T,
        **chosen,
    )


@pytest.fixture
def form(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "form.xml"
    path.write_text(FORM, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_signed_form_verifies_and_names_exactly_what_was_signed(
    form, tmp_path, hierarchy, at, kind
):
    signer = hierarchy.signer(kind=kind)
    target = tmp_path / "signed.xml"
    sign(form, target, signer, at, place="Bakı")
    tree = xml_trees.parse(target.read_bytes())
    (element,) = xml_signature.signatures_in(tree.getroot())
    document, properties = xml_signature.verify(element, signer.certificate.public_key())
    assert document.whole_document
    assert document.octets == xml_trees.canonicalise(xml_trees.parse(form.read_bytes()))
    assert properties.element.tag == xades.name("SignedProperties")
    assert "Bakı".encode() in properties.octets


@pytest.mark.clause("EN 319 132-1", "5.2.2")
def test_signing_certificate_is_bound_by_its_digest(form, tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    target = tmp_path / "signed.xml"
    sign(form, target, signer, at)
    tree = xml_trees.parse(target.read_bytes())
    digest = next(tree.getroot().iter(xades.name("CertDigest"))).find(
        xml_signature.name("DigestValue")
    )
    assert xml_trees.read_base64(digest) == hashlib.sha256(signer.der).digest()


def test_second_signature_keeps_the_first_valid_and_both_cover_the_form(
    form, tmp_path, hierarchy, at
):
    first, second = hierarchy.signer(), hierarchy.signer("5ZZ99ZZ")
    once, twice = tmp_path / "once.xml", tmp_path / "twice.xml"
    sign(form, once, first, at)
    sign(once, twice, second, at)
    tree = xml_trees.parse(twice.read_bytes())
    found = xml_signature.signatures_in(tree.getroot())
    assert len(found) == 2
    contents = [
        xml_signature.verify(element, signer.certificate.public_key())[0].octets
        for element, signer in zip(found, (first, second), strict=True)
    ]
    assert contents[0] == contents[1]


def test_document_signed_so_that_only_itself_is_left_out_is_refused(form, tmp_path, hierarchy, at):
    signed = tmp_path / "signed.xml"
    sign(form, signed, hierarchy.signer(), at)
    tree = xml_trees.parse(signed.read_bytes())
    (transform,) = (
        one
        for one in tree.getroot().iter(xml_signature.name("Transform"))
        if one.get("Algorithm") == xml_signature.XPATH
    )
    transform.set("Algorithm", xml_signature.ENVELOPED)
    tree.write(str(signed), encoding="UTF-8")
    with pytest.raises(xades.OtherSignatureError):
        xades.check_document(signed, xades_parameters())


def test_signature_time_stamp_is_over_the_canonical_value_of_the_newest_signature(
    form, tmp_path, hierarchy, at
):
    from tests.support import time_stamps

    signed, stamped = tmp_path / "signed.xml", tmp_path / "stamped.xml"
    sign(form, signed, hierarchy.signer(), at)
    unit = hierarchy.time_stamping_unit()
    asked = []

    def request(representation: signature.DataToBeSignedRepresentation) -> bytes:
        asked.append(representation.hash)
        return time_stamps.time_stamp_token(unit, representation, at)

    xades.add_signature_time_stamp(signed, stamped, request)
    tree = xml_trees.parse(stamped.read_bytes())
    (value,) = tree.getroot().iter(xml_signature.name("SignatureValue"))
    assert asked == [hashlib.sha256(xml_trees.canonicalise(value)).digest()]
    (element,) = xml_signature.signatures_in(tree.getroot())
    xml_signature.check_references(element)


def test_token_over_another_hash_is_not_embedded(form, tmp_path, hierarchy, at):
    from tests.support import time_stamps

    signed, stamped = tmp_path / "signed.xml", tmp_path / "stamped.xml"
    sign(form, signed, hierarchy.signer(), at)
    unit = hierarchy.time_stamping_unit()
    other = signature.represent(b"other", algorithms.HashAlgorithm.SHA256)
    with pytest.raises(xades.TokenMismatchError):
        xades.add_signature_time_stamp(
            signed, stamped, lambda _: time_stamps.time_stamp_token(unit, other, at)
        )
    assert not stamped.exists()


def test_value_of_another_key_is_not_embedded(form, tmp_path, hierarchy, at):
    signer, other = hierarchy.signer(), hierarchy.signer()
    prepared = tmp_path / "prepared.xml"
    result = xades.prepare(
        documents.single(form),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=xades_parameters(),
        at=at,
    )
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    with pytest.raises(signature.SignatureValueError):
        xades.embed(result, prepared, tmp_path / "out.xml", other.handle.sign(representation))
    assert not (tmp_path / "out.xml").exists()


def test_prepared_document_that_was_changed_meanwhile_is_refused(form, tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    prepared = tmp_path / "prepared.xml"
    result = xades.prepare(
        documents.single(form),
        prepared,
        certificate=signer.certificate,
        chain=signer.issuers,
        parameters=xades_parameters(),
        at=at,
    )
    tree = xml_trees.parse(prepared.read_bytes())
    next(tree.getroot().iter(xml_signature.name("DigestValue"))).text = "AAAA"
    tree.write(str(prepared), encoding="UTF-8")
    representation = signature.represent(result.data_to_be_signed, result.hash_algorithm)
    with pytest.raises(errors.TamperedError):
        xades.embed(result, prepared, tmp_path / "o.xml", signer.handle.sign(representation))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7",
        b"<a>",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b"<!DOCTYPE a><a/>",
        b'<a><b Id="1"/><c Id="1"/></a>',
        b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>',
    ],
)
def test_document_that_cannot_be_signed_is_refused_with_a_code(tmp_path, content):
    source = tmp_path / "bad.xml"
    source.write_bytes(content)
    with pytest.raises(documents.DocumentRefusedError) as caught:
        xades.check_document(source, xades_parameters())
    assert caught.value.code.startswith("document-")


def test_utf_16_document_keeps_its_content(tmp_path, hierarchy, at):
    source, target = tmp_path / "form.xml", tmp_path / "signed.xml"
    text = '<?xml version="1.0" encoding="UTF-16"?><ა>ქართული TEST</ა>'
    source.write_bytes(text.encode("utf-16"))
    signer = hierarchy.signer()
    sign(source, target, signer, at)
    tree = etree.parse(str(target))
    assert tree.getroot().text == "ქართული TEST"


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?>\r\n<a>\r\n<b/>one</a>\r\n",
        b"\xef\xbb\xbf<a xmlns='urn:x' xml:lang='az' Id='i'><b z='&gt;x&lt;/'/>&#13;</a >",
        b"<p:a xmlns:p='urn:x' xmlns:ds='urn:other'><![CDATA[</p:a>]]></p:a>",
        b"<a xmlns:xades='urn:x' xmlns='urn:y'><a></a></a>",
    ],
)
def test_document_in_utf_8_keeps_every_byte_around_its_signature(tmp_path, hierarchy, at, content):
    source, target, signer = tmp_path / "form.xml", tmp_path / "signed.xml", hierarchy.signer()
    source.write_bytes(content)
    sign(source, target, signer, at, place='Bakı <1> "&"')
    signed = target.read_bytes()
    start, end = signed.rindex(b"<ds:Signature "), signed.rindex(b"</ds:Signature>") + 15
    assert signed[:start] + signed[end:] == content
    assert verified(signed, signer) == xml_trees.canonicalise(xml_trees.parse(content))


@pytest.mark.parametrize(
    "content",
    [
        b"<a/>",
        b"<a><b/></a><!-- </a>-->",
        b"<a-->text</a--><!-- </a-->",
        b"<a></a><?style x </a?>",
        b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>",
        "<?xml version='1.0' encoding='UTF-16'?><a xmlns='urn:x'>\u018f</a>".encode("utf-16"),
    ],
)
def test_document_whose_root_does_not_end_it_is_written_anew_and_signed(
    tmp_path, hierarchy, at, content
):
    source, target, signer = tmp_path / "form.xml", tmp_path / "signed.xml", hierarchy.signer()
    source.write_bytes(content)
    sign(source, target, signer, at)
    expected = xml_trees.canonicalise(xml_trees.parse(content))
    assert verified(target.read_bytes(), signer) == expected


def verified(signed: bytes, signer: hierarchy_support.Holder) -> bytes:
    """What the only signature of a document is over, next to its properties."""
    tree = xml_trees.parse(signed)
    (element,) = xml_signature.signatures_in(tree.getroot())
    assert element.getparent() is tree.getroot()
    covered, _ = xml_signature.verify(element, signer.certificate.public_key())
    return covered.octets


PADDING = f"<p>{'x' * 100_000}</p>" * 43
"""Makes a form so large that it is not parsed into a tree."""


def _large(content: str) -> bytes:
    content = content.replace("<boş/>", PADDING + "<boş/>")
    assert len(content) > xml_room.STREAMED_BYTES
    return content.encode()


def test_large_form_is_signed_as_a_small_one_is(form, tmp_path, hierarchy, at):
    signer = hierarchy.signer()
    target, again = tmp_path / "signed.xml", tmp_path / "again.xml"
    form.write_bytes(_large(FORM))
    xades.check_document(form, xades_parameters())
    sign(form, target, signer, at)
    head, _, tail = target.read_bytes().partition(b"<ds:Signature ")
    assert head + tail.partition(b"</ds:Signature>")[2] == form.read_bytes()
    sign(target, again, signer, at)  # With a signature inside it is parsed into a tree.
    expected = xml_trees.canonicalise(xml_trees.parse(form.read_bytes()))
    found = xml_signature.signatures_in(xml_trees.parse(again.read_bytes()).getroot())
    assert len(found) == 2
    for one in found:
        document, properties = xml_signature.verify(one, signer.certificate.public_key())
        assert document.whole_document
        assert document.octets == expected
        assert properties.element.tag == xades.name("SignedProperties")


@pytest.mark.parametrize(
    "content",
    [FORM.replace("<boş/>", "<boş/><!-- </müraciət> -->"), FORM + "<!-- </müraciət> -->"],
)
def test_place_in_a_large_form_is_behind_its_last_element(tmp_path, hierarchy, at, content):
    form, target = tmp_path / "form.xml", tmp_path / "signed.xml"
    form.write_bytes(_large(content))
    signer = hierarchy.signer()
    sign(form, target, signer, at)
    root = xml_trees.parse(target.read_bytes()).getroot()
    assert root[-1].tag == xml_signature.name("Signature")
    document, _ = xml_signature.verify(root[-1], signer.certificate.public_key())
    assert document.octets == xml_trees.canonicalise(xml_trees.parse(form.read_bytes()))


def test_large_form_that_is_parsed_after_all_keeps_its_identifiers(tmp_path, hierarchy, at):
    """What another encoding, or a signature in it, keeps from being signed piece by piece."""
    form, target, again = (tmp_path / one for one in ("form.xml", "signed.xml", "again.xml"))
    content = _large(FORM.replace("<ad>", '<ad Id="one">')).decode()
    declared = '<?xml version="1.0" encoding="utf-16"?>' + content.partition("?>")[2]
    form.write_bytes(declared.encode("utf-16"))
    signer = hierarchy.signer()
    sign(form, target, signer, at)
    sign(target, again, signer, at)
    assert len(xml_signature.signatures_in(xml_trees.parse(again.read_bytes()).getroot())) == 2


@pytest.mark.clause("XML 1.0", "4.3.3")
def test_encoding_in_small_letters_keeps_every_byte(form, tmp_path, hierarchy, at):
    target = tmp_path / "signed.xml"
    content = form.read_bytes().replace(b'encoding="UTF-8"', b'encoding="utf-8"')
    assert b'"utf-8"' in content
    form.write_bytes(content)
    sign(form, target, hierarchy.signer(), at)
    head, _, tail = target.read_bytes().partition(b"<ds:Signature ")
    assert head + tail.partition(b"</ds:Signature>")[2] == content


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (FORM.replace("<ad>", '<ad Id="form">'), "document-ambiguous-id"),
        (FORM.replace("<ad>", '<ad Id="a"/><ad Id="a">'), "document-ambiguous-id"),
        (FORM.replace("<ad>", "<ad><b>"), "document-not-xml"),
        (FORM.replace("<müraciət", "<!DOCTYPE müraciət><müraciət"), "document-not-xml"),
        (FORM.replace("</müraciət>", ""), "document-not-xml"),
    ],
)
def test_large_document_that_cannot_be_signed_is_refused_with_a_code(
    tmp_path, hierarchy, at, content, code
):
    form = tmp_path / "form.xml"
    form.write_bytes(_large(content))
    with pytest.raises(documents.DocumentRefusedError) as caught:
        xades.check_document(form, xades_parameters())
    assert caught.value.code == code
    with pytest.raises(documents.DocumentRefusedError) as caught:
        sign(form, tmp_path / "signed.xml", hierarchy.signer(), at)
    assert caught.value.code == code
