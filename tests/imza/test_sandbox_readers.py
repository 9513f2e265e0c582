"""What is in the sandbox's readers, at its first start and after a start that was cut off."""

import datetime
import json
import pathlib
from collections.abc import Iterator

import pytest

from card_reader import pin as pins
from card_reader import piv_session, readers
from card_reader.virtual_card import reader_station
from imza import people, sandbox_readers
from pki import registration_calls
from tests.support import card_station
from tests.support import hierarchy as hierarchy_support

pytestmark = [pytest.mark.card, pytest.mark.xdist_group("pcscd")]

EMPTY_LETTER = '{"pin": "", "puk": ""}'


class Sandbox:
    """A folder of cards, and what fills the readers from it."""

    def __init__(
        self,
        slots: reader_station.ReaderStation,
        folder: pathlib.Path,
        registrar: registration_calls.RegistrationClient,
        at: datetime.datetime,
    ) -> None:
        self.slots, self.folder, self.registrar, self.at = slots, folder, registrar, at

    def start(self) -> sandbox_readers.Readers:
        """Fill the readers as a new start does: nothing is in them before."""
        for one in readers.list_readers():
            if one.card_present:
                self.slots.remove(one.name)
        return sandbox_readers.fill(self.slots, self.folder, self.registrar, lambda: self.at)


@pytest.fixture
def sandbox(hierarchy: hierarchy_support.Hierarchy, tmp_path: pathlib.Path) -> Iterator[Sandbox]:
    with (
        card_station.registration_client(card_station.SmallCA(hierarchy)) as registrar,
        card_station.running_station(sandbox_readers.READERS) as slots,
    ):
        yield Sandbox(slots, tmp_path / "cards", registrar, hierarchy.at)


def opens(card: sandbox_readers.Card) -> None:
    """The PIN that the sandbox tells is the one of the card in the reader."""
    with readers.Connection(card.reader) as connection, pins.Pin(card.pin) as pin:
        piv_session.PivSession(connection.transmit).verify(pin)


def test_every_holder_has_a_card_that_the_next_start_puts_back(sandbox: Sandbox) -> None:
    first = sandbox.start()
    assert [one.person for one in first.cards] == [one for one in people.PEOPLE if one.has_card]
    for card in first.cards:
        opens(card)
    assert card_station.present(first.blank_card_reader)
    assert sandbox.start() == first


@pytest.mark.parametrize(
    "content",
    [None, "{", *(pytest.param(one, marks=pytest.mark.slow) for one in ("", EMPTY_LETTER, "[]"))],
)
def test_a_card_is_made_again_where_its_letter_was_not_written(
    sandbox: Sandbox, content: str | None
) -> None:
    cut_off = sandbox.start().cards[0]
    letter = sandbox.folder / f"{cut_off.person.person_code}.letter.json"
    letter.unlink()
    if content is not None:
        letter.write_text(content)
    made = sandbox.start().cards[0]
    opens(made)
    assert made != cut_off


def test_a_card_is_made_again_where_only_its_letter_was_finished(sandbox: Sandbox) -> None:
    first = sandbox.start()
    cut_off, other = first.cards
    sandbox.slots.remove(cut_off.reader)
    file = sandbox.folder / f"{cut_off.person.person_code}.json"
    file.unlink()
    reader_station.make_blank_card(file)
    second = sandbox.start()
    assert second.cards[1] == other
    opens(second.cards[0])
    told = json.loads((sandbox.folder / f"{cut_off.person.person_code}.letter.json").read_text())
    assert told["pin"] == second.cards[0].pin
    assert second.cards[0] != cut_off
