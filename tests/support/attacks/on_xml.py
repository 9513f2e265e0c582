"""Attacks on XML signatures: wrapping, properties, keys, transforms, and what stands beside."""

import base64
import hashlib
import re
from collections.abc import Callable

from lxml import etree

from pki import (
    algorithms,
    certificates,
    signature,
    xml_signature,
    xml_transforms,
    xml_trees,
)
from tests.support import forged_xml, hierarchy, signed_cms
from tests.support.attacks.attacker import REFUSED, Attack, Attacker
from tests.support.forged_xml import Wanted

_DS = xml_signature.DS
_NS = {"ds": _DS, "x": forged_xml.XADES}
_SUM = b'<sum Id="A">100</sum>'
_TRUE_END = b"</ds:Signature>"
_QP_END = b"</x:QualifyingProperties>"


def _changed(document: bytes, old: bytes, new: bytes) -> bytes:
    changed = document.replace(old, new, 1)
    if changed == document:
        raise ValueError(f"expected {old!r} in what is attacked")
    return changed


def resigned(
    document: bytes, holder: hierarchy.Holder, edit: Callable[[etree._Element], None]
) -> bytes:
    """A document whose signer wrote something else into the signature before signing it."""
    tree = xml_trees.parse(document)
    (element,) = xml_signature.signatures_in(tree.getroot())
    edit(element)
    properties = element.find(".//x:SignedProperties", _NS)
    for reference in element.iterfind("ds:SignedInfo/ds:Reference[@URI='#P']", _NS):
        digest = hashlib.sha256(xml_trees.canonicalise(properties)).digest()
        reference.find("ds:DigestValue", _NS).text = base64.b64encode(digest).decode()
    kind = algorithms.key_kind(holder.key.public_key())
    value = holder.handle.sign(
        signature.represent(xml_signature.signed_info_octets(element), kind.hash_algorithm)
    )
    element.find("ds:SignatureValue", _NS).text = base64.b64encode(value.value).decode()
    return etree.tostring(tree, encoding="UTF-8")


def portable(who: Attacker) -> bytes:
    """A signed part that may be moved: its canonical form has nothing of what is around it."""
    wanted = Wanted("#A", transforms=(xml_trees.C14N_EXCLUSIVE,), octets=_SUM)
    return forged_xml.sign(f"<f>{_SUM.decode()}</f>", who.victim, wanted)


# --- wrapping ----------------------------------------------------------------------------------


def _wrapped(inside: Callable[[bytes], tuple[bytes, bytes]]) -> Callable[[Attacker], bytes]:
    """The signed part goes elsewhere, another one takes its place."""

    def make(who: Attacker) -> bytes:
        document = portable(who)
        place, there = inside(_SUM)
        emptied = _changed(document, _SUM, place)
        return _changed(emptied, _TRUE_END, there + _TRUE_END) if there else emptied

    return make


def _in_object(extra: bytes = b"") -> Callable[[bytes], tuple[bytes, bytes]]:
    return lambda part: (b"<sum>900</sum>" + extra, b"<ds:Object>" + part + b"</ds:Object>")


def wrapped_whole(who: Attacker) -> bytes:
    """The signed root moves into the signature of a new root."""
    document = b'<f Id="R"><sum>100</sum></f>'
    wanted = Wanted(
        "#R", transforms=(xml_signature.ENVELOPED, xml_trees.C14N_EXCLUSIVE), octets=document
    )
    signed = forged_xml.sign(document.decode(), who.victim, wanted).split(b"?>")[-1].strip()
    found = re.search(rb"<ds:Signature .*</ds:Signature>", signed, re.DOTALL)[0]
    inner = _changed(found, _TRUE_END, b"<ds:Object>" + document + b"</ds:Object></ds:Signature>")
    return b"<f><sum>900</sum>" + inner + b"</f>"


