"""Keys that answer in time or count as hung: a module in trouble must not hold up the service."""

import dataclasses
import queue
import threading
from typing import Any

from pki import algorithms, errors, signature
from pki.keystore import store

ANSWER_LIMIT_S = 10.0
"""A module answers in milliseconds; one behind a network that fails over, in a few seconds."""

IDLE_LIMIT_S = 10.0
"""A thread that was given no call for so long ends."""


class KeyHungError(errors.DeviceError):
    """A key did not answer in time: it may have signed, or may yet."""

    code = "key-hung"
    retriable = True


@dataclasses.dataclass
class _Call:
    """One call to a key."""

    handle: store.KeyHandle
    representation: signature.DataToBeSignedRepresentation
    done: threading.Event
    value: Any = None
    error: BaseException | None = None


class AnswerWatch:
    """Which keys of a store have been asked and have not answered in time."""

    def __init__(self, limit_s: float = ANSWER_LIMIT_S) -> None:
        """Set how long a key may take."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._hung = 0
        self._idle: list[queue.SimpleQueue[_Call]] = []

    def check(self) -> None:
        """Raise `KeyHungError` while a key has not answered: the store takes no more work."""
        if self._hung:
            raise KeyHungError(
                "the key store does not answer: examine the module; the certificates under way are"
                " ended and revoked, since it may have signed them"
            )

    def call(
        self, handle: store.KeyHandle, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        """Have a key sign, and wait for it no longer than the limit.

        The thread in which a key hangs cannot be stopped; it is left behind, and while there is
        one `check` lets nothing more be asked.

        Raises:
            KeyHungError: It did not answer; nobody knows whether it signed.
            DeviceError: As the key's own `sign`.
        """
        call = _Call(handle, representation, threading.Event())
        self._hand_over(call)
        if not call.done.wait(self._limit_s):
            with self._lock:
                if not call.done.is_set():
                    call.done.set()
                    self._hung += 1
                    raise KeyHungError(
                        f"the key {handle.label!r} did not answer within {self._limit_s:g} s: it"
                        " may have signed"
                    )
        if call.error is not None:
            raise call.error
        value: signature.SignatureValue = call.value
        return value

    def _hand_over(self, call: _Call) -> None:
        """Give a call to a thread that waits for one, or to a new one."""
        with self._lock:
            calls = self._idle.pop() if self._idle else None
        if calls is None:
            calls = queue.SimpleQueue()
            # Not a pool's thread: the interpreter would wait for it at the end.
            threading.Thread(target=self._work, args=(calls,), name="key", daemon=True).start()
        calls.put(call)

    def _work(self, calls: "queue.SimpleQueue[_Call]") -> None:
        while True:
            try:
                call = calls.get(timeout=IDLE_LIMIT_S)
            except queue.Empty:
                with self._lock:
                    if calls in self._idle:
                        self._idle.remove(calls)
                        return
                continue  # A call is on its way.
            self._answer(call)
            with self._lock:
                self._idle.append(calls)
                late = call.done.is_set()
                call.done.set()
                self._hung -= late

    def _answer(self, call: _Call) -> None:
        try:
            call.value = call.handle.sign(call.representation)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is awaited
            call.error = error


class TimeLimitedKey:
    """A key that answers in time."""

    def __init__(self, handle: store.KeyHandle, watch: AnswerWatch) -> None:
        """Stand between a key and whoever uses it."""
        self._handle = handle
        self._watch = watch

    def __repr__(self) -> str:
        """Name the key."""
        return f"TimeLimitedKey({self._handle.label!r})"

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
        """Sign; raises `KeyHungError` besides what the key itself does."""
        return self._watch.call(self._handle, representation)
