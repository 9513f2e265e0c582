"""Where everything in a ZIP file stands: each byte belongs to one thing, told in one way.

What a ZIP file says of an entry stands up to four times: in the directory, before the entry, behind
it, and in extra fields; and the directory's own place up to twice. Two programs that believe
different ones show different documents. So all that is said has to agree (the numbers are those of
PKWARE's APPNOTE.TXT).
"""

import struct
import zipfile
import zlib
from typing import IO

from pki import errors

_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY = struct.Struct("<4s24x3H12x")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
IS_UTF8 = 0x800
"""The flag of an entry whose name is in UTF-8 (4.4.4)."""
_HAS_DESCRIPTOR, _ENCRYPTED = 0x8, 0x1
_LARGE_16, _LARGE_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_DESCRIPTORS = ("<3L", "<4s3L", "<L2Q", "<4sL2Q")
_MAX_DESCRIPTOR = 24


class ContainerError(errors.InputError):
    """The container is damaged, hostile, or says things twice."""

    code = "container-malformed"


def check(
    file: IO[bytes], entries: list[zipfile.ZipInfo], directory_at: int, comment_size: int
) -> dict[int, int]:
    """Check that entries follow each other from the first byte and the directory ends the file.

    Args:
        file: The ZIP file.
        entries: What its directory lists.
        directory_at: Where the directory was read.
        comment_size: How many bytes of comment end the file.

    Returns:
        Where the octets of each entry begin, by where its header does.

    Raises:
        ContainerError: Bytes belong to nothing, or two places say different things.
    """
    _check_end(file, len(entries), directory_at, comment_size)
    at = 0
    places = {}
    described: zipfile.ZipInfo | None = None
    for entry in sorted(entries, key=lambda one: one.header_offset):
        _check_between(file, described, at, entry.header_offset)
        places[entry.header_offset], described = _check_local(file, entry)
        at = places[entry.header_offset] + entry.compress_size
    _check_between(file, described, at, directory_at)
    return places


def _check_end(file: IO[bytes], count: int, directory_at: int, comment_size: int) -> None:
    """Check that the records at the end lead to the directory that was read (4.3.14 to 4.3.16)."""
    size = file.seek(0, 2)
    end_at = size - _END.size - comment_size
    fields = _read(file, end_at, _END.size)
    if not fields.startswith(b"PK\x05\x06"):
        raise ContainerError("bytes follow the container's directory that belong to no entry")
    _, disk, start_disk, here, total, directory_size, told_at, told_comment = _END.unpack(fields)
    directory_ends_at = end_at
    locator_at = end_at - _LOCATOR_64.size
    locator = _read(file, locator_at, _LOCATOR_64.size) if locator_at >= 0 else b""
    if locator.startswith(b"PK\x06\x07"):
        _, _, large_at, _ = _LOCATOR_64.unpack(locator)
        large = _read(file, large_at, _END_64.size) if large_at < locator_at else b""
        if len(large) < _END_64.size or not large.startswith(b"PK\x06\x06"):
            raise ContainerError("the container's large end record is not where it is said to be")
        _, rest, _, _, _, _, here_64, total_64, size_64, at_64 = _END_64.unpack(large)
        if large_at + 12 + rest != locator_at or at_64 != directory_at or here_64 != total_64:
            raise ContainerError("the container says in two ways where its directory is")
        for small, wide, ones in (
            (here, here_64, _LARGE_16),
            (total, total_64, _LARGE_16),
            (directory_size, size_64, _LARGE_32),
            (told_at, at_64, _LARGE_32),
        ):
            if small not in (wide, ones):
                raise ContainerError("the container says in two ways where its directory is")
        here, total, directory_size, told_at = here_64, total_64, size_64, at_64
        directory_ends_at = large_at
    if (
        told_at != directory_at
        or told_at + directory_size != directory_ends_at
        or not here == total == count
        or (disk, start_disk) not in ((0, 0), (_LARGE_16, _LARGE_16))
        or told_comment != comment_size
    ):
        raise ContainerError("the container's directory is not what its end record says")
    _check_directory(file, count, directory_at, directory_ends_at)


