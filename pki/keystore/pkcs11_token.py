"""A token of a PKCS#11 module: loaded once, one session, one lock, opened again when lost.

python-pkcs11 initialises a module without thread locking and calls it without the interpreter's
lock, so each module gets one lock for the whole process, and each token one session that all
stores of the process share: opening a session for each signature is many times slower.

Which configuration a module reads (SoftHSM: `SOFTHSM2_CONF`) is the process's environment.
"""

import hmac
import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from pkcs11 import exceptions as pkcs11_errors

from pki import errors
from pki.keystore import passphrase as passphrases

_T = TypeVar("_T")

_MODULE_LOCKS: dict[str, threading.RLock] = {}
_OPEN_TOKENS: dict[tuple[str, str], "Token"] = {}
_REGISTER_LOCK = threading.Lock()

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
    """Another library in this process has the token open."""

    code = "pkcs11-token-in-use"


class Token:
    """A token that this process is logged in to; `open_token` and `release` count its users."""

    def __init__(self, module_path: str, label: str, pin: passphrases.Passphrase) -> None:
        """Log in; only `open_token` makes tokens.

        Raises:
            ModuleUnavailableError: The module does not load, or has no such token.
            ModuleAccessError: The PIN is wrong or locked.
            TokenInUseError: Another library of this process has the token open.
        """
        self.label = label
        self.lock = _MODULE_LOCKS.setdefault(module_path, threading.RLock())
        self.users = 0
        self._module_path = module_path
        self._pin = pin
        self._session: Any = None
        self._losses = 0
        with self.lock:
            self._open_session(first=True)

    @property
    def losses(self) -> int:
        """How often the session was lost: what was found in an earlier one is dead."""
        return self._losses

    def check_pin(self, pin: passphrases.Passphrase) -> None:
        """Refuse another PIN than the one the module accepted.

        Raises:
            ModuleAccessError: Another one.
        """
        if not hmac.compare_digest(pin.reveal().encode(), self._pin.reveal().encode()):
            raise ModuleAccessError(f"the token {self.label!r} is open with another PIN")

    def call(self, operation: Callable[[Any], _T]) -> _T:
        """Run an operation on the session, under the lock; a lost session is opened again, once.

        Raises:
            ModuleUnavailableError: The module failed, perhaps after it did what was asked.
            ModuleError: The module refused.
        """
        with self.lock:
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
                    f"the session with the token {self.label!r} was lost twice"
                ) from error

    def close(self) -> None:
        """Log out and close the session."""
        with self.lock:
            self._drop_session()

    def _translated(self, operation: Callable[[Any], _T]) -> _T:
        try:
            return operation(self._session)
        except _NOTHING_DONE:
            raise
        except _OUTCOME_UNKNOWN as error:
            self._drop_session()
            raise ModuleUnavailableError(
                f"the token {self.label!r} failed: {type(error).__name__}"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise ModuleError(
                f"the token {self.label!r} refused: {type(error).__name__}"
            ) from error

    def _open_session(self, *, first: bool) -> None:
        try:
            module = pkcs11.lib(self._module_path)
            token = module.get_token(token_label=self.label)
            try:
                self._session = token.open(rw=True, user_pin=self._pin.reveal())
            except pkcs11_errors.UserAlreadyLoggedIn as error:
                if first:
                    raise TokenInUseError(
                        f"this process has the token {self.label!r} open already"
                    ) from error
                # Only our session was lost; the login is still ours.
                self._session = token.open(rw=True)
        except (
            pkcs11_errors.PinIncorrect,
            pkcs11_errors.PinInvalid,
            pkcs11_errors.PinLenRange,
            pkcs11_errors.PinLocked,
            pkcs11_errors.PinExpired,
        ) as error:
            raise ModuleAccessError(
                f"the token {self.label!r} did not accept the PIN: {type(error).__name__}"
            ) from error
        except pkcs11_errors.NoSuchToken as error:
            raise ModuleUnavailableError(
                f"the module {self._module_path} has no token named {self.label!r}"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise ModuleUnavailableError(
                f"the module {self._module_path} did not open: {type(error).__name__} {error}"
            ) from error

    def _drop_session(self) -> None:
        """Forget the session and its objects; the module may have dropped them before us."""
        session, self._session = self._session, None
        if session is None:
            return
        self._losses += 1
        try:
            session.close()
        except pkcs11.PKCS11Error:
            # A session that is lost cannot be closed, and nothing is left to close.
            return


def open_token(module_path: pathlib.Path, label: str, pin: passphrases.Passphrase) -> Token:
    """Return the process's one login to a token; each must be released.

    Raises:
        ModuleUnavailableError: The module does not load, or has no such token.
        ModuleAccessError: The PIN is wrong or locked.
        TokenInUseError: Another library of this process has the token open.
    """
    # The real path: one module under two names must not get two locks.
    path = os.path.realpath(module_path)
    with _REGISTER_LOCK:
        token = _OPEN_TOKENS.get((path, label))
        if token is None:
            token = Token(path, label, pin)
            _OPEN_TOKENS[path, label] = token
        else:
            token.check_pin(pin)
        token.users += 1
        return token


def release(token: Token) -> None:
    """Give a token back; the last one closes it."""
    with _REGISTER_LOCK:
        token.users -= 1
        if token.users == 0:
            for key in [key for key, one in _OPEN_TOKENS.items() if one is token]:
                del _OPEN_TOKENS[key]
            token.close()
