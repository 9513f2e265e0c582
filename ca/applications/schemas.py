"""The wire shapes of applications (`/ra/v1/applications`)."""

import base64
import binascii
import datetime
from typing import Annotated

import pydantic

from ca import schemas, subjects
from ca.applications import identity_check, signed_text, states
from pki import clock, errors, registration
from pki import vetting as vettings

MAX_SIGNATURE_TEXT = 48 * 2**10
"""A CMS signature in base64, within the limit of a body."""


class PersonBody(schemas.Body):
    """A person as the identity document names them."""

    country: schemas.Country
    person_code: schemas.Text
    surname: schemas.Text
    given_name: schemas.Text


class OrganisationBody(schemas.Body):
    """An organisation and its number."""

    country: schemas.Country
    code: schemas.Text
    name: schemas.Text


class ServerBody(schemas.Body):
    """An X-Road security server."""

    member_class: schemas.Text
    dns_name: schemas.Text | None = None


class DocumentBody(schemas.Body):
    """An identity document that was seen."""

    kind: vettings.DocumentKind
    country: schemas.Country
    number: schemas.Text
    expires: datetime.date


class VettingBody(schemas.Body):
    """How the identity was checked; who checked it is whoever makes the call."""

    method: vettings.Method
    documents: Annotated[
        tuple[DocumentBody, ...], pydantic.Field(max_length=identity_check.MAX_DOCUMENTS)
    ] = ()
    consulate: schemas.Text | None = None
    signature: Annotated[str, pydantic.StringConstraints(max_length=MAX_SIGNATURE_TEXT)] | None = (
        None
    )

    def to_vetting(self) -> vettings.Vetting:
        """The value, not judged yet."""
        return vettings.Vetting(
            tuple(vettings.Document(**one.model_dump()) for one in self.documents),
            self.method,
            self.consulate,
            None if self.signature is None else _decode("signature", self.signature),
        )


class ApplicationBody(schemas.Body):
    """`POST /ra/v1/applications`; without a vetting record that comes as a call of its own."""

    category: registration.Category
    person: PersonBody
    organisation: OrganisationBody | None = None
    title: schemas.Text | None = None
    profiles: Annotated[list[schemas.Text], pydantic.Field(min_length=1, max_length=8)] | None = (
        None
    )
    server: ServerBody | None = None
    vetting: VettingBody | None = None

    def to_applicant(self) -> subjects.Applicant:
        """The applicant, checked."""
        organisation = server = None
        if self.organisation is not None:
            organisation = registration.Organisation(**self.organisation.model_dump())
        if self.server is not None:
            server = registration.Server(**self.server.model_dump())
        names = subjects.DEFAULT_PROFILES
        if self.profiles is not None:
            names = tuple(sorted(self.profiles))
        return subjects.Applicant(
            self.category,
            registration.Person(**self.person.model_dump()),
            organisation,
            self.title,
            names,
            server,
        )


class ApprovalBody(schemas.Body):
    """`POST /ra/v1/applications/{id}/approval`: who approves is whoever makes the call."""


class RejectionBody(schemas.Body):
    """`POST /ra/v1/applications/{id}/rejection`."""

    reason: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=200)]


class CertificateBody(schemas.Body):
    """`POST /ra/v1/applications/{id}/certificates`."""

    profile: schemas.Text
    csr: str
    software_key: bool = False

    def to_der(self) -> bytes:
        """The request's bytes."""
        return _decode("csr", self.csr)


def application(value: registration.Application) -> dict[str, object]:
    """An application as every answer says it."""
    return {"id": value.id, "state": value.state.value, "request_hash": value.request_hash}


def application_in_full(case: states.Case) -> dict[str, object]:
    """An application with all that is kept of it, and the text that its applicant may sign."""
    applicant = case.applicant
    organisation, server = applicant.organisation, applicant.server
    return {
        **application(case.summary),
        "category": applicant.category.value,
        "person": {
            "country": applicant.person.country,
            "person_code": applicant.person.person_code,
            "surname": applicant.person.surname,
            "given_name": applicant.person.given_name,
        },
        "organisation": None
        if organisation is None
        else {
            "country": organisation.country,
            "code": organisation.code,
            "name": organisation.name,
        },
        "title": applicant.title,
        "profiles": list(applicant.profile_names),
        "server": None
        if server is None
        else {"member_class": server.member_class, "dns_name": server.dns_name},
        "vetting": case.vetting,
        "recorded_at": clock.time_text(case.recorded_at),
        "recorded_by": case.recorded_by,
        "decided_at": clock.time_text(case.decided_at) if case.decided_at else None,
        "decided_by": case.decided_by,
        "rejection_reason": case.rejection_reason,
        "text": signed_text.text_of(case).decode(),
    }


def page(value: states.CasePage) -> dict[str, object]:
    """A page of the list."""
    return {
        "applications": [application_in_full(one) for one in value.cases],
        "next_cursor": value.next_cursor,
    }


def _decode(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InputError(f"{field}: expected standard base64 with padding") from error
