"""Validate one document: tell its format, read it, judge it (EN 319 102-1 5)."""

import dataclasses
import datetime
import hashlib
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from cryptography import x509

from pki import clock, errors, originals
from signing_service import documents, trust
from signing_service.validation import blocks, evidence, findings, policy, report
from signing_service.validation.cades import signed_data
from signing_service.validation.cms import armour
from signing_service.validation.diagnostics import diagnostic_data

MAX_DOCUMENT_BYTES = 256 * 2**20
"""Largest document that is validated."""
MAX_DETACHED_BYTES = MAX_DOCUMENT_BYTES
"""All detached originals together."""
HELD_BYTES = 10 * 2**20
"""Largest detached file that is held in memory, as evidence records are; others are hashed only."""
MAX_RECORD_BYTES = 20 * 2**20
"""Largest evidence record that is read by itself."""
MAX_RECORDED_BYTES = 64 * 2**20
"""Largest document beside evidence records, for which it is held in memory."""

_MAIL = re.compile(rb"(?i)(MIME-Version|Content-Type|Received|Return-Path|From|To|Subject): ")
"""How an e-mail message begins (RFC 5322 3.6, RFC 2045 3)."""


class DocumentUnreadableError(errors.InputError):
    """The document is of no format that is validated here."""

    code = "document-unreadable"


@dataclasses.dataclass(frozen=True)
class FetchedEvidence:
    """What was fetched for a validation; in DER.

    Attributes:
        asked_at: The real present of the asking; None takes the time that is judged.
    """

    certificates: tuple[bytes, ...] = ()
    ocsp_responses: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    asked_at: datetime.datetime | None = None


