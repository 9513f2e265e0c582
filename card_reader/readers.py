"""Readers, the cards in them, and waiting for a card to come or go (PC/SC through pyscard).

The environment variable PCSCLITE_CSOCK_NAME chooses the pcscd to talk to. libpcsclite reads it
once in a process, at the first call, so it must be set before.
"""

import contextlib
import dataclasses
import enum
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from smartcard import scard

from pki import errors

MAX_READERS = 64
"""More than any service offers (pcscd: 16); a longer list is refused."""

MIN_RESPONSE_SIZE = 2
"""A response ends in a status word (ISO/IEC 7816-4 5.1)."""

REMOVAL_NOTICE_S = 1.0
"""pcscd asks readers without interrupts every 0.4 s whether their card is still there."""

_NEW_READER = "\\\\?PnP?\\Notification"
"""A reader that does not exist; its state changes when readers come or go."""


class ReaderServiceDownError(errors.DeviceError):
    """The PC/SC service does not answer."""

    code = "reader-service-down"
    retriable = True


class NoReaderError(errors.DeviceError):
    """No reader is attached, or not the one that was named."""

    code = "no-reader"
    retriable = True


class NoCardError(errors.DeviceError):
    """No card is in the reader."""

    code = "no-card"
    retriable = True


class CardRemovedError(errors.DeviceError):
    """The card was taken out while it worked."""

    code = "card-removed"
    retriable = True


class CardBusyError(errors.DeviceError):
    """Another program is using the card, or has reset it."""

    code = "card-busy"
    retriable = True


class CardSilentError(errors.DeviceError):
    """The card does not answer, or not in a way that the service understands."""

    code = "card-silent"


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader and what is in it.

    Attributes:
        atr: The card's answer to reset; empty when no card is present.
        changes: How often the service has seen a card come or go here, cut to 16 bits; 0 where
            the service does not count.
    """

    name: str
    card_present: bool
    atr: bytes = b""
    changes: int = 0


class EventKind(enum.Enum):
    """What can happen at a reader."""

    READER_ATTACHED = "reader-attached"
    READER_DETACHED = "reader-detached"
    CARD_INSERTED = "card-inserted"
    CARD_REMOVED = "card-removed"


@dataclasses.dataclass(frozen=True)
class Event:
    """Something happened at a reader; `atr` is the inserted card's."""

    kind: EventKind
    reader: str
    atr: bytes = b""


