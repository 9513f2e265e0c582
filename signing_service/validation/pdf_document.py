"""Signatures of a PDF: found through pyHanko, their byte ranges and CMS checked here.

pyHanko reads the structure and compares revisions. It raises whatever its parser meets in a hostile
file, so each call into it has one boundary that turns everything into an error of ours, or, where
only later changes cannot be judged, into `undefined`.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import logging
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields

from pki import errors
from signing_service.validation import (
    cms_signature,
    evidence,
    findings,
    hexadecimal_strings,
    pdf_changes,
    report,
)

MAX_SIGNATURES = 100
"""Signatures in one PDF; each is hashed and compared with what came later."""
MAX_CONTENTS = 2 * cms_signature.MAX_BYTES
"""Hex digits of one signature."""

_CHUNK = 2**20
_CADES = "/ETSI.CAdES.detached"
_TIME_STAMP = "/ETSI.RFC3161"
_SUBFILTERS = frozenset({_CADES, _TIME_STAMP, "/adbe.pkcs7.detached", "/adbe.pkcs7.sha1"})


class PDFUnreadableError(errors.InputError):
    """The file says that it is a PDF and cannot be read as one."""

    code = "pdf-unreadable"


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A signature dictionary with what was read of it."""

    name: str
    subfilter: str
    is_time_stamp: bool
    claimed: datetime.datetime | None
    has_time_entry: bool
    contents: bytes
    ranges: tuple[int, ...]
    range_problem: str | None
    later: pdf_changes.Later
    after_evidence: bool


def read(path: pathlib.Path, name: str) -> findings.FoundDocument:
    """Find every signature and document time stamp, and check their cryptography.

    Raises:
        PDFUnreadableError: The structure cannot be read.
        LimitError: More signatures than `MAX_SIGNATURES`.
    """
    with path.open("rb") as file:
        entries, known = _read_structure(file)
        stamps = tuple(_time_stamp(file, one) for one in entries if one.is_time_stamp)
        signatures = tuple(
            _signature(file, one, entries, known, name) for one in entries if not one.is_time_stamp
        )
    return findings.FoundDocument("PAdES", signatures, stamps, known)


def _read_structure(file: BinaryIO) -> tuple[list[_Entry], evidence.Evidence]:
    with _quiet(), hexadecimal_strings.read_in_pieces():
        try:
            reader = PdfFileReader(file, strict=False)
            if reader.encrypted:
                # The user password that lets everybody read is empty (ISO 32000-1 7.6.3.3).
                reader.decrypt(b"")
            found = list(fields.enumerate_sig_fields(reader, filled_status=True))
            if len(found) > MAX_SIGNATURES:
                raise errors.LimitError(f"expected at most {MAX_SIGNATURES} signatures in a PDF")
            seen: set[object] = set()
            entries = []
            for field_name, value, field in found:
                reference = field.get_object().raw_get("/V")
                key = (
                    reference.reference
                    if isinstance(reference, generic.IndirectObject)
                    else id(value)
                )
                if key in seen:
                    continue
                seen.add(key)
                entries.append(_read_entry(file, reader, field_name, value, field))
            return entries, _read_security_store(reader)
        except errors.ImzaError:
            raise
        except Exception as error:
            raise PDFUnreadableError(
                f"the PDF cannot be read ({type(error).__name__}): it is damaged or encrypted"
            ) from error


def _read_entry(file: BinaryIO, reader: PdfFileReader, name: str, value: Any, field: Any) -> _Entry:
    value = value.get_object()
    # Looking up by [] follows references and decrypts; .get() does neither.
    subfilter = str(value["/SubFilter"]) if "/SubFilter" in value else ""
    is_time_stamp = subfilter == _TIME_STAMP or (
        "/Type" in value and value["/Type"] == "/DocTimeStamp"
    )
    raw = value.raw_get("/Contents", decrypt=generic.EncryptedObjAccess.RAW)
    contents = bytes(getattr(raw, "original_bytes", b""))
    ranges = tuple(int(one) for one in value["/ByteRange"]) if "/ByteRange" in value else ()
    problem = _range_problem(file, ranges, contents)
    return _Entry(
        # pyHanko's strings remember where they come from: a plain one does not.
        name=str.__str__(name),
        subfilter=subfilter,
        is_time_stamp=is_time_stamp,
        claimed=_pdf_time(value),
        has_time_entry="/M" in value,
        contents=contents,
        ranges=ranges,
        range_problem=problem,
        later=pdf_changes.judge(file, reader, name, field),
        after_evidence=is_time_stamp and _has_security_store_before(reader, field),
    )


