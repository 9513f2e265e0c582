"""The two ways to speak to a card, through pcscd: what one does, the other must do."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from card_reader import (
    apdu,
    module_card,
    pcsc_card,
    piv,
    piv_session,
    readers,
    signing_card,
    tlv,
)
from card_reader import pin as card_pin
from card_reader.virtual_card import card_file, reader_station, wire
from pki import algorithms, errors, signature
from tests.support import card_station

pytestmark = pytest.mark.card

Station = reader_station.ReaderStation
OpenCard = Callable[[str], signing_card.SigningCard]

SIGN, AUTHENTICATE = signing_card.Purpose.SIGN, signing_card.Purpose.AUTHENTICATE


DRIVERS = ("pcsc", "module")


@pytest.fixture(params=DRIVERS)
def open_card(request: pytest.FixtureRequest) -> OpenCard:
    if request.param == "pcsc":
        return pcsc_card.PcscCard
    return module_card.ModuleCard


@pytest.fixture
def reader(station: Station, card: card_station.TestCard) -> str:
    """The first reader, with the test's card in it."""
    name = station.reader_names[0]
    station.insert(name, card.path)
    return name


def representation(
    kind: algorithms.HashAlgorithm = algorithms.HashAlgorithm.SHA256,
) -> signature.DataToBeSignedRepresentation:
    return signature.represent(secrets.token_bytes(40), kind)


def test_a_signature_verifies_with_the_certificate_in_the_card(
    open_card: OpenCard, reader: str, card: card_station.TestCard
) -> None:
    opened = open_card(reader)
    for purpose, expected in ((SIGN, card.sign), (AUTHENTICATE, card.authenticate)):
        certificate = opened.certificate(purpose)
        assert certificate == expected
        for kind in algorithms.HashAlgorithm:
            to_sign = representation(kind)
            value = opened.sign(to_sign, card.new_pin(), purpose)
            signature.check_value(certificate.public_key(), to_sign, value)
            assert len(value.value) == 64


def test_a_wrong_pin_tells_the_tries_left_and_the_last_blocks(
    open_card: OpenCard, reader: str, card: card_station.TestCard
) -> None:
    opened = open_card(reader)
    wrong = "111111" if card.pin != "111111" else "222222"
    assert opened.tries_left() == 3
    for left in (2, 1):
        with pytest.raises(card_pin.WrongPinError) as refused:
            opened.sign(representation(), card_pin.Pin(wrong))
        assert refused.value.tries_left == opened.tries_left() == left
        assert refused.value.code == "wrong-pin"
    with pytest.raises(card_pin.PinBlockedError):
        opened.sign(representation(), card_pin.Pin(wrong))
    with pytest.raises(card_pin.PinBlockedError) as blocked:
        opened.sign(representation(), card.new_pin())
    assert blocked.value.code == "pin-blocked"
    assert opened.tries_left() == 0


def test_after_a_wrong_pin_the_right_one_signs(
    open_card: OpenCard, reader: str, card: card_station.TestCard
) -> None:
    opened = open_card(reader)
    with pytest.raises(card_pin.WrongPinError):
        opened.sign(representation(), card_pin.Pin("111111" if card.pin[0] != "1" else "222222"))
    opened.sign(representation(), card.new_pin())
    assert opened.tries_left() == 3


def test_no_pin_stays_verified_for_the_next_program(
    open_card: OpenCard, reader: str, card: card_station.TestCard
) -> None:
    open_card(reader).sign(representation(), card.new_pin(), AUTHENTICATE)
    with readers.Connection(reader) as connection:
        session = piv_session.PivSession(connection.transmit)
        assert session.tries_left() == 3
        with pytest.raises(piv_session.CardAnswerError, match="6982"):
            session.sign(piv.KeySlot.AUTHENTICATION, bytes(32))


