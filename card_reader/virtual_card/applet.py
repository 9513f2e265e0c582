"""The PIV card application (NIST SP 800-73-4 part 2), as far as an eID card needs it.

Two keys on P-256: 9A for authentication (PIN once in a session) and 9C for signatures (PIN
immediately before each use, SP 800-73-4 part 1, 3.2.1). Nothing a host sends makes the applet
raise: every command gets a status word.
"""

import dataclasses
import hmac
import secrets
from typing import Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from card_reader import apdu, pin, piv, tlv
from card_reader.virtual_card import card_file

MAX_CHAINED_SIZE = 8192
"""Most bytes collected from a chained command; a certificate container is below 3000."""

MAX_OBJECTS = 40
"""SP 800-73-4 part 1, table 2 knows 36 data objects."""

_DIGEST_SIZE = 32
_BLOCK_SIZE = 16
_DISCOVERY = tlv.build(
    piv.DISCOVERY_OBJECT,
    # 40 00: the application PIN alone opens the keys (SP 800-73-4 part 1, 3.3.2).
    tlv.build(0x4F, piv.APPLICATION_ID) + tlv.build(0x5F2F, b"\x40\x00"),
)


class Applet(Protocol):
    """What sits on a card: the PIV application, or something else."""

    def reset(self) -> None:
        """Power was cut or the reader reset the card: forget the session."""

    def answer(self, request: bytes) -> bytes:
        """Answer one encoded command with an encoded response."""


class OtherApplet:
    """A card of another kind, a bank's say: it has no PIV application."""

    def reset(self) -> None:
        """There is no session to forget."""

    def answer(self, request: bytes) -> bytes:
        """Answer SELECT by "not found" and the rest by "unknown instruction"."""
        selects = len(request) > 1 and request[1] == apdu.Instruction.SELECT
        status = apdu.Status.NOT_FOUND if selects else apdu.Status.INSTRUCTION_UNSUPPORTED
        return apdu.Response(b"", status).encode()


