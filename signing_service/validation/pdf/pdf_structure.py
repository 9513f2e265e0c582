"""The structure of a signed PDF: its signature dictionaries, byte ranges and security store.

pyHanko reads the structure and compares revisions. It raises whatever its parser meets in a hostile
file, so each call into it has one boundary that turns everything into an error of ours, or, where
only later changes cannot be judged, into `undefined`.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.crypt import AuthStatus
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields

from pki import errors, originals
from signing_service.validation import evidence
from signing_service.validation.cms import cms_signature
from signing_service.validation.pdf import (
    hexadecimal_strings,
    pades_levels,
    pdf_changes,
    pdf_repair,
)

MAX_SIGNATURES = 100
"""Signatures in one PDF; each is hashed and compared with what came later."""
MAX_CONTENTS = 2 * cms_signature.MAX_BYTES
"""Hex digits of one signature."""
MAX_RANGES = 100
"""Numbers in a byte range that are looked at; a good one has four."""
MAX_TEXT = 1000
"""Letters of a reason or place."""
MAX_CERTIFICATES = 20
"""Certificates in a signature dictionary."""
TIME_STAMP_SUBFILTER = "/ETSI.RFC3161"

_CHUNK = 2**20


class PDFUnreadableError(errors.InputError):
    """The file says that it is a PDF and cannot be read as one."""

    code = "pdf-unreadable"


class PDFPasswordError(PDFUnreadableError):
    """The PDF is encrypted, and not for everybody to read."""

    code = "pdf-password"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A signature dictionary with what was read of it.

    Attributes:
        name: Of its field.
        container: What its level depends on.
        is_time_stamp: It is a document time stamp, a `/Type /Sig` of older programs too.
        claimed: The entry M.
        contents: The signature value, with its padding.
        ranges: The byte range as it stands; empty where it cannot be read.
        range_problem: What is wrong with it, or None.
        later: What was added behind it.
        after_evidence: It is a time stamp that covers a security store.
        certificates_der: The entry Cert, which PKCS #1 signatures have.
        reason: The entry Reason.
        place: The entry Location.
    """

    name: str
    container: pades_levels.Container
    is_time_stamp: bool
    claimed: datetime.datetime | None
    contents: bytes
    ranges: tuple[int, ...]
    range_problem: str | None
    later: pdf_changes.Later
    after_evidence: bool
    certificates_der: tuple[bytes, ...] = ()
    reason: str | None = None
    place: str | None = None

    @property
    def ends_at(self) -> int:
        """Where what it covers ends; 0 where that cannot be said."""
        return self.ranges[2] + self.ranges[3] if len(self.ranges) == 4 else 0


@dataclasses.dataclass(frozen=True)
class Structure:
    """What was found in a PDF.

    Attributes:
        entries: Signatures and document time stamps.
        evidence: Of the security store.
        has_security_store: There is one (EN 319 142-1 5.4.2).
        is_repaired: The objects were looked for, since the file's own table of them is damaged.
    """

    entries: tuple[Entry, ...]
    evidence: evidence.Evidence
    has_security_store: bool
    is_repaired: bool = False


def read(file: BinaryIO) -> Structure:
    """Read every signature dictionary and the security store.

    Raises:
        PDFUnreadableError: The structure cannot be read.
        PDFPasswordError: A password is needed.
        LimitError: More signatures than `MAX_SIGNATURES`.
    """
    with _quiet(), hexadecimal_strings.read_in_pieces():
        try:
            return _read(file, PdfFileReader(file, strict=False))
        except errors.ImzaError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below unless another reading succeeds
            failure = PDFUnreadableError(
                f"the PDF cannot be read ({type(error).__name__}): it is damaged"
            )
            failure.__cause__ = error
        try:
            return dataclasses.replace(_read(file, pdf_repair.read(file)), is_repaired=True)
        except errors.LimitError:
            raise
        except Exception:  # noqa: BLE001 - what is wrong with the file was said the first time
            raise failure from failure.__cause__


