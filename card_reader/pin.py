"""A PIN that is never printed and is wiped after use, and what can go wrong with one."""

import os
from types import TracebackType
from typing import Self

from pki import errors

MIN_DIGITS = 6
MAX_DIGITS = 8
"""A PIV PIN has six to eight digits (SP 800-73-4 part 2, 2.4.3)."""

_MAX_LINE = 64


class PinFormatError(errors.InputError):
    """The PIN does not have the form that cards take."""

    code = "pin-format"


class WrongPinError(errors.PolicyError):
    """The card refused the PIN.

    Attributes:
        tries_left: How many wrong entries the card still allows; None when it did not say.
    """

    code = "wrong-pin"

    def __init__(self, tries_left: int | None, what: str = "PIN") -> None:
        """Tell what was wrong and how many tries are left."""
        self.tries_left = tries_left
        if tries_left is None:
            left = "the card did not say how many tries are left"
        else:
            left = f"{tries_left} {'try' if tries_left == 1 else 'tries'} left"
        super().__init__(f"the {what} is wrong: {left}")


class PinBlockedError(errors.StateError):
    """Too many wrong entries: the PIN works again only after it is unblocked with the PUK."""

    code = "pin-blocked"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "the PIN is blocked after too many wrong entries:"
            " unblock it with the PUK (imza card unblock)"
        )


class PukBlockedError(errors.StateError):
    """Too many wrong PUK entries: nothing on this computer can unblock the card."""

    code = "puk-blocked"

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "the PUK is blocked after too many wrong entries: the card must be replaced"
        )


class Pin:
    """A PIN or PUK in a buffer that can be overwritten.

    Libraries below take immutable copies that Python frees but does not overwrite; what is
    promised is that nothing of ours prints the PIN or keeps it after the call that needed it.
    """

    __slots__ = ("_digits",)

    def __init__(self, text: str) -> None:
        """Take six to eight decimal digits.

        Raises:
            PinFormatError: Anything else; the message does not repeat it.
        """
        if not (MIN_DIGITS <= len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()):
            raise PinFormatError(f"expected {MIN_DIGITS} to {MAX_DIGITS} digits")
        self._digits = bytearray(text, "ascii")

    def reveal(self) -> bytes:
        """Return the digits for the call that sends them to the card.

        Raises:
            StateError: The PIN was wiped.
        """
        if not self._digits:
            raise errors.StateError("the PIN was wiped after its use: ask for it again")
        return bytes(self._digits)

    def wipe(self) -> None:
        """Overwrite the digits; the PIN is unusable afterwards."""
        for position in range(len(self._digits)):
            self._digits[position] = 0
        self._digits.clear()

    def __repr__(self) -> str:
        """Say nothing of the digits, not even how many there are."""
        return "Pin(***)"

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickled PIN is a PIN in a file."""
        raise TypeError("a PIN cannot be pickled")

    def __enter__(self) -> Self:
        """Use the PIN in a `with` block that wipes it at its end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wipe."""
        self.wipe()


def read_pin(prompt: str, descriptor: int | None, *, confirm: bool = False) -> Pin:
    """Ask for a PIN on the terminal, or read one line of a file descriptor.

    A descriptor may hold several PINs, a line each, in the order in which they are asked for.

    Args:
        prompt: What to ask for; goes to the standard error stream.
        descriptor: Where to read instead; None asks a person.
        confirm: Ask a person twice, for a PIN that is new.

    Raises:
        PinFormatError: Not six to eight digits.
        InputError: The descriptor cannot be read.
    """
    if descriptor is None:
        import click

        text = click.prompt(
            prompt, hide_input=True, err=True, confirmation_prompt=confirm, type=str
        )
        return Pin(text)
    line = bytearray()
    try:
        # Byte by byte, since what follows the line belongs to whoever reads next.
        while len(line) <= _MAX_LINE and (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
            line += byte
    except OSError as error:
        raise errors.InputError(
            f"expected a PIN on file descriptor {descriptor}, cannot read it"
        ) from error
    try:
        return Pin(line.decode("ascii", errors="replace").rstrip("\r"))
    finally:
        line[:] = bytes(len(line))
