"""Form fields of two revisions of a PDF: filled in, signed, or tampered with.

A form is there to be filled in and a document to be signed by others, so the values of fields and
new signatures are what a signer had to expect (ISO 32000-1 12.7, 12.8.2.2). What a field is, where
it stands and what it does is not.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from pyhanko.pdf_utils import generic

from signing_service.validation.pdf import pdf_comparison
from signing_service.validation.pdf.pdf_comparison import Change, Comparison, Kind, Path

MAX_FIELDS = 20_000
"""Form fields and widgets of a document; a tree of fields that holds itself must end."""

FORM = Path("/AcroForm", Path("/Root"))

_SIGNATURE = "/Sig"
_WITHOUT_LOOKS = 64 | 128 | 512
"""Annotation flags of no weight (ISO 32000-1 12.5.3): ReadOnly, Locked, LockedContents; the others
tell whether and how it is shown."""
_PRINT = 4
_RULES_OF_FILLING = 1 | 2 | 4
"""Field flags of no weight (ISO 32000-1 table 221): ReadOnly, Required, NoExport; the others tell
what the field is."""
_PUSH_BUTTON = 1 << 16
"""ISO 32000-1 table 226: it keeps no value, so nothing can be filled in."""
_ANY_FIELD = frozenset({"/Kids", "/F", "/Ff", "/M"})
"""Entries looked at by themselves, or of no weight: flags that do not hide, a time."""
_MAY_BE_ADDED = frozenset({"/P", "/Type", "/StructParent"})
_FILLED_IN = frozenset({"/V", "/AP", "/AS", "/DA", "/Q", "/I", "/RV", "/TI"})
_SIGNED = frozenset({"/V", "/AP", "/AS", "/DA", "/Q", "/MK"})
_NOT_DRAWN_WITH = frozenset({"/ProcSet", "/XObject"})
"""Default resources that no `DA` names; some signing programs keep their stamps' layers there."""
_OF_A_NEW_SIGNATURE_FIELD = (
    _ANY_FIELD
    | _MAY_BE_ADDED
    | _SIGNED
    | frozenset(
        {"/FT", "/T", "/TU", "/Subtype", "/Rect", "/Lock", "/SV", "/Parent"}
        | {"/Border", "/BS", "/NM", "/H", "/C", "/DR", "/TM"}
    )
)


@dataclasses.dataclass(frozen=True)
class Field:
    """A form field or one of its widgets.

    Attributes:
        name: Its full name, with a number where a name does not tell it apart.
        value: Its dictionary, followed.
        reference: The reference to it, or None.
        kind: `/Sig`, `/Tx`, `/Btn`, `/Ch`, its own or inherited; empty where none is said.
        flags: Of the field, its own or inherited.
        holds_fields: It has fields or widgets under it.
    """

    name: str
    path: Path
    value: Any
    reference: Any
    kind: str
    flags: int
    holds_fields: bool


