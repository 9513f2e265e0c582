"""What a signature says of itself, as TS 119 102-2 annex A tells it."""

import re

from lxml import etree

from pki import clock
from signing_service.reports.etsi_xml import add, name
from signing_service.validation import report
from signing_service.validation.diagnostics import diagnostic_data

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]+")
"""RFC 3986 3, without what is rare in identifiers: percent signs and brackets."""

_STAMPS = {
    report.TimeStampKind.CONTENT: "AllDataObjectsTimeStamp",
    report.TimeStampKind.SIGNATURE: "SignatureTimeStamp",
    report.TimeStampKind.ARCHIVE: "ArchiveTimeStamp",
    report.TimeStampKind.DOCUMENT: "DocTimeStamp",
}
"""The attribute that a time stamp of a signature is told as."""

Stamps = list[tuple[report.TimeStampReport, str | None]]
"""Time stamps with the identifiers of their objects."""


def attributes(
    one: report.SignatureReport,
    stamps: Stamps,
    details: diagnostic_data.SignatureDetails | None,
) -> etree._Element:
    """The attributes that are there; empty where none is.

    Args:
        one: The verdict on the signature.
        stamps: Its time stamps.
        details: What it says of itself, where that was collected.
    """
    told = etree.Element(name("SignatureAttributes"))
    if one.claimed_signing_time is not None:
        add(_signed(told, "SigningTime"), "Time", clock.time_text(one.claimed_signing_time))
    for stamp, identifier in stamps:
        if stamp.time is None or identifier is None or stamp.kind not in _STAMPS:
            continue
        shown = add(told, _STAMPS[stamp.kind])
        shown.set("Signed", "true" if stamp.kind is report.TimeStampKind.CONTENT else "false")
        add(shown, "AttributeObject").set("VOReference", identifier)
        add(shown, "TimeStampValue", clock.time_text(stamp.time))
    if details is not None:
        _claims(told, details)
    return told


def _claims(told: etree._Element, details: diagnostic_data.SignatureDetails) -> None:
    for commitment in details.commitments:
        uri = f"urn:oid:{commitment}" if commitment[:1].isdigit() else commitment
        if not _URI.fullmatch(uri):
            # A stranger's text that is no address would make the whole report invalid.
            continue
        add(_signed(told, "CommitmentTypeIndication"), "CommitmentTypeIdentifier", uri)
    if details.production_place:
        place = _signed(told, "SignatureProductionPlace")
        for part in details.production_place:
            add(place, "AddressString", part)
    if details.claimed_roles:
        roles = _signed(told, "SignerRole")
        for role in details.claimed_roles:
            shown = add(roles, "RoleDetails")
            add(shown, "Role", role)
            add(shown, "EndorsementType", "claimed")
    if details.reason is not None:
        add(_signed(told, "Reason"), "ReasonElement", details.reason)
    if details.byte_range:
        add(told, "ByteRange", " ".join(map(str, details.byte_range)))


def _signed(parent: etree._Element, tag: str) -> etree._Element:
    element = add(parent, tag)
    element.set("Signed", "true")
    return element
