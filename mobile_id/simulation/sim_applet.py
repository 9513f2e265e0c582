"""A SIM signature applet in software: keys, PIN1, PIN2, PUK, tries and the dialogue.

This is a simulation. Its state is a file of mode 0600 where a real SIM has a chip, and it claims
no certification. What it keeps as a SIM would: keys are made inside and never leave; a try is
counted on disk before the PIN is looked at, so that pulling the power gains nothing; one dialogue
at a time; a hash is signed only after it was shown and confirmed.
"""

import base64
import contextlib
import dataclasses
import enum
import fcntl
import json
import os
import pathlib
import secrets
from collections.abc import Iterator, Sequence

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from mobile_id import control_code, results, signature_list
from mobile_id.simulation.pin import Pin
from pki import algorithms, durable_files, errors, signature

PIN_TRIES = 3
PUK_TRIES = 10
PIN_LENGTHS = {results.Operation.AUTHENTICATION: 4, results.Operation.SIGNATURE: 5}
PUK_LENGTH = 8
CURVE = ec.SECP256R1()


class SimError(errors.DeviceError):
    """The SIM cannot do this."""

    code = "sim-failed"


class SimBusyError(errors.StateError):
    """The SIM is in the middle of another dialogue."""

    code = "sim-busy"


class SimStepError(errors.StateError):
    """The steps of the dialogue came in another order."""

    code = "sim-wrong-step"


class WrongPinError(errors.PolicyError):
    """The PIN or PUK is wrong.

    Attributes:
        tries_left: How often it may still be tried.
    """

    code = "sim-wrong-pin"

    def __init__(self, tries_left: int) -> None:
        """Say how many tries are left."""
        super().__init__(f"the PIN is wrong: {tries_left} tries are left")
        self.tries_left = tries_left


class PinBlockedError(errors.PolicyError):
    """The PIN was wrong too often; the PUK unblocks it."""

    code = "sim-pin-blocked"


class ListChangedError(errors.StateError):
    """What came to be signed is not the list that was shown."""

    code = "sim-list-changed"


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What the SIM shows before it asks for a PIN.

    Attributes:
        representation: What it will sign; of a list, the digest that stands for all of it.
        document_names: Of a list; each is shown.
    """

    operation: results.Operation
    relying_party: str
    text: str
    representation: signature.DataToBeSignedRepresentation
    document_names: tuple[str, ...] = ()

    @property
    def control_code(self) -> str:
        """The digits that the SIM computes itself."""
        return control_code.control_code(self.representation)


class Step(enum.Enum):
    """Where the dialogue stands."""

    IDLE = "idle"
    DISPLAYED = "displayed"
    CONFIRMED = "confirmed"


@dataclasses.dataclass
class _Counter:
    """A PIN's verifier and the tries it has left."""

    salt: bytes
    digest: bytes
    tries: int

    def to_json(self) -> dict[str, object]:
        return {"salt": self.salt.hex(), "digest": self.digest.hex(), "tries": self.tries}


@dataclasses.dataclass
class _State:
    """All that the chip remembers."""

    iccid: str
    msisdn: str
    keys: dict[results.Operation, ec.EllipticCurvePrivateKey] = dataclasses.field(repr=False)
    pins: dict[results.Operation, _Counter]
    puk: _Counter


