"""A key store whose keys tell the signature log before they sign, and answer in time."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any, TypeVar

from pki import algorithms, errors, signature
from pki.keystore import signature_log, store, time_limit, under_way
from pki.keystore.signature_log import Event

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")

Check = Callable[[], object]
"""Raises where something is not there without which nothing may be signed."""

Permit = Callable[[str, Sequence[signature.DataToBeSignedRepresentation]], object]
"""Hears a key's label and all that it is to sign; raises where it must not."""

THREADS = min(8, max(2, os.cpu_count() or 2))
"""A module is asked by one at a time, while others check what it gave; keys in memory sign beside
each other. More than there are processors would only wait for one another."""


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

    @property
    def processes(self) -> under_way.UnderWay:
        """The locks by which processes know of each other; one for each log."""
        return self._log.processes

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
        (result,) = self.sign_all((representation,), _value_alone)
        if isinstance(result, Exception):
            raise result
        return result

    def sign_all(
        self,
        representations: Sequence[signature.DataToBeSignedRepresentation],
        then: Callable[[int, signature.SignatureValue], _Output],
    ) -> list[_Output | Exception]:
        """Sign several things as one use of the key, with one wait for the log's disk.

        Args:
            representations: What is signed.
            then: What to do with the value at a place, such as checking it; several at once.

        Returns:
            In their order, what `then` gave, or the error that it or `sign` would raise.

        Raises:
            StorageError: As `sign`; the key signed none. So it is with needs and the permit.
        """
        for need in self._needs:
            need()
        if self._permit is not None:
            self._permit(self.label, representations)
        numbers = self._log.intend_all(self.label, representations)
        outcomes: list[signature_log.Outcome | None] = [None] * len(numbers)

        def sign(place: int) -> _Output:
            value, outcomes[place] = self._sign(numbers[place], representations[place])
            if isinstance(value, BaseException):
                raise value
            return then(place, value)

        try:
            return in_threads(sign, range(len(numbers)))
        finally:
            self._log.conclude_all([one for one in outcomes if one is not None])

    def _sign(
        self, number: int, representation: signature.DataToBeSignedRepresentation
    ) -> tuple[signature.SignatureValue | BaseException, signature_log.Outcome]:
        """The value, or why there is none; and what the log will tell of it."""
        try:
            # One of several may have hung meanwhile: nothing more is asked then.
            self._watch.check()
        except errors.ImzaError as error:
            return error, signature_log.Outcome(number, Event.FAILED, code=error.code)
        try:
            value = self._handle.sign(representation)
        except store.StoreClosedError as error:
            return error, signature_log.Outcome(number, Event.FAILED, code=error.code)
        except BaseException as error:  # noqa: BLE001 - raised once the log knows of it
            code = error.code if isinstance(error, errors.ImzaError) else type(error).__name__
            return error, signature_log.Outcome(number, Event.UNKNOWN, code=code)
        digest = hashlib.sha256(value.value).hexdigest()
        return value, signature_log.Outcome(number, Event.SIGNED, signature_sha256=digest)


def _value_alone(_place: int, value: signature.SignatureValue) -> signature.SignatureValue:
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

    @property
    def processes(self) -> under_way.UnderWay:
        """The locks by which processes know of each other; one for each log."""
        return self._log.processes

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
    handle: store.KeyHandle,
    representations: Sequence[signature.DataToBeSignedRepresentation],
    then: Callable[[int, signature.SignatureValue], _Output],
) -> list[_Output | Exception]:
    """Sign several things with any key, several at once; see `LoggedKey.sign_all`.

    Raises:
        StorageError: As `LoggedKey.sign_all`; the key signed none.
    """
    if isinstance(handle, LoggedKey):
        return handle.sign_all(representations, then)
    return in_threads(
        lambda place: then(place, handle.sign(representations[place])),
        range(len(representations)),
    )


def in_threads(
    work: Callable[[_Input], _Output], inputs: Sequence[_Input]
) -> list[_Output | Exception]:
    """Do some work for each input, in `THREADS` threads; in their order, results or errors."""

    def attempt_all(share: Sequence[_Input]) -> list[_Output | Exception]:
        results: list[_Output | Exception] = []
        for one in share:
            try:
                results.append(work(one))
            except Exception as error:  # noqa: BLE001 - told to the caller beside the others
                results.append(error)
        return results

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


@contextlib.contextmanager
def issuing(handles: Iterable[store.KeyHandle]) -> Iterator[None]:
    """Be known to other processes to issue with these keys, where they are logged.

    Raises:
        UnderWayError: See `under_way.UnderWay.issuing`.
    """
    # Once for each log: who waits for the lock would not let it be taken a second time.
    with contextlib.ExitStack() as held:
        for one in {one.processes for one in handles if isinstance(one, LoggedKey)}:
            held.enter_context(one.issuing())
        yield


@contextlib.contextmanager
def alone(keys: store.KeyStore, limit_s: float = under_way.ALONE_LIMIT_S) -> Iterator[bool]:
    """Wait until no process issues with a store's logged keys; see `under_way.UnderWay.alone`.

    Where no key is logged there is nobody to wait for: such a store serves one process.
    """
    if not isinstance(keys, LoggedKeyStore):
        yield True
        return
    with keys.processes.alone(limit_s) as is_alone:
        yield is_alone
