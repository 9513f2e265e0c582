import json
import os
import pathlib
import stat
import tempfile

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import HealthCheck, given, settings, stateful
from hypothesis import strategies as st

from card_reader import apdu, piv, piv_session, tlv
from card_reader import pin as card_pin
from card_reader.virtual_card import applet, card_file
from pki import errors

DIGEST = bytes(range(32))
SIGN_TEMPLATE = tlv.build(0x7C, tlv.build(0x82, b"") + tlv.build(0x81, DIGEST))
KEEP_TMP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def command(ins: int, p1: int, p2: int, data: bytes = b"", expected: int = 256) -> bytes:
    return apdu.Command(ins, p1, p2, data, expected).encode()


SELECT = command(0xA4, 0x04, 0x00, piv.APPLICATION_ID)
VERIFY = command(0x20, 0x00, 0x80, b"123456\xff\xff", 0)
WRONG = command(0x20, 0x00, 0x80, b"999999\xff\xff", 0)
STATUS = command(0x20, 0x00, 0x80, b"", 0)


def sign(slot: int) -> bytes:
    return command(0x87, 0x11, slot, SIGN_TEMPLATE)


def status(answer: bytes) -> int:
    return int.from_bytes(answer[-2:], "big")


@pytest.fixture
def blank(tmp_path: pathlib.Path) -> card_file.CardFile:
    return card_file.CardFile.create(tmp_path / "card.json")


@pytest.fixture
def keyed(blank: card_file.CardFile) -> card_file.CardFile:
    """A card with both keys, and the transport PIN and PUK still."""
    session = piv_session.PivSession(applet.PivApplet(blank).answer)
    session.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
    for slot in piv.KeySlot:
        session.generate_key(slot)
    return blank


@pytest.fixture
def card(keyed: card_file.CardFile) -> applet.PivApplet:
    made = applet.PivApplet(keyed)
    assert status(made.answer(SELECT)) == 0x9000
    return made


def test_nothing_answers_before_the_application_is_selected(keyed: card_file.CardFile) -> None:
    made = applet.PivApplet(keyed)
    for request in (VERIFY, sign(0x9A), command(0xCB, 0x3F, 0xFF, b"\x5c\x01\x7e")):
        assert status(made.answer(request)) == apdu.Status.INSTRUCTION_UNSUPPORTED


@pytest.mark.clause("SP 800-73-4 part 2", "3.1.1")
def test_selecting_another_name_keeps_the_application(card: applet.PivApplet) -> None:
    assert status(card.answer(VERIFY)) == 0x9000
    assert status(card.answer(command(0xA4, 4, 0, b"\xa0\x00\x00\x00\x04"))) == 0x6A82
    assert status(card.answer(sign(0x9A))) == 0x9000


@pytest.mark.clause("SP 800-73-4 part 1", "3.2.1")
def test_the_signature_key_wants_the_pin_each_time(card: applet.PivApplet) -> None:
    assert status(card.answer(sign(0x9C))) == 0x6982
    assert status(card.answer(VERIFY)) == 0x9000
    assert status(card.answer(sign(0x9C))) == 0x9000
    assert status(card.answer(sign(0x9C))) == 0x6982
    assert status(card.answer(VERIFY)) == 0x9000
    assert status(card.answer(sign(0x9A))) == 0x9000
    assert status(card.answer(sign(0x9C))) == 0x6982


def test_the_authentication_key_wants_the_pin_once_until_the_card_is_reset(
    card: applet.PivApplet,
) -> None:
    assert status(card.answer(sign(0x9A))) == 0x6982
    assert status(card.answer(VERIFY)) == 0x9000
    assert [status(card.answer(sign(0x9A))) for _ in range(3)] == [0x9000] * 3
    card.reset()
    assert status(card.answer(SELECT)) == 0x9000
    assert status(card.answer(sign(0x9A))) == 0x6982