def wrapped_in_properties(who: Attacker) -> bytes:
    held = b"<x:UnsignedProperties>" + _SUM + b"</x:UnsignedProperties>"
    return _changed(_changed(portable(who), _SUM, b"<sum>900</sum>"), _QP_END, held + _QP_END)


def renamed_root(who: Attacker) -> bytes:
    return who.part().replace(b"<f>", b"<refusal>").replace(b"</f>", b"</refusal>")


def duplicate(attribute: bytes) -> Callable[[Attacker], bytes]:
    other = b"<sum " + attribute + b'="A">900</sum>'
    return lambda who: _changed(who.part(), _SUM, other + b"<old>" + _SUM + b"</old>")


# --- properties --------------------------------------------------------------------------------


def properties_swapped(who: Attacker) -> bytes:
    """The signed properties move into an object; others stand where a reader looks."""
    document = who.xml()
    found = re.search(rb"<x:SignedProperties .*</x:SignedProperties>", document, re.DOTALL)[0]
    fake = found.replace(b'Id="P"', b'Id="Q"').replace(b"2026-01-01", b"2020-01-01")
    moved = b'<ds:Object xmlns:x="%s">%s</ds:Object>' % (forged_xml.XADES.encode(), found)
    return _changed(_changed(document, found, fake), _TRUE_END, moved + _TRUE_END)


def properties_twice(*, first: bool) -> Callable[[Attacker], bytes]:
    def make(who: Attacker) -> bytes:
        document = who.xml()
        found = re.search(rb"<x:SignedProperties .*</x:SignedProperties>", document, re.DOTALL)[0]
        fake = found.replace(b'Id="P"', b'Id="Q"').replace(b"2026-01-01", b"2020-01-01")
        return _changed(document, found, fake + found if first else found + fake)

    return make


def qualifying_twice(who: Attacker) -> bytes:
    document = who.xml()
    found = re.search(rb"<ds:Object><x:Qual.*</ds:Object>", document, re.DOTALL)[0]
    fake = found.replace(b'Id="P"', b'Id="Q"').replace(b"2026-01-01", b"2020-01-01")
    return _changed(document, found, fake + found)


def _without(path: str) -> Callable[[etree._Element], None]:
    def edit(element: etree._Element) -> None:
        for one in element.iterfind(path, _NS):
            one.getparent().remove(one)

    return edit


def _resigned_with(
    edit: Callable[[etree._Element], None],
) -> Callable[[Attacker], bytes]:
    return lambda who: resigned(who.xml(), who.victim, edit)


def _without_type(element: etree._Element) -> None:
    del element.find("ds:SignedInfo/ds:Reference[@URI='#P']", _NS).attrib["Type"]


def _data_type(element: etree._Element) -> None:
    reference = element.find("ds:SignedInfo/ds:Reference[@URI='#P']", _NS)
    reference.set("Type", _DS + "Object")


def other_target(who: Attacker) -> bytes:
    return _changed(who.xml(), b'Target="#S"', b'Target="#T"')


# --- keys --------------------------------------------------------------------------------------


def key_of_mallory(who: Attacker) -> bytes:
    """Another's key signs; the victim's certificate stands in KeyInfo and in the properties."""
    signed = forged_xml.sign("<f><sum>900</sum></f>", who.mallory, Wanted(""), named=who.victim)
    mine, theirs = (base64.b64encode(one.der) for one in (who.mallory, who.victim))
    return _changed(signed, mine, theirs)


def key_info_twice(who: Attacker) -> bytes:
    other = base64.b64encode(who.mallory.der)
    held = b"<ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data>" % other
    added = b"<ds:KeyInfo>" + held + b"</ds:KeyInfo>"
    return _changed(who.xml(), b"<ds:Object>", added + b"<ds:Object>")


def certificate_swapped(who: Attacker) -> bytes:
    mine, theirs = (base64.b64encode(one.der) for one in (who.mallory, who.victim))
    return _changed(who.xml(), theirs, mine)


