"""Keys in a PKCS#11 module: made inside it, sensitive, not extractable, never seen outside."""

import pathlib
import secrets
import threading
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import exceptions as pkcs11_errors
from pkcs11.util import ec as pkcs11_ec

from pki import algorithms, errors, signature
from pki.keystore import passphrase as passphrases
from pki.keystore import pkcs11_token, store

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


class Pkcs11KeyHandle:
    """A key inside a module."""

    def __init__(
        self, keys: "Pkcs11KeyStore", label: str, public_key: algorithms.PublicKey
    ) -> None:
        """Name the key; only `Pkcs11KeyStore` makes handles."""
        self._store = keys
        self._label = label
        self._public_key = public_key
        # Decided once: a module signs in less time than it takes to ask again for each value.
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            self._scheme = algorithms.SignatureAlgorithm.ECDSA
            self._mechanism = pkcs11.Mechanism.ECDSA
            self._size = 2 * algorithms.ecdsa_size(public_key)
        else:
            self._scheme = algorithms.SignatureAlgorithm.RSA_PKCS1
            self._mechanism = pkcs11.Mechanism.RSA_PKCS
            self._size = (public_key.key_size + 7) // 8

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
        data = representation.hash
        if self._scheme is algorithms.SignatureAlgorithm.RSA_PKCS1:
            data = _DIGEST_INFO[hash_algorithm] + data
        value = self._store.sign_raw(self._label, self._mechanism, data)
        if len(value) != self._size:
            raise pkcs11_token.ModuleError(
                f"expected {self._size} bytes from the module, got {len(value)}"
            )
        return signature.SignatureValue(self._scheme, hash_algorithm, value)