def _range_problem(file: BinaryIO, ranges: Sequence[int], contents: bytes) -> str | None:
    """Say what is wrong with a byte range, or None (ISO 32000-1 12.8.1, EN 319 142-1 5.2)."""
    file.seek(0, 2)
    size = file.tell()
    if len(ranges) != 4 or any(one < 0 for one in ranges):
        return "the byte range is not made of two ranges"
    start, first, second, last = ranges
    if start != 0 or second < first or second + last > size:
        return "the byte range does not begin with the file, overlaps itself or leaves the file"
    gap = second - first
    if not 2 <= gap <= MAX_CONTENTS:
        return "the gap in the byte range is no signature"
    file.seek(first)
    hole = file.read(gap)
    # What is not signed must be the signature value and nothing else, or content hides there.
    if not re.fullmatch(rb"<[0-9A-Fa-f\s]*>", hole):
        return "the gap in the byte range holds more than the signature"
    digits = re.sub(rb"\s", b"", hole[1:-1])
    if len(digits) % 2 or bytes.fromhex(digits.decode()) != contents:
        return "the gap in the byte range holds another signature than the one named"
    return None


def _has_security_store_before(reader: PdfFileReader, field: Any) -> bool:
    """Whether a document time stamp came after a revision with a DSS (EN 319 142-1 6.3, LTA)."""
    try:
        reference = field.get_object().raw_get("/V").reference
        revision = reader.xrefs.get_last_change(reference)
        return revision > 0 and "/DSS" in reader.get_historical_root(revision - 1)
    except Exception:  # noqa: BLE001 - the boundary to pyHanko, see above
        return False


def _read_security_store(reader: PdfFileReader) -> evidence.Evidence:
    """The DSS of the newest revision (EN 319 142-1 5.4.2)."""
    known = evidence.Evidence()
    if "/DSS" not in reader.root:
        return known
    store = reader.root["/DSS"]
    for key, parameter in (
        ("/Certs", "certificates_der"),
        ("/OCSPs", "ocsp_responses"),
        ("/CRLs", "crls"),
    ):
        streams = list(store[key]) if key in store else []
        if len(streams) > evidence.MAX_ITEMS:
            raise errors.LimitError(f"expected at most {evidence.MAX_ITEMS} entries in {key}")
        known.add(**{parameter: [bytes(one.get_object().data) for one in streams]})
    return known


def _pdf_time(value: Any) -> datetime.datetime | None:
    try:
        at = generic.parse_pdf_date(value["/M"], strict=False)
    except Exception:  # noqa: BLE001 - the boundary to pyHanko; a claimed time proves nothing
        return None
    return at.astimezone(datetime.UTC) if at.tzinfo else at.replace(tzinfo=datetime.UTC)


def _digest(file: BinaryIO, ranges: Sequence[int], name: str) -> bytes:
    hasher = hashlib.new(name, usedforsecurity=False)
    for start, length in zip(ranges[::2], ranges[1::2], strict=True):
        file.seek(start)
        left = length
        while left > 0:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                break
            hasher.update(chunk)
            left -= len(chunk)
    return hasher.digest()


