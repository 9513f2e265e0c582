"""Elements, words and names of TS 119 102-2."""

from lxml import etree

NAMESPACE = "http://uri.etsi.org/19102/v1.4.1#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
TSL = "http://uri.etsi.org/02231/v2#"

WORDS = "urn:etsi:019102:"
"""What the standard's own words begin with."""
OWN_NAMESPACE = "urn:imza:report"
"""Of elements where the schema leaves room for any."""
NSMAP = {None: NAMESPACE, "xades": XADES, "ds": DSIG, "tsl": TSL, "imza": OWN_NAMESPACE}
OWN = "urn:imza:"
"""What those begin with that the standard leaves to whoever reports."""


def name(tag: str) -> str:
    """The qualified name of one of the standard's elements."""
    return f"{{{NAMESPACE}}}{tag}"


def add(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    """Add an element; what XML cannot hold (names come from strangers) becomes U+FFFD."""
    element = etree.SubElement(parent, name(tag))
    if text is not None:
        element.text = "".join(one if _is_xml(one) else "\ufffd" for one in text)
    return element


def _is_xml(character: str) -> bool:
    """Whether XML 1.0 2.2 has the character."""
    point = ord(character)
    return (
        point in {0x9, 0xA, 0xD}
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or point >= 0x10000
    )