SignedRevisions: TypeAlias = tuple[report.SignedRevision, ...]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A report, and what would have to be fetched or drawn to say more.

    Attributes:
        missing: Statuses that nobody has.
        signed_revisions: Of a PDF; what is drawn may differ from them.
    """

    report: report.ValidationReport
    missing: tuple[evidence.MissingStatus, ...]
    signed_revisions: SignedRevisions = ()


CHOSEN_TIME = datetime.timedelta(minutes=1)
"""A time farther than this from the present was asked for, and is told as such."""

Fetch: TypeAlias = Callable[[Sequence[evidence.MissingStatus]], FetchedEvidence]
"""Gets the statuses of certificates from their issuers; leaves out what nobody answers."""


def validate(
    document: documents.Document,
    *,
    trust: trust.TrustAnchors,
    at: datetime.datetime,
    fetch: Fetch | None,
    detached: Sequence[documents.Detached] = (),
    rules: policy.ValidationPolicy = policy.DEFAULT,
    diagnose: diagnostic_data.Extent = diagnostic_data.Extent.NONE,
    present: datetime.datetime | None = None,
) -> report.ValidationReport:
    """Validate a document in this process.

    Foreign documents belong in `isolation.validate`, which has limits on time and memory.

    Args:
        document: A PDF, XML with XML signatures, CMS, or an ASiC container.
        trust: Where certification paths may end.
        at: The time judged; the present, usually.
        fetch: Called once, between two judgements, for what the first found missing; a judgement
            itself fetches nothing. None stays offline.
        detached: Originals that lie beside a detached signature, or their hashes; of one original
            several hashes may be given, by different algorithms.
        rules: The policy.
        diagnose: How much diagnostic data the report has.
        present: The real present: that `at` is another time is then told. None: `at` is it.

    Raises:
        InputError: The document cannot be parsed, or is over a limit.
    """
    outcome = judge(
        document,
        trust=trust,
        at=at,
        detached=detached,
        rules=rules,
        diagnose=diagnose,
        present=present,
    )
    if fetch is None or not outcome.missing:
        return outcome.report
    fetched = fetch(outcome.missing)
    return judge(
        document,
        trust=trust,
        at=at,
        detached=detached,
        rules=rules,
        fetched=fetched,
        diagnose=diagnose,
        present=present,
    ).report


def judge(
    document: documents.Document,
    *,
    trust: trust.TrustAnchors,
    at: datetime.datetime,
    detached: Sequence[documents.Detached] = (),
    rules: policy.ValidationPolicy = policy.DEFAULT,
    fetched: FetchedEvidence | None = None,
    diagnose: diagnostic_data.Extent = diagnostic_data.Extent.NONE,
    present: datetime.datetime | None = None,
) -> Outcome:
    """Judge with what is at hand; the same input gives the same answer, tomorrow too.

    The report has the diagnostic data that it came from, as `diagnose` says.
    """
    at = clock.require_utc(at)
    if document.path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise errors.LimitError(f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes")
    found = _with_hashes(_read(document, detached, trust.certificates), detached)
    if fetched is not None:
        found.evidence.add_fetched(
            certificates_der=fetched.certificates,
            ocsp_responses=fetched.ocsp_responses,
            crls=fetched.crls,
        )
    asked_at = None if fetched is None else fetched.asked_at or at
    made_with = policy.Circumstances(found.evidence, trust, rules, asked_at)
    judgement = blocks.judge_document(found, made_with, at)
    judged_on = None
    if present is not None and abs(present - at) > CHOSEN_TIME:
        judged_on = clock.require_utc(present)
    shown = report.ValidationReport(
        document_name=document.name,
        document_sha256=_sha256(document.path),
        document_format=found.format,
        validated_at=at,
        policy=rules.name,
        signatures=tuple(_with_time(one, at, judged_on) for one in judgement.signatures),
        time_stamps=tuple(
            dataclasses.replace(one, scope=one.scope or (document.name,))
            for one in judgement.lone_time_stamps
        ),
        evidence_records=judgement.evidence_records,
        judged_on=judged_on,
    )
    if diagnose is not diagnostic_data.Extent.NONE:
        from signing_service.validation.diagnostics import diagnosis

        data = diagnosis.collect(found, made_with, shown, diagnose)
        shown = dataclasses.replace(shown, diagnostic=data)
    revisions = tuple(
        report.SignedRevision(one.identifier, one.ends_at)
        for one in found.signatures
        if one.may_look_different
    )
    return Outcome(shown, judgement.missing, revisions)


def _with_hashes(
    found: findings.FoundDocument, detached: Sequence[documents.Detached]
) -> findings.FoundDocument:
    """The findings, told where they rest on a hash: what it is of, nobody saw here."""
    given = {one.name for one in detached if isinstance(one, documents.DocumentDigest)}

    def tell(one: findings.FoundSignature) -> findings.FoundSignature:
        unseen = sorted(given.intersection((*one.scope_names, *one.signed_files)))
        told = tuple(
            report.Finding("hash-given", f"{name[:100]!r} was not seen: its hash was handed in")
            for name in unseen
        )
        return dataclasses.replace(one, info=(*one.info, *told))

    if not given:
        return found
    return dataclasses.replace(found, signatures=tuple(map(tell, found.signatures)))


def _with_time(
    one: report.SignatureReport, at: datetime.datetime, judged_on: datetime.datetime | None
) -> report.SignatureReport:
    """A verdict that says so where it is about another time than the present.

    Whoever asks chooses the time, and could choose one before a revocation.
    """
    if judged_on is None:
        return one
    unproven = "; nothing proves that the signature was there then"
    told = report.Finding(
        "time-chosen",
        f"judged as of {clock.time_text(at)}, the time that was asked for, on"
        f" {clock.time_text(judged_on)}{'' if one.best_signature_time else unproven}",
    )
    return dataclasses.replace(one, warnings=(*one.warnings, told))


def _read(
    document: documents.Document,
    detached: Sequence[documents.Detached],
    supplied: Sequence[x509.Certificate],
) -> findings.FoundDocument:
    """Read a document and what lies beside it: its originals, and evidence records over it."""
    beside = _read_detached(detached)
    records = _records_among(beside)
    signed = {name: one for name, one in beside.items() if name not in records}
    found = _read_format(document, signed, supplied)
    if not records:
        return found
    if any(_lacks_original(one) for one in found.signatures):
        # Then a record is what was signed, and not what proves the time of that.
        return _read_format(document, beside, supplied)
    if document.path.stat().st_size > MAX_RECORDED_BYTES:
        raise errors.LimitError(
            f"expected a document of at most {MAX_RECORDED_BYTES} bytes beside evidence records"
        )
    from signing_service.validation.evidence_records import reading

    octets = document.path.read_bytes()
    over_it = tuple(
        dataclasses.replace(
            reading.check(
                record,
                (document.name,),
                {document.name: reading.digests_of(octets, in_xml=reading.is_xml(record))},
                found.evidence,
            ),
            is_over_document=True,
        )
        for record in records.values()
    )
    return dataclasses.replace(found, evidence_records=(*found.evidence_records, *over_it))


def _records_among(beside: Mapping[str, originals.Original]) -> dict[str, bytes]:
    """The evidence records among what lies beside a document (RFC 4998, RFC 6283)."""
    likely = {
        name: octets
        for name, octets in beside.items()
        if isinstance(octets, bytes)
        and (octets[:1] == b"\x30" or b"urn:ietf:params:xml:ns:ers" in octets[:4096])
    }
    if not likely:
        return {}
    from signing_service.validation.evidence_records import reading

    return {name: octets for name, octets in likely.items() if reading.looks_like_record(octets)}


def _lacks_original(found: findings.FoundSignature) -> bool:
    return (
        found.failure is not None and found.failure[0] is report.SubIndication.SIGNED_DATA_NOT_FOUND
    )


def _read_format(
    document: documents.Document,
    detached: Mapping[str, originals.Original],
    supplied: Sequence[x509.Certificate],
) -> findings.FoundDocument:
    """Tell the format by its first bytes and read the document with that format's reader."""
    # Each reader brings a large library; only the one that is needed is loaded.
    with document.path.open("rb") as file:
        head = file.read(1024)
    if signed_data.looks_like_cms(head) or signed_data.looks_like_cms(armour.head_of(head)):
        from signing_service.validation.cades import document as cades_document

        return cades_document.read(document.path, document.name, detached, supplied)
    if head.startswith(b"PK"):
        from signing_service.validation.asic import document as asic_document

        return asic_document.read(document.path, document.name, supplied, expressions=True)
    if b"%PDF-" in head:
        from signing_service.validation.pdf import pdf_document

        return pdf_document.read(document.path, document.name)
    if _may_be_record(head, document.path):
        from signing_service.validation import lone_proofs

        found = lone_proofs.evidence_record(document.path.read_bytes(), document.name, detached)
        if found is not None:
            return found
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _MAIL.match(text):
        raise DocumentUnreadableError(
            "expected a document, got an e-mail message: hand in the signature in it, and beside it"
            " what it signs, as files of their own"
        )
    if text.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<")):
        from signing_service.validation.xades import xml_document

        return xml_document.read(document.path, document.name, detached, supplied, expressions=True)
    raise DocumentUnreadableError(
        "expected a PDF, XML, CMS or ASiC container with signatures, got something else"
    )


