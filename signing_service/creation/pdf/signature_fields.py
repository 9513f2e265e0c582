"""The form field that a signature goes into: a new one, or an empty one of the document.

An empty field was put there by the author of the document, with its rectangle, with what it locks
once it is signed (Lock, ISO 32000-1 table 233), and with demands on its signature (SV, table 234).
"""

import dataclasses
import itertools

from pyhanko.pdf_utils import form_tools, generic, incremental_writer, misc, reader
from pyhanko.sign import fields
from pyhanko.sign.signers import cms_embedder

from signing_service import parameters
from signing_service.creation.pdf import pdf_places, pdf_structure, permissions, seed_values


class SignatureFieldError(pdf_structure.PdfRefusedError):
    """The document has no empty signature field of the name, or one that cannot be filled."""

    code = "appearance-field"


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a signature goes.

    Attributes:
        name: The field's full name.
        new: The field to make, or None where it is there.
        rotation: Of the page it stands on, in degrees clockwise.
        lock: What the signature locks, or None.
        changes: What it permits afterwards, or None where it does not say.
        certifies: Whether it is a certification.
    """

    name: str
    new: fields.SigFieldSpec | None
    rotation: int
    lock: fields.FieldMDPSpec | None
    changes: parameters.PermittedChanges | None
    certifies: bool

    def transforms(self, hash_name: str) -> cms_embedder.SigMDPSetup | None:
        """Return what the signature's references say (ISO 32000-1 12.8.2), or None."""
        if self.lock is None and not self.certifies:
            return None
        return cms_embedder.SigMDPSetup(
            md_algorithm=hash_name,
            certify=self.certifies,
            field_lock=self.lock,
            docmdp_perms=_permission(self.changes),
        )


def check(opened: reader.PdfFileReader, chosen: parameters.SignatureParameters) -> None:
    """Refuse what earlier signatures or the field forbid. Call in `reading()`.

    Raises:
        SignatureFieldError: There is no such empty field.
        PdfRefusedError: See `permissions.check` and `seed_values.check`.
    """
    name = chosen.appearance.field if chosen.appearance is not None else None
    field = None if name is None else find_empty(opened, name).get_object()
    permissions.check(opened, permissions.read(opened), chosen, name)
    if field is not None:
        _check_demands(field, chosen, None)


def choose(
    writer: incremental_writer.IncrementalPdfFileWriter,
    chosen: parameters.SignatureParameters,
    signer: seed_values.Signer,
) -> Target:
    """Say where a signature goes, after `check`. Call in `reading()`.

    Raises:
        PdfPageError: There is no place for it.
        SignatureFieldError: There is no such empty field.
        SeedValueError: The field demands another signer.
    """
    shown = chosen.appearance
    lock, changes = _chosen_lock(chosen.lock), chosen.certification
    if chosen.lock is not None and chosen.lock.changes is not None:
        changes = permissions.read(writer.prev).narrowed(chosen.lock.changes)
    certifies = chosen.certification is not None
    if shown is not None and shown.field is not None:
        reference = find_empty(writer, shown.field)
        field = reference.get_object()
        _check_demands(field, chosen, signer)
        own = _own_lock(field)
        if own is not None:
            lock = own
            if (said := _own_changes(field)) is not None:
                changes = permissions.read(writer.prev).narrowed(said)
        widget, place = _widget(field, reference)
        rotation = pdf_places.rotation_of_widget(writer, widget, place)
        return Target(shown.field, None, rotation, lock, changes, certifies)
    name = pdf_structure.free_field_name(writer, "Signature")
    new = fields.SigFieldSpec(
        name, field_mdp_spec=lock, doc_mdp_update_value=_permission(changes if lock else None)
    )
    rotation = 0
    if shown is not None:
        box, rotation = pdf_places.box_on_page(writer, shown)
        new = dataclasses.replace(
            new,
            on_page=pdf_places.index(shown.page),
            box=box,  # type: ignore[arg-type]  # it takes any numbers
        )
    return Target(name, new, rotation, lock, changes, certifies)


def find_empty(opened: pdf_structure.Handler, name: str) -> generic.IndirectObject:
    """Return the empty signature field of a name. Call in `reading()`.

    Raises:
        SignatureFieldError: There is none, it is signed, or it has several widgets or none.
    """
    try:
        found = list(itertools.islice(fields.enumerate_sig_fields(opened, with_name=name), 1))
    except misc.FormFillingError as error:
        raise SignatureFieldError(
            "expected the name of a signature field, got that of another form field"
        ) from error
    if not found:
        raise SignatureFieldError(
            "expected the full name of a signature field of the document, got one that it does"
            " not have"
        )
    value = found[0][1]
    reference: generic.IndirectObject = found[0][2]
    if value is not None:
        raise SignatureFieldError(
            "expected the name of a signature field that is empty, got that of a signed one"
        )
    _widget(reference.get_object(), reference)
    return reference


def _widget(
    field: generic.DictionaryObject, reference: generic.IndirectObject
) -> tuple[generic.DictionaryObject, generic.Reference]:
    """Return a field's only widget: the field itself, or what stands under it."""
    kids = pdf_structure.entry(field, "/Kids")
    if isinstance(kids, generic.ArrayObject) and len(kids) == 1:
        reference = kids.raw_get(0)
    try:
        return form_tools.get_single_field_annot(field), reference.reference
    except misc.FormFillingError as error:
        raise SignatureFieldError(
            "expected a signature field that stands in one place of the document"
        ) from error


def _check_demands(
    field: generic.DictionaryObject,
    chosen: parameters.SignatureParameters,
    signer: seed_values.Signer | None,
) -> None:
    if _own_lock(field) is not None and chosen.lock is not None:
        raise seed_values.SeedValueError("the signature field has a lock of its own: send none")
    changes = _own_changes(field)
    if (
        changes is not None
        and chosen.certification is not None
        and changes.number < chosen.certification.number
    ):
        raise seed_values.SeedValueError(
            f"the signature field permits {changes.value!r} and no more after its signature"
        )
    seed = pdf_structure.entry(field, "/SV")
    if isinstance(seed, generic.DictionaryObject):
        seed_values.check(seed, chosen, signer)


def _own_lock(field: generic.DictionaryObject) -> fields.FieldMDPSpec | None:
    lock = pdf_structure.entry(field, "/Lock")
    return permissions.read_lock(lock) if isinstance(lock, generic.DictionaryObject) else None


def _own_changes(field: generic.DictionaryObject) -> parameters.PermittedChanges | None:
    lock = pdf_structure.entry(field, "/Lock")
    number = pdf_structure.entry(lock, "/P") if isinstance(lock, generic.DictionaryObject) else None
    if not isinstance(number, int | float):
        return None
    return parameters.PermittedChanges.from_number(int(number))


def _chosen_lock(lock: parameters.FieldLock | None) -> fields.FieldMDPSpec | None:
    if lock is None:
        return None
    action = fields.FieldMDPAction[lock.action.name]
    return fields.FieldMDPSpec(action, list(lock.fields) or None)


def _permission(changes: parameters.PermittedChanges | None) -> fields.MDPPerm | None:
    return None if changes is None else fields.MDPPerm(changes.number)
