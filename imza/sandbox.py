"""A whole throw-away world in one process: every zone, simulated phones, a virtual card reader.

It is made of the parts that a real installation has, each behind its own protocol; only the card
and the SIM are software. Starting again on the same folder continues the same world.
"""

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import pathlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.x509.oid import NameOID

from card_reader import module_card
from card_reader.virtual_card import reader_station
from imza import config as configs
from imza import (
    health,
    http_server,
    installation,
    people,
    sandbox_operators,
    sandbox_readers,
    sandbox_register,
    sandbox_seals,
    schema,
    tls_certificate,
    worker,
)
from imza.wiring import founding, resources, zones
from imza.wiring.zone import ZONES, Zone
from mobile_id import subscribers
from mobile_id.simulation import enrolment, personas, phones, station
from pki import (
    access,
    clock,
    database,
    durable_files,
    errors,
    outbound,
    profiles,
    registration,
    registration_answers,
    registration_calls,
    web,
)
from pki.keystore import settings as keystore_settings

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

STOP_LIMIT_S = 1
"""The simulated phones' long polls are always under way; nobody needs to wait for them."""


class WorldElsewhereError(errors.StateError):
    """The folder's world has other ports: its certificates carry the address."""

    code = "sandbox-other-port"


class WorldRunsError(errors.StateError):
    """Another process runs this folder's world."""

    code = "sandbox-runs-already"


class ForeignFolderError(errors.InputError):
    """The folder holds something that is no sandbox."""

    code = "not-a-sandbox"


@dataclasses.dataclass(frozen=True)
class Ports:
    """Where the world listens."""

    plain: int
    tls: int

    @property
    def base_url(self) -> str:
        """The plain address, which stands in certificates."""
        return f"http://{LOOPBACK}:{self.plain}"

    @property
    def tls_base_url(self) -> str:
        """The same with TLS."""
        return f"https://localhost:{self.tls}"


