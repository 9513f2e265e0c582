"""A counter where simulated SIMs are handed out and held: what `imza mobile` works with.

It reaches the gateway's database, the CA's registration API and the device API, and keeps SIMs
and simulated people in the folder of its settings file.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping

from sqlalchemy import orm

from mobile_id import addressee, results, subscribers
from mobile_id.simulation import enrolment, personas, phones, sim_applet
from pki import (
    approved_applications,
    certificates,
    clock,
    database,
    durable_files,
    errors,
    outbound,
    registration,
    registration_calls,
    settings,
)
from pki import vetting as vettings

FILE_NAME = "station.toml"


class NothingDeliveredError(errors.StateError):
    """Nothing was asked of the phone while it waited."""

    code = "nothing-delivered"


@dataclasses.dataclass(frozen=True)
class StationSettings:
    """The section `[station]` of the station's file.

    Attributes:
        database_url: The gateway's database.
        registration_url: The CA zone's base address.
        registration_credentials: A JSON file with `registration_client`, such as sandbox.json.
        device_url: Where the device API is mounted.
    """

    database_url: str = dataclasses.field(repr=False)
    registration_url: str
    registration_credentials: pathlib.Path
    device_url: str


@dataclasses.dataclass(frozen=True)
class Answered:
    """What the phone showed and what became of it."""

    result: results.Result
    relying_party: str
    text: str
    control_code: str
    documents: tuple[str, ...] = ()


def settings_path(folder: pathlib.Path | None, config: pathlib.Path | None) -> pathlib.Path:
    """Return the settings file that the options of a command name.

    Raises:
        InputError: Neither option was given.
    """
    if config is not None:
        return config
    if folder is not None:
        return folder / "mobile" / FILE_NAME
    raise errors.InputError("expected --dir or --config")


def write_settings(folder: pathlib.Path, station: StationSettings) -> pathlib.Path:
    """Write a station's file into `folder` (`DIR/mobile`), mode 0600."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # TOML's basic strings are JSON's, as far as addresses and paths go.
    lines = [
        f"{field.name} = {json.dumps(str(getattr(station, field.name)))}"
        for field in dataclasses.fields(station)
    ]
    path = folder / FILE_NAME
    durable_files.replace(path, "\n".join(["[station]", *lines, ""]).encode())
    return path


@contextlib.contextmanager
def open_station(path: pathlib.Path) -> Iterator["Station"]:
    """Open the station of a settings file.

    Raises:
        SettingsError: The file is missing or wrong.
    """
    read = settings.read_section(StationSettings, settings.read_file(path).get("station"))
    engine = database.connect(read.database_url)
    client = outbound.Client()
    try:
        yield Station(read, path.parent, database.session_factory(engine), client)
    finally:
        client.close()
        engine.dispose()