def test_a_card_taken_out_before_the_pin_is_no_card(
    open_card: OpenCard, station: Station, reader: str, card: card_station.TestCard
) -> None:
    opened = open_card(reader)
    opened.certificate()
    station.remove(reader)
    with pytest.raises(readers.NoCardError) as refused:
        opened.sign(representation(), card.new_pin())
    assert refused.value.code == "no-card"
    station.insert(reader, card.path)
    opened.sign(representation(), card.new_pin())


@pytest.mark.parametrize(
    "pull",
    [
        pytest.param(wire.Pull(apdu.Instruction.SELECT, answered=False), id="while-looked-at"),
        pytest.param(wire.Pull(apdu.Instruction.SELECT, answered=True), id="after-it-was-known"),
        pytest.param(wire.Pull(apdu.Instruction.GET_DATA, answered=False), id="while-it-is-read"),
        pytest.param(wire.Pull(apdu.Instruction.GET_DATA, answered=True), id="after-it-was-read"),
        pytest.param(wire.Pull(apdu.Instruction.VERIFY, answered=False), id="in-the-pin"),
        pytest.param(wire.Pull(apdu.Instruction.VERIFY, answered=True), id="after-the-pin"),
        pytest.param(
            wire.Pull(apdu.Instruction.GENERAL_AUTHENTICATE, answered=False), id="while-it-signs"
        ),
    ],
)
def test_a_card_pulled_out_in_the_middle_can_be_put_back(
    open_card: OpenCard,
    station: Station,
    reader: str,
    card: card_station.TestCard,
    pull: wire.Pull,
) -> None:
    opened = open_card(reader)
    station.pull_at(reader, pull)
    with pytest.raises(readers.CardRemovedError) as refused:
        opened.sign(representation(), card.new_pin())
    assert refused.value.code == "card-removed"
    assert refused.value.retriable
    station.insert(reader, card.path)
    opened.sign(representation(), card.new_pin())
    assert opened.tries_left() == 3


@pytest.mark.slow
@pytest.mark.parametrize("put_back", [False, True], ids=["stays out", "put back at once"])
@pytest.mark.parametrize(
    ("driver", "step"), [(pcsc_card.PcscCard, 1), (module_card.ModuleCard, 5)], ids=DRIVERS
)
def test_a_card_pulled_out_at_any_command_was_taken_out_and_nothing_else(
    driver: OpenCard,
    step: int,
    put_back: bool,
    station: Station,
    reader: str,
    card: card_station.TestCard,
) -> None:
    """A driver that loses its card midway finds it unknown, empty, silent or busy."""
    opened = driver(reader)
    told: list[str] = []
    for passing in itertools.count(step=step):
        pull = wire.Pull(None, answered=bool(len(told) % 2), passing=passing)
        station.pull_at(reader, pull)
        with back_when_gone(station, reader, card) if put_back else contextlib.nullcontext():
            try:
                opened.certificate()
                opened.sign(representation(), card.new_pin())
                break
            except errors.ImzaError as error:
                told.append(error.code)
        # Whatever was under way, the card has counted no wrong PIN and signs again.
        station.insert(reader, card.path)
    assert len(told) >= 8
    assert set(told) <= {"card-removed", "no-card"}
    assert told[0] == "card-removed"
    station.insert(reader, card.path)
    assert opened.tries_left() == 3
    opened.sign(representation(), card.new_pin())


@contextlib.contextmanager
def back_when_gone(station: Station, reader: str, card: card_station.TestCard) -> Iterator[None]:
    """Put the card back as soon as it is seen to be gone, be the call over or not."""
    over = threading.Event()

    def put_back() -> None:
        while card_station.present(reader) and not over.is_set():
            time.sleep(0.005)
        if not over.is_set():
            station.insert(reader, card.path)

    hand = threading.Thread(target=put_back, name="hand")
    hand.start()
    try:
        yield
    finally:
        over.set()
        hand.join()


