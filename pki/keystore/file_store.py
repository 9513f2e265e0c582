"""Keys as encrypted PKCS#8 files (RFC 5958), for installations without a hardware module.

While a store is open its keys lie in the memory of the process: this is a sandbox's and a small
installation's store, not a certified device.
"""

import pathlib
import re
import secrets
import threading
from typing import Any

from asn1crypto import algos as asn1_algos
from asn1crypto import keys as asn1_keys
from asn1crypto import pem as asn1_pem
from cryptography import exceptions
from cryptography.hazmat.primitives import ciphers, hashes, serialization
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.kdf import pbkdf2

from pki import algorithms, durable_files, errors, signature
from pki.keystore import passphrase as passphrases
from pki.keystore import store

KDF_ROUNDS = 600_000
"""Rounds of PBKDF2-HMAC-SHA256: about 0.2 s for each key, once, when it is first opened."""

MAX_KEY_FILE_BYTES = 16 * 1024
"""An encrypted RSA-3072 key takes 3 KiB."""

_SUFFIX = ".key"
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyFileError(errors.DeviceError):
    """A key file is damaged, or the passphrase does not open it."""

    code = "key-file-unusable"


_ECDSA: dict[algorithms.HashAlgorithm, tuple[Any, ...]] = {
    one: (ec.ECDSA(one.hasher),) for one in algorithms.HashAlgorithm
}
_RSA: dict[algorithms.HashAlgorithm, tuple[Any, ...]] = {
    one: (padding.PKCS1v15(), one.hasher) for one in algorithms.HashAlgorithm
}
"""What a key's `sign` takes besides the data, by the hash."""