def key_value_alone(who: Attacker) -> bytes:
    """The certificates are taken out, a bare key of the attacker's own stands for them."""
    numbers = who.mallory.key.public_key().public_numbers()
    size = 32
    point = b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
    bare = (
        f'<ds:KeyInfo><ds:KeyValue><k:ECKeyValue xmlns:k="http://www.w3.org/2009/xmldsig11#">'
        f'<k:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/><k:PublicKey>'
        f"{base64.b64encode(point).decode()}</k:PublicKey></k:ECKeyValue></ds:KeyValue></ds:KeyInfo>"
    ).encode()
    signed = forged_xml.sign("<f><sum>900</sum></f>", who.mallory, Wanted(""), named=who.victim)
    return re.sub(rb"<ds:KeyInfo .*</ds:KeyInfo>", lambda _: bare, signed, flags=re.DOTALL)


def _method(uri: str, inside: str = "") -> Callable[[Attacker], bytes]:
    def make(who: Attacker) -> bytes:
        def edit(element: etree._Element) -> None:
            method = element.find("ds:SignedInfo/ds:SignatureMethod", _NS)
            method.set("Algorithm", uri)
            if inside:
                method.append(etree.fromstring(inside))

        return resigned(who.xml(), who.victim, edit)

    return make


def truncated_secret(who: Attacker) -> bytes:
    length = f'<ds:HMACOutputLength xmlns:ds="{_DS}">1</ds:HMACOutputLength>'
    return _method(_DS + "hmac-sha1", length)(who)


# --- transforms and references -----------------------------------------------------------------


def _transform(xml: str, octets: bytes = b"") -> Callable[[Attacker], bytes]:
    """The signer lets a program say what is signed: nothing that is shown, or only `octets`."""

    def make(who: Attacker) -> bytes:
        def edit(element: etree._Element) -> None:
            reference = element.find("ds:SignedInfo/ds:Reference[@URI='']", _NS)
            transforms = reference.find("ds:Transforms", _NS)
            transforms.insert(0, etree.fromstring(xml))
            digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
            reference.find("ds:DigestValue", _NS).text = digest

        return resigned(who.xml(), who.victim, edit)

    return make


def _xpath(text: str) -> str:
    return (
        f'<ds:Transform xmlns:ds="{_DS}" Algorithm="{xml_signature.XPATH}"><ds:XPath>{text}'
        "</ds:XPath></ds:Transform>"
    )


def _filter(mode: str, text: str) -> str:
    space = xml_transforms.XPATH_FILTER_2
    return (
        f'<ds:Transform xmlns:ds="{_DS}" Algorithm="{space}"><XPath xmlns="{space}"'
        f' Filter="{mode}">{text}</XPath></ds:Transform>'
    )


_XSLT = (
    f'<ds:Transform xmlns:ds="{_DS}" Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">'
    '<s:stylesheet xmlns:s="http://www.w3.org/1999/XSL/Transform" version="1.0"/></ds:Transform>'
)


def _reference(uri: str) -> Callable[[Attacker], bytes]:
    def make(who: Attacker) -> bytes:
        wanted = Wanted(uri, octets=b"TEST")
        return forged_xml.sign("<f><sum>900</sum></f>", who.victim, wanted)

    return make


def no_reference(who: Attacker) -> bytes:
    return resigned(who.xml(), who.victim, _without("ds:SignedInfo/ds:Reference"))


def comment_in_text(who: Attacker) -> bytes:
    signed = forged_xml.sign("<f><to>a@b.com.evil.com</to></f>", who.victim, Wanted(""))
    return _changed(signed, b"a@b.com.evil", b"a@b.com<!---->.evil")


def comment_in_digest(who: Attacker) -> bytes:
    document = who.xml()
    return _changed(document, b"<ds:DigestValue>", b"<ds:DigestValue><!---->")


