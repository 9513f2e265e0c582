"""The life of an application: recorded, vetted, approved or rejected, certified.

Every step is bound to the hash of all that was applied for and how it was vetted, and the audit
log holds that hash: a row that was changed, or approved by anything but an approval, gives no
certificate (`approved_applicant`).
"""

import dataclasses
import datetime
import json
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import orm

from ca import subjects, tables
from ca.applications import approval, request_hash, vetting_record
from ca.operators import roles
from pki import audit, errors, profiles, registration, registry

PAGE_SIZE = 100

_REQUEST = "application"
_DECIDED = "the application was {} already: hand in a new one"


class ApplicationNotFoundError(errors.NotFoundError):
    """No application has this id."""

    code = "application-not-found"


class NotApprovedError(errors.StateError):
    """The application is not approved."""

    code = "not-approved"


class ApplicationStateError(errors.StateError):
    """The application is past this step, or not there yet."""

    code = "application-state"


class ApplicationAlteredError(errors.TamperedError):
    """The application is not what was recorded, vetted or approved."""

    code = "application-altered"


@dataclasses.dataclass(frozen=True)
class Case:
    """An application in full.

    Attributes:
        id: Random, in hex.
        state: How far it came.
        applicant: Who applied for what.
        request_hash: Of everything that is bound.
        vetting: The vetting record as it was written; None before.
        recorded_at: When it was handed in.
        recorded_by: By whom, as the audit log names them.
        decided_at: When it was approved or rejected.
        decided_by: By which operator.
        rejection_reason: Why it was rejected.
    """

    id: str
    state: registration.ApplicationState
    applicant: subjects.Applicant
    request_hash: str
    vetting: Mapping[str, Any] | None
    recorded_at: datetime.datetime
    recorded_by: str
    decided_at: datetime.datetime | None
    decided_by: str | None
    rejection_reason: str | None

    @property
    def summary(self) -> registration.Application:
        """What every answer about an application says."""
        return registration.Application(self.id, self.state, self.request_hash)


@dataclasses.dataclass(frozen=True)
class CasePage:
    """A part of a list, and the cursor of the next (None: this was the last)."""

    cases: tuple[Case, ...]
    next_cursor: str | None


def record_application(
    session: orm.Session,
    applicant: subjects.Applicant,
    at: datetime.datetime,
    *,
    operator: roles.Operator,
) -> registration.Application:
    """Record what somebody applies for; the caller commits."""
    organisation, server = applicant.organisation, applicant.server
    row = tables.ApplicationRow(
        id=secrets.token_hex(16),
        state=registration.ApplicationState.RECORDED.value,
        category=applicant.category.value,
        country=applicant.person.country,
        person_code=applicant.person.person_code,
        surname=applicant.person.surname,
        given_name=applicant.person.given_name,
        organisation_country=organisation.country if organisation else None,
        organisation_code=organisation.code if organisation else None,
        organisation_name=organisation.name if organisation else None,
        title=applicant.title,
        profiles=",".join(applicant.profile_names),
        member_class=server.member_class if server else None,
        dns_name=server.dns_name if server else None,
        request_hash=request_hash.compute(applicant, None),
        recorded_at=at,
        recorded_by=operator.actor,
    )
    session.add(row)
    _audit(session, audit.AuditEvent.APPLICATION_RECORDED, row, at, operator)
    return _case(session, row).summary


def vet_application(
    session: orm.Session,
    application_id: str,
    record: vetting_record.VettingRecord,
    at: datetime.datetime,
    *,
    operator: roles.Operator,
    expected_hash: str,
    signature: bytes | None = None,
) -> registration.Application:
    """Record how the identity was checked; the caller commits.

    A citizen who came in person is approved by it, everything else awaits another operator.

    Args:
        session: The transaction.
        application_id: A recorded application.
        record: What was checked, by this operator.
        at: The present.
        operator: Who vetted.
        expected_hash: Of the application that was examined.
        signature: The applicant's own, for `QUALIFIED_SIGNATURE`.

    Raises:
        ApplicationNotFoundError: No such application.
        ApplicationStateError: It was vetted or decided before.
        ApplicationAlteredError: It is not the one that was recorded or examined.
    """
    row = _row(session, application_id)
    _require_state(row, registration.ApplicationState.RECORDED)
    _check_unaltered(row)
    if row.request_hash != expected_hash or record.officer != operator.name:
        raise ApplicationAlteredError("the application is not the one that was examined")
    row.vetting = record.to_json()
    row.vetting_signature = signature
    row.request_hash = request_hash.compute(_applicant(row), row.vetting, named=True)
    row.state = registration.ApplicationState.AWAITING_APPROVAL.value
    _audit(session, audit.AuditEvent.APPLICATION_VETTED, row, at, operator)
    if not approval.needs_second_officer(registration.Category(row.category), record.method):
        _approve(session, row, at, operator)
    return _case(session, row).summary