class FormChanges:
    """Compares the forms of two revisions.

    Attributes:
        new_widgets: Signature fields and their widgets that were not there before.
    """

    def __init__(self, compared: Comparison, old_root: Any, new_root: Any) -> None:
        """Find the fields of both and pair them by name."""
        self._compared = compared
        self._old_form = _dictionary(compared.before(pdf_comparison.entry(old_root, "/AcroForm")))
        self._new_form = _dictionary(compared.now(pdf_comparison.entry(new_root, "/AcroForm")))
        self._old = dict(_fields(self._old_form, compared.before))
        self._new = dict(_fields(self._new_form, compared.now))
        self.new_widgets: set[pdf_comparison.Key] = set()
        self._replaced_looks: list[tuple[Path, Any]] = []
        for name, field in self._new.items():
            if not isinstance(field.reference, generic.IndirectObject):
                continue
            if name not in self._old:
                self.new_widgets.add(pdf_comparison.key_of(field.reference))
            elif isinstance(before := self._old[name].reference, generic.IndirectObject):
                twins = compared.twins
                twins[pdf_comparison.key_of(before)] = pdf_comparison.key_of(field.reference)

    def newly_signed(self) -> set[pdf_comparison.Key]:
        """Signature fields that were there, empty, and are signed now, with their widgets."""
        return {
            pdf_comparison.key_of(field.reference)
            for name, field in self._new.items()
            if isinstance(field.reference, generic.IndirectObject)
            and name in self._old
            and field.kind == _SIGNATURE
            and not self._is_signed(self._old, name)
            and self._is_signed(self._new, name)
        }

    def find(self) -> Iterator[Change]:
        """Give every difference between the forms."""
        yield from self._of_the_form()
        for name, field in self._old.items():
            if name not in self._new:
                yield Change(field.path, Kind.UNDEFINED, "was removed", name)
            else:
                yield from self._of_a_field(field, self._new[name])
        for name, field in self._new.items():
            if name not in self._old:
                yield from self._of_a_new_field(field)

    def find_shared_looks(self) -> Iterator[Change]:
        """Give appearances that were replaced and hang elsewhere too; after all else was compared.

        What they are there for nobody can say, and it may be shown.
        """
        for path, reference in self._replaced_looks:
            if self._compared.reached(reference):
                yield Change(path, Kind.UNDEFINED, "was replaced and is used elsewhere too")

    def _of_the_form(self) -> Iterator[Change]:
        old, new = self._old_form, self._new_form
        apart = frozenset({"/Fields", "/SigFlags", "/DR", "/NeedAppearances", "/DA", "/Q"})
        yield from self._compared.entries(FORM, old, new, apart)
        flags = self._compared.now(pdf_comparison.entry(new, "/SigFlags"))
        if not isinstance(flags, generic.NumberObject | generic.NullObject):
            yield Change(FORM / "/SigFlags", Kind.UNDEFINED, "is no number")
        was, now = (
            _is_true(follow(pdf_comparison.entry(form, "/NeedAppearances")))
            for follow, form in ((self._compared.before, old), (self._compared.now, new))
        )
        # A reader that makes appearances itself shows the values, and one that does not shows the
        # pictures; what is drawn by these entries is then on the page (ISO 32000-1 12.7.2).
        shows_values = any(field.kind != _SIGNATURE for field in self._old.values())
        if was != now and shows_values:
            yield Change(
                FORM / "/NeedAppearances", Kind.UNDEFINED, "makes readers draw the fields anew"
            )
        for key in ("/DA", "/Q"):
            if not self._compared.is_same(
                pdf_comparison.entry(old, key), pdf_comparison.entry(new, key)
            ):
                matters = shows_values and (now or key in old)
                yield Change(FORM / key, Kind.UNDEFINED if matters else Kind.EVIDENCE)
        yield from self._of_resources()

    def _of_resources(self) -> Iterator[Change]:
        """Fonts may be added for what is filled in; none that was there may become another."""
        path = FORM / "/DR"
        old = _dictionary(self._compared.before(pdf_comparison.entry(self._old_form, "/DR")))
        new = _dictionary(self._compared.now(pdf_comparison.entry(self._new_form, "/DR")))
        drawn_with = self._drawing_instructions()
        for group in sorted((old.keys() | new.keys()) - _NOT_DRAWN_WITH):
            before = self._compared.before(pdf_comparison.entry(old, group))
            now = self._compared.now(pdf_comparison.entry(new, group))
            if not isinstance(now, generic.DictionaryObject) or isinstance(
                now, generic.StreamObject
            ):
                yield from self._compared.differences(path / group, before, now)
                continue
            before = _dictionary(before)
            for name in sorted(before.keys() | now.keys()):
                if name in before:
                    yield from self._compared.differences(
                        path / group / name,
                        pdf_comparison.entry(before, name),
                        pdf_comparison.entry(now, name),
                    )
                elif name.encode("latin-1", "replace") in drawn_with:
                    yield Change(path / group / name, Kind.UNDEFINED, "was added and is used")
                else:
                    yield Change(path / group / name, Kind.EVIDENCE, "was added")

    def _drawing_instructions(self) -> frozenset[bytes]:
        """The words of all `DA` entries: with these the fields that were signed are drawn."""
        words: set[bytes] = set()
        for holder in [self._old_form, *(field.value for field in self._old.values())]:
            text = self._compared.before(pdf_comparison.entry(holder, "/DA"))
            if isinstance(text, generic.TextStringObject | generic.ByteStringObject):
                words.update(text.original_bytes.split())
        return frozenset(words)

    def _of_a_field(self, old: Field, new: Field) -> Iterator[Change]:
        if old.kind != new.kind:
            yield Change(new.path, Kind.UNDEFINED, "became another kind of field", new.name)
        is_signature = old.kind == _SIGNATURE
        if (old.flags ^ new.flags) & ~_RULES_OF_FILLING:
            yield Change(new.path / "/Ff", Kind.UNDEFINED, "became another kind of field", new.name)
        # Programs have a stamp printed when they make it.
        excused_flags = _WITHOUT_LOOKS | (_PRINT if is_signature else 0)
        if (_annotation_flags(old.value) ^ _annotation_flags(new.value)) & ~excused_flags:
            yield Change(new.path / "/F", Kind.UNDEFINED, "was hidden or shown", new.name)
        added = frozenset(key for key in _MAY_BE_ADDED if key not in old.value)
        excused = _ANY_FIELD | added
        if is_signature and self._is_signed(self._old, old.name):
            yield from self._compared.entries(new.path, old.value, new.value, excused)
            return
        if old.kind == "/Btn" and (old.flags | new.flags) & _PUSH_BUTTON:
            yield from self._compared.entries(new.path, old.value, new.value, excused)
            return
        apart = _SIGNED if is_signature else _FILLED_IN
        yield from self._compared.entries(new.path, old.value, new.value, excused | apart)
        changed = {
            key
            for key in apart
            if not self._compared.is_same(
                pdf_comparison.entry(old.value, key), pdf_comparison.entry(new.value, key)
            )
        }
        if not changed:
            return
        if "/AP" in changed:
            self._replaced_looks.append((new.path / "/AP", pdf_comparison.entry(old.value, "/AP")))
        if is_signature:
            yield from self._of_a_signature(new)
        else:
            yield from self._of_a_value(old, new, changed)

    def _of_a_value(self, old: Field, new: Field, changed: set[str]) -> Iterator[Change]:
        """A field that was filled in; a new look with the old value is no filling in."""
        if changed & {"/V", "/AS", "/RV", "/I"} or self._has_new_value(new.name):
            yield Change(new.path, Kind.FORM, "was filled in", new.name, is_value=True)
        elif changed == {"/AP"} and not self._shows_something(old.value, self._compared.before):
            yield Change(new.path / "/AP", Kind.FORM, "was drawn", new.name, is_value=True)
        else:
            path = new.path / min(changed)
            yield Change(path, Kind.UNDEFINED, "looks different with the same value", new.name)

    def _has_new_value(self, name: str) -> bool:
        """Whether the field that a widget stands for has another value."""
        parent, _, rest = name.rpartition("[")
        if not rest or parent not in self._old or parent not in self._new:
            return False
        old, new = (
            pdf_comparison.entry(fields[parent].value, "/V") for fields in (self._old, self._new)
        )
        return not self._compared.is_same(old, new)

    def _of_a_signature(self, field: Field) -> Iterator[Change]:
        """A signature field that is new, or was empty and is not what it was."""
        value = pdf_comparison.entry(field.value, "/V")
        if not self._is_signed(self._new, field.name):
            if self._shows_something(field.value, self._compared.now):
                # ISO 32000-1 12.8.2.2.2 lets fields be added for later signers. One with a picture
                # and no signature lays content over what was signed; nobody answers for it.
                yield Change(
                    field.path / "/AP", Kind.UNDEFINED, "shows something and is not signed"
                )
            yield Change(field.path, Kind.FORM, "was prepared for a signature", field.name)
            return
        signature = self._compared.now(value)
        if not pdf_comparison.is_null(signature):
            if not isinstance(signature, generic.DictionaryObject) or not (
                "/ByteRange" in signature and "/Contents" in signature
            ):
                yield Change(field.path / "/V", Kind.UNDEFINED, "is no signature", field.name)
            elif self._compared.was_there(value):
                yield Change(
                    field.path / "/V", Kind.UNDEFINED, "was something else before", field.name
                )
        is_time_stamp = isinstance(signature, generic.DictionaryObject) and (
            str(self._compared.now(pdf_comparison.entry(signature, "/SubFilter")))
            == "/ETSI.RFC3161"
        )
        if is_time_stamp and not is_visible(field.value):
            yield Change(field.path, Kind.EVIDENCE, "was time-stamped")
        else:
            yield Change(field.path, Kind.FORM, "was signed", field.name)

    def _of_a_new_field(self, field: Field) -> Iterator[Change]:
        under = pdf_comparison.entry(field.value, "/FT")
        if field.kind != _SIGNATURE and not (
            pdf_comparison.is_null(under)
            and field.holds_fields
            and field.value.keys() <= {"/T", "/Kids", "/Parent"}
        ):
            yield Change(field.path, Kind.UNDEFINED, "is a new form field", field.name)
            return
        if self._compared.was_there(field.reference):
            yield Change(field.path, Kind.UNDEFINED, "was something else before", field.name)
        for key in sorted(field.value.keys() - _OF_A_NEW_SIGNATURE_FIELD):
            yield Change(field.path / key, Kind.UNDEFINED, "is not for a signature", field.name)
        if field.kind == _SIGNATURE:
            yield from self._of_a_signature(field)
            if is_visible(field.value):
                what = "takes a place of its own"
                yield Change(field.path, Kind.FORM, what, field.name, is_new_place=True)

    def _is_signed(self, fields: dict[str, Field], name: str) -> bool:
        """Whether a field, or for a widget the field that it stands for, has a signature."""
        follow = self._compared.before if fields is self._old else self._compared.now
        while True:
            value = fields[name].value
            if not pdf_comparison.is_null(follow(pdf_comparison.entry(value, "/V"))):
                return True
            parent, _, rest = name.rpartition("[")
            if not rest or parent not in fields:
                return False
            name = parent

    def _shows_something(self, widget: Any, follow: Callable[[Any], Any]) -> bool:
        """Whether a widget's appearance has content; the frame left for a signer has none."""
        waiting = [pdf_comparison.entry(widget, "/AP")]
        for _ in range(MAX_FIELDS):
            if not waiting:
                return False
            value = follow(waiting.pop())
            if isinstance(value, generic.StreamObject):
                if bytes(value.data).strip():
                    return True
            elif isinstance(value, generic.DictionaryObject):
                waiting += [value.raw_get(key) for key in value]
        return True


