"""The vetting record: how an identity was checked, by whom, against what; hashed to the letter."""

import dataclasses
import datetime
import json
from collections.abc import Mapping
from typing import Any

from pki import clock, errors
from pki import vetting as vettings


class VettingRecordError(errors.TamperedError):
    """A stored record is not one that was written."""

    code = "vetting-record"


@dataclasses.dataclass(frozen=True)
class RegisterAnswer:
    """What an authentic source said, by its digest; what it says is not kept.

    Attributes:
        register: Its name in the settings.
        answer_sha256: Of the facts that were compared, in hex.
        found: What it knows: of a non-resident perhaps nothing.
    """

    register: str
    answer_sha256: str
    found: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SignatureEvidence:
    """The applicant's signature over the application's text, after it was checked.

    Attributes:
        serial_number: Of the signing certificate, in hex.
        issuer: Of that certificate: one of our authorities.
        text_sha256: Of what was signed, in hex.
        signature_sha256: Of the CMS, in hex.
    """

    serial_number: str
    issuer: str
    text_sha256: str
    signature_sha256: str


@dataclasses.dataclass(frozen=True)
class VettingRecord:
    """How an identity was checked.

    Attributes:
        method: By what.
        officer: The operator who did it.
        vetted_at: When.
        documents: What was seen.
        consulate: Where a consul saw the person.
        register: What an authentic source said; None where none is configured.
        signature: What the applicant signed.
    """

    method: vettings.Method
    officer: str
    vetted_at: datetime.datetime
    documents: tuple[vettings.Document, ...]
    consulate: str | None = None
    register: RegisterAnswer | None = None
    signature: SignatureEvidence | None = None

    def to_json(self) -> str:
        """Write the record; the same record always gives the same text."""
        register: Mapping[str, Any] = {"asked": False, "reason": "no register is configured"}
        if self.register is not None:
            register = {"asked": True, **dataclasses.asdict(self.register)}
        value = {
            "method": self.method.value,
            "officer": self.officer,
            "vetted_at": clock.time_text(self.vetted_at),
            "documents": [one.as_json() for one in self.documents],
            "consulate": self.consulate,
            "register": register,
            "signature": None if self.signature is None else dataclasses.asdict(self.signature),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse(text: str) -> Mapping[str, Any]:
    """Return a stored record as its JSON says it.

    Raises:
        VettingRecordError: It was altered and is none any more.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise VettingRecordError("expected a vetting record, got other bytes") from error
    if not isinstance(value, dict) or not isinstance(value.get("officer"), str):
        raise VettingRecordError("expected a vetting record that names its officer")
    return value


def method_of(record: Mapping[str, Any]) -> vettings.Method:
    """The method of a stored record, or `VettingRecordError`."""
    try:
        return vettings.Method(record.get("method"))
    except ValueError as error:
        raise VettingRecordError("expected a known vetting method") from error
