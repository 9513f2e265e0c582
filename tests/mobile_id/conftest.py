"""A gateway on loopback with a registration authority, SIMs and phones around it."""

import base64
import contextlib
import dataclasses
import datetime
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
import sqlalchemy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import orm

from mobile_id import addressee, api, client, device_api, gateway, settings, waiting
from mobile_id.simulation import enrolment, personas, phones
from pki import (
    clock,
    database,
    outbound,
    registration,
    registration_calls,
    signature,
    signed_requests,
    web,
)
from pki import vetting as vettings
from pki.algorithms import HashAlgorithm
from tests.support import hierarchy as hierarchy_support
from tests.support import operators, servers

PARTY_UUID = "de305d54-75b4-431b-adb2-eb6b9e546014"
PARTY_NAME = "TEST portal"


def representation(text: str = "contract") -> signature.DataToBeSignedRepresentation:
    return signature.represent(text.encode(), HashAlgorithm.SHA256)


class RegistrationAuthority:
    """What answers `/ra/v1` on the wire: it certifies the key of any request that proves it."""

    def __init__(self, chain: hierarchy_support.Hierarchy) -> None:
        self.chain = chain
        self.applications: dict[str, dict[str, Any]] = {}
        self.certify_another_key = False
        self.app = fastapi.FastAPI()
        self.app.post("/ra/v1/applications", status_code=201)(self.apply)
        self.app.post("/ra/v1/applications/{number}/approval")(self.approve)
        self.app.post("/ra/v1/applications/{number}/certificates", status_code=201)(self.certify)

    def apply(self, application: dict[str, Any]) -> dict[str, str]:
        number = str(len(self.applications) + 1)
        self.applications[number] = application
        return {"id": number, "state": "awaiting_approval", "request_hash": "00"}

    def approve(self, number: str) -> dict[str, str]:
        return {"id": number, "state": "approved", "request_hash": "00"}

    def certify(self, number: str, asked: dict[str, str]) -> dict[str, object]:
        request = x509.load_der_x509_csr(base64.b64decode(asked["csr"]))
        assert request.is_signature_valid
        key = request.public_key()
        if self.certify_another_key:
            key = self.chain.root.key.public_key()
        certificate = certify(
            self.chain, self.applications[number]["person"], key, asked["profile"]
        )
        return {
            "serial_number": f"{certificate.serial_number:x}",
            "certificate": base64.b64encode(to_der(certificate)).decode(),
            "chain": [base64.b64encode(to_der(one)).decode() for one in self.chain.issuing.chain],
        }


def to_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def certify(
    chain: hierarchy_support.Hierarchy, person: dict[str, str], key: Any, profile: str
) -> x509.Certificate:
    """A certificate of the shape that all Mobile-ID clients parse."""
    names = {
        NameOID.COUNTRY_NAME: person["country"],
        NameOID.SURNAME: person["surname"],
        NameOID.GIVEN_NAME: person["given_name"],
        NameOID.SERIAL_NUMBER: f"PNO{person['country']}-{person['person_code']}",
        NameOID.COMMON_NAME: f"{person['surname']},{person['given_name']},{person['person_code']}",
    }
    signing = profile == "sign"
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, one) for oid, one in names.items()]))
        .issuer_name(chain.issuing.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(chain.at - datetime.timedelta(days=1))
        .not_valid_after(chain.at + datetime.timedelta(days=1095))
        .add_extension(
            x509.KeyUsage(not signing, signing, False, False, False, False, False, False, False),
            True,
        )
    )
    if not signing:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False
        )
    return builder.sign(chain.issuing.key, hashes.SHA384())


VETTING = vettings.Vetting((vettings.Document.parse("passport:AZ:TEST1:2035-01-31"),))


