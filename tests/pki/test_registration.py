"""The registration client against the real API, and against answers that are not the API's."""

import base64
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
import sqlalchemy
from fastapi import responses

from ca import api
from ca.applications import api as applications_api
from ca.crls import api as crls_api
from ca.operators import gate, roles
from pki import (
    certificates,
    clock,
    database,
    errors,
    outbound,
    registration,
    registration_answers,
    registration_calls,
    signed_requests,
    status,
    web,
)
from tests.support import ca_world, operators, servers


@dataclasses.dataclass
class Office:
    client: registration_calls.RegistrationClient
    base_url: str
    world: ca_world.World
    sender: signed_requests.SignedSender


@pytest.fixture
def office(
    engine: sqlalchemy.Engine, at: datetime.datetime, tmp_path: pathlib.Path
) -> Iterator[Office]:
    sessions = database.session_factory(engine)
    world = ca_world.make_world(sessions, at)
    present = clock.FixedClock(at)
    gates = gate.SignedRequestGate(sessions, clock.SystemClock())
    app = web.application(
        "test",
        [
            api.routes(sessions, world.hierarchy, gates, present),
            api.public_routes(sessions),
            crls_api.routes(sessions, world.hierarchy, gates, present),
            crls_api.public_routes(sessions, present),
            applications_api.routes(world.desk, gates, present),
        ],
    )
    with servers.serve(app) as base_url:
        file = operators.office(world, tmp_path, base_url)
        officer = operators.enrol(world, roles.Role.RA_OFFICER, "TEST-officer-2")
        with (
            registration_calls.open_client(None, file) as client,
            operators.calling(base_url, officer) as sender,
        ):
            yield Office(client, base_url, world, sender)


def test_a_person_is_applied_for_certified_listed_and_revoked(office: Office) -> None:
    made = office.client.apply(registration.Category.CITIZEN, ca_world.CITIZEN, ca_world.VETTING)
    assert made.state is registration.ApplicationState.APPROVED
    csr_der = ca_world.make_csr()

    issued = office.client.certify(made.id, "sign", csr_der)

    assert office.client.certify(made.id, "sign", csr_der) == issued
    facts = certificates.read(certificates.parse(issued.certificate_der))
    assert facts.serial_number == issued.serial_number
    assert len(issued.chain_der) == 2
    page = office.client.list(person_code=ca_world.CITIZEN.person_code)
    assert [one.serial_number for one in page.certificates] == [issued.serial_number]
    assert page.certificates[0].status == "good"

    office.client.revoke(issued.serial_number, status.RevocationReason.keyCompromise)

    assert office.client.show(issued.serial_number)["status"] == "revoked"
    http = outbound.Client()
    reply = http.send("GET", f"{office.base_url}/crl/citizen.crl")
    assert reply.content_type == "application/pkix-crl"
    from cryptography import x509

    entry = x509.load_der_x509_crl(reply.body).get_revoked_certificate_by_serial_number(
        issued.serial_number
    )
    assert entry is not None
    issuer = http.send("GET", f"{office.base_url}/ca/citizen.cer")
    assert issuer.body == issued.chain_der[0]
    assert issuer.content_type == "application/pkix-cert"
    http.close()
    entries = office.client.verify_audit()["entries"]
    assert isinstance(entries, int)
    assert entries > 40


def test_an_official_needs_a_second_officer(office: Office) -> None:
    made = office.client.apply(
        registration.Category.OFFICIAL,
        ca_world.GEORGIAN,
        ca_world.vetting_of(ca_world.GEORGIAN),
        organisation=ca_world.ORGANISATION,
        title="Baş mütəxəssis",
    )
    assert made.state is registration.ApplicationState.AWAITING_APPROVAL
    with pytest.raises(registration_answers.RegistrationRefusedError) as refused:
        office.client.certify(made.id, "sign", ca_world.make_csr())
    assert refused.value.problem_code == "not-approved"
    with pytest.raises(registration_answers.RegistrationRefusedError) as refused:
        registration_calls.RegistrationClient(office.sender).approve(made.id)
    assert refused.value.problem_code == "permission-missing"

    approved = office.client.approve(made.id)

    assert approved.state is registration.ApplicationState.APPROVED
    assert approved.request_hash == made.request_hash
    assert office.client.approve(made.id) == approved
    office.client.certify(made.id, "authenticate", ca_world.make_csr())