def _check_directory(file: IO[bytes], count: int, at: int, end: int) -> None:
    """Check that the entries of the directory fill it: a reader may cut the last one off."""
    for _ in range(count):
        header = _read(file, at, _DIRECTORY.size)
        if len(header) < _DIRECTORY.size or not header.startswith(b"PK\x01\x02"):
            raise ContainerError("the container's directory cannot be read")
        at += _DIRECTORY.size + sum(_DIRECTORY.unpack(header)[1:])
    if at != end:
        raise ContainerError("the container's directory is longer or shorter than its entries")


def name_of(raw: bytes, flags: int) -> str:
    """Read the name of an entry, or "" for one that cannot be read (4.4.4, appendix D).

    Without a word about the letters they are those of UTF-8 where that fits, as most programs take
    them: `zip` writes names so on systems that have no other letters.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "" if flags & IS_UTF8 else raw.decode("cp437")


def read_name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry as it is read here, where the library reads another one."""
    if entry.flag_bits & IS_UTF8:
        return entry.filename
    return name_of(entry.orig_filename.encode("cp437"), entry.flag_bits)


def _check_local(file: IO[bytes], entry: zipfile.ZipInfo) -> tuple[int, zipfile.ZipInfo | None]:
    """Check that an entry says of itself what the directory says.

    Returns:
        Where its octets begin, and the entry if a descriptor follows them.
    """
    header = _read(file, entry.header_offset, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise ContainerError("the container's directory names an entry that is not there")
    _, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack(header)
    raw = file.read(name_size)
    extra = _extra_fields(file.read(extra_size))
    same = name_of(raw, flags) == entry.orig_filename and method == entry.compress_type
    has_descriptor = bool(flags & _HAS_DESCRIPTOR)
    sizes = _sizes(unpacked, packed, extra.get(_ZIP64, b""))
    wanted = (entry.file_size, entry.compress_size)
    # 4.4.4: with a descriptor behind it, an entry need not know its sum and sizes beforehand; some
    # programs that write a stream know one of them.
    for found, real in zip((crc, *sizes), (entry.CRC, *wanted), strict=True):
        same = same and (found == real or (has_descriptor and not found))
    if not same or flags & _ENCRYPTED or bool(entry.flag_bits & _HAS_DESCRIPTOR) != has_descriptor:
        raise _disagreement(entry)
    for fields in (extra, _extra_fields(entry.extra)):
        _check_unicode_path(entry, raw, fields.get(_UNICODE_PATH))
    begins_at = entry.header_offset + _LOCAL.size + name_size + extra_size
    return begins_at, entry if has_descriptor else None


def _sizes(unpacked: int, packed: int, large: bytes) -> tuple[int, int]:
    """The sizes of a local header; all ones stand for those of the extra field (4.5.3)."""
    found = []
    for size in (unpacked, packed):
        if size == _LARGE_32 and len(large) >= 8:
            size = int.from_bytes(large[:8], "little")
            large = large[8:]
        found.append(size)
    return found[0], found[1]


def _check_between(file: IO[bytes], described: zipfile.ZipInfo | None, at: int, until: int) -> None:
    """Check that nothing but the descriptor of an entry stands between two things (4.3.9)."""
    if at == until:
        return
    if described is None or not 0 < until - at <= _MAX_DESCRIPTOR:
        raise ContainerError(
            "entries of the container overlap, or bytes between them belong to none"
        )
    found = _read(file, at, until - at)
    wanted = (described.CRC, described.compress_size, described.file_size)
    for form in _DESCRIPTORS:
        if struct.calcsize(form) == len(found):
            fields = struct.unpack(form, found)
            if fields[-3:] == wanted and fields[:-3] in ((), (b"PK\x07\x08",)):
                return
    raise _disagreement(described)


def _check_unicode_path(entry: zipfile.ZipInfo, raw: bytes, field: bytes | None) -> None:
    """Check that the name in an extra field is the entry's own: some programs show it (4.6.9)."""
    if field is None:
        return
    try:
        told = field[5:].decode("utf-8")
    except UnicodeDecodeError:
        told = ""
    # With another sum than the name's it is out of date, and whoever heeds the sum ignores it.
    if told != entry.orig_filename or int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        raise _disagreement(entry)


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """The extra fields of a header by their kind (4.5.1); what is no field is left out."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _disagreement(entry: zipfile.ZipInfo) -> ContainerError:
    return ContainerError(
        f"the entry {entry.orig_filename[:200]!r} says something else of itself than the"
        " container's directory"
    )


def _read(file: IO[bytes], at: int, size: int) -> bytes:
    file.seek(max(0, at))
    return file.read(size)
