"""A key store whose keys tell the signature log before they sign."""

import hashlib
from collections.abc import Callable

from pki import algorithms, errors, signature
from pki.keystore import signature_log, store


class LoggedKey:
    """A key that signs only what the log has on its disk."""

    def __init__(self, handle: store.KeyHandle, log: signature_log.SignatureLog) -> None:
        """Stand between a key and whoever uses it."""
        self._handle = handle
        self._log = log

    def __repr__(self) -> str:
        """Name the key."""
        return f"LoggedKey({self._handle.label!r})"

    @property
    def label(self) -> str:
        """The key's name in its store."""
        return self._handle.label

    @property
    def public_key(self) -> algorithms.PublicKey:
        """The public half."""
        return self._handle.public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Write what will be signed, sign, write what became of it.

        Raises:
            SignatureLogError: The log cannot be written; the key did not sign.
            DeviceError: As the key's own `sign`.
        """
        number = self._log.intend(self.label, representation)
        try:
            value = self._handle.sign(representation)
        except store.StoreClosedError as error:
            self._log.conclude(number, signature_log.Event.FAILED, code=error.code)
            raise
        except BaseException as error:
            code = error.code if isinstance(error, errors.ImzaError) else type(error).__name__
            self._log.conclude(number, signature_log.Event.UNKNOWN, code=code)
            raise
        self._log.conclude(
            number,
            signature_log.Event.SIGNED,
            signature_sha256=hashlib.sha256(value.value).hexdigest(),
        )
        return value


class LoggedKeyStore:
    """A store some of whose keys are logged: those of the authorities."""

    def __init__(
        self,
        keys: store.KeyStore,
        log: signature_log.SignatureLog,
        is_logged: Callable[[str], bool],
    ) -> None:
        """Take a store, its log, and which labels are logged."""
        self._keys = keys
        self._log = log
        self._is_logged = is_logged

    def generate(self, label: str, kind: algorithms.KeyKind) -> store.KeyHandle:
        """Make a key."""
        return self._logged(self._keys.generate(label, kind))

    def open_key(self, label: str) -> store.KeyHandle:
        """Open a key."""
        return self._logged(self._keys.open_key(label))

    def describe_key(self, label: str) -> store.KeyAttributes:
        """Read back what protects a key."""
        return self._keys.describe_key(label)

    def labels(self) -> tuple[str, ...]:
        """The labels of all keys, sorted."""
        return self._keys.labels()

    def close(self) -> None:
        """Close the store, and the log after it."""
        self._keys.close()
        self._log.close()

    def _logged(self, handle: store.KeyHandle) -> store.KeyHandle:
        return LoggedKey(handle, self._log) if self._is_logged(handle.label) else handle
