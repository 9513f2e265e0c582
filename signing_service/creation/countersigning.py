"""Whether a signature of a document can be countersigned without harm to anything that is there.

The document is looked at before and after it got an empty counter-signature.
"""

import pathlib
import tempfile
from collections.abc import Callable

from signing_service import documents, parameters
from signing_service.creation import soundness
from signing_service.validation import findings, report

AddPlace = Callable[[pathlib.Path, pathlib.Path, str], None]
"""Writes a copy of a document with an empty counter-signature of the signature that is named."""


COVERED = (
    "a time stamp covers the signature with all that is in it, and a counter-signature would break"
    " it: countersign the signature that holds this one instead"
)


class CountersignedBrokenError(documents.DocumentRefusedError):
    """The signature that is to be countersigned does not verify itself."""

    code = "countersigned-not-intact"


class CounterSignatureBreaksError(documents.DocumentRefusedError):
    """A counter-signature would break another signature, or a time stamp."""

    code = "counter-signature-would-break"


def check(
    document: documents.Document, chosen: parameters.SignatureParameters, add_place: AddPlace
) -> None:
    """Refuse a counter-signature that cannot be, or that would break something.

    A time stamp over what changes is broken by it: one of XAdES over the counter-signature in which
    another one would lie (EN 319 132-1 5.5.2), one of CAdES by its hash index (EN 319 122-1 5.5.2),
    one of a container by its manifest (EN 319 162-1 4.4).

    Raises:
        UnknownSignatureError: No signature, or several, have the identifier.
        CountersignedBrokenError: It does not verify.
        CounterSignatureBreaksError: For the reason that the message names.
        DocumentRefusedError: Another format, or one that its own module refuses.
    """
    identifier = chosen.counter_signature_of or ""
    before = soundness.read(document, chosen.format)
    if before.format != chosen.format.value:
        raise documents.DocumentRefusedError(
            f"expected {chosen.format.value}, got a document that is {before.format}"
        )
    named = [one for one in before.signatures if one.identifier == identifier]
    if len(named) != 1:
        raise documents.UnknownSignatureError(
            identifier, [one.identifier for one in before.signatures]
        )
    _check_countersigned(named[0])
    if named[0].enclosing_stamps:
        raise CounterSignatureBreaksError(COVERED)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "with-place"
        add_place(document.path, path, identifier)
        after = soundness.read(documents.Document(document.name, path), chosen.format)
    if soundness.loses_signature(before, after):
        raise CounterSignatureBreaksError(
            "a signature of the document covers the place of the counter-signature, which would"
            " break it"
        )
    if soundness.loses_time_stamp(before, after):
        raise CounterSignatureBreaksError(COVERED)


def _check_countersigned(found: findings.FoundSignature) -> None:
    if found.intact or found.failure is None:
        return
    reason, finding = found.failure
    if reason is not report.SubIndication.SIGNED_DATA_NOT_FOUND:
        raise CountersignedBrokenError(
            f"expected a signature that verifies to be countersigned, got one that does not:"
            f" {finding.message}"
        )
