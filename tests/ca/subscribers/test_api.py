import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography import x509
from sqlalchemy import orm

from ca.operators import gate, roles
from ca.subscribers import api, contacts
from ca.subscribers import settings as subscriber_settings
from pki import audit, clock, registration, registry, web
from tests.support import ca_world, crls, operators, servers


@dataclasses.dataclass
class Office:
    """A CA zone with one application and its two certificates; calls by anybody, or an officer."""

    world: ca_world.World
    public: httpx.Client
    officer: operators.Operator
    application: str
    serials: tuple[int, int]

    def call(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        """What an officer is answered."""
        with operators.calling(str(self.public.base_url).rstrip("/"), self.officer) as sender:
            reply = sender.send(
                roles.Role.RA_OFFICER,
                method,
                path,
                body=b"" if body is None else json.dumps(body).encode(),
                content_type=None if body is None else "application/json",
                expect=range(200, 500),
            )
        return reply.status, reply.json()

    def password(self, application: str | None = None) -> str:
        path = f"/ra/v1/applications/{application or self.application}/revocation-password"
        status, answer = self.call("POST", path)
        assert status == 201
        return str(answer["password"])

    def ask(self, **body: Any) -> httpx.Response:
        return self.public.post("/revocation/v1/requests", json=body)

    def statuses(self) -> list[str]:
        with self.world.sessions() as session:
            found = [registry.find(session, one).status for one in self.serials]
        return [one.reason.name if one.reason else "good" for one in found]


@pytest.fixture
def office(world: ca_world.World, sessions: orm.sessionmaker[orm.Session]) -> Iterator[Office]:
    present = clock.FixedClock(world.at)
    settings = subscriber_settings.Settings(password_tries=6)
    app = web.application(
        "test",
        [
            api.public_routes(sessions, world.hierarchy, settings, present),
            api.routes(
                sessions,
                settings,
                gate.SignedRequestGate(sessions, clock.SystemClock()),
                present,
            ),
        ],
    )
    application = world.application()
    serials = (
        world.certify(application, "sign").record.serial_number,
        world.certify(application, "authenticate").record.serial_number,
    )
    with servers.serve(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        officer = operators.enrol(world, roles.Role.RA_OFFICER)
        yield Office(world, client, officer, application, serials)


@pytest.mark.clause("EN 319 411-1", "6.2.4")
def test_who_knows_a_serial_and_the_password_revokes_that_certificate(office: Office) -> None:
    password = office.password()
    answer = office.ask(
        serial_number=f"{office.serials[0]:x}", password=password, reason="keyCompromise"
    )
    assert answer.status_code == 200
    (told,) = answer.json()["certificates"]
    assert (told["status"], told["reason"]) == ("revoked", "keyCompromise")
    assert "subject" not in told
    assert office.statuses() == ["keyCompromise", "good"]
    with office.world.sessions() as session:
        entries = x509.load_der_x509_crl(crls.newest_der(session, "citizen"))
    assert entries.get_revoked_certificate_by_serial_number(office.serials[0]) is not None
    # Once more is the same.
    again = office.ask(
        serial_number=f"{office.serials[0]:x}", password=password, reason="keyCompromise"
    )
    assert again.json() == answer.json()


def test_who_knows_their_own_number_suspends_and_revokes_everything(office: Office) -> None:
    person = {"country": "AZ", "person_code": "5AB12CD"}
    password = office.password()
    assert office.ask(person=person, password=password, reason="certificateHold").is_success
    assert office.statuses() == ["certificateHold"] * 2
    assert office.ask(person=person, password=password, reason="keyCompromise").is_success
    assert office.statuses() == ["keyCompromise"] * 2
    empty = office.ask(person=person, password=password, reason="keyCompromise")
    assert empty.json() == {"certificates": []}


def test_whatever_is_wrong_is_answered_alike(office: Office) -> None:
    password = office.password()
    serial = f"{office.serials[0]:x}"
    asked = [
        office.ask(serial_number=serial, password="AAAA-AAAA-AAAA", reason="keyCompromise"),
        office.ask(serial_number="77", password=password, reason="keyCompromise"),
        office.ask(
            person={"country": "AZ", "person_code": "9ZZ99ZZ"},
            password=password, reason="keyCompromise",
        ),
        office.ask(
            person={"country": "XX", "person_code": "nobody"},
            password=password, reason="keyCompromise",
        ),
    ]  # fmt: skip
    told = {
        (one.status_code, one.json()["code"], one.json()["detail"], len(one.json()))
        for one in asked
    }
    assert len(told) == 1
    assert told.pop()[:2] == (403, "revocation-request-refused")
    assert office.statuses() == ["good", "good"]


def test_a_request_is_a_post_that_names_one_thing_and_a_reason(office: Office) -> None:
    password = office.password()
    serial = f"{office.serials[0]:x}"
    assert office.public.get("/revocation/v1/requests").status_code == 405
    for body in (
        {"password": password, "reason": "keyCompromise"},
        {"serial_number": serial, "password": password, "reason": "cACompromise"},
        {"serial_number": serial, "password": password, "reason": "whim"},
        {"serial_number": serial, "password": password, "reason": "keyCompromise", "x": 1},
        {
            "serial_number": serial,
            "person": {"country": "AZ", "person_code": "5AB12CD"},
            "password": password,
            "reason": "keyCompromise",
        },
        {"serial_number": serial, "password": "A" * 65, "reason": "keyCompromise"},
    ):
        answer = office.ask(**body)
        assert answer.status_code == 422
        assert password not in answer.text
    assert office.statuses() == ["good", "good"]


def test_the_hotline_checks_a_caller_by_the_same_password(office: Office) -> None:
    password = office.password()
    path = f"/ra/v1/certificates/{office.serials[0]:x}/subscriber-checks"

    def check(said: str) -> object:
        return office.call("POST", path, {"password": said})[1]["confirmed"]

    assert check(password) is True
    assert check("wrong") is False
    assert office.public.post(path, json={"password": password}).status_code == 401
    with office.world.sessions() as session:
        events = [one.event for one in audit.entries(session, after=0, limit=1000)]
        audit.verify(session)
    assert events.count("subscriber.checked") == 2
    assert office.statuses() == ["good", "good"]


def test_contacts_belong_to_an_application_and_can_be_taken_back(office: Office) -> None:
    path = f"/ra/v1/applications/{office.application}/contact"

    def put(**body: object) -> int:
        return office.call("PUT", path, body)[0]

    assert put(email="gunay@example.az", phone_number="+994501234567", language="az") == 200
    with office.world.sessions() as session:
        found = contacts.find(session, office.application)
    assert found == contacts.Contact(
        "gunay@example.az", "+994501234567", contacts.Language.AZERBAIJANI
    )
    assert "gunay" not in repr(found)
    assert put(language="az") == 200
    with office.world.sessions() as session:
        assert contacts.find(session, office.application) is None
    assert put(email="a@b.c\r\nBcc: d@e.f", language="az") == 422
    assert put(phone_number="0501234567", language="az") == 422
    assert put(email="a@example.az", language="ru") == 422
    body = {"email": "a@example.az", "language": "az"}
    assert office.call("PUT", "/ra/v1/applications/none/contact", body)[0] == 404
    assert office.public.put(path, json={"language": "az"}).status_code == 401


def test_another_persons_password_opens_nothing(office: Office) -> None:
    world = office.world
    other = world.application(ca_world.GEORGIAN, registration.Category.BUSINESS)
    theirs = office.password(other)
    answer = office.ask(
        serial_number=f"{office.serials[0]:x}", password=theirs, reason="keyCompromise"
    )
    assert answer.status_code == 403
    assert office.statuses() == ["good", "good"]


def test_a_stranger_waits_and_the_owner_and_the_office_do_not(office: Office) -> None:
    password = office.password()
    person = {"country": "AZ", "person_code": "5AB12CD"}
    ask = {"person": person, "reason": "keyCompromise"}
    for _ in range(6):
        assert office.ask(**ask, password="wrong").status_code == 403
    waits = office.ask(**ask, password=password)
    assert waits.status_code == 429
    assert waits.json()["code"] == "revocation-wait"
    assert waits.json()["retriable"] is True
    # The hotline is never kept waiting.
    path = f"/ra/v1/certificates/{office.serials[0]:x}/subscriber-checks"
    assert office.call("POST", path, {"password": password})[1]["confirmed"] is True
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(
        base_url=office.public.base_url, transport=elsewhere, trust_env=False
    ) as owner:
        answer = owner.post("/revocation/v1/requests", json={**ask, "password": password})
    assert answer.status_code == 200
    assert office.statuses() == ["keyCompromise"] * 2
    with office.world.sessions() as session:
        events = [one.event for one in audit.entries(session, after=0, limit=1000)]
    assert events.count("revocation-password.missed") == 1
