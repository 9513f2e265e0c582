"""Attacks on ASiC containers: what two ZIP readers read differently, and what nobody signed."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

from tests.support import packed_containers, signed_cms
from tests.support.attacks.attacker import REFUSED, Attack, Attacker
from tests.support.packed_containers import ASIC_S, FILES, cades, manifest, pack

_NAME = "contract.txt"
_OTHER = b"TEST other"
_END, _DIRECTORY, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_MANIFEST, _SIGNATURE = "META-INF/ASiCManifest001.xml", "META-INF/signature001.p7s"

Edit = Callable[[Attacker], bytes]


def _with(extra: Mapping[str, bytes]) -> Edit:
    return lambda who: pack({**who.container(), **extra})


def _entry(
    who: Attacker,
    name: str,
    octets: bytes = _OTHER,
    *,
    mode: int = 0,
    extra: bytes = b"",
    instead: bool = False,
) -> bytes:
    """A container with one entry more, or another one, with a mode or extra field."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("mimetype", packed_containers.ASIC_E)
        for key, value in who.container().items():
            if not (instead and key == name):
                archive.writestr(key, value)
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = mode << 16
        info.extra = extra
        archive.writestr(info, octets)
    return written.getvalue()


class _Stream(io.BytesIO):
    """What a program writes to that cannot go back: entries then get descriptors."""

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation


def link(who: Attacker) -> bytes:
    return _entry(who, _NAME, b"/etc/passwd", mode=0o120777, instead=True)


def link_of_signed_text(who: Attacker) -> bytes:
    """The signed octets are themselves a path, and the entry becomes a link."""
    return _entry(who, _NAME, FILES[_NAME], mode=0o120777, instead=True)


def other_name_in_extra(who: Attacker) -> bytes:
    """Some programs show the name of the extra field (PKWARE 4.6.9)."""
    told = b"\x01" + struct.pack("<L", zlib.crc32(_NAME.encode())) + b"refusal.txt"
    field = struct.pack("<2H", 0x7075, len(told)) + told
    return _entry(who, _NAME, FILES[_NAME], extra=field, instead=True)


def _local(offset: int, value: bytes) -> Edit:
    """The first local header of a data file says something else than the directory."""

    def make(who: Attacker) -> bytes:
        made = bytearray(pack(who.container()))
        at = made.index(_NAME.encode()) - 30
        made[at + offset : at + offset + len(value)] = value
        return bytes(made)

    return make


def _directory(offset: int, value: bytes) -> Edit:
    """The directory says something else than a data file's local header."""

    def make(who: Attacker) -> bytes:
        made = bytearray(pack(who.container()))
        at = made.index(_NAME.encode(), made.index(_DIRECTORY)) - 46
        made[at + offset : at + offset + len(value)] = value
        return bytes(made)

    return make


def _split(made: bytes) -> tuple[bytes, bytes, bytes]:
    """Entries, directory and end record."""
    start = made.index(_DIRECTORY)
    end = made.rindex(_END)
    return made[:start], made[start:end], made[end:]


def second_end_in_comment(who: Attacker) -> bytes:
    """A comment that is itself an end record, with its own directory in front of it."""
    entries, directory, end = _split(pack(who.container()))
    other = directory.replace(_NAME.encode(), b"refusal1.txt")
    inside = other + end[:16] + struct.pack("<L", len(entries) + len(directory) + 22) + end[20:]
    return entries + directory + end[:20] + struct.pack("<H", len(inside)) + inside


def large_end_elsewhere(who: Attacker) -> bytes:
    """A ZIP64 end record that leads to another directory than the plain one."""
    entries, directory, end = _split(pack(who.container()))
    other = directory.replace(_NAME.encode(), b"refusal1.txt")
    (count,) = struct.unpack_from("<H", end, 10)
    at = len(entries) + len(other)
    record_at = at + len(directory)
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), at
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, record_at, 1)
    return entries + other + directory + record + locator + end


