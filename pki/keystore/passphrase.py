"""A passphrase or module PIN that is read from a file and never printed."""

import pathlib
import stat
from typing import NoReturn

from pki import errors

MIN_PASSPHRASE_BYTES = 4
"""A module's PIN may be this short, since the module counts the tries; less is a mistake."""

MAX_PASSPHRASE_BYTES = 1024
"""More is surely another file."""

_OTHERS = stat.S_IRWXO


class PassphraseError(errors.InputError):
    """The file that should hold a passphrase is missing, readable by all or not fit."""

    code = "passphrase-unusable"


class Passphrase:
    """A secret that opens a key store; its `repr` says nothing and it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep the secret.

        Raises:
            PassphraseError: Too short or too long.
        """
        size = len(value.encode())
        if not MIN_PASSPHRASE_BYTES <= size <= MAX_PASSPHRASE_BYTES:
            raise PassphraseError(
                f"expected a passphrase of {MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES}"
                f" bytes, got {size}"
            )
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the call that opens the store and nothing else."""
        return self._value

    def __repr__(self) -> str:
        """Say nothing."""
        return "Passphrase(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be serialised."""
        raise TypeError("a passphrase is not serialised")


def read_passphrase(path: pathlib.Path) -> Passphrase:
    """Read a passphrase from the first line of a file that others may not read.

    Raises:
        PassphraseError: No such file, readable or writable by everybody, empty or too long.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise PassphraseError(
                f"the passphrase file {path} is open to every user: run chmod 600 on it"
            )
        with path.open(encoding="utf-8") as file:
            line = file.readline(MAX_PASSPHRASE_BYTES + 2)
    except OSError as error:
        raise PassphraseError(
            f"the passphrase file {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        # Without the cause: it holds the bytes of the file.
        raise PassphraseError(f"the passphrase file {path} is not UTF-8 text") from None
    return Passphrase(line.rstrip("\r\n"))
