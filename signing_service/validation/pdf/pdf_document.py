"""Signatures of a PDF: their byte ranges, values and CMS checked (EN 319 142-1, ISO 32000-1)."""

import contextlib
import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cryptography import x509

from pki import errors, originals
from signing_service.validation import evidence, findings, report
from signing_service.validation.cades import signed_data
from signing_service.validation.cms import (
    cms_details,
    cms_signature,
    signature_values,
    time_stamp_tokens,
)
from signing_service.validation.diagnostics import diagnostic_data
from signing_service.validation.pdf import pades_levels, pdf_pkcs1, pdf_structure

PDFUnreadableError = pdf_structure.PDFUnreadableError

_SHA1_SUBFILTER = "/adbe.pkcs7.sha1"
_SUBFILTERS = frozenset(
    {
        pades_levels.CADES_SUBFILTER,
        pdf_structure.TIME_STAMP_SUBFILTER,
        "/adbe.pkcs7.detached",
        _SHA1_SUBFILTER,
    }
)


@dataclasses.dataclass(frozen=True)
class _Document:
    """What one signature needs to know of the rest."""

    file: BinaryIO
    name: str
    structure: pdf_structure.Structure
    later: tuple[tuple[int, pades_levels.LaterTimeStamp], ...]


def read(path: pathlib.Path, name: str) -> findings.FoundDocument:
    """Find every signature and document time stamp, and check their cryptography.

    Raises:
        PDFUnreadableError: The structure cannot be read.
        LimitError: More signatures than `pdf_structure.MAX_SIGNATURES`.
    """
    with path.open("rb") as file:
        structure = pdf_structure.read(file)
        stamped = [
            (entry, _time_stamp(file, entry)) for entry in structure.entries if entry.is_time_stamp
        ]
        later = tuple(
            (
                entry.ends_at,
                pades_levels.LaterTimeStamp(
                    _unit(stamp.token, structure.evidence), entry.after_evidence
                ),
            )
            for entry, stamp in stamped
        )
        document = _Document(file, name, structure, later)
        signatures = tuple(
            found
            for entry in structure.entries
            if not entry.is_time_stamp
            for found in _signatures(document, entry)
        )
    stamps = tuple(stamp for _, stamp in stamped)
    return findings.FoundDocument("PAdES", signatures, stamps, structure.evidence)


def _time_stamp(file: BinaryIO, entry: pdf_structure.Entry) -> findings.FoundTimeStamp:
    problem = None
    if entry.range_problem is not None:
        problem = report.Finding("byte-range", entry.range_problem)
    elif not entry.later.covers_revision:
        problem = report.Finding("byte-range", "it does not cover a whole revision")
    return findings.FoundTimeStamp(
        kind=report.TimeStampKind.DOCUMENT,
        token=entry.contents,
        digest_of=_range_digest(file, entry, entry.contents),
        covers_to=entry.ends_at if problem is None else 0,
        problem=problem,
    )


def _range_digest(
    file: BinaryIO, entry: pdf_structure.Entry, token: bytes
) -> Callable[[str], bytes]:
    """Hashes the byte range for a token, which names one function, while the file is open."""
    digests: dict[str, bytes] = {}
    with contextlib.suppress(errors.InputError):
        name = time_stamp_tokens.read_token(token).hash_name
        if name in hashlib.algorithms_available and len(entry.ranges) == 4:
            digests[name] = pdf_structure.digest(file, entry.ranges, name)
    return lambda wanted: digests.get(wanted, b"")


def _unit(token: bytes, known: evidence.Evidence) -> x509.Certificate | None:
    """The certificate of a time stamp's unit; what the token carries is taken."""
    try:
        read = time_stamp_tokens.read_token(token)
    except errors.InputError:
        # Judged, and told, when the token's turn comes.
        return None
    known.add(certificates_der=read.message.certificates_der)
    return read.certificate


def _signatures(
    document: _Document, entry: pdf_structure.Entry
) -> Iterator[findings.FoundSignature]:
    """The signature of a dictionary; of a CMS with several signers one for each."""
    base = _unread(document, entry)
    try:
        if entry.container.subfilter == pdf_pkcs1.SUBFILTER:
            yield pdf_pkcs1.check(base, document.file, entry)
            return
        signers = signed_data.parse(entry.contents).signers
        if len(signers) == 1:
            yield _signature(document, entry, cms_signature.Message(entry.contents), base)
            return
        yield from _several(document, entry, base)
    except errors.LimitError:
        raise
    except errors.InputError as error:
        yield _failed(base, False, report.SubIndication.FORMAT_FAILURE, error)


