import base64
import datetime
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import orm

from ca.operators import gate
from ca.renewal import api
from pki import access, certificates, clock, registry, web
from tests.support import ca_world, renewal, servers

CMS = {"Content-Type": "application/pkcs7-mime"}


@pytest.fixture
def owner(world: ca_world.World) -> renewal.Owner:
    return renewal.make_owner(world)


@pytest.fixture
def office(
    world: ca_world.World, owner: renewal.Owner, sessions: orm.sessionmaker[orm.Session]
) -> Iterator[httpx.Client]:
    """A CA zone in the last days of the owner's certificate, and a client without a token."""
    secret = access.new_secret()
    clients = (access.ApiClient("station", access.hash_secret(secret), ("register",)),)
    tokens = access.AccessTokens(access.Settings(clients=clients), sessions)
    present = clock.FixedClock(owner.before_end(10))
    app = web.application(
        "test",
        [
            web.token_routes(tokens, present),
            api.public_routes(sessions, world.hierarchy, renewal.SETTINGS, present),
            api.routes(
                sessions,
                world.hierarchy,
                renewal.SETTINGS,
                gate.TokenGate(tokens, present),
                present,
            ),
        ],
    )
    with servers.serve(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        answer = client.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=("station", secret),
        )
        client.headers["X-Token"] = answer.json()["access_token"]
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
    operator = {**CMS, "Authorization": f"Bearer {office.headers['X-Token']}"}
    other = f"/ra/v1/certificates/{owner.serial + 1:x}/renewal"
    assert office.post(other, content=request, headers=operator).status_code == 422
    answer = office.post(path, content=request, headers=operator, params={"supersede": "true"})
    assert answer.status_code == 201
    with owner.world.sessions() as session:
        found = registry.find(session, owner.serial).status
    assert found.reason is not None
    assert found.reason.name == "superseded"
    assert found.revoked_at == clock.whole_seconds(owner.before_end(10))
    assert datetime.timedelta(days=10) == owner.issued.record.not_after - found.revoked_at