def _time_stamp(file: BinaryIO, entry: _Entry) -> findings.FoundTimeStamp:
    problem = None
    if entry.range_problem is not None:
        problem = report.Finding("byte-range", entry.range_problem)
    elif not entry.later.covers_revision:
        problem = report.Finding("byte-range", "it does not cover a whole revision")
    # Hashed while the file is open; a token names one hash, and few are in use.
    digests: dict[str, bytes] = {}
    with contextlib.suppress(errors.InputError):
        name = cms_signature.read_token(entry.contents).hash_name
        if name in hashlib.algorithms_available and len(entry.ranges) == 4:
            digests[name] = _digest(file, entry.ranges, name)
    return findings.FoundTimeStamp(
        kind=report.TimeStampKind.DOCUMENT,
        token=entry.contents,
        digest_of=lambda wanted: digests.get(wanted, b""),
        covers_to=_end(entry) if problem is None else 0,
        problem=problem,
    )


def _signature(
    file: BinaryIO,
    entry: _Entry,
    entries: Sequence[_Entry],
    known: evidence.Evidence,
    document_name: str,
) -> findings.FoundSignature:
    later = entry.later
    scope = report.ScopeKind.FULL
    if not later.covers_revision or later.changes is report.Changes.UNDEFINED or later.filled_in:
        scope = report.ScopeKind.PARTIAL
    notes = []
    if later.note is not None:
        notes.append(report.Finding("changed-after-signing", later.note))
    base = findings.FoundSignature(
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
        scope_names=(document_name,),
        changes=later.changes,
        ends_at=_end(entry),
        warnings=_warnings(entry),
        info=tuple(notes),
    )
    try:
        message = cms_signature.Message(entry.contents)
    except errors.InputError as error:
        failure = report.SubIndication.FORMAT_FAILURE, report.Finding(error.code, error.message)
        return dataclasses.replace(base, failure=failure)
    known.add(
        certificates_der=message.certificates_der,
        ocsp_responses=message.ocsp_responses,
        crls=message.crls,
    )
    certificate = message.certificate
    binding = None if certificate is None else message.binding(certificate)
    found = dataclasses.replace(
        base,
        level=_level(entry, message, entries, known),
        certificate=certificate,
        is_bound=None if binding is None or not binding.present else binding.matches,
        claimed_signing_time=entry.claimed or message.signing_time,
        time_stamps=_own_time_stamps(file, entry, message),
    )
    return _check(file, entry, message, found)


