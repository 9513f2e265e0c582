"""PDFs whose cross-reference tables are damaged, read by looking for their objects.

Viewers do the same, each in its own way. So what is found here has to be what all of them find: the
whole file must be made of objects, tables, trailers and endings, one after another; nothing that
looks like an object may lie anywhere else, in a stream or a comment; no number may be used twice
between two endings. Whatever is doubtful is refused, and the file stays unreadable.
"""

import dataclasses
import io
import re
from typing import BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.decode_limits import DecodeContext, DecodeLimits
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import (
    ObjStreamRef,
    TrailerDictionary,
    XRefCache,
    XRefEntry,
    XRefSection,
    XRefSectionData,
    XRefSectionMetaInfo,
    XRefSectionType,
    XRefType,
)

from pki import errors

MAX_BYTES = 64 * 2**20
"""Largest file that is looked through; it is held in memory."""
MAX_OBJECTS = 100_000
"""Objects of one file."""
MAX_PARTS = 3 * MAX_OBJECTS
"""Objects, tables, endings and comments of one file."""
MAX_REVISIONS = 200
"""Endings of one file."""

_HEADER = re.compile(rb"%PDF-(\d)\.(\d)")
_SPACE = re.compile(rb"[\s\x00]*")
_OBJECT = re.compile(rb"(?<![0-9])(\d{1,10})[\s\x00]+(\d{1,5})[\s\x00]+obj(?![A-Za-z0-9])")
_TABLE = re.compile(rb"xref[\s\d nf]*?trailer[\s\x00]*")
_ENDING = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
_COMMENT = re.compile(rb"%[^\r\n]*")
_PART_END = re.compile(rb"(?<=[\s>])stream(?:\r\n|\n)|endobj")
_STREAM_END = re.compile(rb"endstream\s+endobj")
_OF_THE_STREAM = frozenset({"/Type", "/W", "/Index", "/Length", "/Filter", "/DecodeParms"})
_FAULTLESS = b"""%PDF-1.7
1 0 obj
<< /Type /Catalog >>
endobj
xref
0 2
0000000000 65535 f \n0000000009 00000 n \ntrailer
<< /Size 2 /Root 1 0 R >>
startxref
46
%%EOF
"""


class PDFBeyondRepairError(errors.InputError):
    """Several readings of the damaged file are possible, or none."""

    code = "pdf-beyond-repair"


@dataclasses.dataclass(frozen=True)
class _Object:
    """Where an object begins; of a stream also where its data lie."""

    number: int
    generation: int
    start: int
    data: tuple[int, int] | None


@dataclasses.dataclass
class _Revision:
    """What lies between two endings."""

    objects: dict[int, _Object] = dataclasses.field(default_factory=dict)
    trailer_at: int | None = None
    trailer_end: int = 0
    startxref: int = 0
    ends_at: int = 0


class RepairedReader(PdfFileReader):
    """A reader with cross-reference sections that were made by looking for the objects."""

    def __init__(self, file: BinaryIO, data: bytes) -> None:
        """Build the sections.

        Args:
            file: What the library reads objects from.
            data: All of it.

        Raises:
            PDFBeyondRepairError: More than one reading is possible, or none.
            Exception: Whatever pyHanko raises for what it cannot read.
        """
        # The library reads tables or nothing: it gets a file without fault, then the real one.
        super().__init__(io.BytesIO(_FAULTLESS), strict=False)
        found = _revisions(data)
        self._decode_context = DecodeContext(DecodeLimits(), input_size=len(data))
        self._header_version = _version(data)
        self._input_version = None
        self.stream = file
        self.resolved_objects = {}
        self.trailer = TrailerDictionary()
        self.trailer.container_ref = generic.TrailerReference(self)
        self._roots: set[str] = set()
        sections = [_section(one) for one in found]
        self.xrefs = XRefCache(self, sections)
        for place, revision in reversed(list(enumerate(found))):
            self.trailer.add_trailer_revision(self._read_trailer(revision, place, data))
        self._check_trailers()
        for place, revision in enumerate(found):
            self._add_compressed(revision, place, sections[place].xref_data)
        self.resolved_objects = {}
        self.last_startxref = found[-1].startxref
        if self.root["/Type"] != "/Catalog":
            raise PDFBeyondRepairError("expected a document catalog")

    def _read_trailer(
        self, revision: _Revision, place: int, data: bytes
    ) -> generic.DictionaryObject:
        """The trailer and the dictionaries of the cross-reference streams, which are trailers too.

        A linearised file has two of them before its first ending (ISO 32000-1 annex F).
        """
        found = [
            value
            for one in sorted(revision.objects.values(), key=lambda one: one.start)
            if one.data is not None and (value := self._stream(one, place)).get("/Type") == "/XRef"
        ]
        if revision.trailer_at is not None:
            raw = io.BytesIO(data)
            raw.seek(revision.trailer_at)
            found.append(
                generic.DictionaryObject.read_from_stream(raw, generic.TrailerReference(self))
            )
            if data[raw.tell() : revision.trailer_end].strip(b"\0\t\n\f\r "):
                raise PDFBeyondRepairError("expected nothing behind a trailer")
        if not found:
            raise PDFBeyondRepairError("expected a trailer in each revision")
        self._roots |= {str(one.raw_get("/Root")) for one in found if "/Root" in one}
        return generic.DictionaryObject(
            {key: one.raw_get(key) for one in found for key in one if key not in _OF_THE_STREAM}
        )

    def _check_trailers(self) -> None:
        """Refuse what different programs would begin to read at different places."""
        if "/Encrypt" in self.trailer:
            raise PDFBeyondRepairError("expected no encryption in a damaged file")
        if len(self._roots) != 1:
            raise PDFBeyondRepairError(f"expected one catalog, got {len(self._roots)}")
        if not isinstance(self.trailer.raw_get("/Root"), generic.IndirectObject):
            raise PDFBeyondRepairError("expected a reference to the catalog")

    def _stream(self, one: _Object, revision: int) -> generic.StreamObject:
        """A stream whose length is where its end was found."""
        reference = generic.Reference(one.number, one.generation, self)
        value: object = self.get_object(reference, revision=revision)  # type: ignore[no-untyped-call]
        if not isinstance(value, generic.StreamObject) or one.data is None:
            raise PDFBeyondRepairError("expected a stream")
        start, end = one.data
        rest = end - start - len(value.encoded_data)
        self.stream.seek(start + len(value.encoded_data))
        if not 0 <= rest <= 2 or self.stream.read(rest).strip(b"\r\n"):
            raise PDFBeyondRepairError("expected streams as long as they say")
        return value

    def _add_compressed(self, revision: _Revision, place: int, section: XRefSectionData) -> None:
        """Name the objects inside object streams (ISO 32000-1 7.5.7)."""
        for one in revision.objects.values():
            if one.data is None:
                continue
            value = self._stream(one, place)
            if value.get("/Type") != "/ObjStm":
                continue
            count = int(value["/N"])
            numbers = [int(number) for number in value.data[: int(value["/First"])].split()]
            if not 0 <= count <= MAX_OBJECTS or len(numbers) != 2 * count:
                raise PDFBeyondRepairError("expected an object stream with its numbers")
            for order, number in enumerate(numbers[::2]):
                if number in revision.objects or number in section.xrefs_in_objstm:
                    raise PDFBeyondRepairError("expected each object once in a revision")
                entry = XRefEntry(XRefType.IN_OBJ_STREAM, ObjStreamRef(one.number, order), number)
                section.process_entries(iter([entry]), strict=False)