def test_a_signature_verifies_with_the_key_made_in_the_card(blank: card_file.CardFile) -> None:
    session = piv_session.PivSession(applet.PivApplet(blank).answer)
    session.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
    public_key = session.generate_key(piv.KeySlot.SIGNATURE)
    session.verify(card_pin.Pin(piv.TRANSPORT_PIN))
    value = session.sign(piv.KeySlot.SIGNATURE, DIGEST)
    public_key.verify(value, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_a_wrong_pin_is_on_the_disk_before_its_answer(
    card: applet.PivApplet, keyed: card_file.CardFile
) -> None:
    for left in (2, 1, 0):
        answer = card.answer(WRONG)
        # What another process would read if this one were killed now.
        assert json.loads(keyed.path.read_bytes())["pin"]["tries_left"] == left
        assert status(answer) == 0x63C0 | left
    assert status(card.answer(VERIFY)) == apdu.Status.AUTHENTICATION_BLOCKED


def test_pulling_the_power_gives_no_tries_back(keyed: card_file.CardFile) -> None:
    for left in (2, 1, 0):
        fresh = applet.PivApplet(card_file.CardFile.load(keyed.path))
        fresh.answer(SELECT)
        assert status(fresh.answer(WRONG)) == 0x63C0 | left
    fresh = applet.PivApplet(card_file.CardFile.load(keyed.path))
    fresh.answer(SELECT)
    assert status(fresh.answer(VERIFY)) == apdu.Status.AUTHENTICATION_BLOCKED
    assert status(fresh.answer(sign(0x9A))) == 0x6982


def test_a_card_that_cannot_count_a_try_answers_memory_failure(
    card: applet.PivApplet, keyed: card_file.CardFile
) -> None:
    folder = keyed.path.parent
    folder.rename(folder.with_name("gone"))
    assert status(card.answer(WRONG)) == apdu.Status.MEMORY_FAILURE
    assert status(card.answer(VERIFY)) == apdu.Status.INSTRUCTION_UNSUPPORTED


def test_a_right_pin_gives_all_tries_back(card: applet.PivApplet) -> None:
    card.answer(WRONG)
    assert status(card.answer(STATUS)) == 0x63C2
    assert status(card.answer(VERIFY)) == 0x9000
    assert status(card.answer(WRONG)) == 0x63C2


def test_a_wrong_pin_locks_what_a_right_one_opened(card: applet.PivApplet) -> None:
    card.answer(VERIFY)
    card.answer(WRONG)
    assert status(card.answer(sign(0x9A))) == 0x6982


@pytest.mark.parametrize("digits", [b"12345\xff\xff\xff", b"12a456\xff\xff", b"123456", b"1" * 9])
def test_a_malformed_pin_costs_no_try(card: applet.PivApplet, digits: bytes) -> None:
    assert status(card.answer(command(0x20, 0, 0x80, digits, 0))) == apdu.Status.WRONG_DATA
    assert status(card.answer(STATUS)) == 0x63C3


def test_the_puk_unblocks_and_counts_its_own_tries(card: applet.PivApplet) -> None:
    for _ in range(3):
        card.answer(WRONG)
    wrong = command(0x2C, 0, 0x80, b"99999999" + b"654321\xff\xff", 0)
    right = command(0x2C, 0, 0x80, b"12345678" + b"654321\xff\xff", 0)
    assert status(card.answer(wrong)) == 0x63C2
    assert status(card.answer(right)) == 0x9000
    assert status(card.answer(command(0x20, 0, 0x80, b"654321\xff\xff", 0))) == 0x9000
    for left in (2, 1, 0):
        assert status(card.answer(wrong)) == 0x63C0 | left
    assert status(card.answer(right)) == apdu.Status.AUTHENTICATION_BLOCKED


def test_a_blocked_pin_cannot_be_changed(card: applet.PivApplet) -> None:
    for _ in range(3):
        card.answer(WRONG)
    change = command(0x24, 0, 0x80, b"123456\xff\xff" + b"654321\xff\xff", 0)
    assert status(card.answer(change)) == apdu.Status.AUTHENTICATION_BLOCKED


@pytest.mark.parametrize(
    "request_bytes",
    [
        command(0x47, 0, 0x9C, tlv.build(0xAC, tlv.build(0x80, b"\x11"))),
        command(0xDB, 0x3F, 0xFF, b"\x5c\x03\x5f\xc1\x0a" + tlv.build(0x53, b"x"), 0),
        command(0xFF, 0xFF, 0xFF, b"\x0c\x9b\x20" + bytes(32), 0),
    ],
)
def test_only_the_manager_changes_the_card(card: applet.PivApplet, request_bytes: bytes) -> None:
    card.answer(VERIFY)
    assert status(card.answer(request_bytes)) == 0x6982


def test_a_guessed_management_key_opens_nothing(card: applet.PivApplet) -> None:
    session = piv_session.PivSession(card.answer)
    with pytest.raises(piv_session.ManagementKeyError):
        session.authenticate_manager(bytes(32))
    with pytest.raises(piv_session.CardAnswerError):
        session.generate_key(piv.KeySlot.SIGNATURE)


def test_a_witness_is_good_for_one_proof(card: applet.PivApplet) -> None:
    asked = card.answer(command(0x87, 0x0C, 0x9B, bytes.fromhex("7c028000")))
    sealed = tlv.require(tlv.parse(tlv.require(tlv.parse(asked[:-2]), 0x7C)), 0x80)
    assert len(sealed) == 16
    proof = command(
        0x87, 0x0C, 0x9B, tlv.build(0x7C, tlv.build(0x80, bytes(16)) + tlv.build(0x81, bytes(16)))
    )
    assert status(card.answer(proof)) == 0x6982
    assert status(card.answer(proof)) == apdu.Status.CONDITIONS_NOT_SATISFIED


def test_a_long_object_is_written_in_a_chain_and_read_in_parts(blank: card_file.CardFile) -> None:
    session = piv_session.PivSession(applet.PivApplet(blank).answer)
    session.authenticate_manager(piv.TRANSPORT_MANAGEMENT_KEY)
    content = os.urandom(2500)
    session.write_object(0x5FC10A, content)
    assert session.read_object(0x5FC10A) == content
    again = piv_session.PivSession(applet.PivApplet(card_file.CardFile.load(blank.path)).answer)
    assert again.read_object(0x5FC10A) == content


def test_a_chain_without_end_is_refused(card: applet.PivApplet) -> None:
    part = apdu.Command(0xDB, 0x3F, 0xFF, bytes(255), chained=True).encode()
    statuses = {status(card.answer(part)) for _ in range(40)}
    assert apdu.Status.NOT_ENOUGH_MEMORY in statuses


def test_a_chain_broken_by_another_command_is_refused(card: applet.PivApplet) -> None:
    card.answer(apdu.Command(0xDB, 0x3F, 0xFF, bytes(255), chained=True).encode())
    assert status(card.answer(VERIFY)) == apdu.Status.CHAINING_EXPECTED
    assert status(card.answer(VERIFY)) == 0x9000


def test_another_card_has_no_piv_application() -> None:
    with pytest.raises(piv_session.NotPivError):
        piv_session.PivSession(applet.OtherApplet().answer)


REQUESTS = [
    SELECT,
    VERIFY,
    STATUS,
    sign(0x9A),
    sign(0x9C),
    command(0x87, 0x0C, 0x9B, bytes.fromhex("7c028000")),
    command(0x87, 0x0C, 0x9B, tlv.build(0x7C, tlv.build(0x80, bytes(16)))),
    command(0xCB, 0x3F, 0xFF, bytes.fromhex("5c035fc105")),
    command(0xDB, 0x3F, 0xFF, bytes.fromhex("5c035fc1055300"), 0),
    command(0x47, 0, 0x9A, bytes.fromhex("ac03800111")),
    command(0x24, 0, 0x80, b"123456\xff\xff" + b"654321\xff\xff", 0),
    command(0x2C, 0, 0x80, b"12345678" + b"654321\xff\xff", 0),
    command(0xC0, 0, 0, b"", 256),
    command(0xFF, 0xFF, 0xFF, b"\x0c\x9b\x20" + bytes(32), 0),
]


@KEEP_TMP
@given(
    st.lists(
        st.tuples(st.sampled_from(REQUESTS), st.integers(0, 300), st.integers(0, 255)),
        min_size=1,
        max_size=8,
    )
)
def test_mutated_commands_never_crash_the_card(
    keyed: card_file.CardFile, changes: list[tuple[bytes, int, int]]
) -> None:
    made = applet.PivApplet(keyed)
    made.answer(SELECT)
    for request, where, how in changes:
        mutated = bytearray(request)
        mutated[where % len(mutated)] ^= how
        answer = made.answer(bytes(mutated))
        assert len(answer) >= 2
        assert answer[-2] in (0x90, 0x61, 0x63, 0x65, 0x67, 0x68, 0x69, 0x6A, 0x6D, 0x6E)


@KEEP_TMP
@given(st.binary(max_size=64))
def test_any_bytes_get_a_status_word(keyed: card_file.CardFile, request_bytes: bytes) -> None:
    made = applet.PivApplet(keyed)
    made.answer(SELECT)
    assert len(made.answer(request_bytes)) >= 2


class PinCounting(stateful.RuleBasedStateMachine):
    """No order of commands gives a guesser more than three tries."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._file = card_file.CardFile.create(pathlib.Path(self._folder.name) / "card.json")
        self._card: applet.Applet = applet.PivApplet(self._file)
        self._card.answer(SELECT)
        self._wrong = 0

    def teardown(self) -> None:
        self._folder.cleanup()

    @stateful.rule()
    def guess(self) -> None:
        answered = status(self._card.answer(WRONG))
        expected = 0x6983 if self._wrong >= 3 else 0x63C0 | (2 - self._wrong)
        assert answered == expected
        self._wrong = min(3, self._wrong + 1)

    @stateful.rule()
    def change_with_a_guess(self) -> None:
        answered = status(
            self._card.answer(command(0x24, 0, 0x80, b"888888\xff\xff" + b"654321\xff\xff", 0))
        )
        assert answered == (0x6983 if self._wrong >= 3 else 0x63C0 | (2 - self._wrong))
        self._wrong = min(3, self._wrong + 1)

    @stateful.rule()
    def enter_the_right_one(self) -> None:
        answered = status(self._card.answer(VERIFY))
        assert answered == (0x6983 if self._wrong >= 3 else 0x9000)
        self._wrong = 0 if self._wrong < 3 else 3

    @stateful.rule()
    def reset(self) -> None:
        self._card.reset()
        self._card.answer(SELECT)

    @stateful.rule()
    def pull_and_insert(self) -> None:
        self._card = applet.PivApplet(card_file.CardFile.load(self._file.path))
        self._card.answer(SELECT)

    @stateful.rule()
    def ask(self) -> None:
        assert status(self._card.answer(STATUS)) in (0x9000, 0x6983, 0x63C1, 0x63C2, 0x63C3)


PinCounting.TestCase.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
TestPinCounting = PinCounting.TestCase


def test_the_card_file_is_its_owners_alone(keyed: card_file.CardFile) -> None:
    assert stat.S_IMODE(keyed.path.stat().st_mode) == 0o600
    assert b"123456" not in keyed.path.read_bytes()
    assert [one.name for one in keyed.path.parent.iterdir()] == ["card.json"]


def test_a_card_file_is_never_overwritten(keyed: card_file.CardFile) -> None:
    with pytest.raises(errors.StateError):
        card_file.CardFile.create(keyed.path)


@KEEP_TMP
@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_mutated_card_file_is_read_or_reported_as_damaged(
    keyed: card_file.CardFile, where: int, how: int
) -> None:
    content = bytearray(keyed.path.read_bytes())
    content[where % len(content)] ^= how
    damaged = keyed.path.with_name("damaged.json")
    damaged.write_bytes(content)
    try:
        loaded = card_file.CardFile.load(damaged)
    except card_file.CardFileError:
        return
    assert 0 <= loaded.state.pin.tries_left <= card_file.MAX_TRIES
    made = applet.applet_of(loaded)
    made.answer(SELECT)
    assert len(made.answer(VERIFY)) == 2
    assert len(made.answer(sign(0x9C))) >= 2


def test_a_file_that_grants_more_tries_is_refused(keyed: card_file.CardFile) -> None:
    content = json.loads(keyed.path.read_bytes())
    content["pin"]["tries_left"] = 1000
    keyed.path.write_text(json.dumps(content))
    with pytest.raises(card_file.CardFileError):
        card_file.CardFile.load(keyed.path)