def _read(file: BinaryIO, reader: PdfFileReader) -> Structure:
    """Raises whatever the library raises."""
    _open(reader)
    found = list(fields.enumerate_sig_fields(reader, filled_status=True))
    if len(found) > MAX_SIGNATURES:
        raise errors.LimitError(f"expected at most {MAX_SIGNATURES} signatures in a PDF")
    seen: set[object] = set()
    entries = []
    for field_name, value, field in found:
        reference = field.get_object().raw_get("/V")
        key = reference.reference if isinstance(reference, generic.IndirectObject) else id(value)
        if key in seen:
            continue
        seen.add(key)
        entries.append(_read_entry(file, reader, field_name, value, field))
    return Structure(tuple(entries), _read_security_store(reader), "/DSS" in reader.root)


def _open(reader: PdfFileReader) -> None:
    """Decrypt what everybody may read: the user password is empty then (ISO 32000-1 7.6.3.3)."""
    if not reader.encrypted:
        return
    try:
        opened = reader.decrypt(b"").status is not AuthStatus.FAILED
    except Exception as error:
        raise PDFPasswordError(
            "the PDF is encrypted in a way that cannot be opened without a password or key"
        ) from error
    if not opened:
        raise PDFPasswordError("the PDF is encrypted, and its password is not empty")


def _read_entry(file: BinaryIO, reader: PdfFileReader, name: str, value: Any, field: Any) -> Entry:
    value = value.get_object()
    # Looking up by [] follows references and decrypts; .get() does neither.
    subfilter = str(value["/SubFilter"]) if "/SubFilter" in value else ""
    is_time_stamp = subfilter == TIME_STAMP_SUBFILTER or (
        "/Type" in value and value["/Type"] == "/DocTimeStamp"
    )
    raw = value.raw_get("/Contents", decrypt=generic.EncryptedObjAccess.RAW)
    contents = bytes(getattr(raw, "original_bytes", b""))
    ranges = _byte_range(value)
    problem = _range_problem(file, ranges, contents)
    return Entry(
        # pyHanko's strings remember where they come from: a plain one does not.
        name=str.__str__(name),
        container=pades_levels.Container(subfilter, "/M" in value, "/Reason" in value),
        is_time_stamp=is_time_stamp,
        claimed=_pdf_time(value),
        contents=contents,
        ranges=ranges,
        range_problem=problem,
        later=pdf_changes.judge(file, reader, field, has_sound_range=problem is None),
        after_evidence=is_time_stamp and _has_security_store_before(reader, field),
        certificates_der=_certificates(value),
        reason=_text(value, "/Reason"),
        place=_text(value, "/Location"),
    )


def _text(value: Any, key: str) -> str | None:
    """A text of the dictionary, where it is one."""
    try:
        if key not in value:
            return None
        found = value[key]
        # pyHanko's strings remember where they come from: a plain one does not.
        return str.__str__(found)[:MAX_TEXT] if isinstance(found, str) else None
    except Exception:  # noqa: BLE001 - the boundary to pyHanko; what is said there proves nothing
        return None


def _certificates(value: Any) -> tuple[bytes, ...]:
    """The entry Cert: one certificate, or several of which the first signed (table 252)."""
    try:
        found = value["/Cert"]
        items = (
            [found[place] for place in range(min(len(found), MAX_CERTIFICATES))]
            if isinstance(found, generic.ArrayObject)
            else [found]
        )
        return tuple(bytes(one.original_bytes) for one in items)
    except Exception:  # noqa: BLE001 - the boundary to pyHanko; without certificates nothing is judged
        return ()


def _byte_range(value: Any) -> tuple[int, ...]:
    """The byte range, however indirectly it is written; nothing where it is no row of numbers."""
    try:
        found = value["/ByteRange"]
        return tuple(int(found[place]) for place in range(min(len(found), MAX_RANGES)))
    except Exception:  # noqa: BLE001 - the boundary to pyHanko; such a signature is told as broken
        return ()


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


def digest(file: BinaryIO, ranges: Sequence[int], name: str) -> bytes:
    """The hash of what a byte range covers, by a function's hashlib name."""
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
    return originals.finish(hasher, name)


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
