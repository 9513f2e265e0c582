"""What was added to a PDF after a signature, and whether its signer had to expect it.

pyHanko compares the revisions. It follows the file's own table of contents, so two things escape
it that are looked for here: bytes behind the last revision, which a reader that repairs damaged
files may show, and pictures in signature fields that nobody signed.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader, RawPdfPath
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign import diff_analysis, fields
from pyhanko.sign.diff_analysis.rules_api import Context
from pyhanko.sign.validation import pdf_embedded
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing_service.validation import report

MAX_TAIL_BYTES = 2**20
"""Longest trailer that is looked at; honest ones have some hundred bytes."""
MAX_FIELDS = 10_000
"""Form fields compared; a tree of fields that holds itself must end."""

_ENDING = re.compile(rb"startxref\s+\d+\s+%%EOF[\s\x00]*")
_OBJECT = re.compile(rb"\d\s+obj\b")


class _NothingShownRule(diff_analysis.QualifiedWhitelistRule):
    """Lets a number be used that the trailer named before anything had it.

    Office programs put the editable source into a PDF under `AdditionalStreams`. Some signing
    programs write a new number there with each revision and give it to the next object they make:
    a store of evidence, a signature. Such a dictionary shows nothing; a stream would, and is not
    let through.
    """

    def apply_qualified(
        self, old: Any, new: Any
    ) -> Iterator[tuple[diff_analysis.ModificationLevel, diff_analysis.ReferenceUpdate]]:
        """Give the references that may be used, each by this way to it alone."""
        named = old.trailer_view
        listed = named.raw_get(_SOURCES) if _SOURCES in named else None
        if not isinstance(listed, generic.ArrayObject):
            return
        for place in range(min(len(listed), MAX_FIELDS)):
            item = listed.raw_get(place)
            if not isinstance(item, generic.IndirectObject):
                continue
            before = old.get_object(generic.Reference(item.idnum, item.generation, old))
            now = new.get_object(generic.Reference(item.idnum, item.generation, new))
            if (
                isinstance(before, generic.NullObject)
                and isinstance(now, generic.DictionaryObject)
                and not isinstance(now, generic.StreamObject)
            ):
                yield (
                    diff_analysis.ModificationLevel.LTA_UPDATES,
                    diff_analysis.ReferenceUpdate(
                        item.reference,
                        context_checked=Context.from_absolute(old, RawPdfPath(_SOURCES, place)),
                    ),
                )


_SOURCES = "/AdditionalStreams"
_POLICY = diff_analysis.StandardDiffPolicy(
    global_rules=[*diff_analysis.DEFAULT_DIFF_POLICY.global_rules, _NothingShownRule()],
    form_rule=diff_analysis.DEFAULT_DIFF_POLICY.form_rule,
)
_POLICY_WITHOUT_ORPHANS = diff_analysis.StandardDiffPolicy(
    global_rules=_POLICY.global_rules,
    form_rule=_POLICY.form_rule,
    ignore_orphaned_objects=False,
)


@dataclasses.dataclass(frozen=True)
class Later:
    """What came after one signature.

    Attributes:
        changes: Whether the signer had to expect it.
        covers_revision: The signature covers its whole revision of the file.
        note: Why a change was not to be expected, or None.
        filled_in: Names of form fields, other than signatures, whose values were changed.
    """

    changes: report.Changes
    covers_revision: bool
    note: str | None = None
    filled_in: tuple[str, ...] = ()


def judge(file: BinaryIO, reader: PdfFileReader, name: str, field: Any) -> Later:
    """Compare the signed revision with the newest; what cannot be compared is undefined."""
    try:
        embedded = pdf_embedded.EmbeddedPdfSignature(reader, field.get_object(), name)
        embedded.coverage = embedded.evaluate_signature_coverage()  # type: ignore[assignment]
        if embedded.coverage is SignatureCoverageLevel.ENTIRE_FILE:
            return Later(report.Changes.NONE, True)
        covers = embedded.coverage is SignatureCoverageLevel.ENTIRE_REVISION
        problem = _tail_problem(file, reader) or _unsigned_picture(reader, embedded.signed_revision)
        if problem:
            return Later(report.Changes.UNDEFINED, covers, problem)
        return _compare(reader, embedded, covers)
    except Exception as error:  # noqa: BLE001 - the boundary to pyHanko, as in `pdf_document`
        return Later(
            report.Changes.UNDEFINED, False, f"could not be compared ({type(error).__name__})"
        )


def _compare(
    reader: PdfFileReader, embedded: pdf_embedded.EmbeddedPdfSignature, covers: bool
) -> Later:
    try:
        result = embedded.evaluate_modifications(_POLICY)
    except KeyError:
        # A reference to an object that nobody ever wrote stops the search for orphans, which is
        # then left out: an object without use counts as a change.
        result = embedded.evaluate_modifications(_POLICY_WITHOUT_ORPHANS)
    if not isinstance(result, diff_analysis.DiffResult):
        return Later(report.Changes.UNDEFINED, covers, str(result)[:300])
    level = result.modification_level
    allowed = embedded.docmdp_level
    if level is diff_analysis.ModificationLevel.NONE:
        return Later(report.Changes.NONE, covers)
    if level.value > diff_analysis.ModificationLevel.FORM_FILLING.value or (
        allowed is not None and level.value > allowed.value
    ):
        return Later(report.Changes.UNDEFINED, covers, "the signer did not permit the change")
    filled_in = tuple(_filled_in(reader, embedded.signed_revision))
    return Later(report.Changes.PERMITTED, covers, filled_in=filled_in)


def _filled_in(reader: PdfFileReader, signed_revision: int) -> Iterator[str]:
    """Names of fields, other than signatures, that show something else than when signed."""
    before = dict(_form_fields(reader.get_historical_resolver(signed_revision)))
    for name, now in _form_fields(reader):
        old = before.get(name)
        if (
            old is None
            or any(
                (key in old) != (key in now)
                or (key in old and old.raw_get(key) != now.raw_get(key))
                for key in ("/V", "/AS", "/AP")
            )
            or any(
                reader.xrefs.get_last_change(one) > signed_revision
                for key in ("/V", "/AP")
                if key in now
                for one in _references(now.raw_get(key))
            )
        ):
            yield name


def _form_fields(handler: PdfHandler) -> Iterator[tuple[str, generic.DictionaryObject]]:
    """Form fields that are no signatures, and the widgets under them, by their places' names."""
    waiting = [("", one) for one in _items(_items(handler.root, "/AcroForm"), "/Fields")]
    for _ in range(MAX_FIELDS):
        if not waiting:
            return
        path, field = waiting.pop()
        field = field.get_object()
        path = f"{path}.{field['/T']}" if "/T" in field else path
        if "/FT" in field and field["/FT"] == "/Sig":
            continue
        yield path.lstrip("."), field
        kids = enumerate(_items(field, "/Kids"))
        waiting += [(f"{path}[{number}]", kid) for number, kid in kids]
    raise ValueError(f"expected at most {MAX_FIELDS} form fields")


