"""Whether a signature of a document can be countersigned without harm to anything that is there.

The document is read as the validator reads it, before and after it got an empty counter-signature.
Whatever verified before has to verify after: other signatures, and what every time stamp is over.
"""

import hashlib
import pathlib
import tempfile
from collections import Counter
from collections.abc import Callable

from pki import errors
from signing_service import documents, parameters
from signing_service.validation import findings, report
from signing_service.validation.asic import document as asic_document
from signing_service.validation.cades import document as cades_document
from signing_service.validation.cms import cms_signature
from signing_service.validation.xades import xml_document

AddPlace = Callable[[pathlib.Path, pathlib.Path, str], None]
"""Writes a copy of a document with an empty counter-signature of the signature that is named."""


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
    before = _read(document, chosen.format)
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
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "with-place"
        add_place(document.path, path, identifier)
        after = _read(documents.Document(document.name, path), chosen.format)
    if _intact(after) != _intact(before):
        raise CounterSignatureBreaksError(
            "a signature of the document covers the place of the counter-signature, which would"
            " break it"
        )
    if _matching_stamps(before) - _matching_stamps(after):
        raise CounterSignatureBreaksError(
            "a time stamp covers the signature with all that is in it, and a counter-signature"
            " would break it: countersign the signature that holds this one instead"
        )


def _read(
    document: documents.Document, format: documents.SignatureFormat
) -> findings.FoundDocument:
    """Read without the files beside it: what they are does not change."""
    if format is documents.SignatureFormat.XADES:
        return xml_document.read(document.path, document.name, {})
    if format is documents.SignatureFormat.CADES:
        return cades_document.read(document.path, document.name, {})
    return asic_document.read(document.path, document.name)


def _check_countersigned(found: findings.FoundSignature) -> None:
    if found.intact or found.failure is None:
        return
    reason, finding = found.failure
    if reason is not report.SubIndication.SIGNED_DATA_NOT_FOUND:
        raise CountersignedBrokenError(
            f"expected a signature that verifies to be countersigned, got one that does not:"
            f" {finding.message}"
        )


def _intact(found: findings.FoundDocument) -> int:
    return sum(one.intact is True for one in found.signatures)


def _matching_stamps(found: findings.FoundDocument) -> Counter[bytes]:
    """The tokens whose imprint is that of what they have to be over."""
    stamps = (
        *found.document_time_stamps,
        *(stamp for one in found.signatures for stamp in one.time_stamps),
    )
    return Counter(hashlib.sha256(one.token).digest() for one in stamps if _matches(one))


def _matches(stamp: findings.FoundTimeStamp) -> bool:
    if stamp.is_broken:
        return False
    try:
        token = cms_signature.read_token(stamp.token)
        return token.hash_name in hashlib.algorithms_available and (
            stamp.digest_of(token.hash_name) == token.imprint
        )
    except errors.LimitError:
        raise
    except errors.InputError:
        # A token that cannot be read, or whose content is not at hand, says nothing either way.
        return False
