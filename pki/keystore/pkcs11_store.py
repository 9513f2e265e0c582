"""Keys in a PKCS#11 module: made inside it, sensitive, not extractable, never seen outside.

python-pkcs11 initialises a module without thread locking and calls it without the interpreter's
lock, so each module gets one lock for the whole process, and each store one session with the key
objects kept: opening a session for each signature is many times slower.

Which configuration a module reads (SoftHSM: `SOFTHSM2_CONF`) is the process's environment.
"""

import os
import pathlib
import secrets
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import exceptions as pkcs11_errors
from pkcs11.util import ec as pkcs11_ec

from pki import algorithms, errors, signature
from pki.keystore import passphrase as passphrases
from pki.keystore import store

_T = TypeVar("_T")

_LOCKS: dict[str, threading.RLock] = {}
_LOCKS_LOCK = threading.Lock()

_NOTHING_DONE = (
    pkcs11_errors.SessionHandleInvalid,
    pkcs11_errors.SessionClosed,
    pkcs11_errors.UserNotLoggedIn,
    pkcs11_errors.KeyHandleInvalid,
    pkcs11_errors.ObjectHandleInvalid,
)
"""The session is gone and the module did nothing: safe to reopen it and ask again at once."""

_OUTCOME_UNKNOWN = (
    pkcs11_errors.DeviceError,
    pkcs11_errors.DeviceMemory,
    pkcs11_errors.DeviceRemoved,
    pkcs11_errors.FunctionFailed,
    pkcs11_errors.GeneralError,
    pkcs11_errors.HostMemory,
    pkcs11_errors.NoSuchToken,
    pkcs11_errors.OperationActive,
    pkcs11_errors.SessionCount,
    pkcs11_errors.TokenNotPresent,
    pkcs11_errors.TokenNotRecognised,
)
"""The module failed, perhaps after it signed: only the caller can know whether to ask again."""

_CURVES: dict[algorithms.KeyKind, tuple[str, ec.EllipticCurve]] = {
    algorithms.KeyKind.P256: ("secp256r1", ec.SECP256R1()),
    algorithms.KeyKind.P384: ("secp384r1", ec.SECP384R1()),
}