def hidden_directory(who: Attacker) -> bytes:
    """The end record's own offset leads to another directory than the one before it."""
    entries, directory, end = _split(pack(who.container()))
    other = directory.replace(_NAME.encode(), b"refusal1.txt")
    return entries + other + directory + end


def wrong_descriptor(who: Attacker) -> bytes:
    """A descriptor behind an entry that says another size: a reader of streams believes it."""

    written = _Stream()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("mimetype", packed_containers.ASIC_E)
        for key, value in who.container().items():
            archive.writestr(key, value)
    made = written.getvalue()
    at = made.index(b"PK\x07\x08", made.index(_NAME.encode()))
    return made[: at + 8] + struct.pack("<L", 3) + made[at + 12 :]


def more_than_said(who: Attacker) -> bytes:
    """A file that unpacks to more than its size and sum are of: some readers stop there."""
    true, longer = FILES[_NAME], FILES[_NAME] + b" and TEST 900 more"
    made = pack({**who.container(), _NAME: longer})
    for number in (zlib.crc32(longer), len(longer)):
        wanted = zlib.crc32(true) if number == zlib.crc32(longer) else len(true)
        for header, offset in ((_LOCAL, 14), (_DIRECTORY, 16)):
            at = made.index(_NAME.encode(), made.index(header)) - (30 if header == _LOCAL else 46)
            place = at + offset + (8 if number == len(longer) else 0)
            if made[place : place + 4] != struct.pack("<L", number):
                raise ValueError("expected the sum or size of the file")
            made = made[:place] + struct.pack("<L", wanted) + made[place + 4 :]
    return made


def name_over_the_end(who: Attacker) -> bytes:
    """The last name of the directory is longer than the directory."""
    entries, directory, end = _split(pack(who.container()))
    last = directory.rindex(_DIRECTORY)
    (size,) = struct.unpack_from("<H", directory, last + 28)
    longer = struct.pack("<H", size + 4)
    return entries + directory[: last + 28] + longer + directory[last + 30 :] + end


def _damaged(offset: int, value: bytes) -> Edit:
    """The end record says something else than is there."""

    def make(who: Attacker) -> bytes:
        entries, directory, end = _split(pack(who.container()))
        changed = end[:offset] + value + end[offset + len(value) :]
        return entries + directory + changed

    return make


def signature_of_another(who: Attacker) -> bytes:
    listed = manifest(_SIGNATURE, {_NAME: _OTHER})
    moved = {_MANIFEST: listed, _SIGNATURE: who.container()[_SIGNATURE]}
    return pack({_NAME: _OTHER, **moved})


def manifest_with_more(who: Attacker) -> bytes:
    listed = manifest(_SIGNATURE, {**FILES, "price.txt": b"TEST 900"})
    return pack({**who.container(), "price.txt": b"TEST 900", _MANIFEST: listed})


def manifest_with_less(who: Attacker) -> bytes:
    entries = who.container()
    name = next(one for one in FILES if one != _NAME)
    del entries[name]
    return pack({**entries, _MANIFEST: manifest(_SIGNATURE, {_NAME: FILES[_NAME]})})


def manifest_twice_named(who: Attacker) -> bytes:
    listed = manifest(_SIGNATURE, FILES)
    entry = listed[listed.index(b"<a:DataObjectReference") : listed.index(b"</a:ASiCManifest")]
    doubled = listed.replace(b"</a:ASiCManifest", entry + b"</a:ASiCManifest")
    made = {_MANIFEST: doubled, _SIGNATURE: cades(doubled, who.victim, who.at)}
    return pack({**FILES, **made})


def simple_with_two(who: Attacker) -> bytes:
    signed = {"META-INF/signature.p7s": cades(FILES[_NAME], who.victim, who.at)}
    return pack({_NAME: FILES[_NAME], "price.txt": b"TEST", **signed}, mimetype=ASIC_S)


def called_simple(who: Attacker) -> bytes:
    return pack(who.container(), mimetype=ASIC_S)


