"""A PIN or PUK that is never printed."""

import hashlib
import hmac
import secrets

from pki import errors


class Pin:
    """Digits that only a person should know; `repr` and `str` say nothing."""

    __slots__ = ("_digits",)

    def __init__(self, digits: str) -> None:
        """Keep 4 to 12 digits.

        Raises:
            InputError: Something else came.
        """
        if not (4 <= len(digits) <= 12 and digits.isascii() and digits.isdigit()):
            raise errors.InputError("expected a PIN of 4 to 12 digits")
        self._digits = digits

    @classmethod
    def random(cls, length: int) -> "Pin":
        """Return an unpredictable one."""
        return cls("".join(secrets.choice("0123456789") for _ in range(length)))

    def __len__(self) -> int:
        """The number of digits."""
        return len(self._digits)

    def __repr__(self) -> str:
        """Say nothing."""
        return "Pin(...)"

    def reveal(self) -> str:
        """The digits, for the person's own letter and nothing else."""
        return self._digits

    def digest(self, salt: bytes) -> bytes:
        """A salted slow hash to compare with.

        So few digits can be guessed from any hash: what protects them is the file's mode, which
        stands for the chip. The hash keeps them out of backups and searches.
        """
        return hashlib.scrypt(self._digits.encode(), salt=salt, n=2**11, r=8, p=1, dklen=32)

    def matches(self, salt: bytes, digest: bytes) -> bool:
        """Whether this is the PIN that `digest` was made from."""
        return hmac.compare_digest(self.digest(salt), digest)
