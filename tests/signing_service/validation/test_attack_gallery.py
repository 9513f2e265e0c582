"""The attack gallery: what somebody tries, and what we say, one line each.

The modules beside this one go into each; here they stand together, over every format. The honest
document of each format is judged first, so that no attack is noticed for another reason.

    python -m pytest tests/signing_service/validation/test_attack_gallery.py -v
"""

import base64
import re

import pytest
from lxml import etree

from pki import algorithms, der, errors, signature, xml_signature, xml_trees
from signing_service import documents, parameters, trust
from signing_service.creation import xades_countersignatures, xades_signature
from signing_service.validation import process, report
from tests.support import forged_xml, packed_containers, signed_cms
from tests.support.attacks import on_cms, on_containers, on_xml
from tests.support.attacks.attacker import CONTENT, REFUSED, Attack, Attacker
from tests.support.forged_xml import Wanted

# --- what is tried -----------------------------------------------------------------------------


def cms_changed_content(who: Attacker) -> bytes:
    made = who.cms()
    made.content = CONTENT.replace(b"100", b"900")
    return made.encode()


def cms_other_certificate(who: Attacker) -> bytes:
    made = who.cms()
    made.signers[0].holder = who.mallory
    return made.encode()


def cms_value_of_another(who: Attacker) -> bytes:
    made = who.cms()
    made.signers[0].value = signed_cms.Signer(who.mallory, CONTENT, who.at).value
    return made.encode()


def cms_no_attributes(who: Attacker) -> bytes:
    signer = signed_cms.Signer(who.victim, CONTENT, who.at)
    made = signed_cms.Cms(der.encode(der.SET, *signer.signed), [signer])
    signer.without_attributes = True
    return made.encode()


def cms_content_type(who: Attacker) -> bytes:
    made = who.cms()
    made.content_type = "1.2.840.113549.1.7.3"
    return made.encode()


def cms_token_as_signature(who: Attacker) -> bytes:
    return signed_cms.stamp(who.unit, CONTENT, who.at)


def cms_nested_without_end(who: Attacker) -> bytes:
    return b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" + b"\xa0\x80" * 5000


def zip_added_file(who: Attacker) -> bytes:
    return packed_containers.pack({**who.container(), "price.txt": b"TEST 900"})


def zip_changed_file(who: Attacker) -> bytes:
    return packed_containers.pack({**who.container(), "contract.txt": b"TEST other"})


def zip_removed_file(who: Attacker) -> bytes:
    entries = who.container()
    del entries["contract.txt"]
    return packed_containers.pack(entries)


def zip_other_manifest(who: Attacker) -> bytes:
    other = {"contract.txt": b"TEST other"}
    listed = packed_containers.manifest("META-INF/signature001.p7s", other)
    return packed_containers.pack(
        {**who.container(), **other, "META-INF/ASiCManifest001.xml": listed}
    )


def zip_second_manifest(who: Attacker) -> bytes:
    other = {"contract.txt": b"TEST other"}
    listed = packed_containers.manifest("META-INF/signature001.p7s", other)
    return packed_containers.pack({**who.container(), "META-INF/ASiCManifest002.xml": listed})


def zip_content_of_its_own(who: Attacker) -> bytes:
    attached = who.cms().encode()
    return packed_containers.pack({**who.container(), "META-INF/signature001.p7s": attached})


def zip_simple_content_of_its_own(who: Attacker) -> bytes:
    entries = {"contract.txt": b"TEST other", "META-INF/signature.p7s": who.cms().encode()}
    return packed_containers.pack(entries, mimetype=packed_containers.ASIC_S)


def zip_named_as_counter_signature(who: Attacker) -> bytes:
    files = packed_containers.FILES
    made = packed_containers.xades(who.victim, files)
    made = made.replace(b'Id="S"', b'Id="S-counter-1"').replace(b'"#S"', b'"#S-counter-1"')
    return packed_containers.pack(
        {**files, "price.txt": b"TEST 900", "META-INF/signatures-counter-1.xml": made}
    )


