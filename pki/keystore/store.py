"""What a key store does; `file_store` and `pkcs11_store` are the two that exist."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from pki import algorithms, errors, signature


class KeyNotFoundError(errors.NotFoundError):
    """No key has this label."""

    code = "key-not-found"


class KeyExistsError(errors.StateError):
    """A key has this label already; keys are never overwritten."""

    code = "key-exists"


class StoreClosedError(errors.StateError):
    """The store was closed; its handles are dead."""

    code = "key-store-closed"


@dataclasses.dataclass(frozen=True)
class KeyAttributes:
    """What a store says of a private key that it holds, read back from the store itself.

    The last five are those of PKCS#11 3.1 4.9 and 4.7.

    Attributes:
        place: `pkcs11:` and the token's label and serial number, or `file`.
        extractable: The key may be taken out, if only wrapped.
        sensitive: The key is never shown in plain.
        always_sensitive: It has been so since it was made.
        never_extractable: It could never be taken out.
        local: It was made in this store, not put into it.
    """

    place: str
    extractable: bool
    sensitive: bool
    always_sensitive: bool
    never_extractable: bool
    local: bool

    @property
    def stays_inside(self) -> bool:
        """Whether nobody can have, or ever get, a copy of the key."""
        return (
            self.sensitive
            and self.always_sensitive
            and self.never_extractable
            and self.local
            and not self.extractable
        )


class KeyHandle(Protocol):
    """A private key that signs and is never given out. Safe to use from several threads."""

    @property
    def label(self) -> str:
        """The key's name in its store."""

    @property
    def public_key(self) -> algorithms.PublicKey:
        """The public half."""

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Sign a hash with the scheme of the key's kind (ECDSA raw r||s, or RSA PKCS#1 v1.5).

        Raises:
            DeviceError: The module failed; retriable when its session was lost.
        """


@runtime_checkable
class DirectKeyHandle(Protocol):
    """A key handle that hashes, signs and encodes in one step."""

    def sign_encoded(self, data: bytes, hash_algorithm: algorithms.HashAlgorithm) -> bytes:
        """Hash and sign data; return the value as CMS carries it (DER for ECDSA)."""


def encoded_signer(
    handle: KeyHandle, hash_algorithm: algorithms.HashAlgorithm
) -> Callable[[bytes], bytes]:
    """Return what hashes and signs data, and gives the value as CMS, X.509 and OCSP carry it.

    For who signs often. Where the handle can, the detour by r||s is left out, which takes longer
    than half a P-256 signature.
    """
    if isinstance(handle, DirectKeyHandle):
        return functools.partial(handle.sign_encoded, hash_algorithm=hash_algorithm)
    return lambda data: handle.sign(signature.represent(data, hash_algorithm)).encoded_for_cms()


class KeyStore(Protocol):
    """Where private keys live."""

    def generate(self, label: str, kind: algorithms.KeyKind) -> KeyHandle:
        """Make a key inside the store and return its handle.

        Raises:
            KeyExistsError: The label is taken.
        """

    def open_key(self, label: str) -> KeyHandle:
        """Return the handle of an existing key.

        Raises:
            KeyNotFoundError: No such label.
        """

    def describe_key(self, label: str) -> KeyAttributes:
        """Read back what protects an existing private key.

        Raises:
            KeyNotFoundError: No such label.
        """

    def labels(self) -> tuple[str, ...]:
        """The labels of all keys, sorted."""

    def close(self) -> None:
        """Let go of sessions and files; handles are dead afterwards."""
