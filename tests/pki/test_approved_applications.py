from collections.abc import Iterator
from typing import Any

import fastapi
import pytest

from pki import approved_applications, registration, registration_answers, registration_calls
from tests.support import card_station, operators, servers

SHOWN: dict[str, Any] = {
    "id": "a1",
    "state": "approved",
    "category": "business",
    "person": {
        "country": "AZ",
        "person_code": "5AB12CD",
        "surname": "Əliyeva TEST",
        "given_name": "Günay TEST",
    },
    "profiles": ["authenticate", "sign"],
}


class Answers:
    """A CA that says what the test wants of an application."""

    def __init__(self) -> None:
        self.state = "approved"
        self.shown = dict(SHOWN)
        self.app = fastapi.FastAPI()
        self.app.post("/ra/v1/applications", status_code=201)(self.handed_in)
        self.app.post("/ra/v1/applications/a1/approval")(self.approve)
        self.app.get("/ra/v1/applications/a1")(lambda: self.shown)
        self.approvals = 0

    def handed_in(self) -> dict[str, str]:
        return {"id": "a1", "state": self.state, "request_hash": "00"}

    def approve(self) -> dict[str, str]:
        self.approvals += 1
        return {"id": "a1", "state": "approved", "request_hash": "00"}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def client(answers: Answers) -> Iterator[registration_calls.RegistrationClient]:
    with servers.serve(answers.app) as url, operators.registrar(url) as opened:
        yield opened


@pytest.mark.parametrize(("state", "approvals"), [("approved", 0), ("awaiting_approval", 1)])
def test_an_application_is_handed_in_and_approved_where_it_must_be(
    answers: Answers, client: registration_calls.RegistrationClient, state: str, approvals: int
) -> None:
    answers.state = state
    made = approved_applications.apply(
        client, registration.Category.CITIZEN, card_station.PERSON, card_station.VETTING
    )
    assert made.id == "a1"
    assert made.person == card_station.PERSON
    assert answers.approvals == approvals


def test_an_application_that_somebody_else_approved_says_whom_it_is_for(
    answers: Answers, client: registration_calls.RegistrationClient
) -> None:
    found = approved_applications.find(client, "a1")
    assert found.category is registration.Category.BUSINESS
    assert found.person == card_station.PERSON
    assert answers.approvals == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"state": "recorded"}, "got one that is recorded"),
        ({"state": "awaiting_approval"}, "got one that is awaiting approval"),
        ({"state": "rejected"}, "got one that is rejected"),
        ({"state": "certified"}, "issued already"),
        ({"profiles": ["sign"]}, "got one without authenticate"),
        ({"profiles": ["seal"]}, "got one without authenticate and sign"),
    ],
)
def test_an_application_from_which_no_card_may_follow_is_refused(
    answers: Answers,
    client: registration_calls.RegistrationClient,
    changed: dict[str, Any],
    told: str,
) -> None:
    answers.shown |= changed
    with pytest.raises(approved_applications.ApplicationNotReadyError, match=told):
        approved_applications.find(client, "a1")


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "granted"},
        {"category": None},
        {"person": None},
        {"person": {"country": "AZ"}},
        {"person": {**SHOWN["person"], "surname": 7}},
        {"profiles": "sign"},
    ],
)
def test_an_answer_that_is_no_application_is_an_answer_error(
    answers: Answers, client: registration_calls.RegistrationClient, changed: dict[str, Any]
) -> None:
    answers.shown |= changed
    with pytest.raises(registration_answers.RegistrationAnswerError):
        approved_applications.find(client, "a1")
