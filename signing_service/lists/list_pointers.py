"""Where a trusted list says that other lists are, and who signs those (TS 119 612 5.3.13)."""

import dataclasses

from cryptography import x509
from lxml import etree

from pki import certificates, xml_trees
from signing_service.lists import listed_services

LIST_OF_LISTS = "listofthelists"
"""What the type of a list ends with that names other schemes' lists (5.3.3)."""

XML_TYPE = "application/vnd.etsi.tsl+xml"
MAX_POINTERS = 200
"""The list of the European lists has some ninety, half of them to versions for people."""


@dataclasses.dataclass(frozen=True)
class ListPointer:
    """Another list.

    Attributes:
        location: Its address.
        list_type: Its TSLType, or empty where it is not told.
        territory: Of its scheme, or empty.
        mime_type: What is found at the address, or empty.
        signers: Whoever may sign it.
    """

    location: str
    list_type: str
    territory: str
    mime_type: str
    signers: tuple[x509.Certificate, ...]

    @property
    def is_for_programs(self) -> bool:
        """The list itself, and not a version of it for people."""
        return self.mime_type.lower() == XML_TYPE


def read(information: etree._Element) -> tuple[ListPointer, ...]:
    """Read the pointers of a SchemeInformation.

    Raises:
        TrustedListError: It breaks TS 119 612.
        XMLSignatureError: A part is missing, or there twice.
    """
    holder = information.find(_name("PointersToOtherTSL"))
    if holder is None:
        return ()
    found = holder.findall(_name("OtherTSLPointer"))
    if len(found) > MAX_POINTERS:
        raise listed_services.TrustedListError(
            f"expected at most {MAX_POINTERS} pointers to other lists"
        )
    return tuple(_pointer(one) for one in found)


def _pointer(element: etree._Element) -> ListPointer:
    identities = element.find(_name("ServiceDigitalIdentities"))
    holders = () if identities is None else identities.iter(_name("X509Certificate"))
    ders = (listed_services.certificate_der(one) for one in holders)
    return ListPointer(
        listed_services.text(element, "TSLLocation"),
        _additional(element, _name("TSLType")),
        _additional(element, _name("SchemeTerritory")),
        _additional(element, "{http://uri.etsi.org/02231/v2/additionaltypes#}MimeType"),
        tuple(certificates.parse(one) for one in ders if one is not None),
    )


def _additional(element: etree._Element, qualified_name: str) -> str:
    found = element.find(f"{_name('AdditionalInformation')}//{qualified_name}")
    return "" if found is None else xml_trees.read_text(found)


def _name(local: str) -> str:
    return f"{{{listed_services.TSL}}}{local}"