class SimApplet:
    """One SIM. Every question to it reads its state from disk, as several programs may hold it."""

    def __init__(self, path: pathlib.Path) -> None:
        """Open the SIM whose state is in `path`.

        Raises:
            SimError: There is none, or it cannot be read.
        """
        self._path = path
        self._step = Step.IDLE
        self._prompt: Prompt | None = None
        self._dialogue_lock: int | None = None
        state = self._load()
        self.iccid = state.iccid
        self.msisdn = state.msisdn
        self.public_keys = {one: key.public_key() for one, key in state.keys.items()}

    @classmethod
    def create(
        cls, path: pathlib.Path, *, msisdn: str, pin1: Pin, pin2: Pin, puk: Pin
    ) -> "SimApplet":
        """Make a SIM with new keys; an older one of the same path is gone.

        Raises:
            InputError: A PIN or the PUK has another length than the applet asks for.
        """
        pins = {results.Operation.AUTHENTICATION: pin1, results.Operation.SIGNATURE: pin2}
        for operation, pin in pins.items():
            _require_length(pin, PIN_LENGTHS[operation])
        _require_length(puk, PUK_LENGTH)
        state = _State(
            iccid=_random_iccid(),
            msisdn=msisdn,
            keys={one: ec.generate_private_key(CURVE) for one in results.Operation},
            pins={one: _verifier(pin, PIN_TRIES) for one, pin in pins.items()},
            puk=_verifier(puk, PUK_TRIES),
        )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable_files.replace(path, _encode(state))
        return cls(path)

    @property
    def step(self) -> Step:
        """Where the dialogue stands."""
        return self._step

    def tries_left(self, operation: results.Operation) -> int:
        """How often the PIN of an operation may still be tried."""
        return self._load().pins[operation].tries

    def certificate_request(self, operation: results.Operation, pin: Pin) -> bytes:
        """Return a PKCS#10 request in DER, signed inside: proof of possession (RFC 2986).

        The subject names the SIM alone; who the person is was established by the registration
        authority, and the CA takes nothing but the key from here.

        Raises:
            WrongPinError: The PIN is wrong.
            PinBlockedError: It was wrong too often.
        """
        with self._exclusive() as state:
            self._verify_pin(state, operation, pin)
            subject = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, state.iccid)])
            request = x509.CertificateSigningRequestBuilder().subject_name(subject)
            return request.sign(state.keys[operation], hashes.SHA256()).public_bytes(
                serialization.Encoding.DER
            )

    def display(self, prompt: Prompt) -> None:
        """Begin a dialogue: show who asks, the text and the control code.

        Raises:
            SimBusyError: Another dialogue is open, here or in another program.
        """
        if self._step is not Step.IDLE:
            raise SimBusyError("the SIM is in the middle of another dialogue")
        handle = _open(self._path.with_suffix(".busy"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise SimBusyError("the SIM is in the middle of another dialogue") from error
        self._dialogue_lock = handle
        self._prompt = prompt
        self._step = Step.DISPLAYED

    def confirm(self) -> None:
        """The person chose to go on; the SIM now asks for the PIN."""
        if self._step is not Step.DISPLAYED:
            raise SimStepError(
                f"expected a prompt on the display, the dialogue is {self._step.value}"
            )
        self._step = Step.CONFIRMED

    def cancel(self) -> None:
        """End the dialogue; nothing is signed."""
        self._step = Step.IDLE
        self._prompt = None
        if self._dialogue_lock is not None:
            os.close(self._dialogue_lock)
            self._dialogue_lock = None

    def sign(self, pin: Pin) -> signature.SignatureValue:
        """Sign the hash that was shown and confirmed, and end the dialogue.

        Returns:
            ECDSA over the hash itself, raw r||s.

        Raises:
            SimStepError: Nothing was confirmed, or a list was.
            WrongPinError: The PIN is wrong; the dialogue stays open for another try.
            PinBlockedError: It was wrong too often; the dialogue is over.
        """
        asked = self._confirmed()
        if asked.document_names:
            raise SimStepError("expected a hash to sign: a list was shown")
        (value,) = self._sign_all(asked.operation, pin, (asked.representation,))
        return value

    def sign_list(
        self, pin: Pin, documents: signature_list.SignatureList
    ) -> tuple[signature.SignatureValue, ...]:
        """Sign every hash of the list that was shown and confirmed, and end the dialogue.

        The list comes after its names and its digest were shown. Nothing is signed, and no PIN
        looked at, unless all of it hashes to what the control code on the display was made from.

        Raises:
            ListChangedError: It does not; the dialogue is over.
            SimStepError: Nothing was confirmed, or a single hash was.
            WrongPinError, PinBlockedError: As `sign`.
        """
        asked = self._confirmed()
        if not asked.document_names:
            raise SimStepError("expected a list to sign: a single hash was shown")
        names = tuple(one.name for one in documents.documents)
        if documents.digest != asked.representation or names != asked.document_names:
            self.cancel()
            raise ListChangedError("expected the list that was shown, got another one")
        return self._sign_all(asked.operation, pin, documents.representations)

    def _confirmed(self) -> Prompt:
        if self._step is not Step.CONFIRMED or self._prompt is None:
            raise SimStepError(f"expected a confirmed prompt, the dialogue is {self._step.value}")
        return self._prompt

    def _sign_all(
        self,
        operation: results.Operation,
        pin: Pin,
        representations: Sequence[signature.DataToBeSignedRepresentation],
    ) -> tuple[signature.SignatureValue, ...]:
        try:
            with self._exclusive() as state:
                self._verify_pin(state, operation, pin)
                values = tuple(_sign(state.keys[operation], one) for one in representations)
        except PinBlockedError:
            self.cancel()
            raise
        self.cancel()
        return values

    def set_pin(self, operation: results.Operation, puk: Pin, new: Pin) -> None:
        """Set a new PIN and give it all its tries back, with the PUK.

        Raises:
            WrongPinError: The PUK is wrong.
            PinBlockedError: It was wrong too often; the SIM must be replaced.
            InputError: The new PIN has another length.
        """
        _require_length(new, PIN_LENGTHS[operation])
        with self._exclusive() as state:
            self._verify(state, state.puk, puk, PUK_TRIES, "the PUK is blocked: replace the SIM")
            state.pins[operation] = _verifier(new, PIN_TRIES)
            self._store(state)

    def _verify_pin(self, state: _State, operation: results.Operation, pin: Pin) -> None:
        counter = state.pins[operation]
        self._verify(state, counter, pin, PIN_TRIES, "the PIN is blocked: unblock it with the PUK")

    def _verify(self, state: _State, counter: _Counter, pin: Pin, tries: int, blocked: str) -> None:
        if counter.tries == 0:
            raise PinBlockedError(blocked)
        # The try is spent on disk before the PIN is compared: killing the program here or later
        # costs a try instead of giving one away.
        counter.tries -= 1
        self._store(state)
        if not pin.matches(counter.salt, counter.digest):
            if counter.tries == 0:
                raise PinBlockedError(blocked)
            raise WrongPinError(counter.tries)
        counter.tries = tries
        self._store(state)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[_State]:
        """Read the state while no other program can change it."""
        handle = _open(self._path.with_suffix(".lock"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self._load()
        finally:
            os.close(handle)

    def _load(self) -> _State:
        try:
            return _decode(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, exceptions.UnsupportedAlgorithm) as error:
            raise SimError("expected the state of a SIM, the file cannot be read") from error

    def _store(self, state: _State) -> None:
        try:
            durable_files.replace(self._path, _encode(state))
        except OSError as error:
            raise SimError("the SIM cannot keep its state") from error


def _sign(
    key: ec.EllipticCurvePrivateKey, representation: signature.DataToBeSignedRepresentation
) -> signature.SignatureValue:
    prehashed = utils.Prehashed(representation.hash_algorithm.hasher)
    der = key.sign(representation.hash, ec.ECDSA(prehashed))
    return signature.SignatureValue(
        algorithms.SignatureAlgorithm.ECDSA,
        representation.hash_algorithm,
        algorithms.ecdsa_der_to_raw(der, algorithms.ecdsa_size(key.public_key())),
    )


def _open(path: pathlib.Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SimError("the SIM's files cannot be opened") from error


def _require_length(pin: Pin, length: int) -> None:
    if len(pin) != length:
        raise errors.InputError(f"expected {length} digits, got {len(pin)}")


def _random_iccid() -> str:
    # 89 telecom, 994 Azerbaijan, 00 no operator, then a number (ITU-T E.118).
    body = "8999400" + "".join(secrets.choice("0123456789") for _ in range(11))
    total = 0
    for index, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return f"{body}{-total % 10}"


def _verifier(pin: Pin, tries: int) -> _Counter:
    salt = secrets.token_bytes(16)
    return _Counter(salt, pin.digest(salt), tries)


def _encode(state: _State) -> bytes:
    keys = {
        one.value: base64.b64encode(
            key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        ).decode()
        for one, key in state.keys.items()
    }
    return json.dumps(
        {
            "simulation": "a SIM in software, no certified device",
            "iccid": state.iccid,
            "msisdn": state.msisdn,
            "keys": keys,
            "pins": {one.value: counter.to_json() for one, counter in state.pins.items()},
            "puk": state.puk.to_json(),
        }
    ).encode()


def _decode(document: object) -> _State:
    value = _object(document)
    keys: dict[results.Operation, ec.EllipticCurvePrivateKey] = {}
    for name, encoded in _object(value["keys"]).items():
        key = serialization.load_der_private_key(base64.b64decode(str(encoded)), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("expected an EC key")
        keys[results.Operation(name)] = key
    pins = {results.Operation(name): _counter(one) for name, one in _object(value["pins"]).items()}
    if not set(keys) == set(pins) == set(results.Operation):
        raise KeyError("expected a key and a PIN for every operation")
    return _State(
        iccid=str(value["iccid"]),
        msisdn=str(value["msisdn"]),
        keys=keys,
        pins=pins,
        puk=_counter(value["puk"]),
    )


def _counter(value: object) -> _Counter:
    fields = _object(value)
    tries = fields["tries"]
    if not isinstance(tries, int) or not 0 <= tries <= PUK_TRIES:
        raise TypeError("expected a number of tries")
    return _Counter(bytes.fromhex(str(fields["salt"])), bytes.fromhex(str(fields["digest"])), tries)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError("expected a JSON object")
    return value