class _Refusal(Exception):
    """A command ends with this status word."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:04X}")
        self.status = status


@dataclasses.dataclass
class _Session:
    """What the card forgets when power is cut."""

    selected: bool = False
    pin_verified: bool = False
    pin_fresh: bool = False
    manager: bool = False
    witness: bytes | None = None
    parts: apdu.Command | None = None
    rest: bytes = b""


class PivApplet:
    """The PIV application of one card."""

    def __init__(self, card: card_file.CardFile) -> None:
        """Start without power, over what the card remembers."""
        self._card = card
        self._session = _Session()

    def reset(self) -> None:
        """Forget the session: no PIN is verified, no key is open."""
        self._session = _Session()

    def answer(self, request: bytes) -> bytes:
        """Answer one encoded command; malformed ones get a status word like any other."""
        try:
            return self._run(apdu.parse_command(request)).encode()
        except _Refusal as refusal:
            status = refusal.status
        except apdu.ApduError:
            status = apdu.Status.WRONG_LENGTH
        except tlv.TlvError:
            status = apdu.Status.WRONG_DATA
        except (OSError, card_file.CardFileError):
            # The state could not be kept or read: nothing may be given out that depends on it.
            self.reset()
            status = apdu.Status.MEMORY_FAILURE
        self._session.parts = None
        return apdu.Response(b"", status).encode()

    def _run(self, command: apdu.Command) -> apdu.Response:
        session = self._session
        if command.cla:
            raise _Refusal(
                apdu.Status.SECURE_MESSAGING_UNSUPPORTED
                if command.cla & 0xF3 == 0 and command.cla & 0x0C
                else apdu.Status.CLASS_UNSUPPORTED
            )
        if command.instruction == apdu.Instruction.GET_RESPONSE and not command.chained:
            return self._give(session.rest, command.expected)
        session.rest = b""
        whole = self._collect(command)
        if whole is None:
            return apdu.Response(b"", apdu.Status.OK)
        fresh = session.pin_fresh
        if not (whole.instruction == apdu.Instruction.VERIFY and not whole.data):
            # SP 800-73-4 part 1, 3.2.1: "immediately before": any other command in between ends it.
            session.pin_fresh = False
        return self._give(self._dispatch(whole, fresh), whole.expected)

    def _collect(self, command: apdu.Command) -> apdu.Command | None:
        """Join the parts of a chained command (ISO/IEC 7816-4 5.1.1); None while more follow."""
        session, parts = self._session, self._session.parts
        if parts is not None:
            if (command.instruction, command.p1, command.p2) != (
                parts.instruction,
                parts.p1,
                parts.p2,
            ):
                raise _Refusal(apdu.Status.CHAINING_EXPECTED)
            if len(parts.data) + len(command.data) > MAX_CHAINED_SIZE:
                raise _Refusal(apdu.Status.NOT_ENOUGH_MEMORY)
            command = dataclasses.replace(command, data=parts.data + command.data)
        if len(command.data) > MAX_CHAINED_SIZE:
            raise _Refusal(apdu.Status.NOT_ENOUGH_MEMORY)
        session.parts = command if command.chained else None
        return None if command.chained else command

    def _give(self, data: bytes, expected: int) -> apdu.Response:
        """Send as much as the host takes now and keep the rest for GET RESPONSE."""
        now, self._session.rest = data[:expected], data[expected:]
        left = len(self._session.rest)
        return apdu.Response(now, 0x6100 | (left & 0xFF if left < 256 else 0) if left else 0x9000)

    def _dispatch(self, command: apdu.Command, fresh: bool) -> bytes:
        if command.instruction == apdu.Instruction.SELECT:
            return self._select(command)
        if not self._session.selected:
            raise _Refusal(apdu.Status.INSTRUCTION_UNSUPPORTED)
        match command.instruction:
            case apdu.Instruction.VERIFY:
                return self._verify(command)
            case apdu.Instruction.CHANGE_REFERENCE_DATA:
                return self._change_reference_data(command)
            case apdu.Instruction.RESET_RETRY_COUNTER:
                return self._reset_retry_counter(command)
            case apdu.Instruction.GENERAL_AUTHENTICATE:
                return self._general_authenticate(command, fresh)
            case apdu.Instruction.GENERATE_KEY_PAIR:
                return self._generate_key_pair(command)
            case apdu.Instruction.GET_DATA:
                return self._get_data(command)
            case apdu.Instruction.PUT_DATA:
                return self._put_data(command)
            case apdu.Instruction.SET_MANAGEMENT_KEY:
                return self._set_management_key(command)
            case _:
                raise _Refusal(apdu.Status.INSTRUCTION_UNSUPPORTED)

    def _select(self, command: apdu.Command) -> bytes:
        """SP 800-73-4 part 2, 3.1.1: another name leaves the selected application as it is."""
        if command.p1 != 0x04 or command.p2 & 0xF3:
            raise _Refusal(apdu.Status.NOT_FOUND)
        name = command.data
        if len(name) < len(piv.APPLICATION_ID_PREFIX) or not piv.APPLICATION_ID.startswith(name):
            raise _Refusal(apdu.Status.NOT_FOUND)
        self._session.selected = True
        authority = tlv.build(0x79, tlv.build(0x4F, piv.APPLICATION_ID_PREFIX))
        label = tlv.build(0x50, b"imza virtual PIV card")
        return tlv.build(0x61, tlv.build(0x4F, piv.APPLICATION_ID[5:]) + authority + label)

    def _verify(self, command: apdu.Command) -> bytes:
        session = self._session
        if command.p2 != piv.PIN_REFERENCE:
            raise _Refusal(apdu.Status.REFERENCE_NOT_FOUND)
        if command.p1 == 0xFF and not command.data:
            session.pin_verified = False
            return b""
        if command.p1:
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        if not command.data:
            if session.pin_verified:
                return b""
            left = self._card.state.pin.tries_left
            raise _Refusal(0x63C0 | left if left else apdu.Status.AUTHENTICATION_BLOCKED)
        session.pin_verified = False
        _require_digits(command.data)
        self._check(piv.PIN_REFERENCE, command.data)
        session.pin_verified = session.pin_fresh = True
        return b""

    def _change_reference_data(self, command: apdu.Command) -> bytes:
        if command.p1:
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        if command.p2 not in (piv.PIN_REFERENCE, piv.PUK_REFERENCE):
            raise _Refusal(apdu.Status.REFERENCE_NOT_FOUND)
        old, new = _halves(command.data)
        self._check(command.p2, old)
        self._replace(command.p2, card_file.ReferenceData.of(new))
        if command.p2 == piv.PIN_REFERENCE:
            self._session.pin_verified = True
        return b""

    def _reset_retry_counter(self, command: apdu.Command) -> bytes:
        if command.p1:
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        if command.p2 != piv.PIN_REFERENCE:
            raise _Refusal(apdu.Status.REFERENCE_NOT_FOUND)
        puk, new = _halves(command.data)
        self._check(piv.PUK_REFERENCE, puk)
        self._replace(piv.PIN_REFERENCE, card_file.ReferenceData.of(new))
        # The new PIN was set, not entered as the holder's wish to sign: it must be verified still.
        self._session.pin_verified = False
        return b""

    def _check(self, number: int, padded: bytes) -> None:
        """Compare a PIN or PUK; the counter is on the disk before an answer can leave."""
        is_pin = number == piv.PIN_REFERENCE
        reference = self._card.state.pin if is_pin else self._card.state.puk
        if not reference.tries_left:
            raise _Refusal(apdu.Status.AUTHENTICATION_BLOCKED)
        right = reference.matches(padded)
        left = card_file.MAX_TRIES if right else reference.tries_left - 1
        if left != reference.tries_left:
            self._replace(number, dataclasses.replace(reference, tries_left=left))
        if not right:
            if is_pin:
                self._session.pin_verified = False
            # SP 800-73-4 part 2, 3.2.1: 63 CX tells the tries, the last wrong one included.
            raise _Refusal(0x63C0 | left)

    def _replace(self, number: int, reference: card_file.ReferenceData) -> None:
        state = self._card.state
        if number == piv.PIN_REFERENCE:
            self._card.store(dataclasses.replace(state, pin=reference))
        else:
            self._card.store(dataclasses.replace(state, puk=reference))

    def _general_authenticate(self, command: apdu.Command, fresh: bool) -> bytes:
        template = tlv.require(tlv.parse(command.data), 0x7C)
        fields = tlv.parse(template)
        if command.p2 == piv.MANAGEMENT_KEY_REFERENCE:
            if command.p1 != piv.ALGORITHM_AES256:
                raise _Refusal(apdu.Status.WRONG_P1_P2)
            return self._authenticate_manager(fields)
        if command.p2 not in (piv.KeySlot.AUTHENTICATION, piv.KeySlot.SIGNATURE):
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        if command.p1 != piv.ALGORITHM_P256:
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        key = self._card.state.keys.get(command.p2)
        if key is None:
            raise _Refusal(apdu.Status.REFERENCE_NOT_FOUND)
        if command.p2 == piv.KeySlot.SIGNATURE:
            allowed = self._session.pin_verified and fresh
        else:
            allowed = self._session.pin_verified
        if not allowed:
            raise _Refusal(apdu.Status.SECURITY_STATUS_NOT_SATISFIED)
        digest = tlv.require(fields, 0x81)
        if len(digest) != _DIGEST_SIZE or tlv.find(fields, 0x82) != b"":
            raise _Refusal(apdu.Status.WRONG_DATA)
        value = card_file.load_private_key(key).sign(
            digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        )
        return tlv.build(0x7C, tlv.build(0x82, value))

    def _authenticate_manager(self, fields: tuple[tlv.DataObject, ...]) -> bytes:
        """Mutual authentication with the management key (SP 800-73-4 part 2, A.1)."""
        session, key = self._session, self._card.state.management_key
        witness = tlv.find(fields, 0x80)
        challenge = tlv.find(fields, 0x81)
        session.manager = False
        if witness == b"" and challenge is None:
            session.witness = secrets.token_bytes(_BLOCK_SIZE)
            return tlv.build(0x7C, tlv.build(0x80, encrypt_block(key, session.witness)))
        expected, session.witness = session.witness, None
        if witness is None or challenge is None or len(challenge) != _BLOCK_SIZE:
            raise _Refusal(apdu.Status.WRONG_DATA)
        if expected is None:
            raise _Refusal(apdu.Status.CONDITIONS_NOT_SATISFIED)
        if not hmac.compare_digest(expected, witness):
            raise _Refusal(apdu.Status.SECURITY_STATUS_NOT_SATISFIED)
        session.manager = True
        return tlv.build(0x7C, tlv.build(0x82, encrypt_block(key, challenge)))

    def _generate_key_pair(self, command: apdu.Command) -> bytes:
        self._require_manager()
        if command.p1 or command.p2 not in (piv.KeySlot.AUTHENTICATION, piv.KeySlot.SIGNATURE):
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        template = tlv.parse(tlv.require(tlv.parse(command.data), 0xAC))
        if tlv.require(template, 0x80) != bytes([piv.ALGORITHM_P256]):
            raise _Refusal(apdu.Status.WRONG_DATA)
        key = card_file.new_private_key()
        state = self._card.state
        self._card.store(dataclasses.replace(state, keys={**state.keys, command.p2: key}))
        point = (
            card_file.load_private_key(key)
            .public_key()
            .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        )
        return tlv.build(0x7F49, tlv.build(0x86, point))

    def _get_data(self, command: apdu.Command) -> bytes:
        tag = self._object_tag(command, tlv.parse(command.data))
        if tag == piv.DISCOVERY_OBJECT:
            return _DISCOVERY
        content = self._card.state.objects.get(tag)
        if content is None:
            raise _Refusal(apdu.Status.NOT_FOUND)
        return tlv.build(0x53, content)

    def _put_data(self, command: apdu.Command) -> bytes:
        self._require_manager()
        fields = tlv.parse(command.data)
        tag = self._object_tag(command, fields)
        content = tlv.require(fields, 0x53)
        objects = dict(self._card.state.objects)
        if content:
            objects[tag] = content
        else:
            objects.pop(tag, None)
        if len(objects) > MAX_OBJECTS:
            raise _Refusal(apdu.Status.NOT_ENOUGH_MEMORY)
        self._card.store(dataclasses.replace(self._card.state, objects=objects))
        return b""

    def _object_tag(self, command: apdu.Command, fields: tuple[tlv.DataObject, ...]) -> int:
        if (command.p1, command.p2) != (0x3F, 0xFF):
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        name = tlv.require(fields, 0x5C)
        if not 1 <= len(name) <= 3:
            raise _Refusal(apdu.Status.WRONG_DATA)
        return int.from_bytes(name, "big")

    def _set_management_key(self, command: apdu.Command) -> bytes:
        """Replace the management key: algorithm, key reference, length, key."""
        self._require_manager()
        head = bytes([piv.ALGORITHM_AES256, piv.MANAGEMENT_KEY_REFERENCE, 32])
        if (command.p1, command.p2) != (0xFF, 0xFF):
            raise _Refusal(apdu.Status.WRONG_P1_P2)
        if command.data[:3] != head or len(command.data) != 35:
            raise _Refusal(apdu.Status.WRONG_DATA)
        self._card.store(dataclasses.replace(self._card.state, management_key=command.data[3:]))
        return b""

    def _require_manager(self) -> None:
        if not self._session.manager:
            raise _Refusal(apdu.Status.SECURITY_STATUS_NOT_SATISFIED)


def applet_of(card: card_file.CardFile) -> Applet:
    """Return the application that a card file says is on the card."""
    return OtherApplet() if card.state.applet == card_file.OTHER_APPLET else PivApplet(card)


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """AES of a single block, as the PIV management protocol uses it."""
    # One block of random bytes has no pattern that ECB could show; the protocol fixes it so.
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def _require_digits(padded: bytes) -> None:
    """SP 800-73-4 part 2, 3.2.1: a wrong format is refused without counting a try."""
    digits = padded.rstrip(b"\xff")
    if (
        len(padded) != piv.PIN_SIZE
        or not pin.MIN_DIGITS <= len(digits) <= pin.MAX_DIGITS
        or not digits.isdigit()
    ):
        raise _Refusal(apdu.Status.WRONG_DATA)


def _halves(data: bytes) -> tuple[bytes, bytes]:
    old, new = data[: piv.PIN_SIZE], data[piv.PIN_SIZE :]
    _require_digits(old)
    _require_digits(new)
    return old, new