def escaped_name(who: Attacker) -> bytes:
    """A file whose name is the escaped one of a signed file, with the signed octets."""
    files = {"a b.txt": b"TEST"}
    made = packed_containers.xades(who.victim, {"a%20b.txt": files["a b.txt"]})
    return pack({"a b.txt": _OTHER, "a%20b.txt": files["a b.txt"], "META-INF/signatures.xml": made})


def time_stamp_of_another(who: Attacker) -> bytes:
    entries = who.container()
    listed = manifest("META-INF/timestamp001.tst", entries)
    token = signed_cms.stamp(who.unit, b"TEST another manifest", who.at)
    archive = {"META-INF/ASiCArchiveManifest.xml": listed, "META-INF/timestamp001.tst": token}
    return pack({**entries, **archive})


_NAMES = {
    "/etc/passwd": "a path from the root",
    "a/../../x": "a path that leaves",
    "..\\x": "a path that leaves by backslashes",
    "C:/x.txt": "a path with a drive",
    "CONTRACT.TXT": "a signed name in capitals",
    "contract.txt.": "a signed name with a dot at its end",
    "contract.txt ": "a signed name with a space at its end",
    "contract.txt::$DATA": "a stream of a signed file",
    "contract.txt\x00.pdf": "a name with a zero octet",
    "contract.txt/x": "a folder with a signed file's name",
    "\u018flav\u0259 1.TXT": "another alphabet's name in capitals",
    "txt.\u202efdp.exe": "a name that is turned around",
    "./contract.txt": "a signed name with a dot segment",
}


def _without_flag(made: bytes, *, from_entry: int = 0) -> bytes:
    """As `zip` writes: names in UTF-8, and no flag that says so (PKWARE 4.4.4)."""
    changed = bytearray(made)
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        at = archive.start_dir
        for place, entry in enumerate(archive.infolist()):
            if place >= from_entry:
                for flags_at in (entry.header_offset + 6, at + 8):
                    changed[flags_at + 1] &= 0xF7
            at += 46 + sum(struct.unpack_from("<3H", made, at + 28))
    return bytes(changed)


def _name_with_flag_and_without(who: Attacker) -> bytes:
    """Some programs show two files, others one of them."""
    entries = [*who.container().items(), ("Əlavə 1.txt", _OTHER)]
    return _without_flag(pack(entries), from_entry=len(entries))


