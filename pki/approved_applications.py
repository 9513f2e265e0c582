"""Approved applications: what whoever puts keys on a card or a SIM has certificates issued for."""

import dataclasses
from collections.abc import Collection

from pki import errors, registration, registration_answers, registration_calls
from pki import vetting as vettings

PERSONAL_PROFILES = frozenset({"sign", "authenticate"})
"""What a card and a SIM hold."""


class ApplicationNotReadyError(errors.StateError):
    """No certificates for a card or a SIM can follow from this application."""

    code = "application-not-ready"


@dataclasses.dataclass(frozen=True)
class ApprovedApplication:
    """An application from which certificates may follow, and whom it is for."""

    id: str
    category: registration.Category
    person: registration.Person


def apply(
    ca: registration_calls.RegistrationClient,
    category: registration.Category,
    person: registration.Person,
    vetting: vettings.Vetting,
    *,
    organisation: registration.Organisation | None = None,
    title: str | None = None,
) -> ApprovedApplication:
    """Hand in a vetted person's application and approve it, where one client may do both.

    Raises:
        RegistrationRefusedError: The CA's rules forbid it, an officer approving alone perhaps.
        PeerError: The CA did not answer.
    """
    application = ca.apply(category, person, vetting, organisation=organisation, title=title)
    if application.state is not registration.ApplicationState.APPROVED:
        application = ca.approve(application.id)
    _check_state(application.state)
    return ApprovedApplication(application.id, category, person)


def find(
    ca: registration_calls.RegistrationClient,
    application_id: str,
    profiles: Collection[str] = PERSONAL_PROFILES,
) -> ApprovedApplication:
    """Return an application that was approved, by whomever, and has no certificate yet.

    Args:
        ca: Where it was handed in.
        application_id: Its id.
        profiles: What it must be for, at least.

    Raises:
        ApplicationNotReadyError: It is not approved, is used up, or is for other profiles.
        RegistrationRefusedError: No such application, or the operator may not see it.
        RegistrationAnswerError: The CA answered with something else.
        PeerError: The CA did not answer.
    """
    shown = ca.show_application(application_id)
    person, applied_for = shown.get("person"), shown.get("profiles")
    try:
        state = registration.ApplicationState(shown.get("state"))
        category = registration.Category(shown.get("category"))
    except ValueError as error:
        raise registration_answers.RegistrationAnswerError(
            "expected a known state and category of the application"
        ) from error
    wanted = {field.name for field in dataclasses.fields(registration.Person)}
    if (
        not isinstance(person, dict)
        or not all(isinstance(person.get(name), str) for name in wanted)
        or not isinstance(applied_for, list)
    ):
        raise registration_answers.RegistrationAnswerError(
            "expected the application's person and profiles"
        )
    _check_state(state)
    missing = sorted(set(profiles) - {str(one) for one in applied_for})
    if missing:
        raise ApplicationNotReadyError(
            f"expected an application for {' and '.join(sorted(profiles))}, got one without"
            f" {' and '.join(missing)}"
        )
    return ApprovedApplication(
        application_id, category, registration.Person(**{name: person[name] for name in wanted})
    )


def _check_state(state: registration.ApplicationState) -> None:
    if state is registration.ApplicationState.CERTIFIED:
        # One application gives one certificate of each profile, and for one key.
        raise ApplicationNotReadyError(
            "the application's certificates were issued already: hand in a new one"
        )
    if state is not registration.ApplicationState.APPROVED:
        raise ApplicationNotReadyError(
            f"expected an approved application, got one that is {state.value.replace('_', ' ')}"
        )
