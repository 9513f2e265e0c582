"""The status file: what a responder has to know of every certificate, in a form to be mapped.

Serial numbers of good certificates stand sorted in 20 octets each, those of revoked ones in 40
with the time, the reason and the invalidity date. Workers map the file and share its pages; a
look-up is a binary search. A file may be written anew from an older one and what changed since.

    "IMZASTA1"  length of all before the digest (8)  length of the header (4)
    header: JSON in UTF-8
    for each issuer of the header, in its order: its good certificates, its revoked ones
    SHA-256 of everything before
    if signed: length (2) and DER of the publisher's public key, length (2) and signature value

Numbers are big-endian and unsigned. Times are microseconds since 1970 in UTC.
"""

import base64
import bisect
import contextlib
import dataclasses
import datetime
import hashlib
import json
import mmap
import os
import pathlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pki import durable_files, errors, registry_reader, status

MAGIC = b"IMZASTA1"

MAX_HEADER_BYTES = 4 * 2**20
"""Some thousand certificates of authorities and responders."""

MAX_FILE_BYTES = 8 * 2**30
"""Four hundred million certificates."""

MAX_SIGNATURE_BYTES = 16 * 2**10
"""A public key and a signature value."""

SORTED_WHOLE = 16
"""Where one certificate in so many changed, to sort all anew is faster than to look for each."""

_FRAME = struct.Struct(">8sQI")
_REVOKED = struct.Struct(">20sqqB3x")
_SERIAL = registry_reader.SERIAL_BYTES
_DIGEST_BYTES = 32
_NO_TIME = -(2**63)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)

Statuses = Mapping[str, Mapping[bytes, status.CertificateStatus]]
"""By the issuer's name and the serial number in 20 octets."""


class StatusFileError(errors.TamperedError):
    """The file is not a whole status file as it was written, or of another publisher."""

    code = "status-file-refused"


@dataclasses.dataclass(frozen=True)
class Header:
    """What a status file says beside the statuses.

    Attributes:
        position: Up to where in the audit log the registry's changes are in it.
        as_of: When the registry was read: what changed later may be missing.
        locked_at: Since when no status may be told (`pki.registry_lock`).
        issuers: The authorities of the registry.
        responders: The certificates that let our keys answer for them.
    """

    position: registry_reader.Position
    as_of: datetime.datetime
    locked_at: datetime.datetime | None = None
    issuers: tuple[registry_reader.Issuer, ...] = ()
    responders: tuple[registry_reader.ResponderCertificate, ...] = ()


@dataclasses.dataclass(frozen=True)
class Signature:
    """Who published a file, as its end says; `pki.status_publishers` checks it.

    Attributes:
        public_key_der: A SubjectPublicKeyInfo.
        value: ECDSA with SHA-256 as r||s.
    """

    public_key_der: bytes
    value: bytes


@dataclasses.dataclass(frozen=True)
class _Table:
    """Where an issuer's certificates stand."""

    good_start: int
    good_count: int
    revoked_start: int
    revoked_count: int

    @property
    def end(self) -> int:
        return self.revoked_start + self.revoked_count * _REVOKED.size