def _warnings(entry: _Entry) -> tuple[report.Finding, ...]:
    """What does not break the signature, and a person should know."""
    found = []
    if entry.later.filled_in:
        found.append(
            report.Finding(
                "filled-in-after-signing",
                f"{len(entry.later.filled_in)} form field(s) were filled in after this signature,"
                " which does not cover their values",
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
    entry: _Entry,
    message: cms_signature.Message,
    found: findings.FoundSignature,
) -> findings.FoundSignature:
    """Verify value and digest, then judge the form (EN 319 102-1 5.2.2, 5.2.7)."""
    intact: bool | None = None
    failure = None
    used: frozenset[str] = frozenset()
    if found.certificate is not None:
        try:
            used = message.check(found.certificate, _content_digest(file, entry, message))
            intact = True
        except cms_signature.DigestMismatchError as error:
            intact, failure = False, _failure(report.SubIndication.HASH_FAILURE, error)
        except cms_signature.ValueMismatchError as error:
            intact, failure = False, _failure(report.SubIndication.SIG_CRYPTO_FAILURE, error)
        except cms_signature.UnsupportedCMSError as error:
            failure = _failure(report.SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, error)
        except errors.InputError as error:
            intact, failure = False, _failure(report.SubIndication.FORMAT_FAILURE, error)
    if failure is None and entry.range_problem is not None:
        # What the digest is over is then not the document that is shown.
        problem = report.Finding("byte-range", entry.range_problem)
        intact, failure = False, (report.SubIndication.FORMAT_FAILURE, problem)
    if failure is None and message.content is not None and entry.subfilter != "/adbe.pkcs7.sha1":
        # ISO 32000-1 12.8.3.3.1: no data is encapsulated; two contents would be two documents.
        problem = report.Finding("encapsulated-content", "the CMS holds a content of its own")
        intact, failure = False, (report.SubIndication.FORMAT_FAILURE, problem)
    if failure is None and message.content_type != "data":
        # EN 319 142-1 6.3: other content types have signers who did not see a document.
        problem = report.Finding("content-type", "the CMS is not a signature over plain data")
        intact, failure = False, (report.SubIndication.FORMAT_FAILURE, problem)
    if failure is None and entry.subfilter not in _SUBFILTERS:
        problem = report.Finding("subfilter", f"the kind {entry.subfilter[:100]!r} is not known")
        failure = report.SubIndication.FORMAT_FAILURE, problem
    return dataclasses.replace(found, intact=intact, failure=failure, digest_algorithms=used)


def _content_digest(file: BinaryIO, entry: _Entry, message: cms_signature.Message) -> Any:
    if len(entry.ranges) % 2 or any(one < 0 for one in entry.ranges) or not entry.ranges:
        raise cms_signature.CMSFormatError("the byte range is not made of ranges")
    content = message.content
    if entry.subfilter == "/adbe.pkcs7.sha1" and content is not None:
        # ISO 32000-1 12.8.3.3: the content is the SHA-1 of the byte range.
        if _digest(file, entry.ranges, "sha1") != content:
            raise cms_signature.DigestMismatchError("the document is not what was signed")
        return lambda name: hashlib.new(name, content, usedforsecurity=False).digest()
    return lambda name: _digest(file, entry.ranges, name)


def _own_time_stamps(
    file: BinaryIO, entry: _Entry, message: cms_signature.Message
) -> tuple[findings.FoundTimeStamp, ...]:
    value = message.signature_value
    stamps = [
        findings.FoundTimeStamp(
            report.TimeStampKind.SIGNATURE,
            token,
            lambda name: hashlib.new(name, value, usedforsecurity=False).digest(),
        )
        for token in message.time_stamp_tokens()
    ]
    for token in message.time_stamp_tokens("content_time_stamp"):
        digests: dict[str, bytes] = {}
        with contextlib.suppress(errors.InputError):
            name = cms_signature.read_token(token).hash_name
            if name in hashlib.algorithms_available and len(entry.ranges) == 4:
                digests[name] = _digest(file, entry.ranges, name)
        stamps.append(
            findings.FoundTimeStamp(
                report.TimeStampKind.CONTENT,
                token,
                lambda wanted, digests=digests: digests.get(wanted, b""),  # type: ignore[misc]
            )
        )
    return tuple(stamps)


def _level(
    entry: _Entry,
    message: cms_signature.Message,
    entries: Sequence[_Entry],
    known: evidence.Evidence,
) -> str:
    """Name the level that is really present (EN 319 142-1 6)."""
    if entry.subfilter != _CADES:
        return "PDF-NOT-ETSI"
    names = message.attribute_names
    bound = {"signing_certificate_v2", "signing_certificate"} & names
    # EN 319 142-1 6.3: the time is said by M, never by a signing-time attribute.
    baseline = (
        bound
        and {"content_type", "message_digest"} <= names
        and "signing_time" not in names
        and entry.has_time_entry
    )
    later = [one for one in entries if one.is_time_stamp and _end(one) > _end(entry)]
    reached = "B"
    if message.time_stamp_tokens() or later:
        reached = "T"
        certificate = message.certificate
        if certificate is not None and known.mentions(certificate):
            reached = "LT"
            # The time stamp that makes it T and the one over the evidence are two.
            archived = sum(one.after_evidence for one in later)
            if archived and len(message.time_stamp_tokens()) + len(later) > 1:
                reached = "LTA"
    if baseline:
        return f"PAdES-BASELINE-{reached}"
    if not bound:
        return "PDF-NOT-ETSI"
    if reached in ("LT", "LTA"):
        return "PAdES-LTV"
    return "PAdES-EPES" if "signature_policy_identifier" in names else "PAdES-BES"


def _end(entry: _Entry) -> int:
    return entry.ranges[2] + entry.ranges[3] if len(entry.ranges) == 4 else 0


def _failure(
    sub_indication: report.SubIndication, error: errors.ImzaError
) -> tuple[report.SubIndication, report.Finding]:
    return sub_indication, report.Finding(error.code, error.message)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep pyHanko's remarks about strangers' files out of our logs: they quote their content."""
    logger = logging.getLogger("pyhanko")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
