"""What the signatures in a PDF permit to be done to it, and what a further one may add.

A certification says what may be changed after it (DocMDP, ISO 32000-1 12.8.2.2), and any signature
may lock form fields (FieldMDP, 12.8.2.4). A signature against their word would break theirs.
"""

import dataclasses
from collections.abc import Iterator

from pyhanko.pdf_utils import generic, reader
from pyhanko.sign import fields

from signing_service import parameters
from signing_service.creation.pdf import pdf_structure


class PdfCertifiedError(pdf_structure.PdfRefusedError):
    """An earlier signature does not permit what the further one would change."""

    code = "document-certified"


class PdfFieldLockedError(pdf_structure.PdfRefusedError):
    """An earlier signature locked the field that would be signed."""

    code = "field-locked"


class CertificationNotFirstError(pdf_structure.PdfRefusedError):
    """A certification is wanted, and the document has a signature."""

    code = "certification-not-first"


class LockedFieldUnknownError(pdf_structure.PdfRefusedError):
    """A lock names a field that the document does not have."""

    code = "lock-field-unknown"


@dataclasses.dataclass(frozen=True)
class Permissions:
    """What all signatures of a document permit together.

    Attributes:
        is_signed: Whether there is any, document time stamps included.
        changes: The strictest of what they say may be changed; None where none says.
        locks: The fields that they locked.
    """

    is_signed: bool
    changes: parameters.PermittedChanges | None
    locks: tuple[fields.FieldMDPSpec, ...]

    def narrowed(
        self, changes: parameters.PermittedChanges | None
    ) -> parameters.PermittedChanges | None:
        """Return what a further signature permits: never more than an earlier one."""
        said = [one for one in (self.changes, changes) if one is not None]
        return min(said, key=lambda one: one.number) if changes is not None else None


def read(opened: reader.PdfFileReader) -> Permissions:
    """Read what the signatures permit. Call in `reading()`."""
    numbers: list[int] = []
    locks: list[fields.FieldMDPSpec] = []
    signed = pdf_structure.signature_fields(opened)
    for one in signed:
        lock = pdf_structure.entry(one.field, "/Lock")
        if isinstance(lock, generic.DictionaryObject):
            locks.append(read_lock(lock))
            numbers += _permitted(lock)
        if one.lacks(b"/Reference"):
            continue
        for method, limits in _transforms(one.load()):
            # FieldMDP carries P too: Acrobat writes there what the lock says.
            numbers += _permitted(limits, 2 if method == "/DocMDP" else None)
            if method == "/FieldMDP":
                locks.append(read_lock(limits))
    granted = pdf_structure.entry(opened.root, "/Perms")
    if isinstance(granted, generic.DictionaryObject):
        certification = pdf_structure.entry(granted, "/DocMDP")
        if isinstance(certification, generic.DictionaryObject):
            for method, limits in _transforms(certification):
                numbers += _permitted(limits, 2 if method == "/DocMDP" else None)
    changes = parameters.PermittedChanges.from_number(min(numbers)) if numbers else None
    return Permissions(bool(signed), changes, tuple(locks))