def _several(
    document: _Document, entry: pdf_structure.Entry, base: findings.FoundSignature
) -> Iterator[findings.FoundSignature]:
    """Judge each signer of a CMS that must not have several (EN 319 142-1 6.3, signerInfos)."""
    signed = signed_data.parse(entry.contents)
    problem = cms_signature.CMSFormatError(
        f"expected one signer in the signature of a PDF, got {len(signed.signers)}"
    )
    if not signed.signers:
        raise problem
    for number, signer in enumerate(signed.signers, start=1):
        alone = dataclasses.replace(base, identifier=f"{base.identifier}-signer-{number}")
        try:
            message = signed.message_of(signer)
        except errors.InputError as error:
            yield _failed(alone, False, report.SubIndication.FORMAT_FAILURE, error)
            continue
        message.content = None if signed.content is None else originals.octets(signed.content)
        found = dataclasses.replace(
            _signature(document, entry, message, alone), level="PDF-NOT-ETSI"
        )
        if found.failure is None:
            found = _failed(found, found.intact, report.SubIndication.FORMAT_FAILURE, problem)
        yield found


def _unread(document: _Document, entry: pdf_structure.Entry) -> findings.FoundSignature:
    """What can be said of a signature before its value is read."""
    later = entry.later
    scope = report.ScopeKind.FULL
    is_changed = later.changes is report.Changes.UNDEFINED or later.filled_in or later.comments
    if not later.covers_revision or is_changed:
        scope = report.ScopeKind.PARTIAL
    notes = []
    if later.note is not None:
        notes.append(report.Finding("changed-after-signing", later.note))
    return findings.FoundSignature(
        identifier=entry.name,
        format="PAdES",
        level="UNKNOWN",
        intact=None,
        failure=None,
        certificate=None,
        is_bound=None,
        digest_algorithms=frozenset(),
        claimed_signing_time=entry.claimed,
        time_stamps=(),
        scope_kind=scope,
        scope_names=(document.name,),
        changes=later.changes,
        may_look_different=later.may_look_different,
        ends_at=entry.ends_at,
        warnings=_warnings(document.structure, entry),
        info=tuple(notes),
    )


def _signature(
    document: _Document,
    entry: pdf_structure.Entry,
    message: cms_signature.Message,
    base: findings.FoundSignature,
) -> findings.FoundSignature:
    known = document.structure.evidence
    known.add(
        certificates_der=message.certificates_der,
        ocsp_responses=message.ocsp_responses,
        crls=message.crls,
    )
    certificate = message.certificate
    binding = None if certificate is None else message.binding(certificate)
    stamps = _own_time_stamps(document.file, entry, message)
    units = [
        _unit(stamp.token, known)
        for stamp in stamps
        if stamp.kind is report.TimeStampKind.SIGNATURE
    ]
    found = dataclasses.replace(
        base,
        level=pades_levels.level(
            entry.container,
            message,
            [one for one in units if one is not None],
            [one for ends_at, one in document.later if ends_at > entry.ends_at],
            known,
            has_security_store=document.structure.has_security_store,
        ),
        certificate=certificate,
        is_bound=None if binding is None or not binding.present else binding.matches,
        claimed_signing_time=entry.claimed or message.signing_time,
        time_stamps=stamps,
    )
    judged = _judge_form(entry, message, _check(document.file, entry, message, found))
    return dataclasses.replace(judged, details=lambda: _details(entry, message, judged))


def _details(
    entry: pdf_structure.Entry, message: cms_signature.Message, found: findings.FoundSignature
) -> diagnostic_data.SignatureDetails:
    """What a signature says of itself, in its dictionary too."""
    said = cms_details.of_signature(message, found)
    return dataclasses.replace(
        said,
        byte_range=entry.ranges,
        reason=entry.reason,
        production_place=said.production_place
        if entry.place is None
        else (entry.place, *said.production_place),
    )


def _warnings(
    structure: pdf_structure.Structure, entry: pdf_structure.Entry
) -> tuple[report.Finding, ...]:
    """What does not break the signature, and a person should know."""
    found = []
    if structure.is_repaired:
        found.append(
            report.Finding(
                "repaired-structure",
                "the file's cross-reference tables are damaged: its objects were looked for, and"
                " only such as every program finds were taken",
            )
        )
    if entry.later.filled_in:
        found.append(
            report.Finding(
                "filled-in-after-signing",
                f"{len(entry.later.filled_in)} form field(s) were filled in after this signature,"
                " which does not cover their values",
            )
        )
    if entry.later.comments:
        found.append(
            report.Finding(
                "commented-after-signing",
                f"{entry.later.comments} comment(s) were added after this signature, which does"
                " not cover them",
            )
        )
    if cms_signature.has_other_bytes_behind(entry.contents):
        found.append(
            report.Finding(
                "bytes-behind-signature",
                "the place for the signature holds other bytes behind it, which nothing covers",
            )
        )
    return tuple(found)


