"""The life of an application, and that nothing is signed without a recorded approval."""

import dataclasses
import datetime

import pytest
import sqlalchemy

from ca import orders, subjects, tables
from ca.applications import approval, certification, identity_check, states
from ca.operators import roles
from pki import audit, errors, profiles, registration
from pki import vetting as vettings
from tests.support import ca_world

TWO_PEOPLE = [one for one in registration.Category if one is not registration.Category.CITIZEN]
SEAL = ("seal",)


def _applicant(
    category: registration.Category = registration.Category.OFFICIAL,
) -> subjects.Applicant:
    if category is registration.Category.CITIZEN:
        return subjects.Applicant(category, ca_world.CITIZEN)
    names = subjects.DEFAULT_PROFILES
    if category is registration.Category.ORGANISATION:
        names = SEAL
    return subjects.Applicant(category, ca_world.CITIZEN, ca_world.ORGANISATION, "Direktor", names)


def _approve(
    world: ca_world.World, application_id: str, operator: roles.Operator = ca_world.APPROVER
) -> registration.Application:
    with world.sessions() as session:
        made = states.approve_application(session, application_id, world.at, operator=operator)
        session.commit()
    return made


def _recorded(world: ca_world.World, applicant: subjects.Applicant) -> registration.Application:
    with world.sessions() as session:
        made = states.record_application(session, applicant, world.at, operator=ca_world.OFFICER)
        session.commit()
    return made


def _case(world: ca_world.World, application_id: str) -> states.Case:
    with world.sessions() as session:
        return states.find(session, application_id)


@pytest.mark.parametrize("category", list(registration.Category))
@pytest.mark.parametrize("method", list(vettings.Method))
def test_only_a_citizen_who_came_in_person_needs_one_officer(
    category: registration.Category, method: vettings.Method
) -> None:
    alone = category is registration.Category.CITIZEN and method is vettings.Method.IN_PERSON
    assert approval.needs_second_officer(category, method) is not alone


def test_an_application_is_recorded_vetted_approved_and_certified(
    world: ca_world.World,
) -> None:
    applicant = _applicant()
    made = _recorded(world, applicant)
    assert made.state is registration.ApplicationState.RECORDED
    case = _case(world, made.id)
    assert case.applicant == applicant
    assert case.vetting is None

    record = identity_check.examine(
        world.desk, applicant, ca_world.VETTING, world.at, officer="officer-1", case=case
    )
    with world.sessions() as session:
        vetted = states.vet_application(
            session,
            made.id,
            record,
            world.at,
            operator=ca_world.OFFICER,
            expected_hash=made.request_hash,
        )
        session.commit()
    assert vetted.state is registration.ApplicationState.AWAITING_APPROVAL
    assert vetted.request_hash != made.request_hash
    approved = _approve(world, made.id)
    assert approved.state is registration.ApplicationState.APPROVED
    world.certify(made.id)

    case = _case(world, made.id)
    assert case.state is registration.ApplicationState.CERTIFIED
    assert case.vetting is not None
    assert case.vetting["officer"] == "officer-1"
    assert case.vetting["register"] == {"asked": False, "reason": "no register is configured"}
    assert case.decided_by == "officer-2"
    with world.sessions() as session:
        events = session.scalars(
            sqlalchemy.select(audit.EntryRow.event).where(
                audit.EntryRow.details.contains(made.id),
                audit.EntryRow.event.startswith("application."),
            )
        ).all()
    assert events == [
        "application.recorded",
        "application.vetted",
        "application.approved",
    ]


@pytest.mark.parametrize("category", TWO_PEOPLE)
@pytest.mark.clause("EN 319 411-1", "6.2.2")
def test_who_acts_for_an_organisation_needs_a_second_operator(
    world: ca_world.World, category: registration.Category
) -> None:
    made = world.vetted(_applicant(category))
    assert made.state is registration.ApplicationState.AWAITING_APPROVAL
    with pytest.raises(approval.FourEyesError):
        _approve(world, made.id, ca_world.OFFICER)
    same_name = roles.Operator(ca_world.OFFICER.name, roles.Role.APPROVER)
    with pytest.raises(approval.FourEyesError):
        _approve(world, made.id, same_name)


@pytest.mark.parametrize("category", TWO_PEOPLE)
def test_nothing_is_signed_without_an_approval(
    world: ca_world.World, category: registration.Category
) -> None:
    made = world.vetted(_applicant(category))
    signatures = world.keys.signatures
    with pytest.raises(states.NotApprovedError):
        world.certify(made.id)
    assert world.keys.signatures == signatures


def test_what_was_not_vetted_is_not_approved(world: ca_world.World) -> None:
    made = _recorded(world, _applicant())
    with pytest.raises(states.ApplicationStateError, match="vet"):
        _approve(world, made.id)
    with pytest.raises(states.NotApprovedError):
        world.certify(made.id)


def test_a_rejected_application_stays_rejected(world: ca_world.World) -> None:
    made = world.vetted(_applicant())
    with world.sessions() as session:
        rejected = states.reject_application(
            session, made.id, "passport of another", world.at, operator=ca_world.APPROVER
        )
        session.commit()
    assert rejected.state is registration.ApplicationState.REJECTED
    assert _case(world, made.id).rejection_reason == "passport of another"
    with pytest.raises(states.ApplicationStateError):
        _approve(world, made.id)
    with pytest.raises(states.NotApprovedError):
        world.certify(made.id)
    with world.sessions() as session, pytest.raises(states.ApplicationStateError):
        states.reject_application(session, made.id, "again", world.at, operator=ca_world.APPROVER)


