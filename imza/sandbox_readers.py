"""The sandbox's virtual readers and the cards in them: personalised ones, a blank one, and none."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable

from card_reader import personalise as personalisation
from card_reader import piv, piv_session, readers
from card_reader.virtual_card import reader_station
from imza import people
from pki import approved_applications, registration, registration_calls

READERS = 4
"""One for each person with a card, one with a blank card to personalise, one empty."""


@dataclasses.dataclass(frozen=True)
class Card:
    """A personalised card in its reader."""

    reader: str
    person: people.Person
    pin: str = dataclasses.field(repr=False)
    puk: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Readers:
    """What is in the virtual readers."""

    cards: tuple[Card, ...]
    blank_card_reader: str


def fill(
    slots: reader_station.ReaderStation,
    folder: pathlib.Path,
    registrar: registration_calls.RegistrationClient,
    now: Callable[[], datetime.datetime],
) -> Readers:
    """Put every holder's card into a reader, and a blank card into the next.

    Cards of an earlier start are put back as they were. A card whose personalisation was cut off
    is thrown away and made anew.

    Args:
        slots: At least one more than there are holders; they run.
        folder: Keeps the cards and their PIN letters.
        registrar: Where certificates come from.
        now: The time against which new certificates are checked.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    holders = [person for person in people.PEOPLE if person.has_card]
    cards = []
    for reader, person in zip(slots.reader_names, holders, strict=False):
        file = folder / f"{person.person_code}.json"
        letter = folder / f"{person.person_code}.letter.json"
        if not _put_back(slots, reader, file, letter):
            file.unlink(missing_ok=True)
            letter.unlink(missing_ok=True)
            reader_station.make_blank_card(file)
            slots.insert(reader, file)
            _issue(reader, person, letter, registrar, now())
        told = json.loads(letter.read_text(encoding="utf-8"))
        cards.append(Card(reader, person, told["pin"], told["puk"]))
    blank = folder / "blank.json"
    if not blank.exists():
        reader_station.make_blank_card(blank)
    empty = slots.reader_names[len(holders)]
    slots.insert(empty, blank)
    return Readers(tuple(cards), empty)


def _put_back(
    slots: reader_station.ReaderStation, reader: str, file: pathlib.Path, letter: pathlib.Path
) -> bool:
    """Insert a card of an earlier start; False, and no card in the reader, where none is ready."""
    if not file.exists() or not _is_written(letter):
        return False
    slots.insert(reader, file)
    with readers.Connection(reader) as connection:
        session = piv_session.PivSession(connection.transmit)
        try:
            # Personalising replaces this key last: who still knows it is not finished. (The
            # letter's key says less: a holder may have had the card personalised again.)
            session.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
        except piv_session.ManagementKeyError:
            return True
    slots.remove(reader)
    return False


def _is_written(letter: pathlib.Path) -> bool:
    """Whether the secrets are in a letter; it is empty from before the card has keys."""
    try:
        told = json.loads(letter.read_text(encoding="utf-8"))
        return bool(told["pin"] and told["puk"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _issue(
    reader: str,
    person: people.Person,
    letter: pathlib.Path,
    registrar: registration_calls.RegistrationClient,
    at: datetime.datetime,
) -> None:
    application = approved_applications.apply(
        registrar,
        registration.Category(person.role),
        person.vetted,
        person.vetting,
        organisation=person.organisation,
        title=person.title,
    )
    with readers.Connection(reader) as connection:
        done = personalisation.personalise(
            piv_session.PivSession(connection.transmit),
            registrar,
            application.id,
            at,
            person_code=person.person_code,
            letter=personalisation.PinLetter(letter),
        )
    done.pin.wipe()
    done.puk.wipe()