class Connection:
    """A connection to the card in a reader, alone with it until closed.

    Closing resets the card: otherwise a PIN that was verified here would stay verified for the
    next program that connects.
    """

    def __init__(self, reader: str) -> None:
        """Connect and begin a transaction.

        Raises:
            DeviceError: No service, no reader, no card or another program has it.
        """
        self._found = find_card(reader)
        self._context = _open_context()
        try:
            self._connect()
        except (CardSilentError, CardBusyError) as error:
            # So do drivers call a card that goes away while it is given power.
            scard.SCardReleaseContext(self._context)
            reason = removal_or(error, self._found)
            if reason is error:
                raise
            raise reason from error
        except errors.DeviceError:
            scard.SCardReleaseContext(self._context)
            raise

    def transmit(self, command: bytes) -> bytes:
        """Send one encoded command and return the encoded response.

        Raises:
            CardRemovedError: The card is no longer there.
            DeviceError: Anything else that the service reports.
        """
        protocol = (
            scard.SCARD_PCI_T0 if self._protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        )
        status, response = scard.SCardTransmit(self._handle, protocol, list(command))
        if status != scard.SCARD_S_SUCCESS:
            raise removal_or(_error_of(status, self._found.name), self._found)
        if len(response) < MIN_RESPONSE_SIZE:
            # Some drivers call it success when the card went away in the middle.
            silent = CardSilentError(f"the card in {self._found.name!r} stopped in the middle")
            raise removal_or(silent, self._found)
        return bytes(response)

    def _connect(self) -> None:
        status, self._handle, self._protocol = scard.SCardConnect(
            self._context,
            self._found.name,
            scard.SCARD_SHARE_SHARED,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        _check(status, self._found.name)
        status = scard.SCardBeginTransaction(self._handle)
        if status != scard.SCARD_S_SUCCESS:
            scard.SCardDisconnect(self._handle, scard.SCARD_RESET_CARD)
            _check(status, self._found.name)

    def close(self) -> None:
        """Reset the card and let go of it."""
        scard.SCardDisconnect(self._handle, scard.SCARD_RESET_CARD)
        scard.SCardReleaseContext(self._context)

    def __enter__(self) -> Self:
        """Use the connection in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def list_readers() -> tuple[Reader, ...]:
    """Return the readers, sorted by name, with what is in them.

    Raises:
        ReaderServiceDownError: The PC/SC service does not answer.
    """
    with _context() as context:
        return tuple(reader for reader, _ in _states(context, _names(context)))


def find_card(name: str | None = None) -> Reader:
    """Return the named reader with a card in it, or without a name the first that has a card.

    Raises:
        ReaderServiceDownError: The PC/SC service does not answer.
        NoReaderError: No reader, or none of this name.
        NoCardError: No card is in it.
    """
    found = list_readers()
    if not found:
        raise NoReaderError("no card reader is attached: connect one")
    if name is not None:
        found = tuple(one for one in found if one.name == name)
        if not found:
            raise NoReaderError(f"no card reader is called {name!r}: see imza card list")
    for reader in found:
        if reader.card_present:
            return reader
    where = f"the reader {name!r}" if name is not None else "any reader"
    raise NoCardError(f"no card is in {where}: insert it")


def reset_card(reader: str) -> None:
    """Reset the card in a reader, so that no PIN stays verified in it.

    Raises:
        DeviceError: No service, no reader or no card; then nothing is verified either.
    """
    with _context() as context:
        status, handle, _ = scard.SCardConnect(
            context,
            reader,
            scard.SCARD_SHARE_SHARED,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
        )
        _check(status, reader)
        _check(scard.SCardDisconnect(handle, scard.SCARD_RESET_CARD), reader)


def removal_or(failure: errors.ImzaError, before: Reader) -> errors.ImzaError:
    """Return why a call failed in the middle: service or card gone, or else `failure` itself.

    Drivers report a pulled card in many ways, so the reader is asked instead of the error code;
    a reader that is polled notices late, so it is asked for a while. A card that is back in its
    reader by then was taken out all the same.

    Args:
        failure: What the call failed with.
        before: The reader as `find_card` gave it before the call.
    """
    end = time.monotonic() + REMOVAL_NOTICE_S
    while True:
        try:
            gone = find_card(before.name).changes != before.changes
        except ReaderServiceDownError as down:
            return down
        except (NoReaderError, NoCardError):
            gone = True
        if gone:
            return CardRemovedError(
                f"the card was taken out of {before.name!r} before it had finished:"
                " insert it and try again"
            )
        if time.monotonic() > end:
            return failure
        time.sleep(0.02)


def watch(timeout_s: float | None = None) -> Iterator[Event]:
    """Yield what is there, then what comes and goes, until nothing happens for `timeout_s`.

    Raises:
        ReaderServiceDownError: The PC/SC service stopped.
    """
    wait = scard.INFINITE if timeout_s is None else max(1, int(timeout_s * 1000))
    known: dict[str, Reader] = {}
    with _context() as context:
        while True:
            states = _states(context, _names(context))
            now = {reader.name: reader for reader, _ in states}
            yield from _differences(known, now)
            known = now
            watched: list[Any] = [(reader.name, state) for reader, state in states]
            watched.append((_NEW_READER, scard.SCARD_STATE_UNAWARE | len(states) << 16))
            status, _ = scard.SCardGetStatusChange(context, wait, watched)
            if status == scard.SCARD_E_TIMEOUT:
                return
            if status not in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
                _check(status, None)


def _differences(before: dict[str, Reader], after: dict[str, Reader]) -> Iterator[Event]:
    for name in before.keys() - after.keys():
        yield Event(EventKind.READER_DETACHED, name)
    for name, reader in after.items():
        if name not in before:
            yield Event(EventKind.READER_ATTACHED, name)
        was = before.get(name, Reader(name, card_present=False))
        if was.card_present and (not reader.card_present or was.atr != reader.atr):
            yield Event(EventKind.CARD_REMOVED, name)
        if reader.card_present and (not was.card_present or was.atr != reader.atr):
            yield Event(EventKind.CARD_INSERTED, name, reader.atr)


def _open_context() -> Any:  # pyscard has no type for its handles
    status, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    _check(status, None)
    return context


@contextlib.contextmanager
def _context() -> Iterator[Any]:
    context = _open_context()
    try:
        yield context
    finally:
        scard.SCardReleaseContext(context)


def _names(context: Any) -> list[str]:
    status, names = scard.SCardListReaders(context, [])
    if status == scard.SCARD_E_NO_READERS_AVAILABLE:
        return []
    _check(status, None)
    if len(names) > MAX_READERS:
        raise errors.DeviceError(f"expected at most {MAX_READERS} readers, got {len(names)}")
    return sorted(names)


def _states(context: Any, names: list[str]) -> list[tuple[Reader, int]]:
    if not names:
        return []
    status, states = scard.SCardGetStatusChange(
        context, 0, [(name, scard.SCARD_STATE_UNAWARE) for name in names]
    )
    if status in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
        return []
    if status != scard.SCARD_E_TIMEOUT:
        _check(status, None)
    found = []
    for name, state, atr in states:
        present = bool(state & scard.SCARD_STATE_PRESENT)
        # The upper half counts cards that came and went, so that none of them is missed.
        reader = Reader(name, present, bytes(atr) if present else b"", state >> 16 & 0xFFFF)
        found.append((reader, state & ~scard.SCARD_STATE_CHANGED))
    return found


def _check(status: int, reader: str | None) -> None:
    if status != scard.SCARD_S_SUCCESS:
        raise _error_of(status, reader)


def _error_of(status: int, reader: str | None) -> errors.DeviceError:
    if status in _SERVICE_DOWN:
        return ReaderServiceDownError(
            "the smart card service does not answer: start pcscd, or check PCSCLITE_CSOCK_NAME"
        )
    if status == scard.SCARD_W_SECURITY_VIOLATION:
        # libpcsclite's word for a connection that closes while it says hello.
        return ReaderServiceDownError(
            "the smart card service hung up: it stopped, or its rules (polkit) forbid this user"
        )
    if status in _NO_READER:
        return NoReaderError(f"no card reader is called {reader!r}: see imza card list")
    if status == scard.SCARD_E_NO_SMARTCARD:
        return NoCardError(f"no card is in the reader {reader!r}: insert it")
    if status == scard.SCARD_W_REMOVED_CARD:
        return CardRemovedError(f"the card was taken out of {reader!r}: insert it and try again")
    if status in (scard.SCARD_E_SHARING_VIOLATION, scard.SCARD_W_RESET_CARD):
        return CardBusyError("another program is using the card: close it and try again")
    if status in (scard.SCARD_W_UNPOWERED_CARD, scard.SCARD_W_UNRESPONSIVE_CARD):
        return CardSilentError(f"the card in {reader!r} does not answer: is it the right way up?")
    return errors.DeviceError(
        f"the smart card service failed: {scard.SCardGetErrorMessage(status)}"
    )


_SERVICE_DOWN = (
    scard.SCARD_E_NO_SERVICE,
    scard.SCARD_E_SERVICE_STOPPED,
    scard.SCARD_F_COMM_ERROR,
    scard.SCARD_E_INVALID_HANDLE,
)
"""A service that died and came back knows none of the old handles."""

_NO_READER = (
    scard.SCARD_E_NO_READERS_AVAILABLE,
    scard.SCARD_E_UNKNOWN_READER,
    scard.SCARD_E_READER_UNAVAILABLE,
)