def test_an_approved_application_is_not_rejected(world: ca_world.World) -> None:
    application = world.application()
    with world.sessions() as session, pytest.raises(states.ApplicationStateError):
        states.reject_application(
            session, application, "late", world.at, operator=ca_world.APPROVER
        )


def _change(world: ca_world.World, application_id: str, **values: object) -> None:
    with world.sessions() as session:
        session.execute(
            sqlalchemy.update(tables.ApplicationRow)
            .where(tables.ApplicationRow.id == application_id)
            .values(**values)
        )
        session.commit()


ALTERATIONS: list[dict[str, object]] = [
    {"category": "citizen", "organisation_code": None},
    {"country": "GE", "person_code": "01234567890"},
    {"person_code": "7XY99ZZ"},
    {"surname": "Başqa"},
    {"given_name": "Başqa"},
    {"organisation_code": "1234567890"},
    {"organisation_name": "TEST Başqa"},
    {"title": "Müdir"},
    {"title": None},
    {"profiles": "sign"},
    {"profiles": None},
    {"profiles": "seal"},
    {"member_class": "GOV"},
    {"vetting": None},
    {"vetting": "{}"},
    {"vetting": "no JSON"},
    {"vetting": '{"officer":"officer-3","method":"in_person"}'},
    {"request_hash": "0" * 64},
]


@pytest.mark.parametrize("change", ALTERATIONS, ids=str)
def test_a_row_that_was_altered_is_neither_approved_nor_certified(
    world: ca_world.World, change: dict[str, object]
) -> None:
    waiting = world.vetted(_applicant())
    approved = world.approved(_applicant())
    for one in (waiting.id, approved):
        _change(world, one, **change)
    signatures = world.keys.signatures
    with pytest.raises(errors.TamperedError):
        _approve(world, waiting.id)
    with pytest.raises(errors.TamperedError):
        world.certify(approved)
    assert world.keys.signatures == signatures


def test_an_approval_that_was_only_written_into_the_row_is_none(world: ca_world.World) -> None:
    made = world.vetted(_applicant())
    hash_now = _case(world, made.id).request_hash
    other = world.approved(_applicant())
    with world.sessions() as session:
        other_row = session.get(tables.ApplicationRow, other)
        assert other_row is not None
        entry_of_other = other_row.approval_entry
    for entry in (None, entry_of_other, 1, 10**9):
        _change(
            world,
            made.id,
            state="approved",
            approved_hash=hash_now,
            approved_by="officer-2",
            approval_entry=entry,
        )
        with pytest.raises(states.ApplicationAlteredError):
            world.certify(made.id)


def test_an_unknown_application_or_profile_is_refused(world: ca_world.World) -> None:
    with pytest.raises(states.ApplicationNotFoundError):
        world.certify("nothing")
    with pytest.raises(profiles.UnknownProfileError):
        world.certify(world.application(), "authority")


def test_one_application_gives_a_certificate_of_each_profile(world: ca_world.World) -> None:
    application = world.application()
    sign = world.certify(application, "sign")
    authenticate = world.certify(application, "authenticate")
    assert sign.record.profile == "sign"
    assert authenticate.record.profile == "authenticate"
    with pytest.raises(orders.RequestAnsweredError):
        world.certify(application, "authenticate")


def test_a_profile_that_was_not_applied_for_is_not_certified(world: ca_world.World) -> None:
    only = dataclasses.replace(
        _applicant(registration.Category.CITIZEN), profile_names=("authenticate",)
    )
    application = world.approved(only)
    with pytest.raises(certification.ProfileNotAppliedForError):
        world.certify(application, "sign")
    with pytest.raises(certification.ProfileNotAppliedForError):
        world.certify(application, "seal")
    world.certify(application, "authenticate")


def test_applications_are_listed_page_by_page(world: ca_world.World) -> None:
    made = [_recorded(world, _applicant()).id for _ in range(5)]
    made.append(world.vetted(_applicant()).id)
    seen: list[str] = []
    cursor = None
    while True:
        with world.sessions() as session:
            page = states.list_applications(session, after=cursor, limit=2)
        seen += [one.id for one in page.cases]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert len(set(seen)) == len(seen)
    with world.sessions() as session:
        waiting = states.list_applications(
            session, state=registration.ApplicationState.AWAITING_APPROVAL
        )
        nobody = states.list_applications(session, person_code="7XY99ZZ")
        with pytest.raises(states.ApplicationNotFoundError):
            states.list_applications(session, after="nothing")
    assert [one.id for one in waiting.cases] == made[-1:]
    assert nobody.cases == ()


def test_vetting_counts_only_for_what_was_examined(
    world: ca_world.World, at: datetime.datetime
) -> None:
    applicant = _applicant()
    made = _recorded(world, applicant)
    record = identity_check.examine(
        world.desk, applicant, ca_world.VETTING, at, officer=ca_world.OFFICER.name
    )
    with world.sessions() as session:
        with pytest.raises(states.ApplicationAlteredError):
            states.vet_application(
                session, made.id, record, at, operator=ca_world.OFFICER, expected_hash="0" * 64
            )
        with pytest.raises(states.ApplicationAlteredError):
            states.vet_application(
                session,
                made.id,
                record,
                at,
                operator=ca_world.APPROVER,
                expected_hash=made.request_hash,
            )


def test_whoever_may_record_may_vet() -> None:
    # One call of the registration API does both, and asks for the first permission alone.
    for permissions in roles.PERMISSIONS.values():
        if roles.Permission.RECORD_APPLICATIONS in permissions:
            assert roles.Permission.VET_APPLICATIONS in permissions
            assert roles.Permission.APPROVE_APPLICATIONS not in permissions
