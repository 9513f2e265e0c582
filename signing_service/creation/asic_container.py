"""ASiC containers as files: a ZIP of documents and, in META-INF, what signs them (EN 319 162-1 4).

Containers that come from others are read under limits, and refused where two programs could see
different things in them. Documents are copied in pieces and stored as they are.
"""

import contextlib
import dataclasses
import hashlib
import pathlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from lxml import etree

from pki import algorithms, errors
from signing_service import documents
from signing_service.creation import plain_zip
from signing_service.validation.asic import layout

MIMETYPE = "mimetype"
MANIFEST = "META-INF/manifest.xml"

MEDIA_TYPES = {
    documents.SignatureFormat.ASIC_E: "application/vnd.etsi.asic-e+zip",
    documents.SignatureFormat.ASIC_S: "application/vnd.etsi.asic-s+zip",
}

MAX_ENTRIES = 1000
MAX_EXPANDED_BYTES = 2**30
"""All entries together; an upload has a fifth of this at most."""

MAX_RATIO = 200
"""Deflate makes at most about a thousandth of a file; documents come to a twentieth."""

MAX_SIGNATURE_BYTES = 50 * 2**20
"""One file of META-INF, which is read into memory."""

CHUNK = 2**18
"""Small enough to stay in the processor's cache between the hash, the checksum and the file."""

_ODF = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_SIGNATURES = re.compile(r"META-INF/[^/]*signature[^/]*\.(xml|p7s)", re.IGNORECASE)
_DATE = (1980, 1, 1, 0, 0, 0)
"""No file says when it was put in: signatures tell times."""


class ContainerError(documents.DocumentRefusedError):
    """The file is no ASiC container that can be signed."""

    code = "document-container"


@dataclasses.dataclass(frozen=True)
class Container:
    """A container that was read.

    Attributes:
        path: Its file.
        format: ASiC-E or ASiC-S.
        data_files: Names of the documents.
        signatures: Names of the files in META-INF with signatures, oldest first.
        names: Of all files.
        length: Where its directory begins, if it was created here.
    """

    path: pathlib.Path
    format: documents.SignatureFormat
    data_files: tuple[str, ...]
    signatures: tuple[str, ...]
    names: tuple[str, ...]
    length: int | None = dataclasses.field(default=None, compare=False)

    @property
    def signature_format(self) -> documents.SignatureFormat | None:
        """What its signatures are, or None where there is none."""
        if not self.signatures:
            return None
        last = self.signatures[-1]
        xml = last.endswith(".xml")
        return documents.SignatureFormat.XADES if xml else documents.SignatureFormat.CADES

    def read(self, name: str) -> bytes:
        """Return a file of META-INF."""
        return b"".join(self._pieces(name, MAX_SIGNATURE_BYTES))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Give a file's content in pieces."""
        return self._pieces(name, MAX_EXPANDED_BYTES)

    def _pieces(self, name: str, limit: int) -> Iterator[bytes]:
        with _opened(self.path) as archive, archive.open(name) as file:
            size = 0
            while chunk := file.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise errors.LimitError(f"expected at most {limit} bytes in {name[:100]!r}")
                yield chunk


def is_container(path: pathlib.Path) -> bool:
    """Tell whether a file begins as an ASiC container does: a ZIP whose first file is mimetype."""
    with path.open("rb") as file:
        start = file.read(38 + 64)
    return (
        start[:4] == b"PK\x03\x04"
        and start[30:38] == MIMETYPE.encode()
        and any(one.encode() in start[38:] for one in MEDIA_TYPES.values())
    )


