import dataclasses
import json
import pathlib
from collections.abc import Iterator

import pytest

from ca.enrolment import api, messages, settings
from ca.operators import gate, roles
from pki import clock, errors, outbound, web
from tests.support import ca_world, cmp_office, operators, servers


@dataclasses.dataclass
class Zone:
    office: cmp_office.Office
    client: outbound.Client
    url: str
    officer: operators.Operator

    def ask(
        self, application: str, body: object, *, operator: operators.Operator | None = None
    ) -> outbound.Reply:
        with operators.calling(self.url, operator or self.officer) as sender:
            return sender.send(
                roles.Role.RA_OFFICER,
                "POST",
                f"/ra/v1/applications/{application}/enrolment-references",
                body=json.dumps(body).encode(),
                content_type="application/json",
                expect=range(200, 500),
            )


@pytest.fixture
def zone(office: cmp_office.Office, tmp_path: pathlib.Path) -> Iterator[Zone]:
    gates = gate.SignedRequestGate(office.world.sessions, clock.SystemClock())
    officer = operators.enrol(office.world, roles.Role.RA_OFFICER)
    present = clock.FixedClock(office.world.at)
    enrolment = settings.Settings(tmp_path / "unused", cmp_office.VALIDITY)
    routers = [
        api.routes(office.office, present),
        api.registration_routes(office.office, enrolment, gates, present),
    ]
    with servers.serve(web.application("test", routers)) as url:
        client = outbound.Client()
        yield Zone(office, client, url, officer)
        client.close()


@pytest.mark.clause("RFC 9811", "3.3")
def test_a_message_is_answered_with_its_own_content_type(zone: Zone) -> None:
    for body in (b"", b"\x30\x00", bytes(messages.MAX_MESSAGE_BYTES + 1)):
        reply = zone.client.send(
            "POST", f"{zone.url}/cmp", body=body, content_type=api.CMP_TYPE, expect=(200,)
        )
        assert reply.content_type == api.CMP_TYPE
        assert cmp_office.failure(reply.body) == "badDataFormat"


def test_another_content_type_is_refused(zone: Zone) -> None:
    reply = zone.client.send(
        "POST", f"{zone.url}/cmp", body=b"x", content_type="text/plain", expect=(415,)
    )
    assert reply.status == 415


def test_a_registration_office_gets_a_reference_that_enrols_once(zone: Zone) -> None:
    reply = zone.ask(zone.office.world.application(), {})
    assert reply.status == 201
    given = reply.json()
    assert isinstance(given, dict)
    assert given["profile"] == "authenticate"
    assert not given["reusable"]
    client = cmp_office.Client(
        zone.office.world.at, given["reference"].encode(), given["secret"].encode()
    )
    for expected in (None, "notAuthorized"):
        sent = client.request(messages.BodyType.ir, cmp_office.cert_request(cmp_office.new_key()))
        reply = zone.client.send("POST", f"{zone.url}/cmp", body=sent, content_type=api.CMP_TYPE)
        assert cmp_office.failure(reply.body) == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"profile": "sign"}, 403, "reference-profile-refused"),
        ({"profile": "x"}, 403, "reference-profile-refused"),
        ({"colour": "red"}, 422, "invalid-input"),
        ([], 422, "invalid-input"),
    ],
)
def test_a_reference_for_something_else_is_refused(
    zone: Zone, body: object, status: int, code: str
) -> None:
    reply = zone.ask(zone.office.world.application(), body)
    assert reply.status == status
    answer = reply.json()
    assert isinstance(answer, dict)
    assert answer["code"] == code


def test_no_reference_without_an_application_or_an_operator(zone: Zone) -> None:
    assert zone.ask("0" * 32, {}).status == 404
    assert (
        zone.ask(zone.office.world.application(), {}, operator=operators.stranger()).status == 401
    )


def test_no_reference_before_the_application_is_approved(zone: Zone) -> None:
    from ca import subjects
    from ca.applications import states
    from pki import registration

    applicant = subjects.Applicant(
        registration.Category.BUSINESS, ca_world.CITIZEN, ca_world.ORGANISATION, None
    )
    with zone.office.world.sessions() as session:
        made = states.record_application(
            session, applicant, zone.office.world.at, operator=ca_world.OFFICER
        )
        session.commit()
    assert zone.ask(made.id, {}).status == 409


def test_a_reusable_reference_is_for_a_sandbox(office: cmp_office.Office) -> None:
    from ca.enrolment import references

    application = office.world.application()
    with office.world.sessions() as session, pytest.raises(references.ReusableReferenceError):
        references.record_reference(
            session,
            application,
            "authenticate",
            cmp_office.VALIDITY,
            office.world.at,
            actor="test",
            reusable=True,
        )


def test_a_secret_that_is_short_or_missing_stops_the_start(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(errors.InputError, match="cannot be read"):
        settings.Settings(file).load_secret()
    file.write_bytes(b"short")
    with pytest.raises(errors.InputError, match="32 random bytes"):
        settings.Settings(file).load_secret()
    file.write_bytes(bytes(range(65, 97)) + b"\n")
    assert settings.Settings(file).load_secret() == bytes(range(65, 97))
