"""Examining an application: documents, register and signature; what comes out is the record.

Nothing is written here, and nothing is held open while a register is asked.
"""

import dataclasses
import datetime
import re

from sqlalchemy import orm

from ca import hierarchy, subjects
from ca.applications import signed_text, states, vetting_record
from ca.registers import comparison, facts
from pki import clock, errors, person_codes
from pki import vetting as vettings

MAX_DOCUMENTS = 5
_DOCUMENT_NUMBER = re.compile(r"[A-Z0-9][A-Z0-9 /-]{2,23}")
_SEPARATORS = re.compile(r"[ /-]")
_NAMING_DOCUMENTS = {
    "PAS": vettings.DocumentKind.PASSPORT,
    "IDC": vettings.DocumentKind.IDENTITY_CARD,
}
_COUNTRY = re.compile(r"[A-Z]{2}")


class VettingRefusedError(errors.PolicyError):
    """The identity is not established by what was handed in."""

    code = "vetting-refused"


@dataclasses.dataclass(frozen=True)
class Desk:
    """What examining needs.

    Attributes:
        sessions: The database.
        authorities: Whose certificates a signature may have, and whose country's people come.
        register: The authentic source; None where the settings name none.
    """

    sessions: orm.sessionmaker[orm.Session]
    authorities: hierarchy.Hierarchy
    register: facts.Register | None = None

    @property
    def country(self) -> str:
        """Whose people are residents."""
        return self.authorities.settings.country


def examine(
    desk: Desk,
    applicant: subjects.Applicant,
    handed_in: vettings.Vetting,
    at: datetime.datetime,
    *,
    officer: str,
    case: states.Case | None = None,
) -> vetting_record.VettingRecord:
    """Examine an applicant and return the vetting record.

    Args:
        desk: Whom to ask.
        applicant: Who applies, as what.
        handed_in: What the officer saw.
        at: The present.
        officer: The operator's name.
        case: The application where it was recorded before; only then can its text be signed.

    Raises:
        VettingRefusedError: Documents or signature do not establish the identity.
        RegisterMismatchError: The register says otherwise.
        PeerError: The register did not answer.
        SubjectError: A text cannot be shown.
    """
    resident = applicant.person.country == desk.country
    _check_parts(handed_in)
    evidence = None
    if handed_in.method is vettings.Method.QUALIFIED_SIGNATURE:
        evidence = _check_signature(desk, case, handed_in, at)
    else:
        if handed_in.method is vettings.Method.CONSULATE and resident:
            raise VettingRefusedError("expected a non-resident at a consulate")
        _check_identified(applicant, handed_in, resident=resident)
    for one in handed_in.documents:
        _check_document(one, at.date())
    return vetting_record.VettingRecord(
        handed_in.method,
        officer,
        clock.whole_seconds(at),
        handed_in.documents,
        handed_in.consulate,
        _ask_register(desk, applicant, at),
        evidence,
    )


def _ask_register(
    desk: Desk, applicant: subjects.Applicant, at: datetime.datetime
) -> vetting_record.RegisterAnswer | None:
    if desk.register is None:
        return None
    findings = comparison.compare(desk.register, applicant, desk.country, at.date())
    return vetting_record.RegisterAnswer(desk.register.name, findings.answer_sha256, findings.found)


def _check_parts(handed_in: vettings.Vetting) -> None:
    if (handed_in.consulate is not None) != (handed_in.method is vettings.Method.CONSULATE):
        raise VettingRefusedError(
            "expected the consulate's name for a vetting there, and only then"
        )
    if handed_in.consulate is not None:
        subjects.check_text("consulate", handed_in.consulate)
    signed = handed_in.method is vettings.Method.QUALIFIED_SIGNATURE
    if (handed_in.signature is not None) != signed:
        raise VettingRefusedError(
            "expected a signature for a vetting by qualified signature, and only then"
        )
    if len(handed_in.documents) > MAX_DOCUMENTS:
        raise VettingRefusedError(f"expected at most {MAX_DOCUMENTS} documents")


def _check_signature(
    desk: Desk,
    case: states.Case | None,
    handed_in: vettings.Vetting,
    at: datetime.datetime,
) -> vetting_record.SignatureEvidence:
    if case is None:
        raise VettingRefusedError(
            "expected a recorded application, whose text can be signed:"
            " hand it in first without a vetting record"
        )
    with desk.sessions() as session:
        return signed_text.check(session, case, handed_in.signature or b"", at)


def _check_identified(
    applicant: subjects.Applicant, handed_in: vettings.Vetting, *, resident: bool
) -> None:
    named = person_codes.document_number(applicant.person.person_code)
    if named is not None:
        _check_named_document(applicant.person.country, *named, handed_in)
        return
    kinds = {vettings.DocumentKind.PASSPORT}
    if resident:
        kinds.add(vettings.DocumentKind.IDENTITY_CARD)
    if not any(
        one.kind in kinds and one.country == applicant.person.country for one in handed_in.documents
    ):
        names = " or ".join(sorted(one.value for one in kinds))
        raise VettingRefusedError(
            f"expected a {names} of {applicant.person.country} among the documents seen"
        )


def _check_named_document(
    country: str, kind: str, number: str, handed_in: vettings.Vetting
) -> None:
    """Who is named by a document has shown that very document."""
    wanted = _NAMING_DOCUMENTS[kind]
    if not any(
        one.kind is wanted and one.country == country and _SEPARATORS.sub("", one.number) == number
        for one in handed_in.documents
    ):
        raise VettingRefusedError(
            f"expected the {wanted.value} of {country} by whose number the person is named"
        )


def _check_document(document: vettings.Document, on: datetime.date) -> None:
    if not _DOCUMENT_NUMBER.fullmatch(document.number):
        raise vettings.VettingInputError(
            "expected a document number of 3 to 24 capitals, digits, spaces, slashes or dashes"
        )
    if not _COUNTRY.fullmatch(document.country):
        raise vettings.VettingInputError("expected two capitals as a document's country")
    if document.expires < on:
        raise VettingRefusedError(f"the {document.kind.value} has expired")