_DIGEST_INFO = {
    algorithms.HashAlgorithm.SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    algorithms.HashAlgorithm.SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    algorithms.HashAlgorithm.SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What stands before the hash in RSASSA-PKCS1-v1_5 (RFC 8017 9.2, note 1)."""


class ModuleError(errors.DeviceError):
    """The PKCS#11 module failed."""

    code = "pkcs11-module-failed"


class ModuleUnavailableError(ModuleError):
    """The module or its token is away for now; the session is opened anew at the next call."""

    code = "pkcs11-module-unavailable"
    retriable = True


class ModuleAccessError(errors.DeviceError):
    """The token did not accept the PIN, or has locked it."""

    code = "pkcs11-pin-refused"


class TokenInUseError(errors.StateError):
    """This process has the token open in another store: share that one."""

    code = "pkcs11-token-in-use"


class Pkcs11KeyHandle:
    """A key inside a module."""

    def __init__(
        self, keys: "Pkcs11KeyStore", label: str, public_key: algorithms.PublicKey
    ) -> None:
        """Name the key; only `Pkcs11KeyStore` makes handles."""
        self._store = keys
        self._label = label
        self._public_key = public_key

    def __repr__(self) -> str:
        """Name the key."""
        return f"Pkcs11KeyHandle({self._label!r})"

    @property
    def label(self) -> str:
        """The key's name in its token."""
        return self._label

    @property
    def public_key(self) -> algorithms.PublicKey:
        """The public half."""
        return self._public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Sign a hash inside the module: ECDSA as raw r||s, or RSA PKCS#1 v1.5.

        Raises:
            ModuleUnavailableError: The module failed and may have signed or not.
            ModuleError: The module refused.
        """
        hash_algorithm = representation.hash_algorithm
        if isinstance(self._public_key, ec.EllipticCurvePublicKey):
            scheme = algorithms.SignatureAlgorithm.ECDSA
            mechanism = pkcs11.Mechanism.ECDSA
            data = representation.hash
            size = 2 * algorithms.ecdsa_size(self._public_key)
        else:
            scheme = algorithms.SignatureAlgorithm.RSA_PKCS1
            mechanism = pkcs11.Mechanism.RSA_PKCS
            data = _DIGEST_INFO[hash_algorithm] + representation.hash
            size = (self._public_key.key_size + 7) // 8
        value = self._store.sign_raw(self._label, mechanism, data)
        if len(value) != size:
            raise ModuleError(f"expected {size} bytes from the module, got {len(value)}")
        return signature.SignatureValue(scheme, hash_algorithm, value)


class Pkcs11KeyStore:
    """The keys of one token, behind one session and one lock."""

    def __init__(
        self, module_path: pathlib.Path, token_label: str, pin: passphrases.Passphrase
    ) -> None:
        """Load the module, find the token and log in.

        Raises:
            ModuleError: The module does not load.
            ModuleUnavailableError: No such token.
            ModuleAccessError: The PIN is wrong or locked.
            TokenInUseError: Another store of this process has the token open.
        """
        # The real path: one module under two names must not get two locks.
        self._module_path = os.path.realpath(module_path)
        self._token_label = token_label
        self._pin: passphrases.Passphrase | None = pin
        self._session: Any = None
        self._private_keys: dict[str, Any] = {}
        self._handles: dict[str, Pkcs11KeyHandle] = {}
        with _LOCKS_LOCK:
            self._lock = _LOCKS.setdefault(self._module_path, threading.RLock())
        with self._lock:
            self._open_session(first=True)

    def generate(self, label: str, kind: algorithms.KeyKind) -> Pkcs11KeyHandle:
        """Make a key inside the token and return its handle.

        Raises:
            KeyExistsError: The label is taken.
            ModuleError: The module failed.
        """
        if not 0 < len(label.encode()) <= 64:
            raise errors.InputError("expected a key label of 1 to 64 bytes")
        with self._lock:
            if label in self.labels():
                raise store.KeyExistsError(f"a key named {label!r} exists already")
            public, private = self._call(lambda: self._generate(label, kind))
            self._private_keys[label] = private
            handle = Pkcs11KeyHandle(self, label, self._call(lambda: _read_public_key(public)))
            self._handles[label] = handle
            return handle

    def open_key(self, label: str) -> Pkcs11KeyHandle:
        """Return the handle of an existing key.

        Raises:
            KeyNotFoundError: No such label.
            ModuleError: The module failed, or holds two keys of this label.
        """
        with self._lock:
            self._require_open()
            handle = self._handles.get(label)
            if handle is None:
                self._call(lambda: self._private_key(label))
                handle = Pkcs11KeyHandle(
                    self, label, self._call(lambda: _read_public_key(self._public_object(label)))
                )
                self._handles[label] = handle
            return handle

    def labels(self) -> tuple[str, ...]:
        """The labels of all private keys in the token, sorted."""
        template = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            pkcs11.Attribute.TOKEN: True,
        }
        with self._lock:
            return self._call(
                lambda: tuple(sorted(str(key.label) for key in self._session.get_objects(template)))
            )

    def close(self) -> None:
        """Log out and close the session; handles are dead afterwards."""
        with self._lock:
            self._pin = None
            self._drop_session()
            self._handles.clear()

    def sign_raw(self, label: str, mechanism: pkcs11.Mechanism, data: bytes) -> bytes:
        """Run one signature of a key; handles call this.

        Raises:
            ModuleError: The module failed.
        """
        with self._lock:
            return bytes(
                self._call(lambda: self._private_key(label).sign(data, mechanism=mechanism))
            )

    def _call(self, operation: Callable[[], _T]) -> _T:
        """Run an operation; a lost session is opened again, once."""
        self._require_open()
        if self._session is None:
            self._open_session(first=False)
        try:
            return self._translated(operation)
        except _NOTHING_DONE:
            self._drop_session()
        self._open_session(first=False)
        try:
            return self._translated(operation)
        except _NOTHING_DONE as error:
            self._drop_session()
            raise ModuleUnavailableError(
                f"the session with the token {self._token_label!r} was lost twice"
            ) from error

    def _translated(self, operation: Callable[[], _T]) -> _T:
        try:
            return operation()
        except _NOTHING_DONE:
            raise
        except _OUTCOME_UNKNOWN as error:
            self._drop_session()
            raise ModuleUnavailableError(
                f"the token {self._token_label!r} failed: {type(error).__name__}"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise ModuleError(
                f"the token {self._token_label!r} refused: {type(error).__name__}"
            ) from error

    def _require_open(self) -> None:
        if self._pin is None:
            raise store.StoreClosedError(f"the store of the token {self._token_label!r} is closed")

    def _open_session(self, *, first: bool) -> None:
        assert self._pin is not None  # noqa: S101 - callers have checked; for the type checker
        try:
            module = pkcs11.lib(self._module_path)
            token = module.get_token(token_label=self._token_label)
            try:
                self._session = token.open(rw=True, user_pin=self._pin.reveal())
            except pkcs11_errors.UserAlreadyLoggedIn as error:
                if first:
                    raise TokenInUseError(
                        f"this process has the token {self._token_label!r} open already"
                    ) from error
                # Only our session was lost; the login is this store's own.
                self._session = token.open(rw=True)
        except (
            pkcs11_errors.PinIncorrect,
            pkcs11_errors.PinInvalid,
            pkcs11_errors.PinLenRange,
            pkcs11_errors.PinLocked,
            pkcs11_errors.PinExpired,
        ) as error:
            raise ModuleAccessError(
                f"the token {self._token_label!r} did not accept the PIN: {type(error).__name__}"
            ) from error
        except pkcs11_errors.NoSuchToken as error:
            raise ModuleUnavailableError(
                f"the module {self._module_path} has no token named {self._token_label!r}"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise ModuleUnavailableError(
                f"the module {self._module_path} did not open: {type(error).__name__} {error}"
            ) from error

    def _drop_session(self) -> None:
        """Forget the session and its objects; the module may have dropped them before us."""
        session, self._session = self._session, None
        self._private_keys.clear()
        if session is None:
            return
        try:
            session.close()
        except pkcs11.PKCS11Error:
            # A session that is lost cannot be closed, and nothing is left to close.
            return

    def _generate(self, label: str, kind: algorithms.KeyKind) -> tuple[Any, Any]:
        settings = {
            "id": secrets.token_bytes(16),
            "label": label,
            "store": True,
            "capabilities": pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            "private_template": {
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
                pkcs11.Attribute.PRIVATE: True,
            },
        }
        if kind is algorithms.KeyKind.RSA3072:
            public, private = self._session.generate_keypair(
                pkcs11.KeyType.RSA, algorithms.MIN_RSA_BITS, **settings
            )
        else:
            parameters = self._session.create_domain_parameters(
                pkcs11.KeyType.EC,
                {
                    pkcs11.Attribute.EC_PARAMS: pkcs11_ec.encode_named_curve_parameters(
                        _CURVES[kind][0]
                    )
                },
                local=True,
            )
            public, private = parameters.generate_keypair(**settings)
        return public, private

    def _private_key(self, label: str) -> Any:
        key = self._private_keys.get(label)
        if key is None:
            key = self._find(pkcs11.ObjectClass.PRIVATE_KEY, label)
            self._private_keys[label] = key
        return key

    def _public_object(self, label: str) -> Any:
        return self._find(pkcs11.ObjectClass.PUBLIC_KEY, label)

    def _find(self, object_class: pkcs11.ObjectClass, label: str) -> Any:
        try:
            return self._session.get_key(object_class=object_class, label=label)
        except pkcs11_errors.NoSuchKey as error:
            raise store.KeyNotFoundError(f"no key is named {label!r}") from error
        except pkcs11_errors.MultipleObjectsReturned as error:
            raise ModuleError(
                f"the token {self._token_label!r} holds several keys named {label!r}"
            ) from error


def _read_public_key(public: Any) -> algorithms.PublicKey:
    """Read a public key object by its attributes.

    Raises:
        UnsupportedAlgorithmError: A key of another kind than this product makes.
        ModuleError: The attributes make no key.
    """
    try:
        if public.key_type is pkcs11.KeyType.RSA:
            key: algorithms.PublicKey = rsa.RSAPublicNumbers(
                int.from_bytes(public[pkcs11.Attribute.PUBLIC_EXPONENT], "big"),
                int.from_bytes(public[pkcs11.Attribute.MODULUS], "big"),
            ).public_key()
        else:
            curve = _curve(public[pkcs11.Attribute.EC_PARAMS])
            point = _point(public[pkcs11.Attribute.EC_POINT], curve)
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as error:
        raise ModuleError("the module holds a public key that is none") from error
    algorithms.key_kind(key)
    return key


def _curve(parameters: bytes) -> ec.EllipticCurve:
    for name, curve in _CURVES.values():
        if pkcs11_ec.encode_named_curve_parameters(name) == parameters:
            return curve
    raise algorithms.UnsupportedAlgorithmError("expected a key on P-256 or P-384, got another")


def _point(value: bytes, curve: ec.EllipticCurve) -> bytes:
    """Take the OCTET STRING off a point: PKCS#11 wants one around it, some modules have none."""
    size = 1 + 2 * ((curve.key_size + 7) // 8)
    if len(value) == size + 2 and value[:2] == bytes((0x04, size)):
        return value[2:]
    return value