GALLERY = (
    *(Attack(_with({one: _OTHER}), tries, REFUSED) for one, tries in _NAMES.items()),
    Attack(_with({"META-INF/contract.pdf": _OTHER}), "a document in META-INF", "partial"),
    Attack(_with({"meta-inf/contract.pdf": _OTHER}), "a document in meta-inf", "partial"),
    Attack(_with({"META-INF/x/contract.txt": _OTHER}), "a folder in META-INF", "partial"),
    Attack(_with({"META-INF/signatures9.xml": _OTHER}), "no XML as a signature", "FORMAT_FAILURE"),
    Attack(_name_with_flag_and_without, "a name with and without its flag", REFUSED),
    Attack(link, "a link in place of a signed file", REFUSED),
    Attack(link_of_signed_text, "a signed file made a link", REFUSED),
    Attack(other_name_in_extra, "another name in an extra field", REFUSED),
    Attack(_local(14, b"\0\0\0\0"), "another sum in a local header", REFUSED),
    Attack(_local(18, b"\1\0\0\0"), "another size in a local header", REFUSED),
    Attack(_local(8, b"\0\0"), "another method in a local header", REFUSED),
    Attack(_local(6, b"\1\0"), "a local header that is said to be encrypted", REFUSED),
    Attack(_local(6, b"\x08\0"), "a local header that promises a descriptor", REFUSED),
    Attack(_local(30, b"Contract"), "another name in a local header", REFUSED),
    Attack(_directory(8, b"\1\0"), "an entry that is said to be encrypted", REFUSED),
    Attack(_directory(8, b"\x08\0"), "a descriptor that is not there", REFUSED),
    Attack(_directory(24, b"\xff\0\0\0"), "another size in the directory", REFUSED),
    Attack(_directory(42, b"\0\0\0\0"), "two entries in one place", REFUSED),
    Attack(_directory(10, b"\x0c\0"), "a packing that few programs know", REFUSED),
    Attack(second_end_in_comment, "an end record in the comment", REFUSED),
    Attack(large_end_elsewhere, "two end records for two directories", REFUSED),
    Attack(hidden_directory, "a second directory before the first", REFUSED),
    Attack(more_than_said, "a file that unpacks to more than it says", REFUSED),
    Attack(name_over_the_end, "a name that reaches over the directory", REFUSED),
    Attack(wrong_descriptor, "a descriptor with another size", REFUSED),
    Attack(_damaged(8, b"\1\0"), "an end record that counts fewer entries", REFUSED),
    Attack(_damaged(4, b"\1\0"), "a container in several parts", REFUSED),
    Attack(lambda who: pack(who.container()) + b"TEST", "bytes behind the end", REFUSED),
    Attack(lambda who: b"MZ" + pack(who.container()), "bytes before the first entry", REFUSED),
    Attack(signature_of_another, "the signature of another container", "HASH_FAILURE"),
    Attack(manifest_with_more, "one more file in the manifest", "HASH_FAILURE"),
    Attack(manifest_with_less, "one file less, in the manifest too", "HASH_FAILURE"),
    Attack(manifest_twice_named, "a manifest that names files twice", "TOTAL-FAILED"),
    Attack(
        lambda who: pack({**who.container(), _SIGNATURE: who.container()[_SIGNATURE] + b"TEST"}),
        "bytes behind the signature in a container",
        "bytes-behind-signature",
    ),
    Attack(simple_with_two, "a second file in ASiC-S", "SIGNED_DATA_NOT_FOUND none"),
    Attack(called_simple, "ASiC-E that calls itself ASiC-S", "FORMAT_FAILURE"),
    Attack(escaped_name, "a file under a signed name in other letters", "partial"),
    Attack(time_stamp_of_another, "the time stamp of another container", "content-digest"),
)


def _streamed(who: Attacker) -> bytes:
    """As a program writes that cannot go back: with descriptors."""

    written = _Stream()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", packed_containers.ASIC_E, zipfile.ZIP_STORED)
        for key, value in who.container().items():
            archive.writestr(key, value)
    return written.getvalue()


def _large(who: Attacker) -> bytes:
    """As a program writes that takes every entry for a large one."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("mimetype", packed_containers.ASIC_E)
        for key, value in who.container().items():
            with archive.open(key, "w", force_zip64=True) as entry:
                entry.write(value)
    return written.getvalue()


def _commented(who: Attacker) -> bytes:
    made = pack(who.container())
    return made[:-2] + struct.pack("<H", 12) + b"TEST comment"


def _listed(who: Attacker) -> bytes:
    kind = (
        b'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    )
    return pack({**who.container(), "META-INF/manifest.xml": kind})


def _streamed_with_sizes(who: Attacker) -> bytes:
    """As `zip` and libarchive write a stream: of sum and sizes, one is known beforehand."""
    made = bytearray(_streamed(who))
    with zipfile.ZipFile(io.BytesIO(bytes(made))) as archive:
        for entry in archive.infolist():
            struct.pack_into("<L", made, entry.header_offset + 22, entry.file_size)
    return bytes(made)


def _typed_by_comment(who: Attacker) -> bytes:
    comment = b"mimetype=" + packed_containers.ASIC_E
    made = pack(who.container(), mimetype=None)
    return made[:-2] + struct.pack("<H", len(comment)) + comment


HARMLESS = (
    Attack(lambda who: _without_flag(pack(who.container())), "names without a flag", ""),
    Attack(_streamed_with_sizes, "a stream of files of known size", ""),
    Attack(_typed_by_comment, "a type in the comment alone", ""),
    Attack(_streamed, "a container written as a stream", ""),
    Attack(_large, "a container of entries called large", ""),
    Attack(_commented, "a container with a comment", ""),
    Attack(_listed, "a container with an OpenDocument manifest", ""),
    Attack(lambda who: _entry(who, "folder/", b""), "a folder", ""),
)
