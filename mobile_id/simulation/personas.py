"""Simulated people: how each answers, and what they know."""

import dataclasses
import enum
import json
import pathlib

from mobile_id import results
from mobile_id.simulation.pin import Pin
from pki import durable_files, errors


class Behaviour(enum.Enum):
    """How a simulated person answers; named by the result that follows."""

    OK = "OK"
    USER_CANCELLED = "USER_CANCELLED"
    TIMEOUT = "TIMEOUT"
    NOT_MID_CLIENT = "NOT_MID_CLIENT"
    SIGNATURE_HASH_MISMATCH = "SIGNATURE_HASH_MISMATCH"
    PHONE_ABSENT = "PHONE_ABSENT"
    DELIVERY_ERROR = "DELIVERY_ERROR"
    SIM_ERROR = "SIM_ERROR"
    MANUAL = "MANUAL"

    @property
    def has_sim(self) -> bool:
        """Whether the person is a subscriber at all."""
        return self is not Behaviour.NOT_MID_CLIENT

    @property
    def is_automatic(self) -> bool:
        """Whether a phone answers by itself."""
        return self.has_sim and self is not Behaviour.MANUAL


class PersonFileError(errors.NotFoundError):
    """There is no simulated person with this phone."""

    code = "simulated-person-not-found"


@dataclasses.dataclass(frozen=True)
class SimulatedPerson:
    """What a simulated person knows and has: PINs, PUK, and the secret in their phone."""

    phone_number: str = dataclasses.field(repr=False)
    behaviour: Behaviour
    pin1: Pin
    pin2: Pin
    puk: Pin
    device_secret: str = dataclasses.field(repr=False)

    def pin(self, operation: results.Operation) -> Pin:
        """The PIN of an operation."""
        return self.pin1 if operation is results.Operation.AUTHENTICATION else self.pin2


def sim_path(folder: pathlib.Path, phone_number: str) -> pathlib.Path:
    """Where the SIM of a phone number keeps its state."""
    return folder / "sims" / f"{phone_number.removeprefix('+')}.json"


def person_path(folder: pathlib.Path, phone_number: str) -> pathlib.Path:
    """Where a simulated person's knowledge is kept."""
    return folder / "people" / f"{phone_number.removeprefix('+')}.json"


def save_person(folder: pathlib.Path, person: SimulatedPerson) -> None:
    """Keep what a simulated person knows, for their own phone alone (mode 0600)."""
    path = person_path(folder, person.phone_number)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = json.dumps(
        {
            "phone_number": person.phone_number,
            "behaviour": person.behaviour.value,
            "pin1": person.pin1.reveal(),
            "pin2": person.pin2.reveal(),
            "puk": person.puk.reveal(),
            "device_secret": person.device_secret,
        }
    )
    durable_files.replace(path, content.encode())


def load_person(folder: pathlib.Path, phone_number: str) -> SimulatedPerson:
    """Load what a simulated person knows.

    Raises:
        PersonFileError: There is none with this phone.
    """
    try:
        fields = json.loads(person_path(folder, phone_number).read_text(encoding="utf-8"))
        return SimulatedPerson(
            phone_number=fields["phone_number"],
            behaviour=Behaviour(fields["behaviour"]),
            pin1=Pin(fields["pin1"]),
            pin2=Pin(fields["pin2"]),
            puk=Pin(fields["puk"]),
            device_secret=fields["device_secret"],
        )
    except (OSError, ValueError, KeyError, TypeError, errors.InputError) as error:
        raise PersonFileError("there is no simulated person with this phone") from error
