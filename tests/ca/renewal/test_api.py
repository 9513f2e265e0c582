import base64
import datetime
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import orm

from ca.operators import gate, roles
from ca.renewal import api
from pki import certificates, clock, registry, web
from tests.support import ca_world, operators, renewal, servers

CMS = {"Content-Type": "application/pkcs7-mime"}


@pytest.fixture
def owner(world: ca_world.World) -> renewal.Owner:
    return renewal.make_owner(world)


@pytest.fixture
def office(
    world: ca_world.World, owner: renewal.Owner, sessions: orm.sessionmaker[orm.Session]
) -> Iterator[httpx.Client]:
    """A CA zone in the last days of the owner's certificate, and a client who is nobody."""
    present = clock.FixedClock(owner.before_end(10))
    app = web.application(
        "test",
        [
            api.public_routes(sessions, world.hierarchy, renewal.SETTINGS, present),
            api.routes(
                sessions,
                world.hierarchy,
                renewal.SETTINGS,
                gate.SignedRequestGate(sessions, clock.SystemClock()),
                present,
            ),
        ],
    )
    with servers.serve(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


def test_an_owner_renews_without_an_account(office: httpx.Client, owner: renewal.Owner) -> None:
    request = owner.request(renewal.csr_for())
    answer = office.post("/renewal/v1/requests", content=request, headers=CMS)
    assert answer.status_code == 201
    body = answer.json()
    assert body["renewed_serial_number"] == certificates.serial_text(owner.serial)
    new = certificates.parse(base64.b64decode(body["certificate"]))
    assert certificates.serial_text(new.serial_number) == body["serial_number"]
    assert len(body["chain"]) == 2
    again = office.post("/renewal/v1/requests", content=request, headers=CMS)
    assert again.json() == body


def test_what_is_no_renewal_is_a_problem_document(
    office: httpx.Client, owner: renewal.Owner
) -> None:
    def status(content: bytes, headers: dict[str, str] = CMS) -> int:
        return office.post("/renewal/v1/requests", content=content, headers=headers).status_code

    assert status(b"") == 422
    assert status(b"x" * (64 * 2**10 + 1)) == 413
    assert status(owner.request(renewal.csr_for()), {"Content-Type": "application/json"}) == 415
    stranger = office.post("/renewal/v1/requests", content=renewal.sample_request(), headers=CMS)
    assert (stranger.status_code, stranger.json()["code"]) == (403, "renewal-signature")


def test_an_office_needs_its_operator_and_the_owners_signature(
    office: httpx.Client, owner: renewal.Owner
) -> None:
    path = f"/ra/v1/certificates/{owner.serial:x}/renewal"
    request = owner.request(renewal.csr_for())
    assert office.post(path, content=request, headers=CMS).status_code == 401
    officer = operators.enrol(owner.world, roles.Role.RA_OFFICER)
    with operators.calling(str(office.base_url), officer) as sender:
        for address, expected in (
            (f"/ra/v1/certificates/{owner.serial + 1:x}/renewal", 422),
            (f"{path}?supersede=true", 201),
        ):
            sender.send(
                officer.role,
                "POST",
                address,
                body=request,
                content_type=CMS["Content-Type"],
                expect=(expected,),
            )
    with owner.world.sessions() as session:
        found = registry.find(session, owner.serial).status
    assert found.reason is not None
    assert found.reason.name == "superseded"
    assert found.revoked_at == clock.whole_seconds(owner.before_end(10))
    assert datetime.timedelta(days=10) == owner.issued.record.not_after - found.revoked_at