def hidden_in_signature(who: Attacker) -> bytes:
    """A document signed without all signatures, and a false one that holds text to be shown."""
    transforms = (xml_signature.XPATH, xml_trees.C14N_11)
    document = "<f><sum>100</sum></f>"
    wanted = Wanted("", transforms=transforms, octets=document.encode())
    signed = forged_xml.sign(document, who.victim, wanted)
    hidden = f'<ds:Signature xmlns:ds="{_DS}"><sum>900</sum></ds:Signature>'.encode()
    return _changed(signed, b"<f>", b"<f>" + hidden)


# --- what stands beside ------------------------------------------------------------------------


def _beside(old: bytes, new: bytes) -> Callable[[Attacker], bytes]:
    return lambda who: _changed(who.xml(), old, new)


def entity_bomb(who: Attacker) -> bytes:
    levels = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(9))
    return b'<!DOCTYPE f [<!ENTITY a0 "ha">%s]>' % levels + who.xml().split(b"?>")[-1].replace(
        b">100<", b">&a9;<"
    )


def default_attribute(who: Attacker) -> bytes:
    """A document type that makes another element answer to the signed identifier."""
    kind = b"<!DOCTYPE f [<!ATTLIST sum ref ID #IMPLIED>]>"
    return kind + _changed(
        who.part().split(b"?>")[-1], _SUM, b'<sum ref="A">900</sum><old>' + _SUM + b"</old>"
    )


def external_entity(who: Attacker) -> bytes:
    return b'<!DOCTYPE f [<!ENTITY s SYSTEM "file:///etc/passwd">]>' + who.xml().split(b"?>")[-1]


def counter_signature_of_another(who: Attacker) -> bytes:
    """A counter-signature over another signature's value moves in."""
    value = b"TEST the value of another signature"
    made = forged_xml.sign(
        '<g><v Id="V9">TEST the value of another signature</v></g>',
        who.mallory,
        Wanted("#V9", _DS + "SignatureValue"),
    )
    inside = re.search(rb"<ds:Signature .*</ds:Signature>", made, re.DOTALL)[0]
    renamed = re.sub(rb'"(#?)([SVPK])"', rb'"\g<1>\g<2>9x"', inside)
    held = b'<v Id="V9">' + value + b"</v>"
    fake = (
        b"<x:UnsignedProperties><x:UnsignedSignatureProperties><x:CounterSignature>"
        + renamed
        + b"</x:CounterSignature></x:UnsignedSignatureProperties>"
        + held
        + b"</x:UnsignedProperties>"
    )
    return _changed(who.xml(), _QP_END, fake + _QP_END)


def counter_signature_of_nothing(who: Attacker) -> bytes:
    """A filter leaves nothing of the value that the counter-signature names."""
    made = forged_xml.sign("<g/>", who.mallory, Wanted("", octets=b""))
    inside = re.search(rb"<ds:Signature .*</ds:Signature>", made, re.DOTALL)[0]
    renamed = re.sub(rb'"(#?)([SVPK])"', rb'"\g<1>\g<2>9"', inside)
    fake = (
        b"<x:UnsignedProperties><x:UnsignedSignatureProperties><x:CounterSignature>"
        + renamed
        + b"</x:CounterSignature></x:UnsignedSignatureProperties></x:UnsignedProperties>"
    )
    tree = xml_trees.parse(_changed(who.xml(), _QP_END, fake + _QP_END))
    (element,) = tree.getroot().iterfind(".//x:CounterSignature/ds:Signature", _NS)
    over, properties = element.iterfind("ds:SignedInfo/ds:Reference", _NS)
    over.set("URI", "#V")
    transforms = over.find("ds:Transforms", _NS)
    transforms.clear()
    transforms.append(
        etree.fromstring(
            f'<t:Transform xmlns:t="{_DS}" Algorithm="{xml_transforms.XPATH_FILTER_2}">'
            f'<XPath xmlns="{xml_transforms.XPATH_FILTER_2}" xmlns:ds="{_DS}"'
            ' Filter="subtract">//ds:Signature</XPath></t:Transform>'
        )
    )
    signed = xml_trees.canonicalise(element.find(".//x:SignedProperties", _NS))
    for one, octets in ((over, b""), (properties, signed)):
        digest = base64.b64encode(hashlib.sha256(octets).digest()).decode()
        one.find("ds:DigestValue", _NS).text = digest
    kind = algorithms.key_kind(who.mallory.key.public_key())
    value = who.mallory.handle.sign(
        signature.represent(xml_signature.signed_info_octets(element), kind.hash_algorithm)
    )
    element.find("ds:SignatureValue", _NS).text = base64.b64encode(value.value).decode()
    return etree.tostring(tree, encoding="UTF-8")


