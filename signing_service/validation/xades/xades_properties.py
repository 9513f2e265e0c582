"""What a XAdES signature says of itself: its certificate, its time, its level (EN 319 132-1).

Whether the signed properties are covered by the signature is `xml_document`'s to check.
"""

import datetime
import hashlib

from cryptography import x509
from lxml import etree

from pki import errors, xml_signature, xml_trees
from signing_service.validation import evidence

XADES_NAMESPACES = (
    "http://uri.etsi.org/01903/v1.3.2#",
    "http://uri.etsi.org/01903/v1.2.2#",
    "http://uri.etsi.org/01903/v1.1.1#",
)
XADES_141 = "http://uri.etsi.org/01903/v1.4.1#"
XADES_EN = "http://uri.etsi.org/19132/v1.1.1#"
SIGNED_PROPERTIES_SUFFIX = "SignedProperties"

_TIME_MARK_POLICY = "urn:oid:1.3.6.1.4.1.10015.1000.3.2.1"
_NONCE_HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512")

_DS = xml_signature.name


def qualifying_properties(element: etree._Element) -> etree._Element | None:
    """QualifyingProperties in a ds:Object of this signature (EN 319 132-1 4.4.1)."""
    found = [
        one
        for holder in element.findall(_DS("Object"))
        for space in XADES_NAMESPACES
        for one in holder.findall(f"{{{space}}}QualifyingProperties")
    ]
    if len(found) != 1:
        return None
    target = found[0].get("Target")
    identifier = element.get("Id")
    if target is None or identifier is None or target != f"#{identifier}":
        return None
    return found[0]


def countersigned(element: etree._Element) -> etree._Element | None:
    """The signature among whose unsigned properties a counter-signature lies, or None."""
    holder = element.getparent()
    if holder is None:
        return None
    outside = next(holder.iterancestors(_DS("Signature")), None)
    if outside is None:
        return None
    properties = unsigned(qualifying_properties(outside), "CounterSignature")
    return outside if any(one is holder for one in properties) else None


def signing_time(qualifying: etree._Element | None) -> datetime.datetime | None:
    """The claimed signing time; one without a zone is read as UTC."""
    for one in signed(qualifying, "SigningTime"):
        try:
            at = datetime.datetime.fromisoformat(xml_trees.read_text(one))
        except (ValueError, errors.InputError):
            return None
        return at.astimezone(datetime.UTC) if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    return None


def level(
    element: etree._Element,
    qualifying: etree._Element | None,
    certificate: x509.Certificate | None,
) -> str:
    """Name the level that is really present (EN 319 132-1 6)."""
    if qualifying is None:
        return "XML-NOT-ETSI"
    is_named = bool(
        signed(qualifying, "SigningCertificateV2") or signed(qualifying, "SigningCertificate")
    )
    if not is_named and not _key_info_is_signed(element):
        # EN 319 132-2 4, TS 101 903 4.4.1: without one of these it is not even a XAdES-BES.
        return "XML-NOT-ETSI"
    baseline = (
        is_named
        and etree.QName(qualifying).namespace == XADES_NAMESPACES[0]
        and signed(qualifying, "SigningTime")
        and element.find(f"{_DS('KeyInfo')}/{_DS('X509Data')}/{_DS('X509Certificate')}") is not None
        and _formats_are_told(element, qualifying)
    )
    reached = _reached(element, qualifying, certificate)
    if reached != "B" and unsigned(qualifying, "SealingEvidenceRecords"):
        return "XAdES-ERS"
    if baseline and not _has_references_only(qualifying):
        return f"XAdES-BASELINE-{reached}"
    legacy = {"B": "BES", "T": "T", "LT": "XL", "LTA": "A", "LT-TM": "XL"}[reached]
    if reached == "B" and signed(qualifying, "SignaturePolicyIdentifier"):
        legacy = "EPES"
    if reached == "T" and _has_references_only(qualifying):
        # TS 101 903 4.4.3: X adds time stamps over the references to C.
        legacy = "X" if _has_references_stamped(qualifying) else "C"
    return f"XAdES-{legacy}"


def _reached(
    element: etree._Element,
    qualifying: etree._Element,
    certificate: x509.Certificate | None,
) -> str:
    values = evidence.Evidence()
    for holder in unsigned(qualifying, "RevocationValues"):
        take_evidence(holder, values)
    has_values = certificate is not None and values.mentions(certificate)
    if not unsigned(qualifying, "SignatureTimeStamp"):
        if has_values and _is_time_mark(element, qualifying, values):
            return "LT-TM"
        return "B"
    if not has_values:
        return "T"
    return "LTA" if unsigned(qualifying, "ArchiveTimeStamp") else "LT"


