"""The counter-signatures of a document, as far as they can be raised to a level.

They are found by the validator's own readers, which also say what covers them. What an archive time
stamp of the signature around it covers stays as it is: one of XAdES is over all unsigned properties
before it (EN 319 132-1 5.5.2.2), one of CMS has the hash of every unsigned attribute value in its
index (EN 319 122-1 5.5.2).
"""

import dataclasses
from collections.abc import Callable

from cryptography import x509

from pki import errors
from signing_service import documents
from signing_service.validation import findings, report


class NotVerifiedError(errors.PolicyError):
    """The counter-signature does not verify, or nobody knows with which certificate."""

    code = "counter-signature-not-verified"


class CoveredError(errors.StateError):
    """An archive time stamp covers the counter-signature, which keeps it as it is."""

    code = "counter-signature-archived"


@dataclasses.dataclass(frozen=True)
class CounterSignature:
    """A counter-signature of a document.

    Attributes:
        identifier: As validation reports name it.
        position: Where it is; None where that cannot be said.
        depth: How many signatures it lies in.
        archives_itself: It takes an archive time stamp of its own, as XAdES does. In CMS that of
            the signature around it serves (EN 319 122-1 5.5.3).
        signature: What is needed to raise it, or None.
        problem: Why it has to stay as it is, or None.
    """

    identifier: str
    position: documents.ValuePosition | None
    depth: int
    archives_itself: bool
    signature: documents.FoundSignature | None
    problem: errors.ImzaError | None


def find(
    found: findings.FoundDocument, find_position: Callable[[str], documents.ValuePosition]
) -> list[CounterSignature]:
    """Return the counter-signatures of a document, innermost first.

    Args:
        found: The document, as it was read.
        find_position: Gives the position of the signature that a report calls by a name.
    """
    parents = {one.identifier: one.counter_signature_of for one in found.signatures}
    described = [
        _describe(found, one, find_position, _depth(parents, one.identifier))
        for one in found.signatures
        if one.is_counter
    ]
    # The inner ones first: they lie in what the outer ones' archive time stamps cover.
    return sorted(described, key=lambda one: -one.depth)


def _describe(
    found: findings.FoundDocument,
    one: findings.FoundSignature,
    find_position: Callable[[str], documents.ValuePosition],
    depth: int,
) -> CounterSignature:
    position: documents.ValuePosition | None = None
    problem: errors.ImzaError | None = None
    try:
        position = find_position(one.identifier)
    except errors.LimitError:
        raise
    except errors.InputError as error:
        problem = error
    if one.enclosing_stamps:
        problem = CoveredError("an archive time stamp covers the counter-signature")
    elif not one.intact or one.certificate is None:
        problem = NotVerifiedError("expected a counter-signature that verifies, got another one")
    return CounterSignature(
        one.identifier,
        position,
        depth,
        one.format == "XAdES",
        None if one.certificate is None else _needed(found, one, one.certificate),
        problem,
    )


def _needed(
    found: findings.FoundDocument, one: findings.FoundSignature, certificate: x509.Certificate
) -> documents.FoundSignature:
    kinds = (report.TimeStampKind.SIGNATURE, report.TimeStampKind.ARCHIVE)
    stamps = [stamp for stamp in one.time_stamps if stamp.kind in kinds]
    return documents.FoundSignature(
        certificate,
        tuple(found.evidence.certificates.values()),
        tuple(stamp.token for stamp in stamps),
        any(stamp.kind is report.TimeStampKind.ARCHIVE for stamp in stamps),
    )


def _depth(parents: dict[str, str | None], identifier: str) -> int:
    depth, parent = 0, parents[identifier]
    # Names of strangers' signatures may be the same, and so run in a circle.
    while parent is not None and depth <= len(parents):
        depth, parent = depth + 1, parents.get(parent)
    return depth
