"""The octets of one entry of a ZIP file, all of them and no others.

A library that stops at the size an entry is said to have shows the beginning of what another one
shows in full. Here an entry is whole, or damaged.
"""

import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from pki import errors
from signing_service.validation.asic.layout import ContainerError

_CHUNK = 2**18


def pieces(file: IO[bytes], entry: zipfile.ZipInfo, at: int) -> Iterator[bytes]:
    """Unpack an entry piece by piece.

    Args:
        file: The ZIP file; it may be read by others between two pieces.
        entry: Stored or deflated, as the directory has it.
        at: Where its octets begin.

    Raises:
        ContainerError: Another size or sum than it is said to have, or it ends elsewhere.
        LimitError: More octets than it is said to have.
    """
    size = crc = 0
    for piece in _unpacked(file, entry, at):
        size += len(piece)
        if size > entry.file_size:
            raise errors.LimitError("expected a container that unpacks to what it says")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != entry.file_size or crc != entry.CRC:
        raise damage(entry)


def damage(entry: zipfile.ZipInfo) -> ContainerError:
    """What is told of an entry that cannot be unpacked."""
    return ContainerError(f"the entry {entry.filename[:200]!r} of the container is damaged")


def _unpacked(file: IO[bytes], entry: zipfile.ZipInfo, at: int) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    is_stored = entry.compress_type == zipfile.ZIP_STORED
    end = at + entry.compress_size
    while at < end:
        file.seek(at)
        packed = file.read(min(_CHUNK, end - at))
        if not packed or unpacker.eof:
            raise damage(entry)
        at += len(packed)
        if is_stored:
            yield packed
            continue
        while True:
            try:
                piece = unpacker.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise damage(entry) from error
            if piece:
                yield piece
            packed = unpacker.unconsumed_tail
            if not piece and not packed:
                break
    if not is_stored and (not unpacker.eof or unpacker.unused_data):
        raise damage(entry)