def read(file: BinaryIO) -> RepairedReader:
    """Read a damaged PDF.

    Raises:
        PDFBeyondRepairError: More than one reading is possible, or none.
        Exception: Whatever pyHanko raises for what it cannot read.
    """
    file.seek(0)
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise PDFBeyondRepairError(f"expected a damaged PDF of at most {MAX_BYTES} bytes")
    return RepairedReader(file, data)


def _version(data: bytes) -> tuple[int, int]:
    match = _HEADER.match(data)
    if match is None:
        raise PDFBeyondRepairError("expected the header of a PDF at the beginning")
    return int(match[1]), int(match[2])


def _revisions(data: bytes) -> list[_Revision]:
    """Everything in the file, in the order in which it stands."""
    found: list[_Revision] = []
    current = _Revision()
    count = 0
    place = 0
    for _ in range(MAX_PARTS):
        place = _after_space(data, place)
        if place == len(data):
            break
        if match := _OBJECT.match(data, place):
            one, place = _object(data, match)
            count += 1
            # The same object again, under this generation or another: which is meant?
            if one.number in current.objects or count > MAX_OBJECTS:
                raise PDFBeyondRepairError("expected each object once in a revision")
            current.objects[one.number] = one
        elif match := _TABLE.match(data, place):
            if current.trailer_at is not None:
                raise PDFBeyondRepairError("expected one trailer in each revision")
            current.trailer_at = match.end()
            place = data.find(b"startxref", match.end())
            if place < 0:
                raise PDFBeyondRepairError("expected an ending behind a trailer")
            current.trailer_end = place
        elif match := _ENDING.match(data, place):
            current.startxref = int(match[1])
            current.ends_at = current.trailer_end or place
            found.append(current)
            current = _Revision()
            place = match.end()
        elif match := _COMMENT.match(data, place):
            place = match.end()
        else:
            raise PDFBeyondRepairError("expected an object, a table or an ending")
    else:
        raise PDFBeyondRepairError(f"expected a file of at most {MAX_PARTS} parts")
    if current.objects or current.trailer_at is not None or not 1 <= len(found) <= MAX_REVISIONS:
        raise PDFBeyondRepairError("expected an ending behind everything")
    if sum(1 for _ in _OBJECT.finditer(data)) != count:
        raise PDFBeyondRepairError("expected objects nowhere but in their places")
    return found


def _after_space(data: bytes, place: int) -> int:
    match = _SPACE.match(data, place)
    return place if match is None else match.end()


def _object(data: bytes, header: re.Match[bytes]) -> tuple[_Object, int]:
    """An object and where it ends."""
    number, generation = int(header[1]), int(header[2])
    part = _PART_END.search(data, header.end())
    if part is None:
        raise PDFBeyondRepairError("expected the end of an object")
    if part[0] == b"endobj":
        return _Object(number, generation, header.start(), None), part.end()
    end = _STREAM_END.search(data, part.end())
    if end is None:
        raise PDFBeyondRepairError("expected the end of a stream")
    return _Object(number, generation, header.start(), (part.end(), end.start())), end.end()


def _section(revision: _Revision) -> XRefSection:
    entries = XRefSectionData()
    entries.process_entries(
        (
            XRefEntry(XRefType.STANDARD, one.start, one.number, one.generation)
            for one in revision.objects.values()
        ),
        strict=False,
    )
    return XRefSection(
        XRefSectionMetaInfo(
            xref_section_type=XRefSectionType.STANDARD,
            size=max(revision.objects, default=0) + 1,
            declared_startxref=revision.startxref,
            start_location=revision.trailer_at or revision.ends_at,
            end_location=revision.ends_at,
            stream_ref=None,
        ),
        entries,
    )
