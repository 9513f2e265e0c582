"""Whether all readers of a PDF find the same revisions and objects in its bytes.

The comparison of revisions reads a file as its tables of contents have it. Readers differ where a
table is wrong or says two things: some take the first, some the last, and some search the file
for whatever looks like an object. What was signed stays as it is; what came later has to leave no
doubt.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from pyhanko.pdf_utils import generic, misc
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import (
    XRefEntry,
    XRefSectionMetaInfo,
    XRefSectionType,
    parse_xref_stream,
    parse_xref_table,
)

from signing_service.validation.pdf import pdf_repair

MAX_TAIL_BYTES = 2**20
"""Longest trailer that is looked at; honest ones have some hundred bytes."""
MAX_LATER_BYTES = 128 * 2**20
"""Bytes behind a signature that are searched for objects."""

# Objects with higher numbers are then none for some readers.
_FEWER = "the newest revision has fewer objects than were signed"
_STREAMS = (XRefSectionType.STREAM, XRefSectionType.HYBRID_STREAM)
_SPACE = rb"[\x00\t\n\x0c\r ]"
_ENDING = re.compile(rb"startxref\s+\d+\s+%%EOF[\s\x00]*")
_ANY_OBJECT = re.compile(rb"\d\s+obj\b")
_OBJECT = re.compile(rb"(?<![\w.])(\d{1,10})" + _SPACE + rb"+(\d{1,5})" + _SPACE + rb"+obj(?!\w)")
_TRAILER = re.compile(rb"(?<!\w)trailer(?!\w)")
_TABLE = re.compile(_SPACE + rb"*(?:xref(?!\w)|\d+" + _SPACE + rb"+\d+" + _SPACE + rb"+obj)")


def problem(file: BinaryIO, reader: PdfFileReader, signed_revision: int, end: int) -> str | None:
    """Say what leaves doubt about the revisions after a signed one, or None.

    Args:
        file: What the reader reads.
        reader: Where it looked for the objects, because a table is damaged, it made sure that
            the objects it found are the only ones; here, that they are those that were signed.
        signed_revision: The number of the revision that was signed.
        end: Where its bytes end.
    """
    if isinstance(reader, pdf_repair.RepairedReader):
        return _repair_problem(file, reader, signed_revision, end)
    return (
        _tail_problem(file, reader)
        or _table_problem(file, reader, signed_revision)
        or _object_problem(file, reader, signed_revision, end)
    )


def _repair_problem(
    file: BinaryIO, reader: PdfFileReader, signed_revision: int, end: int
) -> str | None:
    """Whether a file that was damaged later shows other objects than its signer's table named."""
    file.seek(0)
    signed = file.read(min(end, pdf_repair.MAX_BYTES))
    try:
        before = PdfFileReader(io.BytesIO(signed), strict=False)
        own_tables = {one.idnum for one in before.xrefs.xref_stream_refs}
    except Exception:  # noqa: BLE001 - the boundary to pyHanko: it was damaged when it was signed
        return None
    if int(reader.trailer["/Size"]) < int(before.trailer["/Size"]):
        return _FEWER
    for revision in range(signed_revision + 1):
        for one in reader.xrefs.explicit_refs_in_revision(revision):
            found = reader.xrefs.get_historical_ref(one, signed_revision)
            if one.idnum not in own_tables and before.xrefs[one] != found:
                return "the file was damaged so that other objects are found than were signed"
    return None


def _tail_problem(file: BinaryIO, reader: PdfFileReader) -> str | None:
    """Whether the file ends where its newest revision ends (ISO 32000-1 7.5.5)."""
    newest = reader.xrefs.get_xref_container_info(reader.xrefs.total_revisions - 1)
    file.seek(newest.end_location)
    tail = file.read(MAX_TAIL_BYTES + 1)
    ending = tail.find(b"startxref")
    if (
        len(tail) > MAX_TAIL_BYTES
        or ending < 0
        or not _ENDING.fullmatch(tail, ending)
        or _ANY_OBJECT.search(tail, 0, ending)
    ):
        return "bytes were added behind the last revision that no revision accounts for"
    return None