class Station:
    """What an officer, or somebody who plays a person with a phone, does there."""

    def __init__(
        self,
        config: StationSettings,
        folder: pathlib.Path,
        sessions: orm.sessionmaker[orm.Session],
        client: outbound.Client,
    ) -> None:
        """Keep the connections."""
        self._config = config
        self._folder = folder
        self._sessions = sessions
        self._client = client
        self._clock = clock.SystemClock()

    def person_file(self, phone_number: str) -> pathlib.Path:
        """Where a simulated person's PINs are."""
        return personas.person_path(self._folder, phone_number)

    def enrol(
        self,
        phone_number: str,
        given: Mapping[str, str | None],
        behaviour_name: str,
        *,
        application_id: str | None = None,
    ) -> enrolment.Enrolment:
        """Enrol whom the options of the command describe, or an approved application is for."""
        try:
            behaviour = personas.Behaviour(behaviour_name)
        except ValueError as error:
            known = ", ".join(one.value for one in personas.Behaviour)
            raise errors.InputError(f"expected a behaviour of {known}") from error
        with registration_calls.open_client(
            self._config.registration_url, self._config.registration_credentials
        ) as registrar:
            applicant: enrolment.Applicant | enrolment.ApprovedApplicant
            if application_id is None:
                applicant = _applicant(phone_number, given)
            else:
                applicant = enrolment.ApprovedApplicant(
                    approved_applications.find(registrar, application_id), phone_number
                )
            return enrolment.enrol_subscriber(
                self._sessions,
                registrar,
                self._folder,
                applicant,
                behaviour=behaviour,
                at=self._clock.now(),
            )

    def show(self, phone_number: str) -> dict[str, object]:
        """What is known of a subscriber."""
        addressee.check_phone_number(phone_number)
        with self._sessions() as session:
            row = subscribers.by_phone_number(session, phone_number)
            if row is None:
                raise subscribers.SubscriberNotFoundError("the phone number has no subscriber")
        shown: dict[str, object] = {
            "phone_number": row.phone_number,
            "country": row.country,
            "person_code": row.person_code,
            "state": row.state,
            "iccid": row.iccid,
        }
        for operation in results.Operation:
            facts = certificates.read(certificates.parse(row.certificate_der(operation)))
            shown[f"{operation.value}_certificate"] = {
                "serial_number": certificates.serial_text(facts.serial_number),
                "subject": facts.subject,
                "not_after": clock.time_text(facts.not_after),
            }
        path = personas.sim_path(self._folder, phone_number)
        if path.exists():
            applet = sim_applet.SimApplet(path)
            shown["tries_left"] = {one.value: applet.tries_left(one) for one in results.Operation}
        return shown

    def suspend(self, phone_number: str, *, end: bool) -> dict[str, object]:
        """Suspend a subscriber, or end that."""
        addressee.check_phone_number(phone_number)
        state = subscribers.SubscriberState.ACTIVE if end else subscribers.SubscriberState.SUSPENDED
        with self._sessions() as session:
            row = subscribers.set_state(session, phone_number, state)
            session.commit()
        return {"phone_number": row.phone_number, "state": row.state}

    def simulate(
        self, phone_number: str, code: str, wait_s: int, told: Callable[[list[str]], None]
    ) -> Answered:
        """Hold a phone for one request; confirm only when `code` is what the phone shows."""
        person = dataclasses.replace(
            personas.load_person(self._folder, phone_number), behaviour=personas.Behaviour.OK
        )
        device = phones.DeviceClient(self._client, self._config.device_url, person.device_secret)
        applet = sim_applet.SimApplet(personas.sim_path(self._folder, phone_number))
        delivery = device.fetch(wait_s)
        if delivery is None:
            raise NothingDeliveredError(f"nothing was asked of the phone in {wait_s} s")
        prompt = delivery.prompt
        told(
            [
                "The phone shows:",
                f"  {prompt.relying_party}",
                *(["  " + prompt.text] if prompt.text else []),
                *_listed(prompt.document_names),
                f"  control code {prompt.control_code}",
            ]
        )
        phone = phones.SimulatedPhone(applet, person, device)
        result = phone.answer(delivery, code_on_the_other_screen=code)
        if result is None:
            raise NothingDeliveredError("the simulated person never answers")
        return Answered(
            result,
            prompt.relying_party,
            prompt.text,
            prompt.control_code,
            prompt.document_names,
        )


def _listed(names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    numbered = [f"    {place}. {name}" for place, name in enumerate(names, start=1)]
    return [f"  {len(names)} documents, one PIN2:", *numbered]


def _applicant(phone_number: str, given: Mapping[str, str | None]) -> enrolment.Applicant:
    country = given["country"] or "AZ"
    organisation = None
    if given["organisation"] or given["organisation_code"]:
        organisation = registration.Organisation(
            country, given["organisation_code"] or "", given["organisation"] or ""
        )
    return enrolment.Applicant(
        registration.Person(
            country,
            given["person_code"] or "",
            given["surname"] or "",
            given["given_name"] or "",
        ),
        phone_number,
        vettings.Vetting((vettings.Document.parse(given["document"] or ""),)),
        registration.Category(given["category"] or "citizen"),
        organisation,
        given["title"],
    )