def test_another_kind_of_card_is_unknown(
    open_card: OpenCard, station: Station, tmp_path: pathlib.Path
) -> None:
    name = station.reader_names[1]
    other = card_file.CardFile.create(tmp_path / "bank.json", card_file.OTHER_APPLET)
    station.insert(name, other.path)
    with pytest.raises(errors.DeviceError) as refused:
        open_card(name).certificate()
    assert refused.value.code == "unknown-card"
    station.remove(name)


def test_a_blank_card_is_not_personalised(
    open_card: OpenCard, station: Station, tmp_path: pathlib.Path
) -> None:
    name = station.reader_names[1]
    reader_station.make_blank_card(tmp_path / "blank.json")
    station.insert(name, tmp_path / "blank.json")
    with pytest.raises(signing_card.CertificateMissingError) as refused:
        open_card(name).certificate()
    assert refused.value.code == "card-not-personalised"
    station.remove(name)


def test_a_card_with_another_keys_certificate_gives_no_value(
    open_card: OpenCard,
    station: Station,
    master_card: card_station.TestCard,
    small_ca: card_station.SmallCA,
    tmp_path: pathlib.Path,
) -> None:
    """The certificate of one card on another: the value verifies with neither."""
    mine = card_file.CardFile.load(card_station.copy_card(master_card, tmp_path / "c.json").path)
    foreign = small_ca.hierarchy.signer().der
    content = tlv.build(0x70, foreign)
    objects = {**mine.state.objects, piv.KeySlot.SIGNATURE.certificate_object: content}
    mine.store(dataclasses.replace(mine.state, objects=objects))
    name = station.reader_names[1]
    station.insert(name, mine.path)
    with pytest.raises(signing_card.WrongSignatureError):
        open_card(name).sign(representation(), master_card.new_pin())
    station.remove(name)


def test_an_unknown_reader_is_no_reader(open_card: OpenCard, station: Station) -> None:
    with pytest.raises(readers.NoReaderError) as refused:
        open_card("TEST reader that is not there").certificate()
    assert refused.value.code == "no-reader"


def test_a_killed_service_is_told_and_found_again(
    open_card: OpenCard, station: Station, reader: str, card: card_station.TestCard
) -> None:
    opened = open_card(reader)
    opened.sign(representation(), card.new_pin())
    os.kill(station.service_pid, signal.SIGKILL)
    with pytest.raises(readers.ReaderServiceDownError) as refused:
        opened.sign(representation(), card.new_pin())
    assert refused.value.code == "reader-service-down"
    station.stop()
    station.start()
    station.insert(reader, card.path)
    opened.sign(representation(), card.new_pin())


def test_two_cards_are_told_apart_by_their_readers(
    open_card: OpenCard,
    station: Station,
    reader: str,
    card: card_station.TestCard,
    tmp_path: pathlib.Path,
    small_ca: card_station.SmallCA,
) -> None:
    second = card_station.make_card(tmp_path / "second.json", small_ca)
    station.insert(station.reader_names[1], second.path)
    assert open_card(reader).certificate() == card.sign
    assert open_card(station.reader_names[1]).certificate() == second.sign
    station.remove(station.reader_names[1])


def test_a_missing_module_is_told(reader: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(module_card.ModuleMissingError) as refused:
        module_card.ModuleCard(reader, tmp_path / "none.so").certificate()
    assert refused.value.code == "card-module-missing"


def test_the_first_card_is_opened_through_opensc(reader: str, card: card_station.TestCard) -> None:
    opened = signing_card.open_card()
    assert isinstance(opened, module_card.ModuleCard)
    assert opened.reader == reader
    assert opened.certificate() == card.sign


def test_no_error_tells_the_pin(
    open_card: OpenCard, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    digits = "".join(secrets.choice("0123456789") for _ in range(8))
    with pytest.raises(errors.ImzaError) as refused:
        open_card(reader).sign(representation(), card_pin.Pin(digits))
    error: BaseException | None = refused.value
    while error is not None:
        assert digits not in f"{error!r} {error.args}"
        error = error.__cause__ or error.__context__
    assert digits not in caplog.text
