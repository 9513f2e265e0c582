import datetime
import pathlib
import random

import hypothesis
import pytest
from hypothesis import strategies as st

from pki import errors, registry_reader, status, status_file

AT = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.UTC)
SERIALS = st.binary(min_size=20, max_size=20)
TIMES = st.integers(-(2**51), 2**54).map(
    lambda microseconds: AT + datetime.timedelta(microseconds=microseconds)
)
STATUSES = st.one_of(
    st.just(status.CertificateStatus()),
    st.builds(
        status.CertificateStatus,
        TIMES,
        st.sampled_from(status.RevocationReason),
        st.one_of(st.none(), TIMES),
    ),
)
TABLES = st.dictionaries(
    st.sampled_from(["citizen", "business", "ışıq"]),
    st.dictionaries(SERIALS, STATUSES, max_size=30),
)
HEADER = status_file.Header(
    registry_reader.Position(17, "ab" * 32),
    AT,
    AT,
    (registry_reader.Issuer("citizen", b"\x30\x00"),),
    (registry_reader.ResponderCertificate("citizen", "ocsp-citizen", b"\x30\x01\x00"),),
)


def _file(pieces: tuple[bytes, ...]) -> status_file.StatusFile:
    return status_file.StatusFile(b"".join(pieces))


@hypothesis.given(before=TABLES, changed=TABLES, others=st.lists(SERIALS, max_size=5))
def test_a_file_says_what_was_put_in_and_what_was_put_over_it(
    before: dict[str, dict[bytes, status.CertificateStatus]],
    changed: dict[str, dict[bytes, status.CertificateStatus]],
    others: list[bytes],
) -> None:
    first = _file(status_file.build(HEADER, before))
    made = _file(status_file.build(HEADER, changed, before=first))
    assert made.header == HEADER
    assert made.signature is None
    for name in {*before, *changed}:
        expected = before.get(name, {}) | changed.get(name, {})
        assert dict(made.statuses(name)) == expected
        assert sum(made.count(name)) == len(expected)
        for serial in {*expected, *others}:
            assert made.find(name, serial) == expected.get(serial)
    assert made.find("nobody", bytes(20)) is None


def test_a_mapped_file_and_one_that_was_read_say_the_same(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "statuses"
    serial = (5).to_bytes(20, "big")
    pieces = status_file.build(HEADER, {"citizen": {serial: status.CertificateStatus()}})
    status_file.write(path, pieces)
    assert path.stat().st_mode & 0o777 == 0o600
    for one in (status_file.map_file(path), status_file.read_file(path)):
        assert one.find("citizen", serial) == status.CertificateStatus()
        assert one.header == HEADER
        assert one.size == path.stat().st_size
    with pytest.raises(FileNotFoundError):
        status_file.map_file(tmp_path / "other")
    with pytest.raises(errors.StorageError):
        status_file.write(tmp_path / "no" / "statuses", pieces)


def test_a_signature_stands_at_the_end_and_changes_nothing_else() -> None:
    pieces = status_file.build(HEADER, {})
    signature = status_file.Signature(b"certificate", b"value")
    signed = _file((*pieces, status_file.signature_block(signature)))
    assert signed.signature == signature
    assert signed.digest == _file(pieces).digest


def _sample() -> bytes:
    chance = random.Random(5)  # noqa: S311
    good = {chance.randbytes(20): status.CertificateStatus() for _ in range(40)}
    bad = {
        chance.randbytes(20): status.CertificateStatus(AT, status.RevocationReason.keyCompromise)
        for _ in range(20)
    }
    pieces = status_file.build(HEADER, {"citizen": good | bad, "business": bad})
    end = status_file.signature_block(status_file.Signature(b"c" * 40, b"v" * 70))
    return b"".join((*pieces, end))


def test_no_mutated_file_is_taken_for_the_one_that_was_written() -> None:
    whole = _sample()
    signature = status_file.StatusFile(whole).signature
    chance = random.Random(6)  # noqa: S311
    for _ in range(4000):
        mutated = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            kind, place = chance.randrange(4), chance.randrange(len(mutated))
            if kind == 0:
                mutated[place] ^= 1 << chance.randrange(8)
            elif kind == 1:
                del mutated[place : place + chance.randrange(1, 60)]
            elif kind == 2:
                mutated[place:place] = chance.randbytes(chance.randrange(1, 60))
            else:
                del mutated[place + 1 :]
        if mutated == whole:
            continue
        try:
            read = status_file.StatusFile(bytes(mutated))
        except status_file.StatusFileError:
            continue
        # Only the end is not under the digest: whoever checks the signature finds it out.
        assert read.signature != signature
        assert mutated[:-114] == whole[:-114]


def test_a_file_made_by_somebody_who_knows_the_format_never_crashes_the_reader() -> None:
    """The digest is right, and anything else may be wrong."""
    import hashlib

    whole = _sample()
    length = int.from_bytes(whole[8:16], "big")
    chance = random.Random(7)  # noqa: S311
    refused = 0
    for _ in range(4000):
        body = bytearray(whole[:length])
        for _ in range(chance.randrange(1, 5)):
            body[chance.randrange(20, length)] = chance.randrange(256)
        if chance.randrange(3) == 0:
            start = chance.randrange(20, length)
            del body[start : start + chance.randrange(40)]
            body[8:16] = len(body).to_bytes(8, "big")
        content = bytes(body) + hashlib.sha256(body).digest()
        try:
            read = status_file.StatusFile(content)
            for name in read.table_names():
                list(read.statuses(name))
                read.find(name, chance.randbytes(20))
        except status_file.StatusFileError:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b"null",
        b"{}",
        b'{"position":[1,"x"],"as_of":1e999,"locked_at":null,"issuers":[],"responders":[],"tables":[]}',
        b'{"position":[1,"x"],"as_of":'
        + b"9" * 5000
        + b',"locked_at":null,"issuers":[],"responders":[],"tables":[]}',
        b'{"position":[1,"x"],"as_of":99999999999999999999999,"locked_at":null,"issuers":[],'
        b'"responders":[],"tables":[]}',
        b'{"position":[1,"x"],"as_of":1,"locked_at":null,"issuers":[],"responders":[],'
        b'"tables":[{"issuer":"a","good":1,"revoked":0}]}',
        b'{"position":[true,"x"],"as_of":1,"locked_at":null,"issuers":[],"responders":[],"tables":[]}',
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    import hashlib

    body = b"IMZASTA1" + (20 + len(header)).to_bytes(8, "big") + len(header).to_bytes(4, "big")
    body += header
    read = status_file.StatusFile(body + hashlib.sha256(body).digest())
    with pytest.raises(status_file.StatusFileError):
        read.header  # noqa: B018