def _check(
    file: BinaryIO,
    entry: pdf_structure.Entry,
    message: cms_signature.Message,
    found: findings.FoundSignature,
) -> findings.FoundSignature:
    """Verify value and digest (EN 319 102-1 5.2.7)."""
    if found.certificate is None:
        return found
    try:
        used = message.check(found.certificate, _content_digest(file, entry, message))
    except cms_signature.DigestMismatchError as error:
        return _failed(found, False, report.SubIndication.HASH_FAILURE, error)
    except cms_signature.ValueMismatchError as error:
        return _failed(found, False, report.SubIndication.SIG_CRYPTO_FAILURE, error)
    except cms_signature.UnsupportedCMSError as error:
        sub_indication = report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        return _failed(found, None, sub_indication, error)
    except errors.InputError as error:
        return _failed(found, False, report.SubIndication.FORMAT_FAILURE, error)
    return dataclasses.replace(found, intact=True, digest_algorithms=used)


def _judge_form(
    entry: pdf_structure.Entry, message: cms_signature.Message, found: findings.FoundSignature
) -> findings.FoundSignature:
    """Judge how the signature is put into the document (EN 319 102-1 5.2.2)."""
    if found.intact is False:
        return found
    subfilter = entry.container.subfilter
    problem = None
    if entry.range_problem is not None:
        # What the digest is over is then not the document that is shown.
        problem = report.Finding("byte-range", entry.range_problem)
    elif message.content is not None and subfilter != _SHA1_SUBFILTER:
        # ISO 32000-1 12.8.3.3.1: no data is encapsulated; two contents would be two documents.
        problem = report.Finding("encapsulated-content", "the CMS holds a content of its own")
    elif message.content_type != "data":
        # EN 319 142-1 6.3: other content types have signers who did not see a document.
        problem = report.Finding("content-type", "the CMS is not a signature over plain data")
    if problem is not None:
        failure = report.SubIndication.FORMAT_FAILURE, problem
        return dataclasses.replace(found, intact=False, failure=failure)
    if found.failure is None and subfilter not in _SUBFILTERS:
        # The value verifies; what else such a signature demands is not known here.
        problem = report.Finding("subfilter", f"the kind {subfilter[:100]!r} is not known")
        failure = report.SubIndication.SIG_CONSTRAINTS_FAILURE, problem
        return dataclasses.replace(found, failure=failure)
    return found


def _content_digest(
    file: BinaryIO, entry: pdf_structure.Entry, message: cms_signature.Message
) -> Callable[[str], bytes]:
    if len(entry.ranges) % 2 or any(one < 0 for one in entry.ranges) or not entry.ranges:
        raise cms_signature.CMSFormatError("the byte range is not made of ranges")
    content = message.content
    if entry.container.subfilter == _SHA1_SUBFILTER and content is not None:
        # ISO 32000-1 12.8.3.3.1: the content is the SHA-1 of the byte range.
        if pdf_structure.digest(file, entry.ranges, "sha1") != content:
            raise cms_signature.DigestMismatchError("the document is not what was signed")
        return signature_values.digest_of(content)
    return lambda name: pdf_structure.digest(file, entry.ranges, name)


def _own_time_stamps(
    file: BinaryIO, entry: pdf_structure.Entry, message: cms_signature.Message
) -> tuple[findings.FoundTimeStamp, ...]:
    over_value = signature_values.digest_of(message.signature_value)
    return (
        *(
            findings.FoundTimeStamp(report.TimeStampKind.SIGNATURE, token, over_value)
            for token in message.time_stamp_tokens()
        ),
        *(
            findings.FoundTimeStamp(
                report.TimeStampKind.CONTENT, token, _range_digest(file, entry, token)
            )
            for token in message.time_stamp_tokens("content_time_stamp")
        ),
    )


def _failed(
    found: findings.FoundSignature,
    intact: bool | None,
    sub_indication: report.SubIndication,
    error: errors.ImzaError,
) -> findings.FoundSignature:
    failure = sub_indication, report.Finding(error.code, error.message)
    return dataclasses.replace(found, intact=intact, failure=failure)