def approve_application(
    session: orm.Session, application_id: str, at: datetime.datetime, *, operator: roles.Operator
) -> registration.Application:
    """Approve a vetted application; approving it again changes nothing; the caller commits.

    Raises:
        ApplicationNotFoundError: No such application.
        ApplicationStateError: It was not vetted yet, or was rejected.
        FourEyesError: The operator vetted it, and another one is needed.
        ApplicationAlteredError: The row is not what was vetted.
    """
    row = _row(session, application_id)
    if row.state == registration.ApplicationState.APPROVED.value:
        return _case(session, row).summary
    _require_state(row, registration.ApplicationState.AWAITING_APPROVAL)
    _check_unaltered(row)
    approval.check_distinct(_vetting(row)["officer"], operator.name)
    _approve(session, row, at, operator)
    return _case(session, row).summary


def reject_application(
    session: orm.Session,
    application_id: str,
    reason: str,
    at: datetime.datetime,
    *,
    operator: roles.Operator,
) -> registration.Application:
    """Reject an application that is not approved yet; the caller commits.

    Raises:
        ApplicationNotFoundError: No such application.
        ApplicationStateError: It was decided before.
        SubjectError: The reason is empty, or cannot be shown.
    """
    subjects.check_text("reason", reason, limit=200)
    row = _row(session, application_id)
    _require_state(
        row,
        registration.ApplicationState.RECORDED,
        registration.ApplicationState.AWAITING_APPROVAL,
    )
    row.state = registration.ApplicationState.REJECTED.value
    row.rejected_at = at
    row.rejected_by = operator.name
    row.rejection_reason = reason
    _audit(session, audit.AuditEvent.APPLICATION_REJECTED, row, at, operator)
    return _case(session, row).summary


def check_recorded(session: orm.Session, application_id: str) -> None:
    """Check that an application waits to be vetted, before anybody is asked about it.

    Raises:
        ApplicationNotFoundError: No such application.
        ApplicationStateError: It was vetted or decided before.
    """
    _require_state(
        _row(session, application_id, lock=False), registration.ApplicationState.RECORDED
    )


def find(session: orm.Session, application_id: str) -> Case:
    """Return an application.

    Raises:
        ApplicationNotFoundError: No such application.
    """
    return _case(session, _row(session, application_id, lock=False))


def list_applications(
    session: orm.Session,
    *,
    state: registration.ApplicationState | None = None,
    person_code: str | None = None,
    after: str | None = None,
    limit: int = PAGE_SIZE,
) -> CasePage:
    """Return a page of applications, oldest first.

    Args:
        session: The database.
        state: Only those that came so far.
        person_code: Only of people with this number, whatever their country.
        after: The cursor of the page before: the id of its last application.
        limit: How many at most.

    Raises:
        ApplicationNotFoundError: The cursor is none.
    """
    table = tables.ApplicationRow
    query = sqlalchemy.select(table).order_by(table.recorded_at, table.id).limit(limit + 1)
    if state is registration.ApplicationState.CERTIFIED:
        query = query.where(_certified(table.id))
    elif state is registration.ApplicationState.APPROVED:
        query = query.where(table.state == state.value, ~_certified(table.id))
    elif state is not None:
        query = query.where(table.state == state.value)
    if person_code is not None:
        query = query.where(table.person_code == person_code)
    if after is not None:
        last = _row(session, after, lock=False)
        query = query.where(
            sqlalchemy.tuple_(table.recorded_at, table.id)
            > sqlalchemy.tuple_(
                sqlalchemy.literal(last.recorded_at, table.recorded_at.type), last.id
            )
        )
    rows = session.scalars(query).all()
    page = rows[:limit]
    return CasePage(
        tuple(_case(session, one) for one in page), page[-1].id if len(rows) > limit else None
    )


def request_key(application_id: str, profile_name: str) -> str:
    """What an application's certificate of a profile is asked for by, at an office."""
    return f"{_REQUEST}/{application_id}/{profile_name}"


def is_approved(case: Case) -> bool:
    """Whether certificates may be asked for."""
    return case.state in {
        registration.ApplicationState.APPROVED,
        registration.ApplicationState.CERTIFIED,
    }