def _may_be_record(head: bytes, path: pathlib.Path) -> bool:
    """Whether a document may be an evidence record by itself, so that it is worth reading."""
    return (
        head[:1] == b"\x30" or b"urn:ietf:params:xml:ns:ers" in head
    ) and path.stat().st_size <= MAX_RECORD_BYTES


def _read_detached(detached: Sequence[documents.Detached]) -> dict[str, originals.Original]:
    files = [one for one in detached if isinstance(one, documents.Document)]
    total = sum(one.path.stat().st_size for one in files)
    if total > MAX_DETACHED_BYTES:
        raise errors.LimitError(
            f"expected detached documents of at most {MAX_DETACHED_BYTES} bytes together"
        )
    found: dict[str, originals.Original] = {}
    for file in files:
        if file.name in found:
            raise errors.InputError("two detached documents have the same name")
        is_small = file.path.stat().st_size <= HELD_BYTES
        found[file.name] = file.path.read_bytes() if is_small else originals.of_file(file.path)
    hashes: dict[str, dict[str, bytes]] = {}
    for one in detached:
        if isinstance(one, documents.DocumentDigest):
            by_algorithm = hashes.setdefault(one.name, {})
            algorithm = one.hash_algorithm.short_name
            if one.name in found or algorithm in by_algorithm:
                raise errors.InputError("two detached documents have the same name")
            by_algorithm[algorithm] = one.value
    return found | {name: originals.HashedOriginal(by) for name, by in hashes.items()}


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
