"""The transcript of a key ceremony: a JSON document that holds all that a checker needs.

It carries the script itself, every certificate, public key and CRL in full, and what the key
store said of each key. Its signature lies beside it (`ca.ceremony.detached_signature`).
"""

import base64
import binascii
import dataclasses
import datetime
import json
from typing import Any

from pki import clock, errors, settings

FORMAT = "imza-key-ceremony-1"

MAX_TRANSCRIPT_BYTES = 16 * 2**20
"""CRLs apart, a founding ceremony's has a hundred kilobytes."""

COMPLETED, STOPPED = "completed", "stopped"


class TranscriptError(errors.InputError):
    """The transcript is malformed, altered, or does not show what it claims."""

    code = "ceremony-transcript"


@dataclasses.dataclass(frozen=True)
class ScriptText:
    """The script that was played, in full."""

    sha256: str
    text: str


@dataclasses.dataclass(frozen=True)
class Confirmation:
    """A witness agreed."""

    witness: str
    at: str


@dataclasses.dataclass(frozen=True)
class KeyEvidence:
    """A key, and what its store says of it, read back after the step.

    Attributes:
        public_key: SubjectPublicKeyInfo in base64.
        place: Which store.
    """

    label: str
    kind: str
    public_key: str
    public_key_sha256: str
    place: str
    extractable: bool
    sensitive: bool
    always_sensitive: bool
    never_extractable: bool
    local: bool


@dataclasses.dataclass(frozen=True)
class CertificateEvidence:
    """A certificate in base64 DER; `name` and `issuer` are the authorities' short names."""

    name: str
    issuer: str
    profile: str
    certificate: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class CRLEvidence:
    """A CRL in base64 DER."""

    issuer: str
    number: int
    crl: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class PerformedStep:
    """A step of the script that was done."""

    number: int
    action: str
    begun_at: str
    done_at: str
    confirmations: tuple[Confirmation, ...]
    keys: tuple[KeyEvidence, ...] = ()
    certificates: tuple[CertificateEvidence, ...] = ()
    crls: tuple[CRLEvidence, ...] = ()


@dataclasses.dataclass(frozen=True)
class AuditPoint:
    """The audit log's length and the hash of its newest entry."""

    number: int
    hash: str


@dataclasses.dataclass(frozen=True)
class Transcript:
    """The whole record.

    Attributes:
        test: Whether the installation is a test one.
        unattended: Whether nobody was asked to confirm: a rehearsal, of a test installation.
        present: The authorities that there were before.
        outcome: `completed`, or `stopped` where a step failed or a witness refused.
        reason: Why it was stopped.
        root_sha256: The root's certificate: what witnesses take home on paper.
    """

    format: str
    test: bool
    unattended: bool
    organisation: str
    country: str
    script: ScriptText
    opened_at: str
    closed_at: str
    outcome: str
    root_sha256: str
    audit_opened: AuditPoint
    audit_closed: AuditPoint
    present: tuple[CertificateEvidence, ...]
    steps: tuple[PerformedStep, ...]
    closing: tuple[Confirmation, ...]
    reason: str = ""


def write(transcript: Transcript) -> bytes:
    """Return a transcript as JSON, for people to read too."""
    text = json.dumps(dataclasses.asdict(transcript), indent=1, ensure_ascii=False)
    return f"{text}\n".encode()


def read(content: bytes) -> Transcript:
    """Read a transcript; nothing about its truth is checked here.

    Raises:
        TranscriptError: Too large, not JSON, or of another form.
    """
    if len(content) > MAX_TRANSCRIPT_BYTES:
        raise TranscriptError(f"expected a transcript of at most {MAX_TRANSCRIPT_BYTES} bytes")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_no_repetition)
        made = settings.read_section(Transcript, value, name="transcript")
    except (ValueError, RecursionError) as error:
        raise TranscriptError("expected a transcript in JSON, got something else") from error
    except settings.SettingsError as error:
        raise TranscriptError(error.message) from error
    if made.format != FORMAT:
        raise TranscriptError(f"expected a transcript of the format {FORMAT}")
    return made


def time_text(at: datetime.datetime) -> str:
    """A time as the transcript has it: UTC, whole seconds."""
    return clock.whole_seconds(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime.datetime:
    """Read such a time.

    Raises:
        TranscriptError: Another form.
    """
    try:
        at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007 - set below
    except ValueError as error:
        raise TranscriptError("expected a time such as 2026-01-31T12:00:00Z") from error
    return at.replace(tzinfo=datetime.UTC)


def encode(data: bytes) -> str:
    """Bytes as the transcript has them."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Read such bytes.

    Raises:
        TranscriptError: Not base64 in its one proper form.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TranscriptError("expected base64") from error
    if encode(data) != text:
        raise TranscriptError("expected base64 in its proper form")
    return data


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field stands twice")
    return made