class StatusFile:
    """A status file whose digest is right, in memory or mapped."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        """Check the frame and the digest; what the header says is read when it is asked for.

        Raises:
            StatusFileError: Not a whole status file, or not as it was written.
        """
        self._content = content
        self._body_length, self._header_length = _check_frame(content)
        with memoryview(content) as view, view[: self._body_length] as body:
            self.digest = hashlib.sha256(body).digest()
        end = self._body_length + _DIGEST_BYTES
        if content[self._body_length : end] != self.digest:
            raise StatusFileError("the status file is not as it was written: its digest differs")
        self.signature = _read_signature(content[end:])
        self._tables: dict[str, _Table] = {}
        self._header: Header | None = None

    @property
    def header(self) -> Header:
        """What the file says beside the statuses; raises `StatusFileError` where it is wrong."""
        if self._header is None:
            start = _FRAME.size
            text = self._content[start : start + self._header_length]
            try:
                read = json.loads(text.decode("utf-8"))
                header, tables = _parse_header(read, start + self._header_length)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
                raise StatusFileError(
                    f"the header of the status file is malformed ({type(error).__name__})"
                ) from None
            ends = [one.end for one in tables.values()]
            if max(ends, default=start + self._header_length) != self._body_length:
                raise StatusFileError("the tables of the status file do not fill it")
            self._header, self._tables = header, tables
        return self._header

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return len(self._content)

    def table_names(self) -> tuple[str, ...]:
        """The issuers that have certificates in the file."""
        self.header  # noqa: B018 - reads the tables
        return tuple(self._tables)

    def count(self, issuer_name: str) -> tuple[int, int]:
        """How many certificates of an issuer are good, and how many revoked."""
        table = self._table(issuer_name)
        return (0, 0) if table is None else (table.good_count, table.revoked_count)

    def find(self, issuer_name: str, serial: bytes) -> status.CertificateStatus | None:
        """Return the status of a certificate; None where the issuer never issued it.

        Raises:
            StatusFileError: The entry says something impossible.
        """
        table = self._table(issuer_name)
        if table is None:
            return None
        content, start = self._content, table.good_start
        place = bisect.bisect_left(
            range(table.good_count),
            serial,
            key=lambda one: content[start + one * _SERIAL : start + one * _SERIAL + _SERIAL],
        )
        found = start + place * _SERIAL
        if place < table.good_count and content[found : found + _SERIAL] == serial:
            return registry_reader.GOOD
        place = _find_record(content, table.revoked_start, table.revoked_count, serial)
        if place == table.revoked_count:
            return None
        found = table.revoked_start + place * _REVOKED.size
        if content[found : found + _SERIAL] != serial:
            return None
        return _unpack(content[found : found + _REVOKED.size])

    def table(self, issuer_name: str) -> tuple[bytes, bytes]:
        """An issuer's certificates as they stand in the file: the good ones, the revoked ones."""
        table = self._table(issuer_name)
        if table is None:
            return b"", b""
        return (
            self._content[table.good_start : table.revoked_start],
            self._content[table.revoked_start : table.end],
        )

    def statuses(self, issuer_name: str) -> Iterator[tuple[bytes, status.CertificateStatus]]:
        """Yield every serial number of an issuer with its status, the good ones first."""
        good, revoked = self.table(issuer_name)
        for start in range(0, len(good), _SERIAL):
            yield good[start : start + _SERIAL], registry_reader.GOOD
        for start in range(0, len(revoked), _REVOKED.size):
            record = revoked[start : start + _REVOKED.size]
            yield record[:_SERIAL], _unpack(record)

    def _table(self, issuer_name: str) -> _Table | None:
        if self._header is None:
            self.header  # noqa: B018 - reads the tables
        return self._tables.get(issuer_name)


def build(
    header: Header, changed: Statuses, *, before: StatusFile | None = None
) -> tuple[bytes, ...]:
    """Return a status file, unsigned, in pieces.

    Args:
        header: What it says.
        changed: Statuses, each instead of the one in `before`.
        before: The statuses of every other certificate.
    """
    known = () if before is None else tuple(before.table_names())
    tables: list[tuple[str, bytes, bytes]] = []
    for name in sorted({*known, *changed}):
        good, revoked = (b"", b"") if before is None else before.table(name)
        coming = changed.get(name, {})
        tables.append(
            (
                name,
                _merge(good, _SERIAL, coming, _pack_good),
                _merge(revoked, _REVOKED.size, coming, _pack_revoked),
            )
        )
    text = json.dumps(_header_content(header, tables), separators=(",", ":")).encode("utf-8")
    length = _FRAME.size + len(text) + sum(len(good) + len(bad) for _, good, bad in tables)
    pieces = [_FRAME.pack(MAGIC, length, len(text)), text]
    for _, good, revoked in tables:
        pieces += (good, revoked)
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return (*pieces, digest.digest())