def is_visible(widget: Any) -> bool:
    """Whether a widget takes room on a page."""
    try:
        left, bottom, right, top = (float(one) for one in widget["/Rect"])
    except (KeyError, TypeError, ValueError):
        return False
    return bool((right - left) * (top - bottom))


def _annotation_flags(widget: Any) -> int:
    return int(widget["/F"]) if "/F" in widget else 0


def _is_true(value: Any) -> bool:
    return isinstance(value, generic.BooleanObject) and bool(value)


def _dictionary(value: Any) -> Any:
    return value if isinstance(value, generic.DictionaryObject) else generic.DictionaryObject()


def _fields(form: Any, follow: Any) -> Iterator[tuple[str, Field]]:
    """All fields and widgets of a form by name, each above what it holds."""
    top = follow(pdf_comparison.entry(form, "/Fields"))
    waiting: list[Any] = [("", FORM / "/Fields", top, "", 0)]
    seen: set[str] = set()
    while waiting:
        above, path, listed, kind, flags = waiting.pop()
        if not isinstance(listed, generic.ArrayObject):
            continue
        widgets = 0
        for place in range(len(listed)):
            reference = listed.raw_get(place)
            field = follow(reference)
            if not isinstance(field, generic.DictionaryObject):
                continue
            name = follow(pdf_comparison.entry(field, "/T"))
            if isinstance(name, generic.TextStringObject | generic.ByteStringObject):
                # pyHanko's strings remember where they come from: a plain one does not.
                own_name = str.__str__(str(name))
                full = f"{above}.{own_name}" if above else own_name
            else:
                full = f"{above}[{widgets}]"
                widgets += 1
            while full in seen:
                full += "#"
            seen.add(full)
            if len(seen) > MAX_FIELDS:
                raise ValueError(f"expected at most {MAX_FIELDS} form fields")
            own = follow(pdf_comparison.entry(field, "/FT"))
            own_kind = str(own) if isinstance(own, generic.NameObject) else kind
            own_flags = follow(pdf_comparison.entry(field, "/Ff"))
            own_flags = int(own_flags) if isinstance(own_flags, generic.NumberObject) else flags
            kids = follow(pdf_comparison.entry(field, "/Kids"))
            yield (
                full,
                Field(
                    full,
                    path / place,
                    field,
                    reference,
                    own_kind,
                    own_flags,
                    isinstance(kids, generic.ArrayObject) and len(kids) > 0,
                ),
            )
            waiting.append((full, path / place / "/Kids", kids, own_kind, own_flags))
