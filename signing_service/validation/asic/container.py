"""A ZIP container of a stranger, of which every byte is accounted for (EN 319 162-1 A.1).

ZIP readers disagree where a file says things twice: about entries with one name, about what stands
between and behind entries, about local and central headers. Each of these lets two programs show
different documents under one signature, so such a container is refused.
"""

import functools
import pathlib
import struct
import unicodedata
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO

from pki import errors, originals
from signing_service.validation.asic import layout, unpacking
from signing_service.validation.asic.layout import ContainerError

MAX_ENTRIES = 2000
"""Entries of a container, folders included."""
MAX_ENTRY_BYTES = 128 * 2**20
"""Largest entry, unpacked."""
MAX_TOTAL_BYTES = 512 * 2**20
"""All entries together, unpacked; counted while reading, for every reading again."""
MAX_RATIO = 200
"""How much smaller an entry may be packed, from `RATIO_FROM_BYTES` on; documents reach about 20."""
RATIO_FROM_BYTES = 2**20
MAX_NAME = 1024
ASIC_S = "application/vnd.etsi.asic-s+zip"
ASIC_E = "application/vnd.etsi.asic-e+zip"
TYPES = (ASIC_S, ASIC_E)
MIMETYPE = "mimetype"
_TYPE_IN_COMMENT = b"mimetype="
META = "META-INF/"

_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNIX, _SYMBOLIC_LINK, _FILE_KIND = 3, 0xA000, 0xF000
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Characters that turn the direction of writing: a name with them shows another extension."""
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Container(Mapping[str, bytes]):
    """The files of a container by name, unpacked when asked for and not before."""

    def __init__(self, file: IO[bytes], *, left: int = MAX_TOTAL_BYTES) -> None:
        """Read the directory and check it against the entries.

        Args:
            file: The container.
            left: How many bytes may still be unpacked.

        Raises:
            ContainerError: It cannot be read, or two readers would read it differently.
            LimitError: More entries, or larger ones, than are read.
        """
        try:
            self._archive = zipfile.ZipFile(file)
            entries = self._archive.infolist()
        except _FAULTS as error:
            raise ContainerError("expected a ZIP container that can be read") from error
        if len(entries) > MAX_ENTRIES:
            raise errors.LimitError(f"expected at most {MAX_ENTRIES} entries in a container")
        for entry in entries:
            if not entry.flag_bits & layout.IS_UTF8:
                entry.filename = entry.orig_filename = layout.read_name(entry)
        self.left = left
        self.comment = self._archive.comment
        self.first_name = (
            min(entries, key=lambda one: one.header_offset).filename if entries else ""
        )
        _check_names(entries)
        for entry in entries:
            _check_kind(entry)
        self._file = file
        self._places = layout.check(file, entries, self._archive.start_dir, len(self.comment))
        self._entries = {one.filename: one for one in entries if not one.is_dir()}

    @classmethod
    def at(cls, path: pathlib.Path) -> "Container":
        """Read the container at a path; its file is open as long as a file in it may be read."""
        file = path.open("rb")
        try:
            found = cls(file)
        except BaseException:
            file.close()
            raise
        weakref.finalize(found, file.close)
        return found

    def __getitem__(self, name: str) -> bytes:
        """Unpack a file; raises `LimitError` for one that is larger than it said or may be."""
        return b"".join(self.pieces(name))

    @functools.cached_property
    def originals(self) -> Mapping[str, originals.Original]:
        """The files as what signatures are over: each is unpacked when it is hashed."""
        return {
            name: originals.StoredOriginal(functools.partial(self.pieces, name)) for name in self
        }

    def pieces(self, name: str) -> Iterator[bytes]:
        """Unpack a file piece by piece; raises as a look-up does."""
        entry = self._entries[name]
        for piece in unpacking.pieces(self._file, entry, self._places[entry.header_offset]):
            self.left -= len(piece)
            if self.left < 0:
                raise errors.LimitError(
                    f"expected a container that unpacks to at most {MAX_TOTAL_BYTES} bytes"
                )
            yield piece

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a file, up to a size; fewer where its first piece is shorter."""
        return next(self.pieces(name), b"")[:size]

    def __iter__(self) -> Iterator[str]:
        """The names of all files, in the order of the directory."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many files there are."""
        return len(self._entries)

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """Every file with its size in bytes, as the directory has them."""
        return tuple((name, one.file_size) for name, one in self._entries.items())

    @property
    def data_files(self) -> tuple[str, ...]:
        """What the container is there to carry: everything outside META-INF but the mimetype."""
        return tuple(one for one in self if one != MIMETYPE and not one.startswith(META))

    def mimetype(self) -> str | None:
        """The declared type; None where it is missing or no text.

        Where there is no file for it, the comment may say it (EN 319 162-1 A.1).
        """
        octets = self.comment.removeprefix(_TYPE_IN_COMMENT)
        if MIMETYPE in self._entries:
            if self._entries[MIMETYPE].file_size > MAX_NAME:
                return None
            octets = self[MIMETYPE]
        elif octets == self.comment:
            return None
        try:
            return octets.decode("ascii").strip()
        except UnicodeDecodeError:
            return None

    @property
    def is_mimetype_first(self) -> bool:
        """Whether the type stands first and unpacked, where programs look (EN 319 162-1 A.1).

        A type that only the comment says has no other place.
        """
        entry = self._entries.get(MIMETYPE)
        return entry is None or (
            self.first_name == MIMETYPE and entry.compress_type == zipfile.ZIP_STORED
        )


