"""Evidence records in XML (RFC 6283)."""

from collections.abc import Callable, Sequence

from lxml import etree

from pki import errors, xml_algorithms, xml_trees
from signing_service.validation import evidence
from signing_service.validation.evidence_records import hash_trees

METHODS = (xml_trees.C14N_10, xml_trees.C14N_11, xml_trees.C14N_EXCLUSIVE)
"""In which canonical forms XML data objects are hashed (RFC 6283 3.2.1)."""
NAMESPACE = "urn:ietf:params:xml:ns:ers"
_KINDS = {"CERT": "certificates_der", "CRL": "crls", "OCSP": "ocsp_responses"}


def read(data: bytes, known: evidence.Evidence | None = None) -> list[hash_trees.Chain]:
    """Read a record; raises `RecordFormatError` or `XMLUnreadableError`.

    Args:
        data: The record.
        known: Takes the validation data for its time stamps that it carries.
    """
    root = xml_trees.parse(data).getroot()
    if root.tag != _name("EvidenceRecord"):
        raise hash_trees.RecordFormatError("expected an EvidenceRecord")
    try:
        sequence = xml_trees.child(root, _name("ArchiveTimeStampSequence"))
        elements = _ordered(sequence, "ArchiveTimeStampChain")
        if not 1 <= len(elements) <= hash_trees.MAX_CHAINS:
            raise hash_trees.RecordFormatError("expected chains of time stamps in the record")
        chains = [_chain(sequence, elements, place) for place in range(len(elements))]
    except xml_trees.XMLSignatureError as error:
        raise hash_trees.RecordFormatError(f"the record cannot be read: {error.message}") from error
    if sum(len(one) for chain in chains for stamp in chain.stamps for one in stamp.lists) > (
        hash_trees.MAX_HASHES
    ):
        raise errors.LimitError(f"expected at most {hash_trees.MAX_HASHES} hashes in a record")
    if known is not None:
        _take_evidence(root, known)
    return chains


def _take_evidence(root: etree._Element, known: evidence.Evidence) -> None:
    """Give the certificates and statuses beside the tokens to `known` (RFC 6283 3.1.3)."""
    found: dict[str, list[bytes]] = {kind: [] for kind in _KINDS}
    for one in root.iter(_name("CryptographicInformation")):
        kind = (one.get("Type") or "").upper()
        if kind in found:
            try:
                found[kind].append(xml_trees.read_base64(one))
            except xml_trees.XMLSignatureError:
                # Evidence that cannot be read proves nothing; what is missing is reported.
                continue
    known.add(**{_KINDS[kind]: values for kind, values in found.items()})


def _chain(
    sequence: etree._Element, elements: Sequence[etree._Element], place: int
) -> hash_trees.Chain:
    element = elements[place]
    try:
        name = xml_algorithms.read_digest_method(xml_trees.child(element, _name("DigestMethod")))
    except xml_algorithms.UnknownAlgorithmError as error:
        raise hash_trees.RecordFormatError("a hash of the record is not known") from error
    method = xml_trees.algorithm_of(xml_trees.child(element, _name("CanonicalizationMethod")))
    found = _ordered(element, "ArchiveTimeStamp")
    if not 1 <= len(found) <= hash_trees.MAX_CHAINS:
        raise hash_trees.RecordFormatError("expected time stamps in a chain of the record")
    stamps = tuple(_stamp(one, name, method) for one in found)
    return hash_trees.Chain(stamps, _leaves(sequence, elements, place, name, method))


def _leaves(
    sequence: etree._Element,
    elements: Sequence[etree._Element],
    place: int,
    name: str,
    method: str,
) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """What the first time stamp of a chain is over (RFC 6283 4.2.2, hash-tree renewal)."""
    if place == 0:
        return lambda hashes: hashes
    # The text around what is left out stays, as in the document object model.
    earlier = xml_trees.without(sequence, elements[place:])
    before = hash_trees.digest(name, xml_trees.canonicalise(earlier, method))
    return lambda hashes: [*hashes, before]


def _stamp(element: etree._Element, name: str, method: str) -> hash_trees.ArchiveTimeStamp:
    trees = element.findall(_name("HashTree"))
    lists = tuple(
        tuple(xml_trees.read_base64(value) for value in one.findall(_name("DigestValue")))
        for tree in trees[:1]
        for one in _ordered(tree, "Sequence")
    )
    if len(trees) > 1 or any(not one for one in lists):
        raise hash_trees.RecordFormatError("expected one hash tree with hashes in each list")
    holder = xml_trees.child(element, _name("TimeStamp"))
    token = xml_trees.read_base64(xml_trees.child(holder, _name("TimeStampToken")))
    return hash_trees.ArchiveTimeStamp(
        name,
        lists,
        token,
        # RFC 6283 4.2.1: the whole TimeStamp element is renewed.
        lambda wanted: hash_trees.digest(wanted, xml_trees.canonicalise(holder, method)),
    )


def _ordered(parent: etree._Element, local: str) -> list[etree._Element]:
    """The children with a name, by their Order, which has to count from one (RFC 6283 2.1)."""
    found = parent.findall(_name(local))
    ordered = (
        sorted(found, key=lambda one: int(one.get("Order") or "0"))
        if all(
            (one.get("Order") or "").isdecimal() and len(one.get("Order") or "") < 9
            for one in found
        )
        else []
    )
    if [one.get("Order") for one in ordered] != [str(n) for n in range(1, len(found) + 1)]:
        raise hash_trees.RecordFormatError(f"expected {local} elements in an order from one")
    return ordered


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"