def approved_applicant(session: orm.Session, application_id: str) -> subjects.Applicant:
    """Return whom an application is for, where it is still what was approved.

    Nothing is believed because the row says so: the hash is computed again, and the audit log must
    hold the approval of exactly this hash, by another operator than the one who vetted where two
    are needed.

    Raises:
        ApplicationNotFoundError: No such application.
        NotApprovedError: It is not approved.
        ApplicationAlteredError: It is not what was approved.
    """
    row = _row(session, application_id)
    if row.state != registration.ApplicationState.APPROVED.value:
        raise NotApprovedError(
            f"expected an approved application, got one that is {row.state.replace('_', ' ')}"
        )
    _check_unaltered(row)
    record = _vetting(row)
    entry = None
    if row.approval_entry is not None:
        entry = session.get(audit.EntryRow, row.approval_entry)
    if (
        row.approved_hash != row.request_hash
        or entry is None
        or entry.event != audit.AuditEvent.APPLICATION_APPROVED.value
        or json.loads(entry.details) != _details(row)
    ):
        raise ApplicationAlteredError("the application is not the one that was approved")
    category = registration.Category(row.category)
    if approval.needs_second_officer(category, vetting_record.method_of(record)):
        officer = roles.Operator(record["officer"], roles.Role.RA_OFFICER)
        if entry.actor == officer.actor:
            raise ApplicationAlteredError("the application has no approval of a second officer")
    return _applicant(row)


def _approve(
    session: orm.Session,
    row: tables.ApplicationRow,
    at: datetime.datetime,
    operator: roles.Operator,
) -> None:
    row.state = registration.ApplicationState.APPROVED.value
    row.approved_at = at
    row.approved_by = operator.name
    row.approved_hash = row.request_hash
    head = _audit(session, audit.AuditEvent.APPLICATION_APPROVED, row, at, operator)
    row.approval_entry = head.number


def _row(session: orm.Session, application_id: str, *, lock: bool = True) -> tables.ApplicationRow:
    row = session.get(tables.ApplicationRow, application_id, with_for_update=lock or None)
    if row is None:
        raise ApplicationNotFoundError("no application has this id")
    return row


def _require_state(row: tables.ApplicationRow, *wanted: registration.ApplicationState) -> None:
    if row.state in {one.value for one in wanted}:
        return
    if row.state == registration.ApplicationState.RECORDED.value:
        raise ApplicationStateError("the application was not vetted yet: `imza ca vet` comes first")
    if row.state == registration.ApplicationState.AWAITING_APPROVAL.value:
        raise ApplicationStateError("the application was vetted already: it awaits approval")
    raise ApplicationStateError(_DECIDED.format(row.state))


def _check_unaltered(row: tables.ApplicationRow) -> None:
    computed = request_hash.compute(_applicant(row), row.vetting, named=row.profiles is not None)
    if row.request_hash != computed:
        raise ApplicationAlteredError("the application is not the one that was recorded")


def _applicant(row: tables.ApplicationRow) -> subjects.Applicant:
    organisation = server = None
    if row.organisation_code is not None:
        organisation = registration.Organisation(
            row.organisation_country or "", row.organisation_code, row.organisation_name or ""
        )
    if row.member_class is not None:
        server = registration.Server(row.member_class, row.dns_name)
    names = subjects.DEFAULT_PROFILES
    if row.profiles is not None:
        names = tuple(row.profiles.split(","))
    try:
        return subjects.Applicant(
            registration.Category(row.category),
            registration.Person(row.country, row.person_code, row.surname, row.given_name),
            organisation,
            row.title,
            names,
            server,
        )
    except (ValueError, errors.InputError) as error:
        raise ApplicationAlteredError("the application is not the one that was recorded") from error


def _vetting(row: tables.ApplicationRow) -> Mapping[str, Any]:
    if row.vetting is None:
        raise ApplicationAlteredError("the application has no vetting record")
    return vetting_record.parse(row.vetting)


def _case(session: orm.Session, row: tables.ApplicationRow) -> Case:
    state = registration.ApplicationState(row.state)
    if state is registration.ApplicationState.APPROVED and session.scalar(
        sqlalchemy.select(_certified(sqlalchemy.literal(row.id)))
    ):
        state = registration.ApplicationState.CERTIFIED
    return Case(
        row.id,
        state,
        _applicant(row),
        row.request_hash,
        None if row.vetting is None else vetting_record.parse(row.vetting),
        row.recorded_at,
        row.recorded_by,
        row.approved_at or row.rejected_at,
        row.approved_by or row.rejected_by,
        row.rejection_reason,
    )


def _certified(
    application_id: sqlalchemy.SQLColumnExpression[str],
) -> sqlalchemy.ColumnElement[bool]:
    """Whether an application has a certificate: the registry says so, no second place does."""
    keys = [
        sqlalchemy.literal(f"{_REQUEST}/").concat(application_id).concat(f"/{name}")
        for name in profiles.SUBSCRIBER_NAMES
    ]
    return sqlalchemy.exists().where(
        registry.CertificateRow.request_key.in_(keys),
        registry.CertificateRow.state == registry.CertificateState.ISSUED.value,
    )


def _details(row: tables.ApplicationRow) -> dict[str, str | int | None]:
    return {"application": row.id, "request_hash": row.request_hash}


def _audit(
    session: orm.Session,
    event: audit.AuditEvent,
    row: tables.ApplicationRow,
    at: datetime.datetime,
    operator: roles.Operator,
) -> audit.AuditHead:
    return audit.append(session, event, at, actor=operator.actor, details=_details(row))