def _check_names(entries: list[zipfile.ZipInfo]) -> None:
    seen: dict[str, str] = {}
    for entry in entries:
        # zipfile cuts a name at a zero octet, where another reader may not.
        name = entry.orig_filename
        parts = name.removesuffix("/").split("/")
        if (
            not name
            or len(name) > MAX_NAME
            or "\\" in name
            or any(part in ("", ".", "..") for part in parts)
            or any(
                unicodedata.category(one) in ("Cc", "Cs")
                or unicodedata.bidirectional(one) in _TURNING
                for one in name
            )
            or (len(parts[0]) == 2 and parts[0][1] == ":")
        ):
            raise ContainerError(
                f"expected relative names without '.' or '..' in the container, got {name[:200]!r}"
            )
        # What a file system takes for one name shows one of two files.
        folded = "/".join(map(_as_stored, name.removesuffix("/").split("/")))
        if folded in seen:
            raise ContainerError(f"two entries of the container have the name {name[:200]!r}")
        seen[folded] = name
    for folded in seen:
        above = folded.rpartition("/")[0]
        if above in seen and not seen[above].endswith("/"):
            raise ContainerError("an entry of the container is a file and a folder")


def _as_stored(part: str) -> str:
    """A part of a name as the file system that takes most names for one another has it.

    Not every system heeds case and composed letters. Windows drops dots and spaces at the end, and
    takes what follows a colon for the name of a stream in the file.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
    return folded.partition(":")[0].rstrip(". ") or folded


def _check_kind(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise ContainerError("an entry of the container is encrypted")
    if entry.create_system == _UNIX and entry.external_attr >> 16 & _FILE_KIND == _SYMBOLIC_LINK:
        raise ContainerError("an entry of the container is a link to another file")
    if entry.compress_type not in _METHODS:
        raise ContainerError("an entry of the container is packed in a way that is not read")
    if entry.file_size > MAX_ENTRY_BYTES:
        raise errors.LimitError(f"expected entries of at most {MAX_ENTRY_BYTES} bytes")
    if entry.file_size > RATIO_FROM_BYTES and entry.file_size > MAX_RATIO * max(
        entry.compress_size, 1
    ):
        raise errors.LimitError(
            f"expected entries packed to no less than one part in {MAX_RATIO}: this one is a bomb"
        )