def check(
    opened: reader.PdfFileReader,
    found: Permissions,
    chosen: parameters.SignatureParameters,
    field: str | None,
) -> None:
    """Check that a further signature is permitted. Call in `reading()`.

    Args:
        opened: The document.
        found: What its signatures permit.
        chosen: What the caller wants.
        field: The name of the field that will be signed, None for one that will be made.

    Raises:
        CertificationNotFirstError: A certification is wanted and there is a signature.
        PdfCertifiedError: No changes are permitted, or not the picture of a new field.
        PdfFieldLockedError: The field, or every new one, is locked.
        LockedFieldUnknownError: The wanted lock names a field that is not there.
    """
    if found.changes is parameters.PermittedChanges.NO_CHANGES:
        raise PdfCertifiedError(
            "expected a PDF that allows further signatures, got one that an earlier signature"
            " closed for any change"
        )
    if chosen.certification is not None and found.is_signed:
        # ISO 32000-1 12.8.1: the certification is the first signature.
        raise CertificationNotFirstError(
            "expected a PDF without signatures to certify, got one that is signed:"
            " sign it without a certification"
        )
    if found.changes is not None and field is None and chosen.appearance is not None:
        # ISO 32000-1 table 254 permits to sign, not to draw a new field on a page.
        raise PdfCertifiedError(
            "expected an invisible signature, or one in a signature field that the document has:"
            " it is certified, and takes no new field that can be seen"
        )
    for lock in found.locks:
        if _is_locked(lock, field):
            raise PdfFieldLockedError(
                "expected a signature field that no earlier signature locked, got one that is"
                if field is not None
                else "expected a PDF that takes new fields, got one in which an earlier signature"
                " locked all fields, or all but some: sign a field that it left open"
            )
    if chosen.lock is not None and chosen.lock.fields:
        known = _field_names(opened)
        for name in chosen.lock.fields:
            if name not in known:
                raise LockedFieldUnknownError(
                    "expected names of form fields in the document, got in lock.fields one that"
                    " it does not have"
                )


def _is_locked(lock: fields.FieldMDPSpec, field: str | None) -> bool:
    if field is not None:
        return lock.is_locked(field)
    return lock.action is not fields.FieldMDPAction.INCLUDE


def _transforms(
    signature: generic.DictionaryObject,
) -> Iterator[tuple[object, generic.DictionaryObject]]:
    """Give the transform methods of a signature's references, and their parameters."""
    for reference in pdf_structure.items(pdf_structure.entry(signature, "/Reference")):
        if isinstance(reference, generic.DictionaryObject):
            limits = pdf_structure.entry(reference, "/TransformParams")
            if not isinstance(limits, generic.DictionaryObject):
                limits = generic.DictionaryObject()
            yield pdf_structure.entry(reference, "/TransformMethod"), limits


def _permitted(limits: generic.DictionaryObject, default: int | None = None) -> list[int]:
    """Return P where it stands, or what it is without (2 for DocMDP, ISO 32000-1 table 254)."""
    value = pdf_structure.entry(limits, "/P")
    number = int(value) if isinstance(value, int | float) else default
    return [] if number is None else [number]


def read_lock(limits: generic.DictionaryObject) -> fields.FieldMDPSpec:
    """Read which fields a lock is about; FieldMDP and SigFieldLock say it alike."""
    names = [str(one) for one in pdf_structure.items(pdf_structure.entry(limits, "/Fields"))]
    action = pdf_structure.entry(limits, "/Action")
    try:
        return fields.FieldMDPSpec(fields.FieldMDPAction(action), names)
    except ValueError:
        # What is not known may lock everything.
        return fields.FieldMDPSpec(fields.FieldMDPAction.ALL)


def _field_names(opened: reader.PdfFileReader) -> set[str]:
    """Return the full names of all form fields, those that only hold others included."""
    form = pdf_structure.entry(opened.root, "/AcroForm")
    if not isinstance(form, generic.DictionaryObject):
        return set()
    found: set[str] = set()
    waiting: list[tuple[str, object]] = [
        ("", one) for one in pdf_structure.items(pdf_structure.entry(form, "/Fields"))
    ]
    for _ in range(pdf_structure.MAX_ACTION_PLACES):
        if not waiting:
            return found
        path, field = waiting.pop()
        if not isinstance(field, generic.DictionaryObject):
            continue
        name = pdf_structure.entry(field, "/T")
        if name is None:
            continue  # A widget of the field above.
        path = f"{path}.{name}".lstrip(".")
        found.add(path)
        kids = pdf_structure.items(pdf_structure.entry(field, "/Kids"))
        waiting += [(path, kid) for kid in kids]
    raise pdf_structure.PdfTooComplexError(
        f"expected a PDF of at most {pdf_structure.MAX_ACTION_PLACES} form fields"
    )
