"""What is applied for, beside what a register says: the same letters, or nothing."""

import dataclasses
import datetime
import hashlib
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

from ca import subjects
from ca.registers import facts
from pki import errors, registration


class RegisterMismatchError(errors.PolicyError):
    """The register says something else than the application, or that it may not be.

    The message names fields, never what they hold.
    """

    code = "register-mismatch"


@dataclasses.dataclass(frozen=True)
class Findings:
    """What the register knew, and its answers' digest.

    Attributes:
        found: Which of `person`, `organisation` and `representative` it knows.
        answer_sha256: Of all answers, in hex.
    """

    found: tuple[str, ...]
    answer_sha256: str


def compare(
    register: facts.Register,
    applicant: subjects.Applicant,
    resident_country: str,
    on: datetime.date,
) -> Findings:
    """Ask a register about an applicant and everybody they act for.

    A non-resident may be unknown to it: their passport says who they are. What it does know of
    them must agree.

    Args:
        register: The authentic source.
        applicant: Who applies, as what.
        resident_country: Whose people the register must know.
        on: The day on which the right to act must hold.

    Raises:
        RegisterMismatchError: A field differs, or the register forbids it.
        PeerError: The register did not answer: nobody is vetted without it.
    """
    person, organisation = applicant.person, applicant.organisation
    answers: dict[str, Any] = {
        "person": register.find_person(person.country, person.person_code),
        "organisation": None,
        "representative": None,
    }
    problems = list(_person_problems(applicant, answers["person"], resident_country))
    if organisation is not None:
        answers["organisation"] = register.find_organisation(
            organisation.country, organisation.code
        )
        answers["representative"] = register.find_representative(
            (organisation.country, organisation.code), (person.country, person.person_code)
        )
        problems += _organisation_problems(applicant, organisation, answers["organisation"])
        problems += _representative_problems(applicant, answers["representative"], on)
    if problems:
        raise RegisterMismatchError(f"the register {register.name}: " + "; ".join(problems))
    text = json.dumps(
        {
            name: None if answer is None else _plain(dataclasses.asdict(answer))
            for name, answer in answers.items()
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return Findings(
        tuple(sorted(name for name, answer in answers.items() if answer is not None)),
        hashlib.sha256(text.encode("ascii")).hexdigest(),
    )


def _person_problems(
    applicant: subjects.Applicant, found: facts.PersonFacts | None, resident_country: str
) -> Iterator[str]:
    person = applicant.person
    if found is None:
        if person.country == resident_country:
            yield "nobody has this person_code"
        return
    if (found.country, found.person_code) != (person.country, person.person_code):
        raise facts.RegisterAnswerError("the register answered about another person")
    if found.state is not facts.PersonState.ALIVE:
        yield f"the person is {found.state.value}"
    for field in ("surname", "given_name"):
        if _differs(getattr(person, field), getattr(found, field)):
            yield f"{field} differs"


def _organisation_problems(
    applicant: subjects.Applicant,
    organisation: registration.Organisation,
    found: facts.OrganisationFacts | None,
) -> Iterator[str]:
    if found is None:
        yield "no organisation has this code"
        return
    if (found.country, found.code) != (organisation.country, organisation.code):
        raise facts.RegisterAnswerError("the register answered about another organisation")
    if found.state is not facts.OrganisationState.ACTIVE:
        yield "the organisation is struck off"
    if _differs(organisation.name, found.name):
        yield "organisation.name differs"
    official = applicant.category is registration.Category.OFFICIAL
    if official and found.kind is not facts.OrganisationKind.STATE_BODY:
        yield "the organisation has no officials: it is no state body"


def _representative_problems(
    applicant: subjects.Applicant, found: facts.RepresentativeFacts | None, on: datetime.date
) -> Iterator[str]:
    if found is None:
        yield "the person is no representative of the organisation"
        return
    if found.valid_until is not None and found.valid_until < on:
        yield "the person's right to act for the organisation has ended"
    if applicant.title is not None and _differs(applicant.title, found.title):
        yield "title differs"


def _differs(applied: str, registered: str) -> bool:
    # Exact letters: a certificate in the wrong script or without a diacritic names somebody else.
    return unicodedata.normalize("NFC", applied) != unicodedata.normalize("NFC", registered)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: one.value
        if hasattr(one, "value")
        else one.isoformat()
        if isinstance(one, datetime.date)
        else one
        for key, one in value.items()
    }