def _key_info_is_signed(element: etree._Element) -> bool:
    info = element.find(_DS("KeyInfo"))
    identifier = None if info is None else info.get("Id")
    return identifier is not None and any(
        one.get("URI") == f"#{identifier}"
        for one in element.findall(f"{_DS('SignedInfo')}/{_DS('Reference')}")
    )


def _is_time_mark(
    element: etree._Element, qualifying: etree._Element, values: evidence.Evidence
) -> bool:
    """Whether an OCSP response answers for this signature value: the time mark of BDOC 2.1 6.2.

    Its nonce is the digest of the value, so that the responder saw it when it answered.
    """
    if not any(
        (one.text or "").strip() == _TIME_MARK_POLICY
        for one in signed(qualifying, "SignaturePolicyIdentifier")
        for one in one.iter()
    ):
        return False
    try:
        value = xml_trees.read_base64(xml_trees.child(element, _DS("SignatureValue")))
    except errors.InputError:
        return False
    digests = [hashlib.new(name, value, usedforsecurity=False).digest() for name in _NONCE_HASHES]
    return any(nonce.endswith(tuple(digests)) for nonce in values.nonces())


def take_evidence(element: etree._Element, known: evidence.Evidence) -> None:
    """Give the certificates and statuses inside an element to `known`."""
    spaces = XADES_NAMESPACES
    for names, parameter in (
        (
            [_DS("X509Certificate"), *(f"{{{one}}}EncapsulatedX509Certificate" for one in spaces)],
            "certificates_der",
        ),
        ([f"{{{one}}}EncapsulatedOCSPValue" for one in spaces], "ocsp_responses"),
        ([f"{{{one}}}EncapsulatedCRLValue" for one in spaces], "crls"),
    ):
        found = []
        for holder in element.iter(*names):
            try:
                found.append(xml_trees.read_base64(holder))
            except errors.InputError:
                # Evidence that cannot be read proves nothing; what is missing is reported.
                continue
        known.add(**{parameter: found})


def unsigned(qualifying: etree._Element | None, local: str | None = None) -> list[etree._Element]:
    """Direct entries of the unsigned signature properties, all or those with a name."""
    if qualifying is None:
        return []
    space = etree.QName(qualifying).namespace
    holder = qualifying.find(
        f"{{{space}}}UnsignedProperties/{{{space}}}UnsignedSignatureProperties"
    )
    if holder is None:
        return []
    return [
        one
        for one in holder.iterchildren(etree.Element)
        if local is None
        or (
            etree.QName(one).localname == local
            and etree.QName(one).namespace in (*XADES_NAMESPACES, XADES_141, XADES_EN)
        )
    ]


def _has_references_only(qualifying: etree._Element) -> bool:
    """CompleteCertificateRefs and the like belong to the older, extended levels."""
    return bool(
        unsigned(qualifying, "CompleteCertificateRefs")
        or unsigned(qualifying, "CompleteRevocationRefs")
    )


def _has_references_stamped(qualifying: etree._Element) -> bool:
    stamps = ("SigAndRefsTimeStamp", "RefsOnlyTimeStamp")
    return any(unsigned(qualifying, one + version) for one in stamps for version in ("", "V2"))


def _formats_are_told(element: etree._Element, qualifying: etree._Element) -> bool:
    """EN 319 132-1 6.3: a DataObjectFormat with a MimeType for each signed object."""
    told = set()
    for entry in signed(qualifying, "DataObjectFormat"):
        if entry.find(f"{{{etree.QName(entry).namespace}}}MimeType") is not None:
            told.add((entry.get("ObjectReference") or "").lstrip("#"))
    info = element.find(_DS("SignedInfo"))
    references = [] if info is None else info.findall(_DS("Reference"))
    wanted = {
        one.get("Id")
        for one in references
        if not (one.get("Type") or "").endswith(
            (SIGNED_PROPERTIES_SUFFIX, "CountersignedSignature")
        )
    }
    return wanted <= told


def signed(qualifying: etree._Element | None, local: str) -> list[etree._Element]:
    """Elements of the signed properties with a name."""
    if qualifying is None:
        return []
    space = etree.QName(qualifying).namespace
    return named(qualifying.find(f"{{{space}}}SignedProperties"), local)


def named(parent: etree._Element | None, local: str) -> list[etree._Element]:
    """XAdES elements of a name, however deep inside."""
    if parent is None:
        return []
    spaces = (*XADES_NAMESPACES, XADES_141)
    return [one for space in spaces for one in parent.iter(f"{{{space}}}{local}")]