def read(path: pathlib.Path) -> Container:
    """Read what a container holds, without its documents.

    Raises:
        ContainerError: Two files of one name, a name that leads elsewhere, encryption, a method
            of compression that is not read here, or no such container.
        LimitError: More or larger files than are taken.
    """
    with _opened(path) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise errors.LimitError(f"expected at most {MAX_ENTRIES} files, got {len(entries)}")
        _check_entries(entries)
        with archive.open(entries[0]) as file:
            media_type = file.read(200).decode("ascii", "replace").strip()
    by_media_type = {value: key for key, value in MEDIA_TYPES.items()}
    if entries[0].filename != MIMETYPE or media_type not in by_media_type:
        raise ContainerError("expected a container whose first file, mimetype, says ASiC-E or -S")
    names = tuple(one.filename for one in entries if not one.is_dir())
    return Container(
        path,
        by_media_type[media_type],
        tuple(one for one in names if one != MIMETYPE and not one.startswith("META-INF/")),
        tuple(one for one in names if _SIGNATURES.fullmatch(one)),
        names,
    )


def create(
    target: pathlib.Path,
    format: documents.SignatureFormat,
    files: Sequence[documents.Document],
    media_types: Sequence[str],
    hash_algorithm: algorithms.HashAlgorithm,
) -> tuple[Container, dict[str, bytes]]:
    """Write a container that nobody has signed yet; return it, and the hashes of its documents.

    Args:
        target: Receives it.
        format: ASiC-E or ASiC-S.
        files: The documents; their names are checked.
        media_types: Of each document, for the manifest.
        hash_algorithm: Of the hashes, which are taken of the very bytes that are written.
    """
    digests = {}
    for one in files:
        check_name(one.name)
    if len({one.name for one in files}) != len(files):
        raise ContainerError("two of the documents have the same name")
    media_type = MEDIA_TYPES[format]
    with target.open("wb") as file:
        # EN 319 162-1 A.1: first, stored, and without an extra field.
        entries = [plain_zip.append(file, MIMETYPE, (media_type.encode(),))]
        for one in files:
            hasher = hashlib.new(hash_algorithm.short_name)
            entries.append(plain_zip.append(file, one.name, _hashed(one.path, hasher)))
            digests[one.name] = hasher.digest()
        if format is documents.SignatureFormat.ASIC_E:
            manifest = _manifest(format, list(digests), media_types)
            entries.append(plain_zip.append(file, MANIFEST, (manifest,)))
        length = file.tell()
        plain_zip.finish(file, entries)
    names = tuple(one.name for one in entries)
    return Container(target, format, tuple(digests), (), names, length), digests