class Pkcs11KeyStore:
    """The keys of one token."""

    def __init__(
        self, module_path: pathlib.Path, token_label: str, pin: passphrases.Passphrase
    ) -> None:
        """Load the module, find the token and log in.

        Raises:
            ModuleUnavailableError: The module does not load, or has no such token.
            ModuleAccessError: The PIN is wrong or locked.
            TokenInUseError: Another library of this process has the token open.
        """
        self._token_label = token_label
        self._handles: dict[str, Pkcs11KeyHandle] = {}
        self._private_keys: dict[str, tuple[int, Any]] = {}
        self._lock = threading.RLock()
        self._token: pkcs11_token.Token | None = pkcs11_token.open_token(
            module_path, token_label, pin
        )

    def generate(self, label: str, kind: algorithms.KeyKind) -> Pkcs11KeyHandle:
        """Make a key inside the token and return its handle.

        Raises:
            KeyExistsError: The label is taken.
            ModuleError: The module failed.
        """
        if not 0 < len(label.encode()) <= 64:
            raise errors.InputError("expected a key label of 1 to 64 bytes")
        token = self._open()
        # The module's lock is held from looking to making: two stores may share the token.
        with self._lock, token.lock:
            if label in self.labels():
                raise store.KeyExistsError(f"a key named {label!r} exists already")
            public, private = token.call(lambda session: _generate(session, label, kind))
            self._private_keys[label] = (token.losses, private)
            public_key = token.call(lambda _: _read_public_key(public))
            handle = Pkcs11KeyHandle(self, label, public_key)
            self._handles[label] = handle
            return handle

    def open_key(self, label: str) -> Pkcs11KeyHandle:
        """Return the handle of an existing key.

        Raises:
            KeyNotFoundError: No such label.
            ModuleError: The module failed, or holds two keys of this label.
        """
        token = self._open()
        with self._lock:
            handle = self._handles.get(label)
            if handle is None:
                private = token.call(lambda session: self._private_key(session, token, label))
                public_key = token.call(
                    lambda session: _read_public_key(_public_of(session, private, label))
                )
                handle = Pkcs11KeyHandle(self, label, public_key)
                self._handles[label] = handle
            return handle

    def describe_key(self, label: str) -> store.KeyAttributes:
        """Read back what the token says of a private key.

        Raises:
            KeyNotFoundError: No such label.
            ModuleError: The module failed, or does not say.
        """
        token = self._open()

        def read(session: Any) -> store.KeyAttributes:
            key = _find(session, pkcs11.ObjectClass.PRIVATE_KEY, label)
            return store.KeyAttributes(
                f"pkcs11:{self._token_label}:{_text(session.token.serial)}",
                extractable=bool(key[pkcs11.Attribute.EXTRACTABLE]),
                sensitive=bool(key[pkcs11.Attribute.SENSITIVE]),
                always_sensitive=bool(key[pkcs11.Attribute.ALWAYS_SENSITIVE]),
                never_extractable=bool(key[pkcs11.Attribute.NEVER_EXTRACTABLE]),
                local=bool(key[pkcs11.Attribute.LOCAL]),
            )

        with self._lock:
            return token.call(read)

    def labels(self) -> tuple[str, ...]:
        """The labels of all private keys in the token, sorted."""
        template = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            pkcs11.Attribute.TOKEN: True,
        }
        return self._open().call(
            lambda session: tuple(sorted(str(key.label) for key in session.get_objects(template)))
        )

    def close(self) -> None:
        """Let go of the token; handles are dead afterwards."""
        with self._lock:
            token, self._token = self._token, None
            self._handles.clear()
            self._private_keys.clear()
            if token is not None:
                pkcs11_token.release(token)

    def sign_raw(self, label: str, mechanism: pkcs11.Mechanism, data: bytes) -> bytes:
        """Run one signature of a key; handles call this.

        Raises:
            StoreClosedError: The store was closed.
            ModuleError: The module failed.
        """
        token = self._open()
        return token.call(
            lambda session: bytes(
                self._private_key(session, token, label).sign(data, mechanism=mechanism)
            )
        )

    def _private_key(self, session: Any, token: pkcs11_token.Token, label: str) -> Any:
        """The key's object, looked up once a session; callers hold the token's lock."""
        losses, key = self._private_keys.get(label, (-1, None))
        if losses != token.losses:
            key = _find(session, pkcs11.ObjectClass.PRIVATE_KEY, label)
            self._private_keys[label] = (token.losses, key)
        return key

    def _open(self) -> pkcs11_token.Token:
        token = self._token
        if token is None:
            raise store.StoreClosedError(f"the store of the token {self._token_label!r} is closed")
        return token


def _generate(session: Any, label: str, kind: algorithms.KeyKind) -> tuple[Any, Any]:
    """Make a pair in the token and return its public and its private object."""
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
        public, private = session.generate_keypair(
            pkcs11.KeyType.RSA, algorithms.MIN_RSA_BITS, **settings
        )
    else:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: pkcs11_ec.encode_named_curve_parameters(_CURVES[kind][0])},
            local=True,
        )
        public, private = parameters.generate_keypair(**settings)
    return public, private


def _find(session: Any, object_class: pkcs11.ObjectClass, label: str) -> Any:
    try:
        return session.get_key(object_class=object_class, label=label)
    except pkcs11_errors.NoSuchKey as error:
        raise store.KeyNotFoundError(f"no key is named {label!r}") from error
    except pkcs11_errors.MultipleObjectsReturned as error:
        raise pkcs11_token.ModuleError(f"the token holds several keys named {label!r}") from error


def _public_of(session: Any, private: Any, label: str) -> Any:
    """The public half: of the same label or, as cards have it, of the same CKA_ID."""
    try:
        return _find(session, pkcs11.ObjectClass.PUBLIC_KEY, label)
    except store.KeyNotFoundError:
        template = {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
            pkcs11.Attribute.ID: bytes(private[pkcs11.Attribute.ID]),
        }
        # A list first: a search left open refuses every other call.
        found = list(session.get_objects(template))
        if len(found) != 1:
            raise
        return found[0]


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
        raise pkcs11_token.ModuleError("the module holds a public key that is none") from error
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


def _text(value: object) -> str:
    """A fixed-width field of a module, which pads it with spaces."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")