def signature_block(signature: Signature) -> bytes:
    """The end of a signed file."""
    return b"".join(
        len(one).to_bytes(2, "big") + one for one in (signature.public_key_der, signature.value)
    )


def write(path: pathlib.Path, pieces: Sequence[bytes]) -> None:
    """Write a file in the place of the one that may be there; it is whole after any crash.

    Raises:
        StorageError: The disk is full or gone; what was there is still there.
    """
    try:
        with durable_files.replacing(path) as partial, partial.open("wb") as writing:
            writing.writelines(pieces)
    except OSError as error:
        raise errors.StorageError(
            f"the status file {path} cannot be written ({error.strerror})"
        ) from error


def map_file(path: pathlib.Path) -> StatusFile:
    """Map a file that is only ever replaced as a whole; one that were cut would end the process.

    Raises:
        FileNotFoundError: There is none.
        StatusFileError: It cannot be read, or as `StatusFile`.
    """
    with _opened(path) as handle:
        if os.fstat(handle).st_size == 0:
            raise StatusFileError("expected a status file, got an empty file")
        try:
            content = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise StatusFileError("the status file cannot be mapped") from error
    return StatusFile(content)


def read_file(path: pathlib.Path) -> StatusFile:
    """Read a file that somebody else may write over at any time; raises as `map_file`."""
    with _opened(path) as handle:
        size = os.fstat(handle).st_size
        if size > MAX_FILE_BYTES:
            raise StatusFileError(f"expected a status file of at most {MAX_FILE_BYTES} bytes")
        with open(handle, "rb", closefd=False) as reading:
            try:
                content = reading.read(size)
            except OSError as error:
                raise StatusFileError("the status file cannot be read") from error
    return StatusFile(content)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StatusFileError(f"the status file cannot be opened ({error.strerror})") from error
    try:
        yield handle
    finally:
        os.close(handle)


def _check_frame(content: bytes | mmap.mmap) -> tuple[int, int]:
    """Return the lengths of everything before the digest and of the header."""
    if len(content) < _FRAME.size + _DIGEST_BYTES or content[: len(MAGIC)] != MAGIC:
        raise StatusFileError("expected a status file of this version, got something else")
    _, length, header_length = _FRAME.unpack(content[: _FRAME.size])
    rest = len(content) - length - _DIGEST_BYTES
    if header_length > MAX_HEADER_BYTES or length < _FRAME.size + header_length:
        raise StatusFileError("the lengths in the status file contradict each other")
    if not 0 <= rest <= MAX_SIGNATURE_BYTES:
        raise StatusFileError("the status file is longer or shorter than it says: is it whole?")
    return length, header_length


def _read_signature(block: bytes) -> Signature | None:
    if not block:
        return None
    parts = []
    while block:
        length = int.from_bytes(block[:2], "big")
        if len(block) < 2 + length:
            break
        parts.append(block[2 : 2 + length])
        block = block[2 + length :]
    if block or len(parts) != 2:
        raise StatusFileError("the end of the status file is malformed")
    return Signature(*parts)


def _parse_header(read: Any, start: int) -> tuple[Header, dict[str, _Table]]:
    number, value = read["position"]
    header = Header(
        registry_reader.Position(_count(number), _text(value)),
        _to_time(read["as_of"]),
        None if read["locked_at"] is None else _to_time(read["locked_at"]),
        tuple(
            registry_reader.Issuer(_text(one["name"]), _octets(one["certificate"]))
            for one in read["issuers"]
        ),
        tuple(
            registry_reader.ResponderCertificate(
                _text(one["issuer"]), _text(one["key"]), _octets(one["certificate"])
            )
            for one in read["responders"]
        ),
    )
    tables: dict[str, _Table] = {}
    for one in read["tables"]:
        good, revoked = _count(one["good"]), _count(one["revoked"])
        table = _Table(start, good, start + good * _SERIAL, revoked)
        if tables.setdefault(_text(one["issuer"]), table) is not table:
            raise ValueError("an issuer has two tables")
        start = table.end
    return header, tables