def zip_two_with_one_name(who: Attacker) -> bytes:
    return packed_containers.pack([*who.container().items(), ("contract.txt", b"TEST other")])


def zip_path_outside(who: Attacker) -> bytes:
    return packed_containers.pack({**who.container(), "../../etc/cron.d/x": b"TEST"})


def zip_bomb(who: Attacker) -> bytes:
    return packed_containers.pack({**who.container(), "zeros": bytes(40 * 2**20)})


def zip_appended(who: Attacker) -> bytes:
    made = packed_containers.pack(who.container())
    return made + made


def xml_changed(who: Attacker) -> bytes:
    return who.xml().replace(b">100<", b">900<")


def xml_wrapped(who: Attacker) -> bytes:
    return re.sub(
        rb'<f>(<sum Id="A">100</sum>)', rb'<f><sum Id="A">900</sum><old>\1</old>', who.part()
    )


def xml_moved(who: Attacker) -> bytes:
    return who.part().replace(b"<f>", b'<f><sum Id="B">900</sum>', 1)


def xml_object_added(who: Attacker) -> bytes:
    added = b'<ds:Object xmlns:ds="%s"><sum>900</sum></ds:Object>' % xml_signature.DS.encode()
    return who.xml().replace(b"</ds:Signature>", added + b"</ds:Signature>")


def xml_entity(who: Attacker) -> bytes:
    return b'<!DOCTYPE f [<!ENTITY s "900">]>' + who.xml().split(b"?>")[-1]


def xml_properties_swapped(who: Attacker) -> bytes:
    return who.xml().replace(b"2026-01-01T00:00:00Z", b"2020-01-01T00:00:00Z")


def xml_fake_counter_signature(who: Attacker) -> bytes:
    made = forged_xml.sign("<g>TEST</g>", who.mallory, Wanted("")).split(b"?>")[-1]
    inside = re.search(rb"<ds:Signature .*</ds:Signature>", made, re.DOTALL)[0]
    fake = (
        b'<x:UnsignedProperties xmlns:x="%s"><x:UnsignedSignatureProperties><x:CounterSignature>'
        b"%s</x:CounterSignature></x:UnsignedSignatureProperties></x:UnsignedProperties>"
    ) % (forged_xml.XADES.encode(), inside.replace(b'"S"', b'"S2"').replace(b'"#S"', b'"#S2"'))
    return who.xml().replace(b"</x:QualifyingProperties>", fake + b"</x:QualifyingProperties>", 1)


def _countersigned(who: Attacker, *, in_object: bool = False) -> etree._Element:
    """A signed form whose signature Mallory has countersigned; returns the counter-signature."""
    root = xml_trees.parse(who.xml()).getroot()
    parent = xades_countersignatures.find(root, "S")
    element = xades_countersignatures.add_place(parent)
    if in_object:
        etree.SubElement(parent, xml_signature.name("Object")).append(element.getparent())
    xades_signature.build(
        element,
        "C",
        [xades_countersignatures.data_object(parent, algorithms.HashAlgorithm.SHA256)],
        certificate=who.mallory.certificate,
        chain=who.mallory.issuers,
        chosen=parameters.SignatureParameters(
            documents.SignatureFormat.XADES, documents.SignatureLevel.B_B
        ),
        at=who.at,
    )
    octets = xml_signature.signed_info_octets(element)
    hash_algorithm = algorithms.key_kind(who.mallory.key.public_key()).hash_algorithm
    value = who.mallory.handle.sign(signature.represent(octets, hash_algorithm))
    holder = element.find(xml_signature.name("SignatureValue"))
    holder.text = base64.b64encode(value.value).decode()
    return element


def xml_countersigned(who: Attacker) -> bytes:
    return etree.tostring(_countersigned(who).getroottree())


def xml_counter_signature_moved(who: Attacker) -> bytes:
    moved = _countersigned(who)
    root = xml_trees.parse(
        forged_xml.sign("<f><sum>900</sum></f>", who.victim, Wanted(""))
    ).getroot()
    place = xades_countersignatures.add_place(xades_countersignatures.find(root, "S"))
    place.getparent().replace(place, moved)
    return etree.tostring(root)


