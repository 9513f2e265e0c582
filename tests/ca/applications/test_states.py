import dataclasses

import pytest

from ca import issuance, subjects
from ca.applications import states
from pki import errors, profiles, registration
from tests.support import ca_world


def _record(
    world: ca_world.World,
    category: registration.Category = registration.Category.OFFICIAL,
    vetting: registration.Vetting = ca_world.VETTING,
) -> registration.Application:
    organisation = None if category is registration.Category.CITIZEN else ca_world.ORGANISATION
    applicant = subjects.Applicant(category, ca_world.CITIZEN, organisation)
    with world.sessions() as session:
        made = states.record_application(session, applicant, vetting, world.at, actor="test")
        session.commit()
    return made


@pytest.mark.parametrize("category", list(registration.Category))
def test_who_signs_for_an_organisation_needs_a_second_officer(
    world: ca_world.World, category: registration.Category
) -> None:
    made = _record(world, category)
    approved = made.state is registration.ApplicationState.APPROVED
    assert approved == (category is registration.Category.CITIZEN)


def test_nothing_is_signed_without_an_approval(world: ca_world.World) -> None:
    made = _record(world)
    signatures = world.keys.signatures
    with pytest.raises(states.NotApprovedError):
        world.certify(made.id)
    assert world.keys.signatures == signatures


def test_the_officer_who_vetted_cannot_approve(world: ca_world.World) -> None:
    made = _record(world)
    with world.sessions() as session, pytest.raises(states.FourEyesError):
        states.approve_application(
            session, made.id, ca_world.VETTING.officer, world.at, actor="test"
        )


def test_a_row_that_was_changed_before_its_approval_is_not_approved(
    world: ca_world.World,
) -> None:
    from ca import tables

    made = _record(world)
    with world.sessions() as session:
        row = session.get(tables.ApplicationRow, made.id)
        assert row is not None
        row.person_code = "7XY99ZZ"
        session.commit()
    with world.sessions() as session, pytest.raises(states.ApplicationAlteredError):
        states.approve_application(session, made.id, "officer-2", world.at, actor="test")


@pytest.mark.parametrize("change", [{"officer": ""}, {"document": ""}, {"method": "by phone"}])
def test_an_incomplete_vetting_is_refused(world: ca_world.World, change: dict[str, str]) -> None:
    vetting = dataclasses.replace(ca_world.VETTING, **change)  # type: ignore[arg-type]
    with pytest.raises(errors.InputError):
        _record(world, vetting=vetting)


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
    with pytest.raises(issuance.RequestAnsweredError):
        world.certify(application, "authenticate")
