"""Reduced hash trees, and the time stamps over them (RFC 4998 4.3, RFC 6283 3.2.2)."""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence

from pki import errors, originals
from signing_service.validation.cms import time_stamp_tokens

MAX_CHAINS = 50
"""Chains of a record, and time stamps of a chain; a renewal comes every few years."""
MAX_HASHES = 20_000
"""Hash values in the trees of one record."""

DigestOf = Callable[[str], bytes]
"""The hash of a data object, by a function's hashlib name."""


DigestsOf = Callable[[str], Sequence[bytes]]
"""The hashes that a data object may have: of its octets first, then of canonical forms of it."""


class BrokenRecordError(errors.InputError):
    """The record does not lead from the data objects to its time stamps."""

    code = "evidence-record-broken"


class RecordFormatError(errors.InputError):
    """The bytes are no evidence record."""

    code = "evidence-record-format"


@dataclasses.dataclass(frozen=True)
class ArchiveTimeStamp:
    """One time stamp and the tree under it.

    Attributes:
        hash_name: Of the tree.
        lists: The reduced hash tree from its leaves up; empty where the token is over the hash.
        token: DER.
        renews: What the next time stamp of the chain has to be over, by a function's name.
    """

    hash_name: str
    lists: tuple[tuple[bytes, ...], ...]
    token: bytes
    renews: DigestOf

    def check(self, leaves: Sequence[bytes]) -> "CheckedTimeStamp":
        """Check that the tree leads from hashes to the token, and the token itself.

        Raises:
            BrokenRecordError: It does not.
            InputError: The token cannot be read or does not verify.
        """
        if not self.lists and len(leaves) != 1:
            raise BrokenRecordError("a time stamp without a hash tree is over one data object")
        first = self.lists[0] if self.lists else tuple(leaves)
        if not set(leaves) <= set(first):
            raise BrokenRecordError("the hash tree of the record does not hold what it is about")
        root = self._root(first)
        token = time_stamp_tokens.read_token(self.token)
        if token.hash_name != self.hash_name:
            raise BrokenRecordError("the time stamp of the record is over another kind of hash")
        token.check(lambda _: root)
        return CheckedTimeStamp(self.token, root, token.time)

    def expected(self) -> frozenset[bytes]:
        """The hashes that the tree, or the token itself, is over."""
        if self.lists:
            return frozenset(self.lists[0])
        return frozenset({time_stamp_tokens.read_token(self.token).imprint})

    def _root(self, first: Sequence[bytes]) -> bytes:
        # RFC 4998 4.2: the hash of a group of one is taken as it is.
        value = first[0] if len(first) == 1 else self._joined(first)
        for one in self.lists[1:]:
            value = self._joined((*one, value))
        return value

    def _joined(self, values: Sequence[bytes]) -> bytes:
        """The hash of hashes in binary ascending order."""
        return digest(self.hash_name, b"".join(sorted(values)))


@dataclasses.dataclass(frozen=True)
class CheckedTimeStamp:
    """A token, the hash that it was found to be over, and the time that it states."""

    token: bytes
    root: bytes
    time: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Chain:
    """Time stamps that renew each other under one hash function.

    Attributes:
        stamps: The oldest first.
        leaves: What the first one is over, of hashes of the data objects.
    """

    stamps: tuple[ArchiveTimeStamp, ...]
    leaves: Callable[[Sequence[bytes]], Sequence[bytes]]


def check(
    chains: Sequence[Chain], objects: Mapping[str, DigestsOf]
) -> tuple[CheckedTimeStamp, ...]:
    """Check all chains over all data objects and return their time stamps, the oldest first.

    Raises:
        BrokenRecordError: A tree or a renewal does not fit.
        InputError: A token cannot be read or does not verify.
    """
    if not objects:
        raise BrokenRecordError("nothing says what the evidence record is about")
    checked = []
    for chain in chains:
        name = chain.stamps[0].hash_name
        wanted = chain.stamps[0].expected()
        leaves = chain.leaves([_chosen(one(name), chain, wanted) for one in objects.values()])
        for stamp in chain.stamps:
            checked.append(stamp.check(leaves))
            leaves = [stamp.renews(stamp.hash_name)]
    times = [one.time for one in checked]
    if times != sorted(times):
        raise BrokenRecordError("the time stamps of the record are not in the order of time")
    return tuple(checked)


def _chosen(digests: Sequence[bytes], chain: Chain, wanted: frozenset[bytes]) -> bytes:
    """The hash of a data object that the record knows, or the first one."""
    return next((one for one in digests if wanted.issuperset(chain.leaves([one])[:1])), digests[0])


def digest(name: str, octets: bytes) -> bytes:
    """Hash octets; raises `RecordFormatError` for a function that is not known."""
    if name not in hashlib.algorithms_available:
        raise RecordFormatError("a hash function of the evidence record is not known")
    return originals.digest(octets, name)