def xml_counter_signature_elsewhere(who: Attacker) -> bytes:
    """Beside the properties: what is said to be countersigned is not, for whoever looks there."""
    return etree.tostring(_countersigned(who, in_object=True).getroottree())


def xml_counter_signature_of_something_else(who: Attacker) -> bytes:
    return forged_xml.sign(
        '<f><sum Id="A">100</sum></f>',
        who.victim,
        Wanted("#A", xml_signature.COUNTERSIGNED_TYPE),
    )


def cms_counter_signature_moved(who: Attacker) -> bytes:
    made, other = who.cms(), signed_cms.sign(b"another contract", who.victim, who.at)
    counter = signed_cms.Signer(who.mallory, other.signers[0].value, who.at, content_type=None)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, counter.raw))
    made.certificates = [*made.all_certificates(), who.mallory.der]
    return made.encode()


def cms_signer_as_counter_signature(who: Attacker) -> bytes:
    """RFC 5652 11.4: one with a content type signs a content, and not a value."""
    made = who.cms()
    counter = signed_cms.Signer(who.mallory, made.signers[0].value, who.at)
    made.signers[0].unsigned.append(signed_cms.attribute(signed_cms.COUNTER_SIGNATURE, counter.raw))
    made.certificates = [*made.all_certificates(), who.mallory.der]
    return made.encode()


def pdf_changed(who: Attacker) -> bytes:
    return who.pdf().replace(b"TEST contract 1", b"TEST contract 9")


def pdf_appended(who: Attacker) -> bytes:
    made = who.pdf()
    return made + b"\n5 0 obj\n<< /Length 3 >>\nstream\nabc\nendstream\nendobj\n"


def pdf_range_moved(who: Attacker) -> bytes:
    made = who.pdf()
    found = re.search(rb"/ByteRange \[0 (\d+) ", made)
    shorter = b"%d" % (int(found[1]) - 10)
    return made.replace(
        b"/ByteRange [0 " + found[1], b"/ByteRange [0 " + shorter.rjust(len(found[1])), 1
    )


GALLERY = (
    Attack(cms_changed_content, "another amount in the content", "HASH_FAILURE"),
    Attack(cms_other_certificate, "a signature under another name", "SIG_CRYPTO_FAILURE"),
    Attack(cms_value_of_another, "one's own value under another's name", "SIG_CRYPTO_FAILURE"),
    Attack(cms_no_attributes, "signed attributes passed off as a document", "FORMAT_FAILURE"),
    Attack(cms_content_type, "a content of another type than was signed", "FORMAT_FAILURE"),
    Attack(cms_token_as_signature, "a time stamp passed off as a signature", "NO-SIGNATURE"),
    Attack(cms_nested_without_end, "levels without end, to exhaust the reader", REFUSED),
    Attack(zip_added_file, "a file that nobody signed", "partial file-not-covered"),
    Attack(zip_changed_file, "another file under a signed name", "HASH_FAILURE"),
    Attack(zip_removed_file, "a signed file that is gone", "SIGNED_DATA_NOT_FOUND"),
    Attack(zip_other_manifest, "a manifest over other files", "HASH_FAILURE"),
    Attack(zip_second_manifest, "a second manifest beside the signed one", "FORMAT_FAILURE"),
    Attack(zip_content_of_its_own, "a signature over a content inside it", "FORMAT_FAILURE none"),
    Attack(zip_simple_content_of_its_own, "the same in ASiC-S", "FORMAT_FAILURE none"),
    Attack(zip_named_as_counter_signature, "an added file, under another name", "partial"),
    Attack(zip_two_with_one_name, "two files with one name", REFUSED),
    Attack(zip_path_outside, "a file that unpacks elsewhere", REFUSED),
    Attack(zip_bomb, "a file that fills the disk", REFUSED),
    Attack(zip_appended, "a second container behind the first", REFUSED),
    Attack(xml_changed, "another amount in the form", "HASH_FAILURE"),
    Attack(xml_wrapped, "a second element with the signed one's id", "FORMAT_FAILURE"),
    Attack(xml_moved, "an unsigned element before the signed one", "partial"),
    Attack(xml_object_added, "an object in the signature that nobody signed", "partial"),
    Attack(xml_entity, "an entity that changes the text shown", REFUSED),
    Attack(xml_properties_swapped, "another signing time", "HASH_FAILURE"),
    Attack(xml_fake_counter_signature, "a counter-signature over something else", "TOTAL-FAILED"),
    Attack(xml_counter_signature_moved, "a counter-signature of another signature", "HASH_FAILURE"),
    Attack(
        xml_counter_signature_elsewhere, "one that lies beside the properties", "FORMAT_FAILURE"
    ),
    Attack(
        xml_counter_signature_of_something_else,
        "a signature that says to countersign and signs something else",
        "SIGNED_DATA_NOT_FOUND",
    ),
    Attack(cms_counter_signature_moved, "a counter-signature of another signer", "HASH_FAILURE"),
    Attack(cms_signer_as_counter_signature, "a signature as counter-signature", "FORMAT_FAILURE"),
    Attack(pdf_changed, "another text on the page", "HASH_FAILURE"),
    Attack(pdf_appended, "an object behind the last revision", "undefined"),
    Attack(pdf_range_moved, "bytes between the ranges that are not signed", "TOTAL-FAILED"),
    *on_xml.GALLERY,
    *on_containers.GALLERY,
    *on_cms.GALLERY,
)