@dataclasses.dataclass
class World:
    """Everything a test of the gateway needs."""

    folder: pathlib.Path
    sessions: orm.sessionmaker[orm.Session]
    registrar: registration_calls.RegistrationClient
    authority: RegistrationAuthority
    gateway: gateway.Gateway
    notices: waiting.Notices
    present: clock.Clock
    at: datetime.datetime
    http: outbound.Client
    base_url: str = ""

    @property
    def party(self) -> settings.RelyingParty:
        return self.gateway.authorise(PARTY_UUID, PARTY_NAME, "127.0.0.1")[0]

    @property
    def api_root(self) -> str:
        return f"{self.base_url}/mid-api"

    @property
    def device_url(self) -> str:
        return f"{self.base_url}/mobile-device"

    @property
    def relying_party(self) -> client.MobileIdClient:
        return client.MobileIdClient(
            self.http, self.api_root, client.RelyingParty(PARTY_UUID, PARTY_NAME)
        )

    def enrol(
        self,
        behaviour: personas.Behaviour = personas.Behaviour.OK,
        *,
        phone_number: str = "+994501112233",
        person_code: str = "5AB12CD",
        country: str = "AZ",
        surname: str = "Əliyeva TEST",
    ) -> enrolment.Enrolment:
        return enrolment.enrol_subscriber(
            self.sessions,
            self.registrar,
            self.folder,
            enrolment.Applicant(
                registration.Person(country, person_code, surname, "Günay"),
                phone_number,
                VETTING,
            ),
            behaviour=behaviour,
            at=self.at,
        )

    def device(self, enrolled: enrolment.Enrolment) -> phones.DeviceClient:
        return phones.DeviceClient(self.http, self.device_url, enrolled.person.device_secret)

    @contextlib.contextmanager
    def phones_on(self, *enrolled: enrolment.Enrolment) -> Iterator[phones.SimulatedPhones]:
        """Phones that answer by themselves while the block runs."""
        http = outbound.Client()
        switched = phones.SimulatedPhones(http, self.device_url, self.folder, long_poll_s=1)
        switched.switch_on([one.person.phone_number for one in enrolled])
        try:
            yield switched
        finally:
            switched.switch_off(wait_s=5)
            http.close()


WHO = addressee.Addressee("+994501112233", "5AB12CD")


def make_application(world: World) -> fastapi.FastAPI:
    mid = fastapi.APIRouter(prefix="/mid-api")
    mid.include_router(api.routes(world.gateway, world.notices, world.present))
    device = fastapi.APIRouter(prefix="/mobile-device")
    device.include_router(device_api.routes(world.gateway, world.notices, world.present))
    return web.application("test", [mid, device])


def make_world(
    engine: sqlalchemy.Engine,
    chain: hierarchy_support.Hierarchy,
    folder: pathlib.Path,
    authority: RegistrationAuthority,
    ra_url: str,
    present: clock.Clock,
    **limits: Any,
) -> World:
    sessions = database.session_factory(engine)
    notices = waiting.Notices()
    party = settings.RelyingParty(
        PARTY_UUID, (PARTY_NAME, "DEMO"), ("127.0.0.0/8", "::1/128", "192.0.2.0/24")
    )
    other = settings.RelyingParty(
        "11111111-1111-4111-8111-111111111111", ("TEST other",), ("198.51.100.0/24",)
    )
    built = gateway.Gateway(sessions, (party, other), settings.Settings(**limits), notices.announce)
    http = outbound.Client()
    officer = operators.stranger().credential
    registrar = registration_calls.RegistrationClient(
        signed_requests.SignedSender(http, ra_url, lambda _: officer, clock.SystemClock())
    )
    return World(
        folder, sessions, registrar, authority, built, notices, present, chain.at, http=http
    )


@pytest.fixture
def authority(
    hierarchy: hierarchy_support.Hierarchy,
) -> Iterator[tuple[RegistrationAuthority, str]]:
    found = RegistrationAuthority(hierarchy)
    with servers.serve(found.app) as url:
        yield found, url


@pytest.fixture
def fixed(at: datetime.datetime) -> clock.FixedClock:
    return clock.FixedClock(at)


@pytest.fixture
def world(
    engine: sqlalchemy.Engine,
    hierarchy: hierarchy_support.Hierarchy,
    tmp_path: pathlib.Path,
    authority: tuple[RegistrationAuthority, str],
    fixed: clock.FixedClock,
) -> Iterator[World]:
    """Without HTTP at the gateway, on both databases, with a clock that stands."""
    made = make_world(engine, hierarchy, tmp_path / "mobile", *authority, fixed)
    yield made
    made.http.close()


@pytest.fixture
def live(
    hierarchy: hierarchy_support.Hierarchy,
    tmp_path: pathlib.Path,
    authority: tuple[RegistrationAuthority, str],
) -> Iterator[World]:
    """A real server on loopback, on SQLite, with the machine's clock."""
    engine = database.connect(f"sqlite:///{tmp_path}/live.sqlite")
    database.Base.metadata.create_all(engine)
    made = make_world(engine, hierarchy, tmp_path / "mobile", *authority, clock.SystemClock())
    with servers.serve(make_application(made)) as url:
        made.base_url = url
        yield made
    made.http.close()
    engine.dispose()


def mid_hash(data: bytes = b"contract") -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
