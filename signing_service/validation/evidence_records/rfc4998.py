"""Evidence records in ASN.1 (RFC 4998)."""

from collections.abc import Callable, Sequence

from pki import der, errors
from signing_service.validation.cades import archive, signed_data
from signing_service.validation.cms import ber, time_stamp_tokens
from signing_service.validation.evidence_records import hash_trees

MAX_BYTES = 10 * 2**20
_ALGORITHM, _TREE = 0xA0, 0xA2


def read(data: bytes) -> list[hash_trees.Chain]:
    """Read a record; raises `RecordFormatError`."""
    if len(data) > MAX_BYTES:
        raise errors.LimitError(f"expected evidence records of at most {MAX_BYTES} bytes")
    try:
        record, _ = ber.to_definite(data)
        sequence = _members(record)[-1]
        raw_chains = _members(sequence)
        if not 1 <= len(raw_chains) <= hash_trees.MAX_CHAINS:
            raise hash_trees.RecordFormatError("expected chains of time stamps in the record")
        chains = []
        for place, raw in enumerate(raw_chains):
            stamps = tuple(map(_stamp, _members(raw)))
            if not 1 <= len(stamps) <= hash_trees.MAX_CHAINS:
                raise hash_trees.RecordFormatError("expected time stamps in a chain of the record")
            if len({one.hash_name for one in stamps}) != 1:
                # RFC 4998 5.1: within a chain all use one function.
                raise hash_trees.RecordFormatError("a chain of the record changes its hash")
            earlier = der.encode(der.SEQUENCE, *raw_chains[:place])
            chains.append(hash_trees.Chain(stamps, _leaves(stamps[0].hash_name, earlier, place)))
    except (ValueError, IndexError) as error:
        raise hash_trees.RecordFormatError(
            "expected an evidence record that can be read"
        ) from error
    if sum(len(one) for chain in chains for stamp in chain.stamps for one in stamp.lists) > (
        hash_trees.MAX_HASHES
    ):
        raise errors.LimitError(f"expected at most {hash_trees.MAX_HASHES} hashes in a record")
    return chains


def _leaves(name: str, earlier: bytes, place: int) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """What the first time stamp of a chain is over (RFC 4998 5.2, hash-tree renewal)."""
    if place == 0:
        return lambda hashes: hashes
    before = hash_trees.digest(name, earlier)
    return lambda hashes: [hash_trees.digest(name, one + before) for one in hashes]


def _stamp(raw: bytes) -> hash_trees.ArchiveTimeStamp:
    members = _members(raw)
    token = members[-1]
    fields = {one[0]: one for one in members[:-1]}
    if _ALGORITHM in fields:
        algorithm = next(signed_data.elements(signed_data.content_of(fields[_ALGORITHM], None)))
        name = archive.HASH_NAMES.get(der.decode_oid(der.read(algorithm)), "")
    else:
        # RFC 4998 4.1: without one it is that of the time stamp.
        name = time_stamp_tokens.read_token(token).hash_name
    lists = tuple(
        tuple(signed_data.content_of(value, der.OCTET_STRING) for value in _members(one))
        for one in (
            signed_data.elements(signed_data.content_of(fields[_TREE], None))
            if _TREE in fields
            else ()
        )
    )
    if any(not one for one in lists):
        raise hash_trees.RecordFormatError("a list of the record's hash tree is empty")
    return hash_trees.ArchiveTimeStamp(
        name, lists, token, lambda wanted: hash_trees.digest(wanted, token)
    )


def _members(element: bytes) -> list[bytes]:
    return list(signed_data.elements(signed_data.content_of(element, der.SEQUENCE)))