class Sandbox:
    """The world of one folder; use it in a `with` block."""

    def __init__(
        self,
        folder: pathlib.Path,
        ports: Ports,
        tell: Callable[[str], None],
        *,
        database_url: str | None = None,
        token: keystore_settings.Settings | None = None,
    ) -> None:
        """Name the folder and the ports; 0 takes a free one.

        Args:
            folder: DIR.
            ports: Asked for; a world that exists keeps its own.
            tell: Called with a line for people, as things happen.
            database_url: One database for all zones instead of SQLite files.
            token: A PKCS#11 token for the authorities' keys instead of encrypted files.
        """
        self._world = installation.Installation(folder, registers=True)
        self._asked = ports
        self._tell = tell
        self._database_url = database_url
        self._token = token
        self._present = clock.SystemClock()
        self._running = contextlib.ExitStack()

    @property
    def description_path(self) -> pathlib.Path:
        """Where `sandbox.json` is."""
        return self._world.folder / "sandbox.json"

    def __enter__(self) -> Self:
        """Start everything; when this returns, everything answers."""
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything, the last started first; `sandbox.json` stays for whoever reads it."""
        self._running.close()

    def _start(self) -> None:
        self._enter_folder()
        ports, plain, tls = self._listen()
        self._world.lay_out(
            installation.Addresses.together(ports.base_url, ports.tls_base_url),
            database_url=self._database_url,
            token=self._token,
        )
        opened = self._running.enter_context(contextlib.closing(resources.Resources(self._present)))
        built, tokens, operators = self._build_zones(opened, ports)
        tls_ca = self._world.folder / "tls-ca.pem"
        probes = {f"{zone.name}-{name}": one for zone in built for name, one in zone.probes.items()}
        notes = {name: one for zone in built for name, one in zone.notes.items()}
        app = web.application(
            "imza sandbox",
            [
                *(router for zone in built for router in zone.routers),
                web.token_routes(tokens, self._present),
            ],
            {path: one for zone in built for path, one in zone.endpoints.items()}
            | dict(health.endpoints(probes, notes))
            | dict(opened.metrics.endpoints()),
        )
        server = http_server.HttpServer(
            app,
            plain,
            tls=tls,
            tls_files=tls_certificate.make(
                self._world.folder / "secrets" / "tls", tls_ca, self._present.now()
            ),
            stop_limit_s=STOP_LIMIT_S,
        )
        self._running.callback(server.stop)
        server.start()
        duties = worker.Worker([job for zone in built for job in zone.jobs], self._present)
        self._running.callback(duties.stop)
        duties.start()
        self._tell(f"Serving at {ports.base_url} and {ports.tls_base_url}")
        for name, note in notes.items():
            self._tell(f"  {name}: {note}")
        client = self._running.enter_context(contextlib.closing(outbound.Client(timeout_s=30.0)))
        # Each call by the operator it is for: nobody approves what they have handed in.
        registrar = self._running.enter_context(
            registration_calls.open_client(
                None, self._world.operators_folder / sandbox_operators.FILE_NAME
            )
        )
        self._enrol_phones(client, registrar, ports)
        shared = self._share_secret(registrar)
        self._certify_seal(opened, registrar)
        self._describe(ports, tls_ca, self._start_readers(registrar), shared, operators)

    def _enter_folder(self) -> None:
        """Take the folder for this process alone, and remove what says that a world is ready."""
        folder = self._world.folder
        if folder.exists() and any(folder.iterdir()) and not (folder / "world.json").exists():
            known = {"imza.log", ".lock"}
            if any(one.name not in known for one in folder.iterdir()):
                raise ForeignFolderError(
                    f"expected an empty folder or a sandbox's, but {folder} holds something else"
                )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # It may be older, and secrets come into it.
        lock = self._running.enter_context((folder / ".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WorldRunsError(
                f"another process runs the sandbox in {folder}: stop it, or choose another folder"
            ) from error
        self.description_path.unlink(missing_ok=True)

    def _listen(self) -> tuple[Ports, Any, Any]:
        """Bind the ports: those of the world in the folder, or those asked for."""
        path = self._world.folder / "world.json"
        asked = self._asked
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            known = Ports(kept["port"], kept["tls_port"])
            for name, wanted, had in (
                ("--port", asked.plain, known.plain),
                ("--tls-port", asked.tls, known.tls),
            ):
                if wanted not in (0, had):
                    raise WorldElsewhereError(
                        f"expected {name} {had}, got {wanted}: this world's certificates carry"
                        " its address; choose another folder for another port"
                    )
            asked = known
        plain = http_server.listen(LOOPBACK, asked.plain)
        self._running.callback(plain.close)
        tls = http_server.listen(LOOPBACK, asked.tls)
        self._running.callback(tls.close)
        ports = Ports(plain.getsockname()[1], tls.getsockname()[1])
        path.write_text(json.dumps({"port": ports.plain, "tls_port": ports.tls}), encoding="utf-8")
        return ports, plain, tls

    def _build_zones(
        self, opened: resources.Resources, ports: Ports
    ) -> tuple[list[Zone], access.AccessTokens, tuple[sandbox_operators.Described, ...]]:
        settings = {zone: configs.read(self._world.config_path(zone)) for zone in ZONES}
        for zone, config in settings.items():
            if zone not in ("ca", "ocsp"):
                engine = database.connect(configs.require(config.database, "database").url)
                schema.upgrade(engine)
                engine.dispose()
        made = founding.initialise(opened, settings["ca"])
        installation.write_certificates(made, self._world.folder)
        for issuer in made.issuers:
            self._tell(f"CA {issuer.name}: {_common_name(issuer.certificate)}")
        sandbox_register.fill(
            opened.sessions(settings["ca"]), self._world.folder / "register", self._present
        )
        operators = sandbox_operators.enrol(
            opened, settings["ca"], self._world.operators_folder, ports.base_url
        )
        # One /oauth2/token serves all zones here, so they share what knows its tokens.
        tokens = zones.access_tokens(opened, settings["signing"])
        built = [zones.build(opened, zone, config, tokens) for zone, config in settings.items()]
        return built, tokens, operators

    def _enrol_phones(
        self,
        client: outbound.Client,
        registrar: registration_calls.RegistrationClient,
        ports: Ports,
    ) -> None:
        folder = self._world.mobile_folder
        mobile = configs.read(self._world.config_path("mobile"))
        url = configs.require(mobile.database, "database").url
        engine = database.connect(url)
        self._running.callback(engine.dispose)
        sessions = database.session_factory(engine)
        numbers = []
        for person in people.PEOPLE:
            behaviour = personas.Behaviour(person.behaviour)
            if person.phone_number is None or not behaviour.has_sim:
                continue
            numbers.append(person.phone_number)
            # A person of an earlier start is enrolled already; one whose enrolment was cut off
            # has no subscriber yet and is enrolled anew.
            with contextlib.suppress(subscribers.SubscriberExistsError):
                enrolment.enrol_subscriber(
                    sessions,
                    registrar,
                    folder,
                    _phone_applicant(person, person.phone_number),
                    behaviour=behaviour,
                    at=self._present.now(),
                )
        station.write_settings(
            folder,
            station.StationSettings(
                database_url=url,
                registration_url=ports.base_url,
                registration_credentials=self.description_path,
                device_url=f"{ports.base_url}/mobile-device",
            ),
        )
        handsets = phones.SimulatedPhones(client, f"{ports.base_url}/mobile-device", folder)
        self._running.callback(handsets.switch_off)
        switched_on = handsets.switch_on(numbers)
        self._tell(f"Phones: {len(numbers)} subscribers, {switched_on} answer by themselves")

    def _start_readers(
        self, registrar: registration_calls.RegistrationClient
    ) -> sandbox_readers.Readers | None:
        """Start the virtual readers and put cards in; None where the machine refuses them."""
        slots = reader_station.ReaderStation(
            self._world.folder, reader_count=sandbox_readers.READERS
        )
        try:
            slots.start()
        except errors.DeviceError as error:
            self._tell(f"No card reader: {error.message}")
            return None
        self._running.callback(slots.stop)
        os.environ["PCSCLITE_CSOCK_NAME"] = str(slots.socket_path)
        filled = sandbox_readers.fill(slots, self._world.cards_folder, registrar, self._present.now)
        count = len(filled.cards)
        self._tell(
            f"Card readers: {len(slots.reader_names)}, {count} personalised cards and a blank one"
        )
        return filled

    def _share_secret(
        self, registrar: registration_calls.RegistrationClient
    ) -> registration_answers.EnrolmentReference:
        """Register a person who enrols over CMP; the world keeps what they enrol with."""
        kept = self._world.enrolment_file
        if kept.exists():
            return registration_answers.EnrolmentReference(
                **json.loads(kept.read_text(encoding="utf-8"))
            )
        citizen = registration.Category.CITIZEN
        application = registrar.apply(citizen, people.CITIZEN.vetted, people.CITIZEN.vetting)
        shared = registrar.share_secret(application.id, profiles.AUTHENTICATE.name, reusable=True)
        durable_files.replace(kept, json.dumps(dataclasses.asdict(shared)).encode())
        return shared

    def _certify_seal(
        self, opened: resources.Resources, registrar: registration_calls.RegistrationClient
    ) -> None:
        keys = opened.keys(configs.read(self._world.config_path("signing")).keystore, "keystore")
        target = self._world.seal_certificate
        sandbox_seals.certify(keys, installation.SEAL_KEY, target, registrar)
        self._tell(f"Seal {installation.SEAL}: {sandbox_seals.ORGANISATION.name}")

    def _describe(
        self,
        ports: Ports,
        tls_ca: pathlib.Path,
        slots: sandbox_readers.Readers | None,
        shared: registration_answers.EnrolmentReference,
        operators: tuple[sandbox_operators.Described, ...],
    ) -> None:
        """Write `sandbox.json`, whole or not at all."""
        world = self._world
        description = {
            "base_url": ports.base_url,
            "tls_base_url": ports.tls_base_url,
            "tls_ca_pem": str(tls_ca),
            "trust_anchors_pem": str(world.trust_anchors),
            "trusted_list": f"{ports.base_url}/tl/{installation.COUNTRY.lower()}.xml",
            "trusted_list_signer_pem": str(world.list_signer),
            "api_client": dataclasses.asdict(world.api_client),
            "registration_client": None,
            "mobile_id": {
                "api_root": f"{ports.tls_base_url}/mid-api",
                "relying_party_name": installation.PORTAL_RELYING_PARTY,
                "relying_party_uuid": world.relying_party_uuid(installation.PORTAL_RELYING_PARTY),
            },
            "csc": None,
            "people": [
                {
                    "name": one.name,
                    "person_code": one.person_code,
                    "country": one.country,
                    "phone_number": one.phone_number,
                    "behaviour": one.behaviour,
                    "roles": [one.role],
                }
                for one in people.PEOPLE
            ],
            "cards": [
                {
                    "reader": one.reader,
                    "person_code": one.person.person_code,
                    "pin1": one.pin,
                    "pin2": None,
                    "puk": one.puk,
                }
                for one in (slots.cards if slots else ())
            ],
            "seals": [
                {
                    "name": installation.SEAL,
                    "organisation": sandbox_seals.ORGANISATION.name,
                    "organisation_code": sandbox_seals.ORGANISATION.code,
                }
            ],
            "handset": None,
            "cmp": {
                "url": f"{ports.base_url}/cmp",
                "reference": shared.reference,
                "secret": shared.secret,
            },
            "operators": [dataclasses.asdict(one) for one in operators],
            "pcscd": (
                None if slots is None else {"socket": str(world.folder / "pcscd" / "pcscd.comm")}
            ),
            "pkcs11_module": None if slots is None else str(module_card.find_module()),
            "blank_card_reader": slots.blank_card_reader if slots else None,
        }
        content = json.dumps(description, ensure_ascii=False, indent=2)
        durable_files.replace(self.description_path, content.encode())


def _phone_applicant(person: people.Person, phone_number: str) -> enrolment.Applicant:
    return enrolment.Applicant(
        person.vetted,
        phone_number,
        person.vetting,
        registration.Category(person.role),
        person.organisation,
        person.title,
    )


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value)
