"""What verifies in a signed document, so that a change can be seen to break nothing.

The document is read as the validator reads it, before and after. Whatever verified before has to
verify after: signatures, and what every time stamp is over.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from pki import errors, originals, xml_trees
from signing_service import documents
from signing_service.validation import findings
from signing_service.validation.asic import document as asic_document
from signing_service.validation.cades import document as cades_document
from signing_service.validation.cms import time_stamp_tokens
from signing_service.validation.xades import xml_document


def read(
    document: documents.Document,
    format: documents.SignatureFormat,
    detached: Sequence[documents.Document] = (),
) -> findings.FoundDocument:
    """Read a document that is no PDF.

    Args:
        document: It.
        format: Its format.
        detached: What is at hand of the files beside it.

    Raises:
        InputError: It cannot be read.
    """
    beside = {one.name: originals.of_file(one.path) for one in detached}
    if format is documents.SignatureFormat.XADES:
        return xml_document.read(document.path, document.name, beside)
    if format is documents.SignatureFormat.CADES:
        return cades_document.read(document.path, document.name, beside)
    return asic_document.read(document.path, document.name)


def loses_signature(before: findings.FoundDocument, after: findings.FoundDocument) -> bool:
    """Tell whether a signature that verified does so no more."""
    return _intact(after) < _intact(before) or _hides_one(before)


def _hides_one(found: findings.FoundDocument) -> bool:
    """Whether one of several signatures takes XPath, which is not evaluated here, to be judged."""
    unsupported = xml_trees.UnsupportedXMLSignatureError.code
    return len(found.signatures) > 1 and any(
        one.failure is not None and one.failure[1].code == unsupported for one in found.signatures
    )


def loses_time_stamp(before: findings.FoundDocument, after: findings.FoundDocument) -> bool:
    """Tell whether a time stamp or an evidence record is no more over what it was over."""
    return bool(_matching_imprints(before) - _matching_imprints(after)) or _intact_records(
        after
    ) < _intact_records(before)


def _intact(found: findings.FoundDocument) -> int:
    return sum(one.intact is True for one in found.signatures)


def _intact_records(found: findings.FoundDocument) -> int:
    records = (
        *found.evidence_records,
        *(record for one in found.signatures for record in one.evidence_records),
    )
    return sum(one.report.intact is True for one in records)


def _matching_imprints(found: findings.FoundDocument) -> Counter[bytes]:
    """The imprints that are those of what they have to be over.

    A token itself may take more certificates and statuses, which lie beside what is signed in it.
    """
    stamps = (
        *found.document_time_stamps,
        *(stamp for one in found.signatures for stamp in one.time_stamps),
    )
    imprints = map(_matching_imprint, stamps)
    return Counter(one for one in imprints if one is not None)


def _matching_imprint(stamp: findings.FoundTimeStamp) -> bytes | None:
    if stamp.is_broken:
        return None
    try:
        token = time_stamp_tokens.read_token(stamp.token)
        if token.hash_name not in hashlib.algorithms_available:
            return None
        return token.imprint if stamp.digest_of(token.hash_name) == token.imprint else None
    except errors.LimitError:
        raise
    except errors.InputError:
        # A token that cannot be read, or whose content is not at hand, says nothing either way.
        return None
