"""What is added to a XAdES signature after it was made: B-T to B-LTA (EN 319 132-1 5.3 to 5.5).

Every function changes one ds:Signature in its tree. What a time stamp covers is canonicalised in
its place, so the tree must be one that was just parsed: as it will be read again.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence

from asn1crypto import tsp as asn1_tsp
from cryptography import x509
from lxml import etree

from pki import (
    algorithms,
    certificates,
    errors,
    signature,
    xades_elements,
    xml_signature,
    xml_trees,
)
from signing_service import documents, revocation_data

XADES_141 = "http://uri.etsi.org/01903/v1.4.1#"
_NSMAP_141 = {"xades141": XADES_141}

name = xades_elements.name

RequestToken = Callable[[signature.DataToBeSignedRepresentation], bytes]

MAX_CERTIFICATES = 100

ReferencedOctets = Callable[[etree._Element], Iterable[bytes]]
"""Gives, in pieces, the octets that a ds:Reference was hashed over."""


class TokenMismatchError(errors.PeerError):
    """The time-stamp token is not over the hash that was sent."""

    code = "time-stamp-mismatch"


class NotXAdESError(documents.DocumentRefusedError):
    """The signature has no qualifying properties."""

    code = "document-not-xades"


def add_signature_time_stamp(element: etree._Element, request_token: RequestToken) -> None:
    """Add a time stamp over the signature value: B-T (EN 319 132-1 5.3).

    Raises:
        TokenMismatchError: The token is over another hash.
        NotXAdESError: There is nowhere to put it.
    """
    unsigned = unsigned_properties(element)
    value = xml_trees.child(element, xml_signature.name("SignatureValue"))
    # EN 319 132-1 5.3: over the canonical ds:SignatureValue element, tags included.
    octets = xml_trees.canonicalise(value, xml_trees.C14N_11)
    stamp = etree.Element(name("SignatureTimeStamp"), nsmap=xades_elements.NSMAP)
    _fill_time_stamp(
        stamp,
        signature.represent(octets, algorithms.HashAlgorithm.SHA256),
        xml_trees.C14N_11,
        request_token,
    )
    unsigned.append(stamp)


def add_validation_data(element: etree._Element, data: revocation_data.ValidationData) -> None:
    """Add certificates and revocation data: B-LT (EN 319 132-1 5.4.1 to 5.4.3, 5.5.1).

    Statuses by OCSP, as those of signers, go to RevocationValues. CRLs, as those of time-stamping
    units, go to TimeStampValidationData; so does everything that comes later, when the first two
    are there and may be under an archive time stamp.
    """
    unsigned = unsigned_properties(element)
    present = set(_encapsulated(element))
    known = [
        certificates.to_der(one)
        for one in data.certificates
        if certificates.to_der(one) not in present
    ]
    responses = [one for one in data.ocsp_responses if one not in present]
    crls = [one for one in data.crls if one not in present]
    if not (known or responses or crls):
        return
    if unsigned.find(name("RevocationValues")) is None:
        if unsigned.find(name("CertificateValues")) is None:
            _add_certificate_values(unsigned, known)
            known = []
        if responses:
            _add_revocation_values(unsigned, (), responses)
        else:
            _add_revocation_values(unsigned, crls, ())
            crls = []
        responses = []
    if known or responses or crls:
        more = etree.SubElement(
            unsigned, f"{{{XADES_141}}}TimeStampValidationData", nsmap=_NSMAP_141
        )
        if known:
            _add_certificate_values(more, known)
        if crls or responses:
            _add_revocation_values(more, crls, responses)


def add_archive_time_stamp(
    element: etree._Element, request_token: RequestToken, octets_of: ReferencedOctets
) -> None:
    """Add an archive time stamp: B-LTA (EN 319 132-1 5.5.2).

    Args:
        element: The signature.
        request_token: Gives a time-stamp token, in DER, over the hash it gets.
        octets_of: What each reference names.

    Raises:
        TokenMismatchError: The token is over another hash.
    """
    unsigned = unsigned_properties(element)
    hash_algorithm = algorithms.HashAlgorithm.SHA256
    hasher = hashlib.new(hash_algorithm.short_name)
    # What a reference gives as nodes is canonicalised by the default method when it is hashed;
    # with the same one here, the two are the same octets.
    method = xml_trees.C14N_10
    for part in _archived(element, unsigned, method, octets_of):
        hasher.update(part)
    stamp = etree.Element(f"{{{XADES_141}}}ArchiveTimeStamp", nsmap=_NSMAP_141)
    _fill_time_stamp(
        stamp,
        signature.DataToBeSignedRepresentation(hash_algorithm, hasher.digest()),
        method,
        request_token,
    )
    unsigned.append(stamp)


def describe(element: etree._Element) -> documents.FoundSignature:
    """Return what is known of a signature that is to be augmented.

    Raises:
        XMLSignatureError: It does not carry the certificate that it verifies with.
    """
    inside: list[x509.Certificate] = []
    tags = (xml_signature.name("X509Certificate"), name("EncapsulatedX509Certificate"))
    for holder in _own(element, *tags):
        if len(inside) == MAX_CERTIFICATES:
            raise errors.LimitError(f"expected at most {MAX_CERTIFICATES} certificates")
        inside.append(certificates.parse(xml_trees.read_base64(holder)))
    archived = next(_own(element, f"{{{XADES_141}}}ArchiveTimeStamp"), None) is not None
    for one in inside:
        try:
            xml_signature.check_value(element, one.public_key())
        except xml_signature.XMLSignatureValueError:
            continue
        return documents.FoundSignature(one, tuple(inside), time_stamp_tokens(element), archived)
    raise xml_trees.XMLSignatureError(
        "expected the signing certificate in the signature, found none that it verifies with"
    )


def time_stamp_tokens(element: etree._Element) -> tuple[bytes, ...]:
    """Return the tokens on the signature and the archive time stamps, in their order."""
    holders = (
        *_own(element, name("SignatureTimeStamp")),
        *_own(element, f"{{{XADES_141}}}ArchiveTimeStamp"),
    )
    return tuple(
        xml_trees.read_base64(token)
        for holder in holders
        for token in holder.findall(name("EncapsulatedTimeStamp"))
    )


def _archived(
    element: etree._Element,
    unsigned: etree._Element,
    method: str,
    octets_of: ReferencedOctets,
) -> Iterable[bytes]:
    """What an archive time stamp covers, in its order (EN 319 132-1 5.5.2.2)."""
    signed_info = xml_trees.child(element, xml_signature.name("SignedInfo"))
    for reference in signed_info.findall(xml_signature.name("Reference")):
        yield from octets_of(reference)
    for part in ("SignedInfo", "SignatureValue", "KeyInfo"):
        found = element.find(xml_signature.name(part))
        if found is not None:
            yield xml_trees.canonicalise(found, method)
    for one in unsigned.iterchildren(etree.Element):
        yield xml_trees.canonicalise(one, method)
    for one in element.findall(xml_signature.name("Object")):
        if one.find(name("QualifyingProperties")) is None:
            yield xml_trees.canonicalise(one, method)


def _fill_time_stamp(
    stamp: etree._Element,
    representation: signature.DataToBeSignedRepresentation,
    method: str,
    request_token: RequestToken,
) -> None:
    token = request_token(representation)
    check_imprint(token, representation)
    stamp.set("Id", f"TS-{uuid.uuid4()}")
    etree.SubElement(stamp, xml_signature.name("CanonicalizationMethod"), Algorithm=method)
    holder = etree.SubElement(stamp, name("EncapsulatedTimeStamp"))
    holder.text = base64.b64encode(token).decode()


def _add_certificate_values(parent: etree._Element, ders: Sequence[bytes]) -> None:
    values = etree.SubElement(parent, name("CertificateValues"))
    _add_encapsulated(values, "EncapsulatedX509Certificate", ders)


def _add_revocation_values(
    parent: etree._Element, crls: Sequence[bytes], responses: Sequence[bytes]
) -> None:
    values = etree.SubElement(parent, name("RevocationValues"))
    if crls:
        _add_encapsulated(etree.SubElement(values, name("CRLValues")), "EncapsulatedCRLValue", crls)
    if responses:
        _add_encapsulated(
            etree.SubElement(values, name("OCSPValues")), "EncapsulatedOCSPValue", responses
        )


def _add_encapsulated(parent: etree._Element, local: str, ders: Sequence[bytes]) -> None:
    for one in ders:
        etree.SubElement(parent, name(local)).text = base64.b64encode(one).decode()


def _encapsulated(element: etree._Element) -> Iterable[bytes]:
    """Certificates and revocation data that this signature carries, its key info included."""
    locals_ = ("EncapsulatedX509Certificate", "EncapsulatedCRLValue", "EncapsulatedOCSPValue")
    tags = (*map(name, locals_), xml_signature.name("X509Certificate"))
    return (xml_trees.read_base64(one) for one in _own(element, *tags))


def unsigned_properties(element: etree._Element) -> etree._Element:
    """Return where a signature has its unsigned properties, made if it had none.

    Raises:
        NotXAdESError: It has no qualifying properties at all.
    """
    qualifying = next(_own(element, name("QualifyingProperties")), None)
    if qualifying is None:
        raise NotXAdESError("expected a XAdES signature, found none")
    return _descend(_descend(qualifying, "UnsignedProperties"), "UnsignedSignatureProperties")


def _own(element: etree._Element, *tags: str) -> Iterator[etree._Element]:
    """Elements of this signature, and not of a counter-signature in it."""
    holder = xml_signature.name("Signature")
    return (one for one in element.iter(*tags) if next(one.iterancestors(holder)) is element)


def check_imprint(token: bytes, representation: signature.DataToBeSignedRepresentation) -> None:
    """Check that a token is over the hash that was sent.

    Raises:
        TokenMismatchError: It is over another one, or no token.
    """
    try:
        imprint = (
            asn1_tsp.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
            .parsed["message_imprint"]["hashed_message"]
            .native
        )
    except (ValueError, TypeError, KeyError) as error:
        raise TokenMismatchError("expected a time-stamp token") from error
    if imprint != representation.hash:
        raise TokenMismatchError("the time-stamp token is over another hash than the one sent")


def _descend(parent: etree._Element, local: str) -> etree._Element:
    found = parent.find(name(local))
    return etree.SubElement(parent, name(local)) if found is None else found
