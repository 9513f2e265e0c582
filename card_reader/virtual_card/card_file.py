"""What a virtual card remembers, in one file that is never behind an answer.

The file stands for the chip. It is a simulation: the private keys lie in it unencrypted, readable
by its owner alone (mode 0600), where a real chip never lets them out. The PIN and the PUK are kept
as salted scrypt digests, so that neither stands anywhere in clear.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import pathlib
import secrets
from collections.abc import Mapping

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from card_reader import piv
from pki import durable_files, errors

MAX_TRIES = 3
"""Wrong entries of a PIN or PUK before it is blocked."""

FILE_FORMAT = "imza-virtual-card-1"
PIV_APPLET = "piv"
OTHER_APPLET = "other"

_SCRYPT_COST = 2**11
_MAX_FILE_SIZE = 2**20
_NOTE = "A simulated card: the private keys in this file are not protected."


class CardFileError(errors.TamperedError):
    """The file is not a virtual card, or not a whole one."""

    code = "card-file-damaged"


@dataclasses.dataclass(frozen=True)
class ReferenceData:
    """A PIN or PUK as the card keeps it: a salted digest and the tries that are left."""

    salt: bytes = dataclasses.field(repr=False)
    digest: bytes = dataclasses.field(repr=False)
    tries_left: int = MAX_TRIES

    @classmethod
    def of(cls, padded: bytes) -> "ReferenceData":
        """Keep new reference data with all its tries."""
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(salt, padded))

    def matches(self, padded: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.digest, _digest(self.salt, padded))


@dataclasses.dataclass(frozen=True)
class CardState:
    """Everything on a card that survives power loss."""

    applet: str
    management_key: bytes = dataclasses.field(repr=False)
    pin: ReferenceData
    puk: ReferenceData
    keys: Mapping[int, bytes] = dataclasses.field(repr=False)
    objects: Mapping[int, bytes]


class CardFile:
    """A card's state and the file it is kept in."""

    def __init__(self, path: pathlib.Path, state: CardState) -> None:
        """Hold a state that the file has already."""
        self.path = path
        self.state = state

    @classmethod
    def create(cls, path: pathlib.Path, applet: str = PIV_APPLET) -> "CardFile":
        """Make a blank card in transport state; an existing file is refused."""
        state = CardState(
            applet=applet,
            management_key=piv.TRANSPORT_MANAGEMENT_KEY,
            pin=ReferenceData.of(pad(piv.TRANSPORT_PIN.encode())),
            puk=ReferenceData.of(pad(piv.TRANSPORT_PUK.encode())),
            keys={},
            objects={},
        )
        if path.exists():
            raise errors.StateError(f"expected no card file yet, got one: {path}")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        card = cls(path, state)
        card.store(state)
        return card

    @classmethod
    def load(cls, path: pathlib.Path) -> "CardFile":
        """Read a card's file.

        Raises:
            NotFoundError: No such file.
            CardFileError: It is not a virtual card.
        """
        try:
            if path.stat().st_size > _MAX_FILE_SIZE:
                raise CardFileError(f"expected a card file of at most {_MAX_FILE_SIZE} bytes")
            text = path.read_bytes()
        except OSError as error:
            raise errors.NotFoundError(f"no card file at {path}") from error
        try:
            return cls(path, _from_json(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CardFileError(f"expected a virtual card in {path}") from error

    def store(self, state: CardState) -> None:
        """Write the state durably, then take it over; on failure the old state stays in force.

        A power cut leaves the old card or the new one, whole.

        Raises:
            OSError: The disk is full or gone.
        """
        durable_files.replace(self.path, json.dumps(_to_json(state), indent=1).encode())
        self.state = state


def pad(digits: bytes) -> bytes:
    """Fill a PIN or PUK with FF to eight bytes (SP 800-73-4 part 2, 2.4.3)."""
    return digits.ljust(piv.PIN_SIZE, b"\xff")


def new_private_key() -> bytes:
    """Make a P-256 key, as PKCS#8."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_private_key(pkcs8_der: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a key of the card.

    Raises:
        CardFileError: It is not a P-256 key.
    """
    try:
        key = serialization.load_der_private_key(pkcs8_der, password=None)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise CardFileError("expected a private key in the card file") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CardFileError("expected a private key on P-256 in the card file")
    return key


def _digest(salt: bytes, padded: bytes) -> bytes:
    return hashlib.scrypt(padded, salt=salt, n=_SCRYPT_COST, r=8, p=1, dklen=32)


def _to_json(state: CardState) -> dict[str, object]:
    return {
        "format": FILE_FORMAT,
        "note": _NOTE,
        "applet": state.applet,
        "management_key": _encode(state.management_key),
        "pin": _reference_to_json(state.pin),
        "puk": _reference_to_json(state.puk),
        "keys": {f"{slot:02X}": _encode(key) for slot, key in state.keys.items()},
        "objects": {f"{tag:02X}": _encode(value) for tag, value in state.objects.items()},
    }


def _reference_to_json(reference: ReferenceData) -> dict[str, object]:
    return {
        "salt": _encode(reference.salt),
        "digest": _encode(reference.digest),
        "tries_left": reference.tries_left,
    }


def _from_json(value: Mapping[str, object]) -> CardState:
    if value["format"] != FILE_FORMAT or value["applet"] not in (PIV_APPLET, OTHER_APPLET):
        raise ValueError("another format")
    keys, objects = value["keys"], value["objects"]
    if not isinstance(keys, dict) or not isinstance(objects, dict):
        raise TypeError("expected objects")
    management_key = _decode(value["management_key"])
    if len(management_key) != len(piv.TRANSPORT_MANAGEMENT_KEY):
        raise ValueError("expected an AES-256 key")
    return CardState(
        applet=str(value["applet"]),
        management_key=management_key,
        pin=_reference_from_json(value["pin"]),
        puk=_reference_from_json(value["puk"]),
        keys={int(slot, 16): _decode(key) for slot, key in keys.items()},
        objects={int(tag, 16): _decode(data) for tag, data in objects.items()},
    )


def _reference_from_json(value: object) -> ReferenceData:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    tries_left = value["tries_left"]
    # More tries than a card ever grants would be a way round the counter: refuse, do not clip.
    if type(tries_left) is not int or not 0 <= tries_left <= MAX_TRIES:
        raise ValueError("tries out of range")
    return ReferenceData(_decode(value["salt"]), _decode(value["digest"]), tries_left)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError("expected base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64 text") from error