def words(found: report.SignatureReport) -> str:
    """Everything that a program could act on."""
    sub = found.sub_indication
    codes = [one.code for one in (*found.errors, *found.warnings)]
    return " ".join(
        [
            found.indication.value,
            "" if sub is None else sub.value,
            found.level,
            found.scope_kind.value,
            found.changes_after_signing.value,
            *codes,
        ]
    )


@pytest.fixture
def who(hierarchy, at) -> Attacker:
    return Attacker(hierarchy, at)


@pytest.fixture
def judge(tmp_path, hierarchy, at):
    authorities = (hierarchy.issuing, hierarchy.infrastructure, hierarchy.root)
    lists = process.FetchedEvidence(crls=tuple(hierarchy.crl(one, at=at) for one in authorities))

    def validate(content: bytes) -> str:
        path = tmp_path / "judged"
        path.write_bytes(content)
        try:
            judged = process.validate(
                documents.Document("judged", path),
                trust=trust.TrustAnchors((hierarchy.root.certificate,)),
                at=at,
                fetch=lambda missing: lists,
            )
        except errors.InputError:
            return REFUSED
        return " / ".join(map(words, judged.signatures)) or judged.overall.value

    return validate


def is_accepted(said: str) -> bool:
    """Whether everything passed in full, and nothing was told."""
    return all(re.fullmatch(r"TOTAL-PASSED  \S+ full \S+", one) for one in said.split(" / "))


@pytest.mark.parametrize("made", ["cms", "container", "xml", "pdf"])
def test_honest_document_is_accepted(who, judge, made):
    content = getattr(who, made)()
    if made == "cms":
        content = content.encode()
    elif made == "container":
        content = packed_containers.pack(content)
    said = judge(content)
    assert is_accepted(said), said


def test_honest_counter_signature_passes_over_a_part(who, judge):
    outer, inner = judge(xml_countersigned(who)).split(" / ")
    assert is_accepted(outer)
    assert "TOTAL-PASSED" in inner
    assert "partial" in inner


@pytest.mark.parametrize("attack", GALLERY, ids=lambda one: f"{one.tries} -> {one.says}")
def test_attack_is_noticed(who, judge, attack):
    said = judge(attack.make(who))
    assert not is_accepted(said), said
    assert all(word in said for word in attack.says.split()), said


HARMLESS = (*on_xml.HARMLESS, *on_containers.HARMLESS, *on_cms.HARMLESS)


@pytest.mark.parametrize("variant", HARMLESS, ids=lambda one: one.tries)
def test_harmless_variant_is_accepted(who, judge, variant):
    said = judge(variant.make(who))
    assert is_accepted(said), said
