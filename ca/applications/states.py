"""The life of an application: recorded with a vetting record, then approved.

A citizen who came in person with a document is approved by the vetting itself. Who signs for an
organisation needs the approval of a second officer besides (EN 319 411-1 6.2.2), which is bound
to the hash of everything that was applied for.
"""

import datetime
import secrets

from sqlalchemy import orm

from ca import subjects, tables
from pki import audit, errors, registration

VETTING_METHODS = frozenset({"in_person"})
"""Remote identification needs rules of its own (TS 119 461), which are not here yet."""

NEEDS_SECOND_OFFICER = frozenset({registration.Category.BUSINESS, registration.Category.OFFICIAL})


class ApplicationNotFoundError(errors.NotFoundError):
    """No application has this id."""

    code = "application-not-found"


class NotApprovedError(errors.StateError):
    """The application is not approved."""

    code = "not-approved"


class FourEyesError(errors.PolicyError):
    """The officer who approves is the one who vetted."""

    code = "second-officer-needed"


class ApplicationAlteredError(errors.TamperedError):
    """The application is not what was approved."""

    code = "application-altered"


def record_application(
    session: orm.Session,
    applicant: subjects.Applicant,
    vetting: registration.Vetting,
    at: datetime.datetime,
    *,
    actor: str,
) -> registration.Application:
    """Record an application; the caller commits.

    Raises:
        InputError: The vetting record is incomplete, or its method is not accepted.
    """
    subjects.check_text("vetting.officer", vetting.officer)
    subjects.check_text("vetting.document", vetting.document)
    if vetting.method not in VETTING_METHODS:
        raise errors.InputError(
            f"expected a vetting method of {', '.join(sorted(VETTING_METHODS))}, got another"
        )
    organisation = applicant.organisation
    row = tables.ApplicationRow(
        id=secrets.token_hex(16),
        state=registration.ApplicationState.AWAITING_APPROVAL.value,
        category=applicant.category.value,
        country=applicant.person.country,
        person_code=applicant.person.person_code,
        surname=applicant.person.surname,
        given_name=applicant.person.given_name,
        organisation_country=organisation.country if organisation else None,
        organisation_code=organisation.code if organisation else None,
        organisation_name=organisation.name if organisation else None,
        title=applicant.title,
        vetting_method=vetting.method,
        vetting_officer=vetting.officer,
        vetting_document=vetting.document,
        request_hash=subjects.request_hash(applicant, vetting),
        recorded_at=at,
        recorded_by=actor,
    )
    session.add(row)
    _audit(session, audit.AuditEvent.APPLICATION_RECORDED, row, at, actor)
    if applicant.category not in NEEDS_SECOND_OFFICER:
        _approve(session, row, vetting.officer, at, actor)
    return _application(row)


def find(session: orm.Session, application_id: str) -> registration.Application:
    """Return an application.

    Raises:
        ApplicationNotFoundError: No such application.
    """
    return _application(_row(session, application_id))


def approve_application(
    session: orm.Session, application_id: str, officer: str, at: datetime.datetime, *, actor: str
) -> registration.Application:
    """Approve an application; approving it again changes nothing; the caller commits.

    Raises:
        ApplicationNotFoundError: No such application.
        FourEyesError: The officer vetted the person and a second one is needed.
        ApplicationAlteredError: The row is not what was recorded.
    """
    subjects.check_text("officer", officer)
    row = _row(session, application_id)
    if row.state == registration.ApplicationState.APPROVED.value:
        return _application(row)
    if officer == row.vetting_officer:
        raise FourEyesError("expected the approval of another officer than the one who vetted")
    _approve(session, row, officer, at, actor)
    return _application(row)


def approved_applicant(session: orm.Session, application_id: str) -> subjects.Applicant:
    """Return whom an application is for, where it is still what was approved.

    Raises:
        ApplicationNotFoundError: No such application.
        NotApprovedError: It awaits approval.
        ApplicationAlteredError: It was changed since it was approved.
    """
    row = _row(session, application_id)
    applicant = _applicant(row)
    if row.state != registration.ApplicationState.APPROVED.value:
        raise NotApprovedError("the application awaits the approval of an officer")
    if row.approved_hash != subjects.request_hash(applicant, _vetting(row)):
        raise ApplicationAlteredError("the application is not the one that was approved")
    # Asked again where the signature follows, whatever wrote the row.
    if applicant.category in NEEDS_SECOND_OFFICER and row.approved_by in (
        None,
        row.vetting_officer,
    ):
        raise ApplicationAlteredError("the application has no approval of a second officer")
    return applicant


def _approve(
    session: orm.Session,
    row: tables.ApplicationRow,
    officer: str,
    at: datetime.datetime,
    actor: str,
) -> None:
    if row.request_hash != subjects.request_hash(_applicant(row), _vetting(row)):
        raise ApplicationAlteredError("the application is not the one that was recorded")
    row.state = registration.ApplicationState.APPROVED.value
    row.approved_at = at
    row.approved_by = officer
    row.approved_hash = row.request_hash
    _audit(session, audit.AuditEvent.APPLICATION_APPROVED, row, at, actor)


def _row(session: orm.Session, application_id: str) -> tables.ApplicationRow:
    row = session.get(tables.ApplicationRow, application_id, with_for_update=True)
    if row is None:
        raise ApplicationNotFoundError("no application has this id")
    return row


def _applicant(row: tables.ApplicationRow) -> subjects.Applicant:
    organisation = None
    if row.organisation_code is not None:
        organisation = registration.Organisation(
            row.organisation_country or "", row.organisation_code, row.organisation_name or ""
        )
    return subjects.Applicant(
        registration.Category(row.category),
        registration.Person(row.country, row.person_code, row.surname, row.given_name),
        organisation,
        row.title,
    )


def _vetting(row: tables.ApplicationRow) -> registration.Vetting:
    return registration.Vetting(row.vetting_officer, row.vetting_document, row.vetting_method)


def _application(row: tables.ApplicationRow) -> registration.Application:
    return registration.Application(
        row.id, registration.ApplicationState(row.state), row.request_hash
    )


def _audit(
    session: orm.Session,
    event: audit.AuditEvent,
    row: tables.ApplicationRow,
    at: datetime.datetime,
    actor: str,
) -> None:
    details = {"application": row.id, "request_hash": row.request_hash}
    audit.append(session, event, at, actor=actor, details=details)