def time_stamp_of_another(who: Attacker) -> bytes:
    token = base64.b64encode(signed_cms.stamp(who.unit, b"TEST another value", who.at))
    fake = (
        b"<x:UnsignedProperties><x:UnsignedSignatureProperties><x:SignatureTimeStamp>"
        b"<x:EncapsulatedTimeStamp>" + token + b"</x:EncapsulatedTimeStamp></x:SignatureTimeStamp>"
        b"</x:UnsignedSignatureProperties></x:UnsignedProperties>"
    )
    return _changed(who.xml(), _QP_END, fake + _QP_END)


def value_twice(who: Attacker) -> bytes:
    found = re.search(rb"<ds:SignatureValue .*</ds:SignatureValue>", who.xml(), re.DOTALL)[0]
    return _changed(who.xml(), b"<ds:KeyInfo", found + b"<ds:KeyInfo")


def info_twice(who: Attacker) -> bytes:
    document = who.xml()
    found = re.search(rb"<ds:SignedInfo>.*</ds:SignedInfo>", document, re.DOTALL)[0]
    return _changed(document, found, found + found)


GALLERY = (
    Attack(_wrapped(_in_object()), "the signed part in an object, another in its place", "partial"),
    Attack(
        _wrapped(lambda part: (b"<sum>900</sum><old>" + part + b"</old>", b"")),
        "the signed part behind its copy",
        "partial",
    ),
    Attack(
        _wrapped(lambda part: (b"<sum>900" + part + b"</sum>", b"")),
        "the signed part inside its copy",
        "partial",
    ),
    Attack(
        _wrapped(
            lambda part: (
                b"<sum>900</sum>",
                b"<ds:Object><ds:Manifest>" + part + b"</ds:Manifest></ds:Object>",
            )
        ),
        "the signed part in a manifest of the signature",
        "partial",
    ),
    Attack(wrapped_in_properties, "the signed part in unsigned properties", "partial"),
    Attack(wrapped_whole, "the signed root inside the signature of another root", "HASH_FAILURE"),
    Attack(renamed_root, "a signed part under a root of another name", "partial"),
    Attack(duplicate(b"Id"), "the signed identifier on two elements", "FORMAT_FAILURE"),
    Attack(duplicate(b"id"), "the signed identifier as id", "FORMAT_FAILURE"),
    Attack(duplicate(b"ID"), "the signed identifier as ID", "FORMAT_FAILURE"),
    Attack(duplicate(b"xml:id"), "the signed identifier as xml:id", "FORMAT_FAILURE"),
    Attack(duplicate(b'xmlns:w="urn:w" w:Id'), "the signed identifier in a namespace", "partial"),
    Attack(properties_swapped, "signed properties moved away, others in place", "TOTAL-FAILED"),
    Attack(properties_twice(first=True), "other properties before the signed ones", "FORMAT"),
    Attack(properties_twice(first=False), "other properties after the signed ones", "FORMAT"),
    Attack(qualifying_twice, "a second set of properties", "FORMAT_FAILURE"),
    Attack(other_target, "properties that are said to be another signature's", "partial"),
    Attack(
        _resigned_with(_without("ds:SignedInfo/ds:Reference[@URI='#P']")),
        "properties that nothing signs",
        "FORMAT_FAILURE",
    ),
    Attack(_resigned_with(_without_type), "properties signed as if they were data", "FORMAT"),
    Attack(_resigned_with(_data_type), "properties signed as if they were an object", "NOT_FOUND"),
    Attack(
        _resigned_with(_without(".//x:SigningCertificateV2")),
        "properties that name no certificate",
        "SIG_CONSTRAINTS_FAILURE XML-NOT-ETSI",
    ),
    Attack(key_of_mallory, "another's key under the victim's certificate", "SIG_CRYPTO_FAILURE"),
    Attack(certificate_swapped, "another's certificate over the victim's value", "SIG_CRYPTO"),
    Attack(key_info_twice, "a second KeyInfo", "FORMAT_FAILURE"),
    Attack(key_value_alone, "a bare key in place of a certificate", "NO_SIGNING_CERTIFICATE_FOUND"),
    Attack(truncated_secret, "a shared secret cut to one bit", "SIG_CONSTRAINTS_FAILURE"),
    Attack(_method(_DS + "hmac-sha1"), "a shared secret for a signature", "SIG_CONSTRAINTS"),
    Attack(
        _method("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
        "a weaker method than the value's",
        "SIG_CRYPTO_FAILURE",
    ),
    Attack(
        _method("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        "a method of another kind of key",
        "SIG_CRYPTO_FAILURE",
    ),
    Attack(_transform(_xpath("false()")), "an XPath that leaves everything out", "nothing-covered"),
    Attack(
        _transform(_xpath("ancestor-or-self::ds:Signature")),
        "an XPath that signs the signature alone",
        "nothing-covered none",
    ),
    Attack(
        _transform(_xpath("not(ancestor-or-self::sum)"), b"<f></f>"),
        "an XPath that leaves the sum out",
        "partial partial-selection",
    ),
    Attack(
        _transform(_filter("subtract", "/f/sum"), b"<f></f>"),
        "an XPath filter that leaves the sum out",
        "partial partial-selection",
    ),
    Attack(
        _transform(_filter("intersect", "/f/sum"), b"<sum>100</sum>"),
        "an XPath filter that leaves the root out",
        "partial partial-selection",
    ),
    Attack(
        _transform(_xpath("not(self::text())"), b"<f><sum></sum></f>"),
        "an XPath that takes the text out of its element",
        "SIG_CONSTRAINTS_FAILURE",
    ),
    Attack(
        _transform(_xpath("contains(concat(., document('/etc/passwd')), 'x')")),
        "an XPath that reads a file",
        "SIG_CONSTRAINTS_FAILURE",
    ),
    Attack(_transform(_XSLT), "a style sheet that writes what is signed", "CONSTRAINTS"),
    Attack(
        _transform(f'<ds:Transform xmlns:ds="{_DS}" Algorithm="{xml_signature.BASE64}"/>'),
        "text that is decoded away",
        "TOTAL-FAILED",
    ),
    Attack(no_reference, "a signature over nothing", "FORMAT_FAILURE"),
    Attack(_reference("file:///etc/passwd"), "a file of this machine", "SIGNED_DATA_NOT_FOUND"),
    Attack(_reference("http://127.0.0.1/x"), "an address to call", "SIGNED_DATA_NOT_FOUND"),
    Attack(_reference("#xpointer(//sum)"), "an expression for an address", "NOT_FOUND"),
    Attack(_reference("#xpointer(id('A')/sum)"), "an expression behind an id", "NOT_FOUND"),
    Attack(
        lambda who: forged_xml.sign("<f><sum>900</sum></f>", who.victim, Wanted("#P")),
        "its own properties for a document",
        "nothing-covered none",
    ),
    Attack(_reference("other.xml#A"), "a part of another document", "SIGNED_DATA_NOT_FOUND"),
    Attack(comment_in_text, "a comment that splits an address", "unsigned-comment"),
    Attack(comment_in_digest, "a comment that splits a digest", "TOTAL-FAILED"),
    Attack(hidden_in_signature, "text inside a false signature", "TOTAL-FAILED"),
    Attack(_beside(b"<ds:Object>", b"900<ds:Object>"), "text inside a signature", "FORMAT_FAILURE"),
    Attack(_beside(b"<ds:Object>", b"<sum>900</sum><ds:Object>"), "an element in it", "FORMAT"),
    Attack(_beside(b"<ds:Object><x", b"<ds:Object>900<x"), "text beside the properties", "partial"),
    Attack(_beside(_QP_END, _QP_END + b"<f>900</f>"), "an element beside them", "partial"),
    Attack(_beside(_QP_END, b"900" + _QP_END), "text among the properties", "partial"),
    Attack(_beside(_QP_END, b"<f>900</f>" + _QP_END), "an element among them", "partial"),
    Attack(
        _beside(_TRUE_END, b"<ds:Object>OTAw</ds:Object>" + _TRUE_END),
        "encoded text in an object",
        "partial",
    ),
    Attack(entity_bomb, "entities that grow without end", REFUSED),
    Attack(external_entity, "an entity that reads a file", REFUSED),
    Attack(default_attribute, "a document type that makes identifiers", REFUSED),
    Attack(counter_signature_of_another, "a counter-signature of another value", "TOTAL-FAILED"),
    Attack(counter_signature_of_nothing, "a counter-signature of nothing", "FORMAT_FAILURE"),
    Attack(time_stamp_of_another, "the time stamp of another signature", "content-digest"),
    Attack(value_twice, "two values", "FORMAT_FAILURE"),
    Attack(info_twice, "two SignedInfo", "FORMAT_FAILURE"),
)


# --- what means the same -----------------------------------------------------------------------


def _exclusive(who: Attacker) -> bytes:
    document = '<f xmlns:p="urn:p"><sum>100</sum></f>'
    octets = xml_trees.canonicalise(xml_trees.parse(document.encode()), xml_trees.C14N_EXCLUSIVE)
    transforms = (xml_signature.ENVELOPED, xml_trees.C14N_EXCLUSIVE)
    return forged_xml.sign(document, who.victim, Wanted("", transforms=transforms, octets=octets))


def _lines(who: Attacker) -> bytes:
    """Base64 in lines, as most programs write it."""
    return re.sub(
        rb"(<ds:X509Certificate>)([^<]+)",
        lambda one: one[1] + b"\n" + b"\n".join(re.findall(rb".{1,64}", one[2])) + b"\n",
        who.xml(),
    )


def _leading_issuer(who: Attacker) -> bytes:
    """The issuer's certificate stands before the signer's."""
    issuer = base64.b64encode(certificates.to_der(who.victim.issuers[0]))
    added = b"<ds:X509Certificate>" + issuer + b"</ds:X509Certificate>"
    return _changed(who.xml(), b"<ds:X509Data>", b"<ds:X509Data>" + added)


HARMLESS = (
    Attack(_exclusive, "exclusive canonicalisation", ""),
    Attack(_lines, "base64 in lines", ""),
    Attack(_leading_issuer, "the issuer before the signer", ""),
    Attack(_beside(b">100<", b"><![CDATA[100]]><"), "text in a CDATA section", ""),
    Attack(_beside(b"<sum>", b"<sum\n>"), "white space in a tag", ""),
    Attack(_beside(b"<sum>", b"<!-- TEST --><sum>"), "a comment between elements", ""),
    Attack(lambda who: b"<!-- TEST -->\n" + who.xml(), "a comment on top", ""),
    Attack(lambda who: who.xml().decode().encode("utf-16"), "UTF-16", ""),
)
