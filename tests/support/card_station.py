"""Virtual cards for tests: personalised by a small CA in memory, behind APDUs or behind pcscd."""

import atexit
import base64
import contextlib
import dataclasses
import datetime
import functools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import fastapi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from card_reader import personalise, piv_session, readers
from card_reader import pin as card_pin
from card_reader.virtual_card import applet, card_file, reader_station
from pki import algorithms, approved_applications, errors, registration, registration_calls
from pki import vetting as vettings
from tests.support import hierarchy as hierarchy_support
from tests.support import operators, servers

PERSON = registration.Person("AZ", "5AB12CD", "Əliyeva TEST", "Günay TEST")
VETTING = vettings.Vetting(
    (vettings.Document(vettings.DocumentKind.PASSPORT, "AZ", "TEST 1", datetime.date(2035, 1, 31)),)
)


def require(reason: str) -> None:
    """Skip on a laptop, fail in CI: a missing peer must not hide there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def require_programs() -> None:
    """Go on only where pcscd, OpenSC and openssl are installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    for program, package in (
        ("pcscd", "pcscd"),
        ("pkcs11-tool", "opensc"),
        ("openssl", "openssl"),
    ):
        if shutil.which(program, path=path) is None:
            require(f"{program} is not installed: apt install {package}")


@dataclasses.dataclass
class SmallCA:
    """Answers the three calls of `/ra/v1` that personalisation makes."""

    hierarchy: hierarchy_support.Hierarchy
    certify_other_key: bool = False
    applications: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def application(self) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.post("/ra/v1/applications", status_code=201)
        def apply(body: dict[str, Any]) -> dict[str, str]:
            self.applications.append(body)
            return {"id": "a1", "state": "awaiting_approval", "request_hash": "00"}

        @app.post("/ra/v1/applications/a1/approval")
        def approve(body: dict[str, object]) -> dict[str, str]:
            return {"id": "a1", "state": "approved", "request_hash": "00"}

        @app.post("/ra/v1/applications/a1/certificates", status_code=201)
        def certify(body: dict[str, str]) -> dict[str, object]:
            return self._certify(body)

        return app

    def applicant(self) -> registration.Person:
        """Who applied last; the person of most tests where nobody did."""
        if not self.applications:
            return PERSON
        return registration.Person(**self.applications[-1]["person"])

    def _certify(self, body: dict[str, str]) -> dict[str, object]:
        request = x509.load_der_x509_csr(base64.b64decode(body["csr"], validate=True))
        assert request.is_signature_valid
        key = request.public_key()
        if self.certify_other_key:
            key = hierarchy_support.make_key(algorithms.KeyKind.P256).public_key()
        issuing, at = self.hierarchy.issuing, self.hierarchy.at
        signs = body["profile"] == "sign"
        person = self.applicant()
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, person.country),
                x509.NameAttribute(NameOID.SURNAME, person.surname),
                x509.NameAttribute(NameOID.GIVEN_NAME, person.given_name),
                x509.NameAttribute(
                    NameOID.SERIAL_NUMBER, f"PNO{person.country}-{person.person_code}"
                ),
                x509.NameAttribute(NameOID.COMMON_NAME, "Əliyeva TEST Günay TEST"),
            ]
        )
        usage = dict.fromkeys(
            (
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuing.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - datetime.timedelta(hours=1))
            .not_valid_after(at + datetime.timedelta(days=3 * 365))
            .add_extension(
                x509.KeyUsage(digital_signature=not signs, content_commitment=signs, **usage),
                critical=True,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    issuing.certificate.public_key()  # type: ignore[arg-type]
                ),
                critical=False,
            )
            .sign(issuing.key, hashes.SHA384())
        )
        encoded = [
            base64.b64encode(one.public_bytes(serialization.Encoding.DER))
            for one in (certificate, issuing.certificate, self.hierarchy.root.certificate)
        ]
        return {
            "serial_number": f"{certificate.serial_number:x}",
            "certificate": encoded[0].decode(),
            "chain": [one.decode() for one in encoded[1:]],
        }


@contextlib.contextmanager
def registration_client(ca: SmallCA) -> Iterator[registration_calls.RegistrationClient]:
    """A client of a small CA that really listens on loopback."""
    with servers.serve(ca.application()) as base_url, operators.registrar(base_url) as client:
        yield client


@dataclasses.dataclass(frozen=True)
class TestCard:
    """A personalised card's file and the secrets that its holder was told."""

    __test__ = False

    path: pathlib.Path
    pin: str
    puk: str
    sign: x509.Certificate
    authenticate: x509.Certificate

    def new_pin(self) -> card_pin.Pin:
        return card_pin.Pin(self.pin)


def make_card(path: pathlib.Path, ca: SmallCA) -> TestCard:
    """Personalise a card by APDUs straight into the applet, without pcscd."""
    card = card_file.CardFile.create(path)
    session = piv_session.PivSession(applet.PivApplet(card).answer)
    with registration_client(ca) as client:
        done = personalise.personalise(
            session,
            client,
            approved_applications.apply(client, registration.Category.CITIZEN, PERSON, VETTING).id,
            ca.hierarchy.at,
            person_code=PERSON.person_code,
        )
    pin, puk = done.pin.reveal().decode(), done.puk.reveal().decode()
    return TestCard(path, pin, puk, done.sign, done.authenticate)


def copy_card(card: TestCard, path: pathlib.Path) -> TestCard:
    """The same card again, so that one test's wrong PINs do not count in another."""
    shutil.copyfile(card.path, path)
    return dataclasses.replace(card, path=path)


@functools.cache
def station_folder() -> pathlib.Path:
    """One short path for the whole process: libpcsclite reads PCSCLITE_CSOCK_NAME only once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imza-card-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def running_station(reader_count: int = 2) -> Iterator[reader_station.ReaderStation]:
    """Virtual readers; PCSCLITE_CSOCK_NAME names them while this runs."""
    require_programs()
    station = reader_station.ReaderStation(station_folder(), reader_count=reader_count)
    try:
        station.start()
    except errors.DeviceError as error:
        require(error.message)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(station.socket_path)
    try:
        yield station
    finally:
        station.stop()
        del os.environ["PCSCLITE_CSOCK_NAME"]


def present(reader: str) -> bool:
    """Whether a card is in a reader, as PC/SC tells it."""
    return any(one.card_present for one in readers.list_readers() if one.name == reader)