def rewrite(
    source: pathlib.Path,
    target: pathlib.Path,
    changed: Mapping[str, bytes],
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write a copy of a container with files of META-INF changed, renamed, or added at the end."""
    left = dict(changed)
    with (
        _opened(source) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new,
    ):
        for one in old.infolist():
            entry = _entry(renamed.get(one.filename, one.filename))
            if one.filename in left:
                new.writestr(entry, left.pop(one.filename))
                continue
            entry.compress_type = one.compress_type
            entry.file_size = one.file_size
            with old.open(one) as file, new.open(entry, "w") as written:
                shutil.copyfileobj(file, written, CHUNK)
        for name, content in left.items():
            new.writestr(_entry(name), content)


def add(source: pathlib.Path, target: pathlib.Path, added: Mapping[str, bytes]) -> None:
    """Write a copy of a container with files of META-INF put behind the others, or in their places.

    What a file has in common with the copy is copied as it is, and not read.
    """
    shutil.copyfile(source, target)
    with _opened(target, "a") as archive:
        replaces = not added.keys().isdisjoint(archive.namelist())
        if not replaces:
            for name, content in added.items():
                archive.writestr(_entry(name), content)
    if replaces:
        rewrite(source, target, added)


def complete(
    source: pathlib.Path, target: pathlib.Path, length: int, added: Mapping[str, bytes]
) -> None:
    """Put files of META-INF behind the documents of a container that was created here.

    The documents are neither copied nor read where the disk knows hard links: the target becomes
    a second name of the source, whose directory makes place for what is added. The bytes before it
    stay as they are, and those behind are all written anew, so that after a crash it can be done
    again. A source that has a second name already is copied: that may be another's result.

    Args:
        source: The container, which is not to be read as one afterwards.
        target: Becomes the completed one.
        length: Where the source's directory began when it was created.
        added: The files, by their names.

    Raises:
        TamperedError: The source is not the container that was created.
    """
    if source.stat().st_nlink != 1 or not _linked(source, target):
        # The target may be the second name of the source itself, from the time before.
        target.unlink(missing_ok=True)
        target.touch(0o600)  # As `durable_files` made it.
        shutil.copyfile(source, target)
    with target.open("r+b") as file:
        entries = plain_zip.entries(file, length)
        file.seek(length)
        entries += [plain_zip.append(file, name, (data,)) for name, data in added.items()]
        plain_zip.finish(file, entries)


def check_name(name: str) -> None:
    """Refuse a document's name that a container cannot have.

    Raises:
        ContainerError: It leads out of the container, or to its own files.
    """
    parts = name.split("/")
    if (
        name.upper().startswith("META-INF/")
        or name == MIMETYPE
        or "\\" in name
        or not name.isprintable()
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise ContainerError(
            f"expected a document's name that stays in the container, got {name[:100]!r}"
        )


def _check_entries(entries: Iterable[zipfile.ZipInfo]) -> None:
    seen = set()
    total = 0
    for one in entries:
        name = one.filename
        if name in seen:
            raise ContainerError(f"the container has two files called {name[:100]!r}")
        seen.add(name)
        parts = name.rstrip("/").split("/")
        if "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise ContainerError(f"the name {name[:100]!r} leads out of the container")
        if one.flag_bits & 0x1 or one.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise ContainerError("expected files that are stored or deflated and not encrypted")
        total += one.file_size
        bomb = one.file_size > 2**20 and one.file_size > MAX_RATIO * max(one.compress_size, 1)
        if bomb or total > MAX_EXPANDED_BYTES:
            raise errors.LimitError(
                f"expected files of at most {MAX_EXPANDED_BYTES} bytes in all, and none that grows"
                f" more than {MAX_RATIO} times"
            )
    if not seen:
        raise ContainerError("expected a container, got an empty one")


@contextlib.contextmanager
def _opened(path: pathlib.Path, mode: Literal["r", "a"] = "r") -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path, mode) as archive:
            _read_names(archive)
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError,
            RuntimeError) as error:  # fmt: skip
        raise ContainerError(f"expected a readable ZIP file ({type(error).__name__})") from error


def _read_names(archive: zipfile.ZipFile) -> None:
    """Give entries the names that validation reads."""
    for one in archive.infolist():
        one.filename = layout.read_name(one).partition("\0")[0]
    archive.NameToInfo = {one.filename: one for one in archive.infolist()}


def _hashed(path: pathlib.Path, hasher: "hashlib._Hash") -> Iterator[bytes]:
    """Give a file's content in pieces, each of which was hashed."""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            yield chunk


def _linked(source: pathlib.Path, target: pathlib.Path) -> bool:
    """Whether a target could be made a second name of a file."""
    try:
        target.unlink(missing_ok=True)
        target.hardlink_to(source)
    except OSError:
        return False  # This disk knows no hard links, or not between the two places.
    return True


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.external_attr = 0o644 << 16
    return entry


def _manifest(
    format: documents.SignatureFormat, names: Sequence[str], media_types: Sequence[str]
) -> bytes:
    """The list of files of OpenDocument 1.2 part 3, which EN 319 162-1 A.2 borrows."""
    root = etree.Element(f"{{{_ODF}}}manifest", nsmap={"manifest": _ODF})
    root.set(f"{{{_ODF}}}version", "1.2")
    listed = (("/", MEDIA_TYPES[format]), *zip(names, media_types, strict=True))
    for name, media_type in listed:
        entry = etree.SubElement(root, f"{{{_ODF}}}file-entry")
        entry.set(f"{{{_ODF}}}full-path", name)
        entry.set(f"{{{_ODF}}}media-type", media_type)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
