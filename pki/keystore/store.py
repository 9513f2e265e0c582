"""What a key store does; `file_store` and `pkcs11_store` are the two that exist."""

from typing import Protocol

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

    def labels(self) -> tuple[str, ...]:
        """The labels of all keys, sorted."""

    def close(self) -> None:
        """Let go of sessions and files; handles are dead afterwards."""
