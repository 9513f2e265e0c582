"""Evidence records built octet by octet, the honest way or not (RFC 4998, RFC 6283)."""

import base64
import dataclasses
import datetime
import hashlib
from collections.abc import Mapping, Sequence

from lxml import etree

from pki import algorithms, der, signature, xml_signature, xml_trees
from signing_service.validation.evidence_records import rfc6283
from tests.support import hierarchy, signed_cms, time_stamps

NEIGHBOUR = hashlib.sha256(b"the hash of another person's document").digest()
INTERNAL, EXTERNAL = "1.2.840.113549.1.9.16.2.49", "1.2.840.113549.1.9.16.2.50"
_SHA256 = der.encode(0x30, der.encode_oid("2.16.840.1.101.3.4.2.1"))


def sha(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def joined(*values: bytes) -> bytes:
    """The hash of a group of hashes (RFC 4998 4.2)."""
    return sha(b"".join(sorted(values)))


def root_of(lists: Sequence[Sequence[bytes]]) -> bytes:
    root = lists[0][0] if len(lists[0]) == 1 else joined(*lists[0])
    for one in lists[1:]:
        root = joined(*one, root)
    return root


@dataclasses.dataclass
class RecordMaker:
    """Makes records with one unit."""

    unit: hierarchy.Holder
    at: datetime.datetime

    def token(self, root: bytes, later: datetime.timedelta = datetime.timedelta()) -> bytes:
        wanted = signature.DataToBeSignedRepresentation(algorithms.HashAlgorithm.SHA256, root)
        return time_stamps.time_stamp_token(self.unit, wanted, self.at + later)

    def stamp(
        self, *lists: Sequence[bytes], later: datetime.timedelta = datetime.timedelta()
    ) -> bytes:
        """An ArchiveTimeStamp in ASN.1 over a tree."""
        tree = der.encode(
            0xA2, *(der.encode(0x30, *(der.encode(4, value) for value in one)) for one in lists)
        )
        return der.encode(0x30, tree, self.token(root_of(lists), later))

    def record(self, *leaves: bytes) -> bytes:
        """A record in ASN.1 over the hashes of data objects, with another person's beside them."""
        return record(der.encode(0x30, self.stamp((*leaves, NEIGHBOUR), (NEIGHBOUR,))))

    def xml_record(self, *lists: Sequence[bytes], order: str = "1") -> bytes:
        """A record in XML over a tree."""
        sequences = "".join(
            f'<Sequence Order="{number}">'
            + "".join(f"<DigestValue>{_b64(value)}</DigestValue>" for value in one)
            + "</Sequence>"
            for number, one in enumerate(lists, start=1)
        )
        return (
            f'<EvidenceRecord xmlns="{rfc6283.NAMESPACE}" Version="1.0">'
            "<ArchiveTimeStampSequence>"
            f'<ArchiveTimeStampChain Order="{order}">'
            '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            '<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
            f'<ArchiveTimeStamp Order="1"><HashTree>{sequences}</HashTree><TimeStamp>'
            f'<TimeStampToken Type="RFC3161">{_b64(self.token(root_of(lists)))}</TimeStampToken>'
            "</TimeStamp></ArchiveTimeStamp></ArchiveTimeStampChain></ArchiveTimeStampSequence>"
            "</EvidenceRecord>"
        ).encode()


def record(*chains: bytes) -> bytes:
    return der.encode(0x30, b"\x02\x01\x01", der.encode(0x30, _SHA256), der.encode(0x30, *chains))


def token_of(stamp: bytes) -> bytes:
    """The token in an ArchiveTimeStamp, as it stands."""
    last = der.read(stamp).children()[-1]
    return der.encode(last.tag, last.content)


def renewed(maker: RecordMaker, renewal: RecordMaker, *leaves: bytes) -> bytes:
    """A record whose only time stamp was renewed by another one (RFC 4998 5.2)."""
    first = maker.stamp((*leaves, NEIGHBOUR))
    second = renewal.stamp((sha(token_of(first)), NEIGHBOUR))
    return record(der.encode(0x30, first, second))


def renewed_tree(maker: RecordMaker, renewal: RecordMaker, *leaves: bytes) -> bytes:
    """A record whose whole tree was renewed (RFC 4998 5.2)."""
    chain = der.encode(0x30, maker.stamp((*leaves, NEIGHBOUR)))
    before = sha(der.encode(0x30, chain))
    again = renewal.stamp(tuple(sha(one + before) for one in leaves))
    return record(chain, der.encode(0x30, again))


def attribute(value: bytes, *, external: bool = False) -> bytes:
    """A record as an unsigned attribute."""
    return signed_cms.attribute(EXTERNAL if external else INTERNAL, value)


def xades_group(document: bytes, detached: Mapping[str, bytes] | None = None) -> bytes:
    """The hash over the only signature of a document, as its SealingEvidenceRecords has to have it.

    Its references are taken to name the document without the signature, and its properties.
    """
    root = xml_trees.parse(document).getroot()
    (element,) = xml_signature.signatures_in(root)
    parts = [one.octets for one in xml_signature.check_references(element, detached=detached)]
    parts += [
        xml_trees.canonicalise(element.find(xml_signature.name(local)))
        for local in ("SignedInfo", "SignatureValue", "KeyInfo")
    ]
    return joined(*map(sha, parts))


def seal_xades(document: bytes, value: bytes) -> bytes:
    """A XAdES document whose only signature carries a record."""
    inside = (
        value.decode()
        if value[:1] == b"<"
        else f"<n:ASN1EvidenceRecord>{_b64(value)}</n:ASN1EvidenceRecord>"
    )
    added = (
        "<x:UnsignedProperties><x:UnsignedSignatureProperties>"
        f'<n:SealingEvidenceRecords xmlns:n="http://uri.etsi.org/19132/v1.1.1#">{inside}'
        "</n:SealingEvidenceRecords></x:UnsignedSignatureProperties></x:UnsignedProperties>"
    )
    tree = xml_trees.parse(
        document.replace(
            b"</x:QualifyingProperties>", added.encode() + b"</x:QualifyingProperties>", 1
        )
    )
    return etree.tostring(tree, encoding="UTF-8")


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
