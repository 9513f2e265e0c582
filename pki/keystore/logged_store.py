"""A key store whose keys tell the signature log before they sign, and answer in time."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, TypeVar

from pki import algorithms, errors, signature
from pki.keystore import signature_log, store, time_limit

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")

Check = Callable[[], object]
"""Raises where something is not there without which nothing may be signed."""

Permit = Callable[[str, Sequence[signature.DataToBeSignedRepresentation]], object]
"""Hears a key's label and all that it is to sign; raises where it must not."""

Result = signature.SignatureValue | Exception
"""What became of one signature of several."""

THREADS = 8
"""Waiting for a module leaves the interpreter free; so do signing and checking in memory."""


class LoggedKey:
    """A key that signs only what the log has on its disk, and only in time."""

    def __init__(
        self,
        handle: store.KeyHandle,
        log: signature_log.SignatureLog,
        watch: time_limit.AnswerWatch,
        needs: Sequence[Check] = (),
        permit: Permit | None = None,
    ) -> None:
        """Stand between a key and whoever uses it."""
        self._handle = time_limit.TimeLimitedKey(handle, watch)
        self._watch = watch
        self._log = log
        self._needs = (watch.check, *needs)
        self._permit = permit

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

    def check_ready(self) -> None:
        """Raise what `sign` would raise before the key is asked, where that is known.

        Asked before a serial number is spent on a certificate that cannot be signed.

        Raises:
            StorageError: The log, or a folder that is needed besides, cannot be written.
            KeyHungError: The key store does not answer.
        """
        self._log.check_writable()
        for need in self._needs:
            need()

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Write what will be signed, sign, write what became of it.

        Raises:
            StorageError: The log cannot be written, or what is needed besides; the key did not
                sign. What else a need or the permit raises means the same.
            KeyHungError: The key did not answer and may have signed, or another one does not.
            DeviceError: As the key's own `sign`.
        """
        (result,) = self.sign_all((representation,))
        if isinstance(result, Exception):
            raise result
        return result

    def sign_all(
        self, representations: Sequence[signature.DataToBeSignedRepresentation]
    ) -> list[Result]:
        """Sign several things as one use of the key, with one wait for the log's disk.

        Returns:
            In their order, the value or the error that `sign` would raise.

        Raises:
            StorageError: As `sign`; the key signed none. So it is with needs and the permit.
        """
        for need in self._needs:
            need()
        if self._permit is not None:
            self._permit(self.label, representations)
        numbers = self._log.intend_all(self.label, representations)
        return in_threads(self._sign_logged, list(zip(numbers, representations, strict=True)))

    def _sign_logged(
        self, intended: tuple[int, signature.DataToBeSignedRepresentation]
    ) -> signature.SignatureValue:
        number, representation = intended
        try:
            # One of several may have hung meanwhile: nothing more is asked then.
            self._watch.check()
        except errors.ImzaError as error:
            self._log.conclude(number, signature_log.Event.FAILED, code=error.code)
            raise
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
        *,
        needs: Sequence[Check] = (),
        permit: Permit | None = None,
        answer_limit_s: float = time_limit.ANSWER_LIMIT_S,
    ) -> None:
        """Take a store and its log.

        Args:
            keys: The store.
            log: What its keys sign is written there.
            is_logged: Which labels are logged, and have to answer in time.
            needs: What must be there besides for these keys to sign.
            permit: Asked with each thing that they are to sign.
            answer_limit_s: How long they may take.
        """
        self._keys = keys
        self._log = log
        self._is_logged = is_logged
        self._needs = needs
        self._permit = permit
        self._watch = time_limit.AnswerWatch(answer_limit_s)

    def check_ready(self) -> None:
        """Raise where the logged keys would not sign; see `LoggedKey.check_ready`."""
        self._log.check_writable()
        for need in (self._watch.check, *self._needs):
            need()

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
        if not self._is_logged(handle.label):
            return handle
        return LoggedKey(handle, self._log, self._watch, self._needs, self._permit)


def sign_all(
    handle: store.KeyHandle, representations: Sequence[signature.DataToBeSignedRepresentation]
) -> list[Result]:
    """Sign several things with any key, several at once; in their order, the values or the errors.

    Raises:
        StorageError: As `LoggedKey.sign_all`; the key signed none.
    """
    if isinstance(handle, LoggedKey):
        return handle.sign_all(representations)
    return in_threads(handle.sign, representations)


def in_threads(work: Callable[[_Input], _Output], inputs: Sequence[_Input]) -> list[Any]:
    """Do some work for each input, in `THREADS` threads; in their order, results or errors."""

    def attempt(one: _Input) -> _Output | Exception:
        try:
            return work(one)
        except Exception as error:  # noqa: BLE001 - told to the caller beside the others
            return error

    def attempt_all(share: Sequence[_Input]) -> list[_Output | Exception]:
        return [attempt(one) for one in share]

    if len(inputs) <= 1:
        return attempt_all(inputs)
    shares = [inputs[start::THREADS] for start in range(min(THREADS, len(inputs)))]
    found: list[Any] = [None] * len(inputs)
    with futures.ThreadPoolExecutor(len(shares)) as pool:
        for start, results in enumerate(pool.map(attempt_all, shares)):
            found[start::THREADS] = results
    return found


def check_ready(handle: store.KeyHandle) -> None:
    """Check that a key can sign now, where it is one that can tell; see `LoggedKey`."""
    if isinstance(handle, LoggedKey):
        handle.check_ready()