def _items(holder: Any, key: str) -> Any:
    """What a dictionary holds, or nothing; pyHanko's `.get` does not follow references."""
    if key not in holder:
        return ()
    return holder[key]


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
        or _OBJECT.search(tail, 0, ending)
    ):
        return "bytes were added behind the last revision that no revision accounts for"
    return None


def _unsigned_picture(reader: PdfFileReader, signed_revision: int) -> str | None:
    """Find a signature field without a signature that shows something it did not show before.

    ISO 32000-1 12.8.2.2.2 lets fields be added for later signers. One that has a picture and no
    signature lays unsigned content over what was signed, and nobody answers for it.
    """
    before = reader.get_historical_resolver(signed_revision)
    known = {
        name: field.get_object()
        for name, _, field in fields.enumerate_sig_fields(before, filled_status=False)
    }
    for name, _, field in fields.enumerate_sig_fields(reader, filled_status=False):
        now = field.get_object()
        if "/AP" not in now or not _shows_something(now.raw_get("/AP")):
            continue
        old = known.get(name)
        if old is None or "/AP" not in old or old.raw_get("/AP") != now.raw_get("/AP"):
            return "a picture was added in a signature field that nobody signed"
        for reference in _references(now.raw_get("/AP")):
            if reader.xrefs.get_last_change(reference) > signed_revision:
                return "a picture was changed in a signature field that nobody signed"
    return None


def _shows_something(appearance: Any) -> bool:
    """Whether an appearance has content; the frame of a field left for a signer has none."""
    return any(
        bytes(value.data).strip()
        for reference in _references(appearance)
        if isinstance(value := reference.get_object(), generic.StreamObject)
    )


def _references(value: Any, depth: int = 3) -> Iterator[generic.Reference]:
    """References in an appearance dictionary, which has two levels (ISO 32000-1 12.5.5)."""
    if isinstance(value, generic.IndirectObject):
        yield value.reference
        value = value.get_object()
    if depth and isinstance(value, generic.DictionaryObject):
        for key in value:
            yield from _references(value.raw_get(key), depth - 1)
