"""Evidence records built octet by octet: renewed, and broken in each place."""

import base64
import datetime
import hashlib

import pytest

from pki import algorithms, der, errors, signature
from signing_service.validation import cms_signature
from signing_service.validation.evidence_records import hash_trees, rfc4998, rfc6283
from tests.support import time_stamps

OBJECTS = {"a.txt": b"TEST one", "b.txt": b"TEST two"}
NEIGHBOUR = hashlib.sha256(b"the hash of another person's document").digest()
YEAR = datetime.timedelta(days=365)


def sha(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def joined(*values: bytes) -> bytes:
    return sha(b"".join(sorted(values)))


def objects(changed: str | None = None):
    return {
        name: lambda hash_name, name=name: [
            hashlib.new(hash_name, b"changed" if name == changed else OBJECTS[name]).digest()
        ]
        for name in OBJECTS
    }


class Maker:
    """Makes ArchiveTimeStamps with one unit."""

    def __init__(self, hierarchy, at) -> None:
        self.unit = hierarchy.time_stamping_unit()
        self.at = at

    def token(self, root: bytes, years: int = 0) -> bytes:
        wanted = signature.DataToBeSignedRepresentation(algorithms.HashAlgorithm.SHA256, root)
        return time_stamps.time_stamp_token(self.unit, wanted, self.at + years * YEAR)

    def stamp(self, *lists: tuple[bytes, ...], years: int = 0) -> bytes:
        root = lists[0][0] if len(lists[0]) == 1 else joined(*lists[0])
        for one in lists[1:]:
            root = joined(*one, root)
        tree = der.encode(
            0xA2,
            *(der.encode(0x30, *(der.encode(4, value) for value in one)) for one in lists),
        )
        return der.encode(0x30, tree, self.token(root, years))


def record(*chains: bytes) -> bytes:
    algorithm = der.encode(0x30, der.encode_oid("2.16.840.1.101.3.4.2.1"))
    return der.encode(0x30, b"\x02\x01\x01", der.encode(0x30, algorithm), der.encode(0x30, *chains))


@pytest.fixture
def maker(hierarchy, at) -> Maker:
    return Maker(hierarchy, at)


@pytest.fixture
def leaves() -> tuple[bytes, ...]:
    return (*map(sha, OBJECTS.values()), NEIGHBOUR)


@pytest.fixture
def renewed(maker, leaves) -> bytes:
    """A time stamp, its renewal, and a renewal of the whole tree."""
    first = maker.stamp(leaves, (NEIGHBOUR,))
    token = der.read(first).children()[-1]
    second = maker.stamp((sha(der.encode(token.tag, token.content)), NEIGHBOUR), years=1)
    chain = der.encode(0x30, first, second)
    before = sha(der.encode(0x30, chain))
    third = maker.stamp(tuple(sha(sha(one) + before) for one in OBJECTS.values()), years=2)
    return record(chain, der.encode(0x30, third))


@pytest.mark.clause("RFC 4998", "5.3")
def test_record_leads_from_its_objects_to_the_first_time_stamp(renewed, at):
    assert hash_trees.check(rfc4998.read(renewed), objects()) == at.replace(microsecond=0)


@pytest.mark.parametrize("changed", OBJECTS)
def test_changed_object_is_not_in_the_tree(renewed, changed):
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(rfc4998.read(renewed), objects(changed))


def test_object_that_was_never_in_the_tree_is_missed(maker):
    alone = record(der.encode(0x30, maker.stamp((sha(OBJECTS["a.txt"]), NEIGHBOUR))))
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(rfc4998.read(alone), objects())


def test_renewal_of_another_time_stamp_is_broken(maker, leaves):
    first = maker.stamp(leaves)
    second = maker.stamp((sha(b"another token"), NEIGHBOUR), years=1)
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(rfc4998.read(record(der.encode(0x30, first, second))), objects())


def test_renewal_that_claims_to_be_older_is_broken(maker, leaves):
    first = maker.stamp(leaves, years=2)
    token = der.read(first).children()[-1]
    second = maker.stamp((sha(der.encode(token.tag, token.content)), NEIGHBOUR))
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(rfc4998.read(record(der.encode(0x30, first, second))), objects())


def test_token_over_another_root_is_broken(maker, leaves):
    stamp = maker.stamp(leaves)
    tree = der.read(stamp).children()[0]
    forged = der.encode(0x30, der.encode(tree.tag, tree.content), maker.token(sha(b"other")))
    with pytest.raises(cms_signature.DigestMismatchError):
        hash_trees.check(rfc4998.read(record(der.encode(0x30, forged))), objects())


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x00", b"\x30\x80" * 100, record()])
def test_what_is_no_record_is_an_input_error(data):
    with pytest.raises(errors.InputError):
        rfc4998.read(data)


def xml_record(maker: Maker, *lists: tuple[bytes, ...], order: str = "1") -> bytes:
    def b64(octets: bytes) -> str:
        return base64.b64encode(octets).decode()

    root = joined(*lists[0])
    for one in lists[1:]:
        root = joined(*one, root)
    sequences = "".join(
        f'<Sequence Order="{number}">'
        + "".join(f"<DigestValue>{b64(value)}</DigestValue>" for value in one)
        + "</Sequence>"
        for number, one in enumerate(lists, start=1)
    )
    return (
        f'<EvidenceRecord xmlns="{rfc6283.NAMESPACE}" Version="1.0"><ArchiveTimeStampSequence>'
        f'<ArchiveTimeStampChain Order="{order}">'
        '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        '<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
        f'<ArchiveTimeStamp Order="1"><HashTree>{sequences}</HashTree><TimeStamp>'
        f'<TimeStampToken Type="RFC3161">{b64(maker.token(root))}</TimeStampToken></TimeStamp>'
        "</ArchiveTimeStamp></ArchiveTimeStampChain></ArchiveTimeStampSequence></EvidenceRecord>"
    ).encode()


@pytest.mark.clause("RFC 6283", "3.3")
def test_record_in_xml_leads_to_its_time_stamp(maker, leaves, at):
    chains = rfc6283.read(xml_record(maker, leaves, (NEIGHBOUR,)))
    assert hash_trees.check(chains, objects()) == at.replace(microsecond=0)
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(chains, objects("a.txt"))


@pytest.mark.parametrize("order", ["0", "2", "x", "-1"])
def test_orders_that_do_not_count_from_one_are_refused(maker, leaves, order):
    with pytest.raises(hash_trees.RecordFormatError):
        rfc6283.read(xml_record(maker, leaves, order=order))
