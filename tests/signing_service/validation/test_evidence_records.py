"""Evidence records built octet by octet: renewed, and broken in each place."""

import datetime
import hashlib

import pytest

from pki import der, errors
from signing_service.validation.cms import cms_signature
from signing_service.validation.evidence_records import hash_trees, rfc4998, rfc6283
from tests.support import evidence_records
from tests.support.evidence_records import NEIGHBOUR, record, sha, token_of

OBJECTS = {"a.txt": b"TEST one", "b.txt": b"TEST two"}
YEAR = datetime.timedelta(days=365)


def objects(changed: str | None = None):
    return {
        name: lambda hash_name, name=name: [
            hashlib.new(hash_name, b"changed" if name == changed else OBJECTS[name]).digest()
        ]
        for name in OBJECTS
    }


@pytest.fixture
def maker(hierarchy, at) -> evidence_records.RecordMaker:
    return evidence_records.RecordMaker(hierarchy.time_stamping_unit(), at)


@pytest.fixture
def leaves() -> tuple[bytes, ...]:
    return (*map(sha, OBJECTS.values()), NEIGHBOUR)


@pytest.fixture
def renewed(maker, leaves) -> bytes:
    """A time stamp, its renewal, and a renewal of the whole tree."""
    first = maker.stamp(leaves, (NEIGHBOUR,))
    second = maker.stamp((sha(token_of(first)), NEIGHBOUR), later=YEAR)
    chain = der.encode(0x30, first, second)
    before = sha(der.encode(0x30, chain))
    third = maker.stamp(tuple(sha(sha(one) + before) for one in OBJECTS.values()), later=2 * YEAR)
    return record(chain, der.encode(0x30, third))


@pytest.mark.clause("RFC 4998", "5.3")
def test_record_leads_from_its_objects_to_the_first_time_stamp(renewed, at):
    checked = hash_trees.check(rfc4998.read(renewed), objects())
    first = at.replace(microsecond=0)
    assert [one.time for one in checked] == [first, first + YEAR, first + 2 * YEAR]


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
    second = maker.stamp((sha(b"another token"), NEIGHBOUR), later=YEAR)
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(rfc4998.read(record(der.encode(0x30, first, second))), objects())


def test_renewal_that_claims_to_be_older_is_broken(maker, leaves):
    first = maker.stamp(leaves, later=2 * YEAR)
    second = maker.stamp((sha(token_of(first)), NEIGHBOUR))
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


@pytest.mark.clause("RFC 6283", "3.3")
def test_record_in_xml_leads_to_its_time_stamp(maker, leaves, at):
    chains = rfc6283.read(maker.xml_record(leaves, (NEIGHBOUR,)))
    assert hash_trees.check(chains, objects())[0].time == at.replace(microsecond=0)
    with pytest.raises(hash_trees.BrokenRecordError):
        hash_trees.check(chains, objects("a.txt"))


@pytest.mark.parametrize("order", ["0", "2", "x", "-1"])
def test_orders_that_do_not_count_from_one_are_refused(maker, leaves, order):
    with pytest.raises(hash_trees.RecordFormatError):
        rfc6283.read(maker.xml_record(leaves, order=order))
