"""ZIP files in the one form that is written here, entry by entry and without a second reading.

Files are stored as they are; every local header says all sizes and has no extra field, so the
directory can be made anew from the headers. Times are the same for all, since signatures tell
times; what a file needs beyond 32 bits is not written (APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16).
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from pki import errors

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")

_VERSION, _UNIX = 20, 3 << 8
_UTF_8 = 0x800
_STORED = 0
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00
_ATTRIBUTES = 0o644 << 16
_MAX_BYTES = 2**32 - 1
_MAX_ENTRIES = 2**16 - 1


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file that was written.

    Attributes:
        name: Its name.
        crc: Its CRC-32.
        size: Its length in bytes.
        offset: Where its local header begins.
    """

    name: str
    crc: int
    size: int
    offset: int


def append(file: BinaryIO, name: str, pieces: Iterable[bytes]) -> Entry:
    """Write an entry at the present place of a file, and stand behind it.

    Raises:
        LimitError: It would need more than 32 bits.
    """
    offset = file.tell()
    start = offset + _LOCAL.size + len(name.encode())
    file.seek(start)
    crc = size = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        if start + size > _MAX_BYTES:
            raise errors.LimitError(f"expected a container of at most {_MAX_BYTES} bytes")
        file.write(piece)
    entry = Entry(name, crc, size, offset)
    file.seek(offset)
    file.write(_header(entry))
    file.seek(start + size)
    return entry


def finish(file: BinaryIO, entries: Iterable[Entry]) -> None:
    """Write the directory at the present place, where the file ends.

    Raises:
        LimitError: It would need more than 32 bits.
    """
    place = file.tell()
    listed = [
        _CENTRAL.pack(
            b"PK\x01\x02", _VERSION | _UNIX, _VERSION, _flags(one.name), _STORED, _TIME, _DATE,
            one.crc, one.size, one.size, len(one.name.encode()), 0, 0, 0, 0, _ATTRIBUTES,
            one.offset,
        )
        + one.name.encode()
        for one in entries
    ]  # fmt: skip
    directory = b"".join(listed)
    count = len(listed)
    if count > _MAX_ENTRIES or place + len(directory) > _MAX_BYTES:
        raise errors.LimitError(
            f"expected a container of at most {_MAX_ENTRIES} files and {_MAX_BYTES} bytes"
        )
    file.write(directory)
    file.write(_END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), place, 0))
    file.truncate()


def entries(file: BinaryIO, length: int) -> list[Entry]:
    """Read the local headers of the first bytes of a file that was written here.

    Raises:
        TamperedError: They are not ours, or do not end where they should.
    """
    found = []
    offset = 0
    while offset < length:
        file.seek(offset)
        header = file.read(_LOCAL.size)
        if len(header) != _LOCAL.size:
            raise errors.TamperedError("the prepared container is shorter than it was")
        *_, crc, _, size, name_length, _ = _LOCAL.unpack(header)
        try:
            name = file.read(name_length).decode()
        except UnicodeDecodeError as error:
            raise errors.TamperedError("a file of the prepared container lost its name") from error
        entry = Entry(name, crc, size, offset)
        if header + name.encode() != _header(entry):
            raise errors.TamperedError("the prepared container is not in the form it was written")
        found.append(entry)
        offset += len(header) + name_length + size
    if offset != length or length > file.seek(0, 2):
        raise errors.TamperedError("the prepared container does not end where it did")
    return found


def _header(entry: Entry) -> bytes:
    encoded = entry.name.encode()
    return _LOCAL.pack(
        b"PK\x03\x04", _VERSION, _flags(entry.name), _STORED, _TIME, _DATE,
        entry.crc, entry.size, entry.size, len(encoded), 0,
    ) + encoded  # fmt: skip


def _flags(name: str) -> int:
    return 0 if name.isascii() else _UTF_8
