"""A signed container inside a container (EN 319 162-1 4.3.3.3: a time stamp over any one file).

Archives put an old signed container into a new one with a time stamp over it. Its signatures are
then what a person asks about, and the time stamp is a proof for all of them. Inside a container
that has signatures of its own it is one of the signed files, and not looked into: who signed what
would be told of two documents at once.
"""

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

from signing_service.validation import findings, report

_Proof = TypeVar("_Proof", findings.FoundTimeStamp, findings.FoundEvidenceRecord)

HEAD_BYTES = 100
_TYPE = b"mimetypeapplication/vnd.etsi.asic-"


def is_container(head: bytes) -> bool:
    """Whether a file begins as an ASiC container does: with its type, unpacked (A.1)."""
    return head.startswith(b"PK\x03\x04") and _TYPE in head


def warning(names: Iterable[str]) -> report.Finding | None:
    """What a signature over containers is told, or None where there are none."""
    found = list(names)
    if not found:
        return None
    return report.Finding(
        "nested-container",
        f"the file {found[0][:200]!r} is itself a container of the kind that is signed; what is"
        " signed in it was not looked into",
    )


def merged(
    outer: findings.FoundDocument,
    inner: findings.FoundDocument,
    file: str,
    names: Iterable[str],
) -> findings.FoundDocument:
    """What was found in an outer container without signatures, and in the one inside it.

    Args:
        outer: Found in the outer one.
        inner: Found in the inner one, whose names get the outer one's in front.
        file: What the inner one is called in the outer one.
        names: The files of the inner one: what proves its time proves theirs.
    """
    told = report.Finding(
        "nested-container", f"this signature is in the container {file[:200]!r} inside the document"
    )
    all_inside = _all(file, names)
    return dataclasses.replace(
        outer,
        signatures=tuple(
            dataclasses.replace(
                one,
                identifier=_within(file, one.identifier),
                file=_within(file, one.file),
                scope_names=tuple(_within(file, name) for name in one.scope_names),
                info=(*one.info, told),
            )
            for one in inner.signatures
        ),
        document_time_stamps=(
            *(_widened(one, file, all_inside) for one in outer.document_time_stamps),
            *(_renamed(one, file) for one in inner.document_time_stamps),
        ),
        evidence_records=(
            *(_widened(one, file, all_inside) for one in outer.evidence_records),
            *(_renamed(one, file) for one in inner.evidence_records),
        ),
    )


def _widened(one: _Proof, file: str, all_inside: frozenset[str]) -> _Proof:
    covers = one.covers | all_inside if file in one.covers else one.covers
    return dataclasses.replace(one, covers=covers)


def _renamed(one: _Proof, file: str) -> _Proof:
    return dataclasses.replace(one, file=_within(file, one.file), covers=_all(file, one.covers))


def _all(file: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(_within(file, one) for one in names)


def _within(file: str, name: str) -> str:
    """A name that no file of the outer container has: a file there is no folder too."""
    return f"{file}/{name}"