class FileKeyHandle:
    """A key that was read from its file; it signs until its store is closed."""

    def __init__(self, label: str, key: algorithms.PrivateKey) -> None:
        """Keep the key; only `FileKeyStore` makes handles."""
        self._label = label
        self._key: algorithms.PrivateKey | None = key
        self._public_key = key.public_key()
        # Asked once: for each signature it would take a fortieth of its time.
        self._schemes = _ECDSA if isinstance(key, ec.EllipticCurvePrivateKey) else _RSA

    def __repr__(self) -> str:
        """Name the key and nothing of it."""
        return f"FileKeyHandle({self._label!r})"

    @property
    def label(self) -> str:
        """The key's name in its store."""
        return self._label

    @property
    def public_key(self) -> algorithms.PublicKey:
        """The public half."""
        return self._public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Sign a hash: ECDSA as raw r||s, or RSA PKCS#1 v1.5.

        Raises:
            StoreClosedError: The store was closed.
        """
        key = self._key
        if key is None:
            raise store.StoreClosedError(f"the store of the key {self._label!r} is closed")
        prehashed = utils.Prehashed(representation.hash_algorithm.hasher)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            der = key.sign(representation.hash, ec.ECDSA(prehashed))
            size = algorithms.ecdsa_size(key.public_key())
            return signature.SignatureValue(
                algorithms.SignatureAlgorithm.ECDSA,
                representation.hash_algorithm,
                algorithms.ecdsa_der_to_raw(der, size),
            )
        return signature.SignatureValue(
            algorithms.SignatureAlgorithm.RSA_PKCS1,
            representation.hash_algorithm,
            key.sign(representation.hash, padding.PKCS1v15(), prehashed),
        )

    def sign_encoded(self, data: bytes, hash_algorithm: algorithms.HashAlgorithm) -> bytes:
        """Hash and sign data; return the value as CMS carries it (DER for ECDSA).

        Raises:
            StoreClosedError: The store was closed.
        """
        key = self._key
        if key is None:
            raise store.StoreClosedError(f"the store of the key {self._label!r} is closed")
        return key.sign(data, *self._schemes[hash_algorithm])

    def forget(self) -> None:
        """Let go of the private key."""
        self._key = None


class FileKeyStore:
    """Keys in a folder, one encrypted file each, read when they are first used."""

    def __init__(
        self,
        folder: pathlib.Path,
        passphrase: passphrases.Passphrase,
        *,
        kdf_rounds: int = KDF_ROUNDS,
    ) -> None:
        """Open a folder of keys, and make it when it is missing.

        Args:
            folder: Holds `LABEL.key` files; made with mode 0700.
            passphrase: Encrypts every file.
            kdf_rounds: For keys made from now on; fewer only where keys are thrown away.

        Raises:
            KeyFileError: The folder cannot be made.
        """
        self._folder = folder
        self._passphrase: passphrases.Passphrase | None = passphrase
        self._kdf_rounds = kdf_rounds
        self._handles: dict[str, FileKeyHandle] = {}
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise KeyFileError(
                f"the key folder {folder} cannot be made: {error.strerror}"
            ) from error

    def generate(self, label: str, kind: algorithms.KeyKind) -> FileKeyHandle:
        """Make a key, write its file and return its handle.

        Raises:
            KeyExistsError: The label is taken.
            KeyFileError: The file cannot be written.
        """
        path = self._path(label)
        if path.exists():
            raise store.KeyExistsError(f"a key named {label!r} exists already")
        key = _new_key(kind)
        pem = _encrypt(key, self._secret(), self._kdf_rounds)
        with self._lock:
            try:
                durable_files.create(path, pem)
            except FileExistsError as error:
                raise store.KeyExistsError(f"a key named {label!r} exists already") from error
            except OSError as error:
                raise KeyFileError(
                    f"the key file {path} cannot be written: {error.strerror}"
                ) from error
            handle = FileKeyHandle(label, key)
            self._handles[label] = handle
        return handle

    def open_key(self, label: str) -> FileKeyHandle:
        """Return the handle of an existing key; its file is read the first time.

        Raises:
            KeyNotFoundError: No such label.
            KeyFileError: The file is damaged, or the passphrase does not open it.
        """
        secret = self._secret()
        path = self._path(label)
        with self._lock:
            handle = self._handles.get(label)
            if handle is None:
                handle = FileKeyHandle(label, _read_key(path, label, secret))
                self._handles[label] = handle
        return handle

    def describe_key(self, label: str) -> store.KeyAttributes:
        """Tell that a key in a file can be copied; raises as `open_key` does."""
        self.open_key(label)
        return store.KeyAttributes(
            "file",
            extractable=True,
            sensitive=False,
            always_sensitive=False,
            never_extractable=False,
            local=False,  # Somebody may have put the file there.
        )

    def labels(self) -> tuple[str, ...]:
        """The labels of all keys, sorted; no key is read."""
        self._secret()
        return tuple(sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}")))

    def close(self) -> None:
        """Forget the passphrase and every key."""
        with self._lock:
            self._passphrase = None
            for handle in self._handles.values():
                handle.forget()
            self._handles.clear()

    def _secret(self) -> bytes:
        if self._passphrase is None:
            raise store.StoreClosedError("this key store is closed")
        return self._passphrase.reveal().encode()

    def _path(self, label: str) -> pathlib.Path:
        """The file of a label; a label that could leave the folder is refused."""
        if not _LABEL.fullmatch(label):
            raise errors.InputError(
                "expected a key label of 1 to 64 letters, digits, dots, dashes or underscores,"
                f" got {label[:80]!r}"
            )
        return self._folder / f"{label}{_SUFFIX}"


def _new_key(kind: algorithms.KeyKind) -> algorithms.PrivateKey:
    if kind is algorithms.KeyKind.P256:
        return ec.generate_private_key(ec.SECP256R1())
    if kind is algorithms.KeyKind.P384:
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=algorithms.MIN_RSA_BITS)


def _encrypt(key: algorithms.PrivateKey, secret: bytes, kdf_rounds: int) -> bytes:
    """Encrypt a key with PBES2: PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018 6.2).

    `cryptography` writes this form too, but with its own, lower number of rounds.
    """
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    plain = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    padder = block_padding.PKCS7(128).padder()
    kdf = pbkdf2.PBKDF2HMAC(hashes.SHA256(), 32, salt, kdf_rounds)
    encryptor = ciphers.Cipher(
        ciphers.algorithms.AES(kdf.derive(secret)), ciphers.modes.CBC(vector)
    ).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    info = asn1_keys.EncryptedPrivateKeyInfo(
        {
            "encryption_algorithm": {
                "algorithm": "pbes2",
                "parameters": {
                    "key_derivation_func": {
                        "algorithm": "pbkdf2",
                        "parameters": {
                            "salt": asn1_algos.Pbkdf2Salt("specified", salt),
                            "iteration_count": kdf_rounds,
                            "prf": {"algorithm": "sha256"},
                        },
                    },
                    "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": vector},
                },
            },
            "encrypted_data": encrypted,
        }
    )
    return bytes(asn1_pem.armor("ENCRYPTED PRIVATE KEY", info.dump()))


def _read_key(path: pathlib.Path, label: str, secret: bytes) -> algorithms.PrivateKey:
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise store.KeyNotFoundError(f"no key is named {label!r}") from error
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from error
    try:
        if len(pem) > MAX_KEY_FILE_BYTES:
            raise ValueError("too long")
        key = serialization.load_pem_private_key(pem, secret)
        algorithms.key_kind(key.public_key())
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        # A TypeError means a file without encryption: somebody else put it there.
        raise KeyFileError(
            f"the key file {path} is damaged, or the passphrase does not open it"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyFileError(f"the key file {path} holds a key of an unexpected kind")
    return key