def test_hold_and_release(office: Office) -> None:
    made = office.client.apply(registration.Category.CITIZEN, ca_world.CITIZEN, ca_world.VETTING)
    issued = office.client.certify(made.id, "sign", ca_world.make_csr())
    office.client.hold(issued.serial_number)
    assert office.client.show(issued.serial_number)["status"] == "held"
    office.client.release(issued.serial_number)
    assert office.client.show(issued.serial_number)["status"] == "good"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"person_code": "5AB12CO"}, "person-code-invalid"),
        ({"surname": "Ali,yev"}, "subject-refused"),
        ({"surname": "x" * 65}, "invalid-input"),
    ],
)
def test_a_refusal_is_told_by_its_code(office: Office, change: dict[str, Any], code: str) -> None:
    person = dataclasses.replace(ca_world.CITIZEN, **change)
    with pytest.raises(registration_answers.RegistrationRefusedError) as refused:
        office.client.apply(registration.Category.CITIZEN, person, ca_world.VETTING)
    assert refused.value.problem_code == code


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "applications"),
        ("GET", "applications"),
        ("GET", "applications/x"),
        ("POST", "applications/x/vetting"),
        ("POST", "applications/x/approval"),
        ("POST", "applications/x/rejection"),
        ("POST", "applications/x/certificates"),
        ("POST", "certificates/01/revoke"),
        ("POST", "certificates/01/hold"),
        ("POST", "certificates/01/release"),
        ("GET", "certificates"),
        ("GET", "certificates/01"),
        ("POST", "crls/root"),
        ("GET", "audit"),
    ],
)
def test_every_call_needs_an_operators_signature(office: Office, method: str, path: str) -> None:
    http = outbound.Client()
    # Well-formed bodies, so that nothing but the caller can be refused.
    bodies = {
        "applications": {
            "category": "citizen",
            "person": dataclasses.asdict(ca_world.CITIZEN),
            "vetting": ca_world.VETTING.as_json(),
        },
        "applications/x/approval": {},
        "applications/x/rejection": {"reason": "x"},
        "applications/x/vetting": ca_world.VETTING.as_json(),
        "applications/x/certificates": {
            "profile": "sign",
            "csr": base64.b64encode(ca_world.make_csr()).decode(),
        },
        "certificates/01/revoke": {"reason": "superseded"},
    }
    body = json.dumps(bodies.get(path, {})).encode()
    url = f"{office.base_url}/ra/v1/{path}"
    sent = b"" if method == "GET" else body
    for headers in ({}, {"Authorization": "Bearer token"}):
        reply = http.send(
            method, url, body=sent, content_type="application/json", headers=headers, expect=(401,)
        )
        assert reply.headers["www-authenticate"].startswith("Signature ")
    http.close()
    with operators.calling(office.base_url, operators.stranger()) as stranger:
        stranger.send(
            roles.Role.RA_OFFICER,
            method,
            f"/ra/v1/{path}",
            body=sent,
            content_type="application/json",
            expect=(401,),
        )


def test_a_raw_request_is_taken_with_its_profile_in_the_address(office: Office) -> None:
    made = office.client.apply(registration.Category.CITIZEN, ca_world.CITIZEN, ca_world.VETTING)
    csr_der = ca_world.make_csr()
    path = f"/ra/v1/applications/{made.id}/certificates"
    answer = office.sender.send(
        roles.Role.RA_OFFICER,
        "POST",
        f"{path}?profile=sign",
        body=csr_der,
        content_type="application/pkcs10",
        expect=(201,),
    ).json()
    assert isinstance(answer, dict)
    assert int(answer["serial_number"], 16) == (
        office.client.certify(made.id, "sign", csr_der).serial_number
    )
    for body, content_type, expected in (
        (csr_der, "application/pkcs10", 422),  # no profile
        (csr_der, "text/plain", 415),
        (b'{"profile": "sign", "csr": "not base64!"}', "application/json", 422),
        (b'{"profile": "sign"}', "application/json", 422),
        (b"[" * 5000, "application/json", 422),
        (b"x" * 70_000, "application/json", 413),
    ):
        office.sender.send(
            roles.Role.RA_OFFICER,
            "POST",
            path,
            body=body,
            content_type=content_type,
            expect=(expected,),
        )


def test_a_huge_body_is_refused_before_it_is_parsed(office: Office) -> None:
    http = outbound.Client()
    for path in ("applications", "certificates/01/hold"):
        http.send(
            "POST",
            f"{office.base_url}/ra/v1/{path}",
            body=b"x" * 100_000,
            content_type="application/json",
            expect=(413,),
        )
    http.close()


@pytest.mark.parametrize("serial", ["0", "zz", "1" * 41, "-1", "0x10", "%00"])
def test_a_serial_that_is_none_is_refused(office: Office, serial: str) -> None:
    office.sender.send(
        roles.Role.RA_OFFICER, "GET", f"/ra/v1/certificates/{serial}", expect=(404, 422)
    )


def test_a_strangers_credentials_are_refused(office: Office, tmp_path: pathlib.Path) -> None:
    file = operators.stranger().write(tmp_path / "stranger", office.base_url)
    with (
        registration_calls.open_client(None, file) as client,
        pytest.raises(registration_answers.RegistrationRefusedError) as refused,
    ):
        client.list()
    assert refused.value.problem_code == "operator-unknown"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"client_id": "x"}', "\xff"])
def test_a_credentials_file_that_is_none_is_refused(tmp_path: pathlib.Path, content: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_bytes(content.encode("latin-1"))
    with (
        pytest.raises(errors.InputError),
        registration_calls.open_client("http://127.0.0.1:1", file),
    ):
        pass


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"serial_number": "zz", "certificate": "", "chain": []},
        {"serial_number": "01", "certificate": "!", "chain": []},
        {"serial_number": "01", "certificate": "", "chain": "x"},
    ],
)
def test_an_answer_that_is_not_the_apis_is_a_failed_peer(answer: object) -> None:
    app = fastapi.FastAPI()

    @app.post("/ra/v1/applications/x/certificates")
    def certify() -> fastapi.Response:
        return responses.JSONResponse(answer, 201)

    with (
        servers.serve(app) as base_url,
        operators.registrar(base_url) as client,
        pytest.raises(errors.PeerError),
    ):
        client.certify("x", "sign", b"")
