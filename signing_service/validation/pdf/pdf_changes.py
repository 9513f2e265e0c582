"""What was added to a PDF after a signature, and whether its signer had to expect it.

The signed revision is compared with the newest by value (`pdf_comparison`): pages
(`pdf_page_changes`), form fields (`pdf_form_changes`), and here the document around them. What a
reader draws or does must be what it was, but for what ISO 32000-1 12.8.2.2 lets later hands add:
evidence and time stamps, values of form fields and further signatures, and comments. Whether the
certifying signer allowed these is looked at last.

A comparison follows the file's own tables of contents; `pdf_layout` looks whether all readers do.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm
from pyhanko.sign.validation import pdf_embedded
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing_service.validation import report
from signing_service.validation.pdf import (
    pdf_comparison,
    pdf_form_changes,
    pdf_layout,
    pdf_page_changes,
    pdf_tag_changes,
)
from signing_service.validation.pdf.pdf_comparison import Change, Comparison, Kind, Path

MAX_TOLD = 5
"""Changes named in one report; there may be thousands."""

_OF_THE_FILE = frozenset(
    {"/Size", "/Prev", "/XRefStm", "/ID", "/Type", "/W", "/Index", "/Length", "/Filter"}
    | {"/DecodeParms", "/Root", "/Info", "/AuthCode"}
)
"""Trailer entries about the file rather than the document (ISO 32000-1 7.5.5, 7.5.8.2; the last
one is that of ISO/TS 32004, which is made anew with each revision of an encrypted file)."""
_APART = frozenset(
    {"/Pages", "/AcroForm", "/DSS", "/Extensions", "/Version", "/Metadata", "/MarkInfo"}
    | {"/PieceInfo", "/StructTreeRoot", "/Perms"}
)
_SOURCES = "/AdditionalStreams"
_ALLOWED = {
    # ISO 32000-1 table 254.
    MDPPerm.NO_CHANGES: Kind.EVIDENCE,
    MDPPerm.FILL_FORMS: Kind.FORM,
    MDPPerm.ANNOTATE: Kind.COMMENT,
}


@dataclasses.dataclass(frozen=True)
class Later:
    """What came after one signature.

    Attributes:
        changes: Whether the signer had to expect it.
        covers_revision: The signature covers its whole revision of the file.
        note: Why a change was not to be expected, or None.
        changed: Where, for `undefined`: some ways from the trailer to what is not the same.
        filled_in: Names of form fields, other than signatures, whose values were changed.
        comments: Number of comments that were added.
        is_drawn: Something was permitted that is drawn, and not evidence alone.
    """

    changes: report.Changes
    covers_revision: bool
    note: str | None = None
    changed: tuple[str, ...] = ()
    filled_in: tuple[str, ...] = ()
    comments: int = 0
    is_drawn: bool = False

    @property
    def may_look_different(self) -> bool:
        """Whether it pays to compare what the signer saw with what is seen now."""
        return self.covers_revision and (self.is_drawn or self.changes is report.Changes.UNDEFINED)


class _Signature(pdf_embedded.EmbeddedPdfSignature):
    """A signature of which only the place in the file matters here.

    pyHanko reads the CMS first and gives up where that is malformed, has several signers or is no
    CMS at all; what came after such a signature can be told all the same.
    """

    def __init__(self, reader: PdfFileReader, field: generic.DictionaryObject) -> None:
        reference = field.raw_get("/V")
        self.reader = reader
        self.sig_field = field
        self.sig_object = reference.get_object()
        ranges = self.sig_object["/ByteRange"]
        # However indirectly it is written.
        self.byte_range = [int(ranges[place]) for place in range(len(ranges))]
        self.pkcs7_content = pdf_embedded.extract_contents(self.sig_object)
        self.signed_revision = reader.xrefs.get_last_change(reference.reference)
        self._docmdp = self._fieldmdp = None
        self._docmdp_queried = self._fieldmdp_queried = False


def judge(
    file: BinaryIO, reader: PdfFileReader, field: Any, *, has_sound_range: bool = True
) -> Later:
    """Compare the signed revision with the newest; what cannot be compared is undefined.

    Where the byte range itself is wrong the signature fails for that; the comparison then goes by
    the revision that the signature is in.
    """
    try:
        embedded = _Signature(reader, field.get_object())
        embedded.coverage = embedded.evaluate_signature_coverage()  # type: ignore[assignment]
        if embedded.coverage is SignatureCoverageLevel.ENTIRE_FILE:
            return Later(report.Changes.NONE, True)
        covers = embedded.coverage is SignatureCoverageLevel.ENTIRE_REVISION
        ranges = embedded.byte_range
        end = (
            ranges[2] + ranges[3]
            if covers
            else reader.xrefs.get_xref_container_info(embedded.signed_revision).end_location
        )
        if problem := pdf_layout.problem(file, reader, embedded.signed_revision, end):
            return Later(report.Changes.UNDEFINED, covers, problem)
        if not covers and has_sound_range:
            problem = "the signature does not cover the whole revision that it is in"
            return Later(report.Changes.UNDEFINED, covers, problem)
        return _compare(reader, embedded, covers)
    except Exception as error:  # noqa: BLE001 - the boundary to pyHanko, as in `pdf_document`
        return Later(
            report.Changes.UNDEFINED, False, f"could not be compared ({type(error).__name__})"
        )


def _compare(
    reader: PdfFileReader, embedded: pdf_embedded.EmbeddedPdfSignature, covers: bool
) -> Later:
    compared = Comparison(reader, embedded.signed_revision)
    changes = _permit(list(_find(compared)), _permission(compared, embedded), embedded.fieldmdp)
    if undefined := [one for one in changes if one.kind is Kind.UNDEFINED]:
        told = tuple(dict.fromkeys(f"{one.path} {one.what}" for one in undefined))
        more = f", and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
        note = "the document was changed: " + "; ".join(told[:MAX_TOLD]) + more
        return Later(report.Changes.UNDEFINED, covers, note, told[:MAX_TOLD])
    if reader.xrefs.total_revisions - 1 == embedded.signed_revision:
        return Later(report.Changes.NONE, covers)
    filled_in = dict.fromkeys(one.field for one in changes if one.is_value and one.field)
    comments = sum(one.kind is Kind.COMMENT for one in changes)
    return Later(
        report.Changes.PERMITTED,
        covers,
        filled_in=tuple(filled_in),
        comments=comments,
        is_drawn=any(one.kind is not Kind.EVIDENCE for one in changes),
    )


def _find(compared: Comparison) -> Iterator[Change]:
    """Every difference between two revisions."""
    old, new = compared.old.trailer_view, compared.new.trailer_view
    old_reference, new_reference = (pdf_comparison.entry(one, "/Root") for one in (old, new))
    compared.twins[pdf_comparison.key_of(old_reference)] = pdf_comparison.key_of(new_reference)
    old_root, new_root = compared.before(old_reference), compared.now(new_reference)
    # Whatever has a place of its own is paired before anything is compared.
    form = pdf_form_changes.FormChanges(compared, old_root, new_root)
    pages = pdf_page_changes.PageChanges(compared, old_root, new_root)
    tags = pdf_tag_changes.TagChanges(compared, old_root, new_root)
    yield from compared.replaced_containers()
    yield from pages.find(form)
    yield from form.find()
    yield from tags.find()
    yield from _of_the_catalog(compared, old_root, new_root)
    for key in sorted((old.keys() & new.keys()) - _OF_THE_FILE):
        if key == _SOURCES:
            yield from _of_sources(compared, old, new)
        else:
            path = Path(key)
            yield from compared.differences(
                path, pdf_comparison.entry(old, key), pdf_comparison.entry(new, key)
            )
    if "/Encrypt" in new and "/Encrypt" not in old:
        yield Change(Path("/Encrypt"), Kind.UNDEFINED, "was added")
    yield from form.find_shared_looks()


def _of_the_catalog(compared: Comparison, old: Any, new: Any) -> Iterator[Change]:
    root = Path("/Root")
    yield from compared.entries(root, old, new, _APART)
    for key, kinds in (
        # None of these is drawn; what a page shows too is compared there. Whatever a document
        # security store holds is evidence or nothing (EN 319 142-1 5.4).
        ("/DSS", generic.DictionaryObject),
        ("/Extensions", generic.DictionaryObject),
        ("/Version", generic.NameObject),
        ("/Metadata", generic.StreamObject),
        ("/MarkInfo", generic.DictionaryObject),
        ("/PieceInfo", generic.DictionaryObject),
    ):
        now = compared.now(pdf_comparison.entry(new, key))
        if not pdf_comparison.is_null(now) and not isinstance(now, kinds):
            yield Change(root / key, Kind.UNDEFINED, "is of another kind")
        elif not compared.is_same(pdf_comparison.entry(old, key), pdf_comparison.entry(new, key)):
            yield Change(root / key, Kind.EVIDENCE)
    yield from _of_the_permissions(compared, old, new)


def _of_the_permissions(compared: Comparison, old: Any, new: Any) -> Iterator[Change]:
    """A document may be certified after it was signed; what was certified before stays so."""
    path = Path("/Perms", Path("/Root"))
    before = compared.before(pdf_comparison.entry(old, "/Perms"))
    now = compared.now(pdf_comparison.entry(new, "/Perms"))
    if not pdf_comparison.is_null(before) or not isinstance(now, generic.DictionaryObject):
        yield from compared.differences(path, before, now)
        return
    for key in now:
        if key == "/DocMDP" and not compared.was_there(pdf_comparison.entry(now, key)):
            yield Change(path / key, Kind.FORM, "was added")
        else:
            yield Change(path / key, Kind.UNDEFINED, "was added")


def _of_sources(compared: Comparison, old: Any, new: Any) -> Iterator[Change]:
    """Let a number be used that the trailer named before anything had it.

    Office programs put the editable source into a PDF under `AdditionalStreams`. Some signing
    programs write a new number there with each revision and give it to the next object they make:
    a store of evidence, a signature. Such a dictionary shows nothing; a stream would, and is not
    let through.
    """
    path = Path(_SOURCES)
    before = compared.before(pdf_comparison.entry(old, _SOURCES))
    now = compared.now(pdf_comparison.entry(new, _SOURCES))
    if not isinstance(before, generic.ArrayObject) or not isinstance(now, generic.ArrayObject):
        yield from compared.differences(path, before, now)
        return
    for place in range(len(now)):
        item = now.raw_get(place)
        was = before.raw_get(place) if place < len(before) else generic.NullObject()
        value = compared.now(item)
        if (
            isinstance(item, generic.IndirectObject)
            and not compared.was_there(item)
            and isinstance(value, generic.DictionaryObject | generic.NullObject)
            and not isinstance(value, generic.StreamObject)
        ):
            continue
        yield from compared.differences(path / place, was, item)


def _permission(compared: Comparison, embedded: pdf_embedded.EmbeddedPdfSignature) -> Kind:
    """The most that may come after a signature.

    It says so itself, in its field's lock (ISO 32000-2 12.7.5.5), or a certifying signature before
    it said so for the whole document (ISO 32000-1 12.8.4).
    """
    allowed = Kind.COMMENT
    own = _permissions_in(embedded.sig_object, compared.now)
    root = compared.before(pdf_comparison.entry(compared.old.trailer_view, "/Root"))
    for key in ("/Perms", "/DocMDP"):
        root = compared.before(pdf_comparison.entry(root, key))
        if not isinstance(root, generic.DictionaryObject):
            break
    else:
        own += _permissions_in(root, compared.before)
    lock = compared.now(pdf_comparison.entry(embedded.sig_field, "/Lock"))
    if isinstance(lock, generic.DictionaryObject) and "/P" in lock:
        own.append(int(lock["/P"]))
    for permission in own:
        allowed = min(allowed, _ALLOWED[MDPPerm(permission)])
    return allowed


def _permissions_in(signature: Any, follow: Any) -> list[int]:
    """What the signature references of a dictionary permit; 2 where they do not say."""
    found = []
    listed = follow(pdf_comparison.entry(signature, "/Reference"))
    for place in range(len(listed) if isinstance(listed, generic.ArrayObject) else 0):
        reference = follow(listed.raw_get(place))
        if follow(pdf_comparison.entry(reference, "/TransformMethod")) != "/DocMDP":
            continue
        parameters = follow(pdf_comparison.entry(reference, "/TransformParams"))
        named = isinstance(parameters, generic.DictionaryObject) and "/P" in parameters
        found.append(int(parameters["/P"]) if named else MDPPerm.FILL_FORMS.value)
    return found


def _permit(changes: Sequence[Change], allowed: Kind, locked: FieldMDPSpec | None) -> list[Change]:
    """Turn into undefined what a signer forbade (ISO 32000-1 12.8.2.2, 12.8.2.4)."""
    judged = []
    for one in changes:
        if one.kind is not Kind.UNDEFINED:
            # An author who certifies has placed the fields that may be signed in; another place
            # hides what stands there ("evil signatures").
            if one.kind > allowed or (one.is_new_place and allowed is not Kind.COMMENT):
                one = dataclasses.replace(
                    one, kind=Kind.UNDEFINED, what=f"{one.what}, which the signer did not permit"
                )
            elif one.kind is Kind.FORM and one.field and locked and locked.is_locked(one.field):
                one = dataclasses.replace(
                    one, kind=Kind.UNDEFINED, what=f"{one.what}, which the signer had locked"
                )
        judged.append(one)
    return judged