def _table_problem(file: BinaryIO, reader: PdfFileReader, signed_revision: int) -> str | None:
    """Whether a later table of contents is where it should be and says one thing (7.5.4, 7.5.8)."""
    xrefs = reader.xrefs
    newest = xrefs.get_xref_container_info(xrefs.total_revisions - 1)
    if newest.size < xrefs.get_xref_container_info(signed_revision).size:
        return _FEWER
    generations: dict[int, int] = {}
    for revision in range(signed_revision + 1):
        for number, (generation, _) in xrefs.get_xref_data(revision).standard_xrefs.items():
            generations[number] = generation
    for revision in range(signed_revision + 1, xrefs.total_revisions):
        told = xrefs.get_xref_container_info(revision)
        file.seek(told.declared_startxref)
        if not _TABLE.match(file.read(64)):
            return "a later revision has no table of contents where it says"
        listed = xrefs.get_xref_data(revision)
        for number, (generation, _) in listed.standard_xrefs.items():
            if generations.get(number, generation) != generation:
                # Some readers take no notice of generations.
                return "a later revision gives a signed object's number to another object"
        if listed.hybrid is not None:
            hidden = listed.hybrid.xref_data
            if listed.standard_xrefs.keys() & hidden.xrefs_in_objstm.keys() or any(
                hidden.standard_xrefs.get(number, place) != place
                for number, place in listed.standard_xrefs.items()
            ):
                return "a later revision names two places for one object"
        numbers = [int(one.idnum) for one in _entries(file, reader, told)]
        if len(numbers) != len(set(numbers)):
            return "a later revision lists one object twice"
    return None


def _entries(
    file: BinaryIO, reader: PdfFileReader, told: XRefSectionMetaInfo
) -> Iterator[XRefEntry]:
    """What a table lists, each line of it; the reader keeps one for each object."""
    if told.xref_section_type is XRefSectionType.STREAM:
        if told.stream_ref is None:
            raise misc.PdfReadError("expected a stream with a table of contents")
        stream = reader.get_object(told.stream_ref, never_decrypt=True)
        if isinstance(stream, generic.StreamObject):
            yield from parse_xref_stream(stream, strict=False)
        return
    file.seek(told.start_location)
    yield from parse_xref_table(file, strict=False)


def _object_problem(
    file: BinaryIO, reader: PdfFileReader, signed_revision: int, end: int
) -> str | None:
    """Whether the later bytes hold the objects that their tables name, and no others (7.5.6)."""
    file.seek(end)
    later = file.read(MAX_LATER_BYTES + 1)
    if len(later) > MAX_LATER_BYTES:
        return "too many bytes were added to be searched"
    there = {
        (found.start() + end, int(found[1]), int(found[2])) for found in _OBJECT.finditer(later)
    }
    named = set()
    tables = 0
    for revision in range(signed_revision + 1, reader.xrefs.total_revisions):
        told = reader.xrefs.get_xref_container_info(revision)
        tables += told.xref_section_type is not XRefSectionType.STREAM
        listed = reader.xrefs.get_xref_data(revision)
        sections = [(told, listed)]
        if listed.hybrid is not None:
            sections.append((listed.hybrid.meta_info, listed.hybrid.xref_data))
        for about, content in sections:
            named |= {
                (place, number, generation)
                for number, (generation, place) in content.standard_xrefs.items()
            }
            own = about.stream_ref
            if own is not None and about.xref_section_type in _STREAMS:
                named.add((about.declared_startxref, own.idnum, own.generation))
    if there - named:
        return "the bytes added hold an object that no table of contents names"
    if any(place >= end for place, _, _ in named - there):
        return "a later table of contents names an object that is not there"
    if len(_TRAILER.findall(later)) > tables:
        return "the bytes added hold a trailer that belongs to no table of contents"
    return None