def _header_content(header: Header, tables: Sequence[tuple[str, bytes, bytes]]) -> object:
    return {
        "position": [header.position.number, header.position.hash],
        "as_of": _to_number(header.as_of),
        "locked_at": None if header.locked_at is None else _to_number(header.locked_at),
        "issuers": [
            {"name": one.name, "certificate": base64.b64encode(one.certificate_der).decode()}
            for one in header.issuers
        ],
        "responders": [
            {
                "issuer": one.issuer_name,
                "key": one.key_label,
                "certificate": base64.b64encode(one.certificate_der).decode(),
            }
            for one in header.responders
        ],
        "tables": [
            {
                "issuer": name,
                "good": len(good) // _SERIAL,
                "revoked": len(revoked) // _REVOKED.size,
            }
            for name, good, revoked in tables
        ],
    }


def _find_record(content: bytes | mmap.mmap, start: int, count: int, serial: bytes) -> int:
    """The place of the first revoked certificate whose serial number is not smaller."""
    size = _REVOKED.size
    return bisect.bisect_left(
        range(count),
        serial,
        key=lambda one: content[start + one * size : start + one * size + _SERIAL],
    )


def _merge(before: bytes, size: int, coming: Mapping[bytes, Any], pack: Any) -> bytes:
    """Put records into sorted ones, each instead of the one with its serial number.

    `pack` gives a status its record, or None where it does not belong into this table.
    """
    if not before:
        records = (pack(serial, coming[serial]) for serial in sorted(coming))
        return b"".join(one for one in records if one is not None)
    count = len(before) // size
    if len(coming) * SORTED_WHOLE > count:
        every = [before[one : one + size] for one in range(0, len(before), size)]
        kept = [one for one in every if one[:_SERIAL] not in coming]
        made = (pack(serial, coming[serial]) for serial in sorted(coming))
        kept += (one for one in made if one is not None)
        kept.sort()  # Two sorted halves, which takes little longer than to copy them.
        return b"".join(kept)
    parts: list[bytes] = []
    copied = 0
    for serial in sorted(coming):
        place = bisect.bisect_left(
            range(copied, count),
            serial,
            key=lambda one: before[one * size : one * size + _SERIAL],
        )
        place += copied
        parts.append(before[copied * size : place * size])
        copied = place
        if place < count and before[place * size : place * size + _SERIAL] == serial:
            copied += 1
        if (record := pack(serial, coming[serial])) is not None:
            parts.append(record)
    parts.append(before[copied * size :])
    return b"".join(parts)


def _pack_good(serial: bytes, one: status.CertificateStatus) -> bytes | None:
    return serial if one.revoked_at is None else None


def _pack_revoked(serial: bytes, one: status.CertificateStatus) -> bytes | None:
    if one.revoked_at is None:
        return None
    reason = one.reason or status.RevocationReason.unspecified
    invalid = _NO_TIME if one.invalidity_date is None else _to_number(one.invalidity_date)
    return _REVOKED.pack(serial, _to_number(one.revoked_at), invalid, reason.value)


def _unpack(record: bytes) -> status.CertificateStatus:
    _, revoked_at, invalid, reason = _REVOKED.unpack(record)
    try:
        return status.CertificateStatus(
            _to_time(revoked_at),
            status.RevocationReason(reason),
            None if invalid == _NO_TIME else _to_time(invalid),
        )
    except (ValueError, OverflowError) as error:
        raise StatusFileError("a revocation in the status file is none") from error


def _to_number(at: datetime.datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _to_time(number: object) -> datetime.datetime:
    if type(number) is not int:
        raise ValueError("expected a time")
    return _EPOCH + number * _MICROSECOND


def _count(number: object) -> int:
    if type(number) is not int or not 0 <= number <= MAX_FILE_BYTES:
        raise ValueError("expected a count")
    return number


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("expected a text")
    return value


def _octets(value: object) -> bytes:
    return base64.b64decode(_text(value), validate=True)
