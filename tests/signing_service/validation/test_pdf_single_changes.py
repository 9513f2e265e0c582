"""Every entry of every object of a signed contract changed by itself, with PDFium as a witness.

Our comparison does not know how a page is drawn, and PDFium does not know what a signer has to
expect. So they check each other: what is drawn differently has to be undefined, or told.
"""

import io
import pathlib

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from pki import errors
from signing_service.validation import report
from signing_service.validation.pdf import page_appearance, pdf_structure
from tests.support import forged_pdfs, tampered_pdfs
from tests.support.tampered_pdfs import array, dictionary, name, text

SHARES = 8
"""The changes are dealt out to so many tests."""


def others(value, numbers):
    """Values in place of another one."""
    if isinstance(value, generic.NumberObject | generic.FloatObject):
        yield generic.NumberObject(int(value) + 3)
    elif isinstance(value, generic.NameObject):
        yield name("/Other")
    elif isinstance(value, generic.TextStringObject | generic.ByteStringObject):
        yield text("TEST other")
    elif isinstance(value, generic.ArrayObject):
        held = [value.raw_get(place) for place in range(len(value))]
        yield from (array(held[:-1]), array(held[::-1]), array([*held, generic.NumberObject(7)]))
        for place, one in enumerate(held):
            for other in others(one, numbers):
                yield array([*held[:place], other, *held[place + 1 :]])
    elif isinstance(value, generic.IndirectObject):
        for number in numbers[::7]:
            yield generic.IndirectObject(number, 0, value.reference.pdf)
        yield generic.NullObject()
    elif isinstance(value, generic.DictionaryObject):
        held = {key: value.raw_get(key) for key in value}
        for key, one in held.items():
            for other in others(one, numbers):
                yield dictionary({**held, name(key): other})


def changes(signed: bytes):
    """Number of an object, one of its keys, and another value or None to remove it."""
    reader = PdfFileReader(io.BytesIO(signed), strict=False)
    listed = [
        reader.xrefs.get_xref_data(one).standard_xrefs
        for one in range(reader.xrefs.total_revisions)
    ]
    numbers = sorted({number for one in listed for number in one})
    for number in numbers:
        found = reader.get_object(generic.Reference(number, 0, reader))
        if not isinstance(found, generic.DictionaryObject) or "/ByteRange" in found:
            continue
        for key in found:
            if key == "/Metadata":
                # The writer of the new revision makes these itself.
                continue
            yield number, key, None
            for other in others(found.raw_get(key), numbers):
                yield number, key, other
        yield number, "/Rotate", generic.NumberObject(90)
        yield number, "/AA", tampered_pdfs.script()


def changed(signed: bytes, number: int, key: str, value) -> bytes:
    def change(writer) -> None:
        reference = generic.Reference(number, 0, writer)
        held = writer.get_object(reference)
        if value is None:
            del held[key]
        else:
            held[name(key)] = value
        writer.mark_update(reference)

    return forged_pdfs.update(signed, change)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_drawn_differently_is_undefined_or_told(maker, tmp_path: pathlib.Path, share):
    signed = maker.sign(tampered_pdfs.contract())
    path = tmp_path / "changed.pdf"
    permitted = undefined = 0
    for number, key, value in list(changes(signed))[share::SHARES]:
        path.write_bytes(content := changed(signed, number, key, value))
        try:
            entries = pdf_structure.read(io.BytesIO(content)).entries
        except errors.InputError:
            continue
        for entry in entries:
            if entry.later.changes is report.Changes.UNDEFINED:
                undefined += 1
                continue
            permitted += 1
            revision = report.SignedRevision("", len(signed))
            ((_, drawn),) = page_appearance.compare(path, [revision]).found
            assert drawn.pages_after == drawn.pages_before
            assert not drawn.different or entry.later.filled_in, (number, key, value)
    assert permitted > 5
    assert undefined > 40
