"""Originals that lie beside a detached signature: their octets, or their hashes alone."""

import dataclasses
import hashlib
from collections.abc import Mapping

from pki import errors


class OriginalMissingError(errors.InputError):
    """An original is not here, or not in the form that is needed to judge a signature over it."""

    code = "signed-data-missing"


@dataclasses.dataclass(frozen=True)
class HashedOriginal:
    """An original that its owner keeps.

    Attributes:
        hashes: Its hashes by hashlib's names of their algorithms, one at least.
    """

    hashes: Mapping[str, bytes]


Original = bytes | HashedOriginal


def digest(original: Original, algorithm: str) -> bytes:
    """Return the hash of an original.

    Args:
        original: It.
        algorithm: A name that hashlib knows.

    Raises:
        OriginalMissingError: Only hashes by other algorithms are known.
    """
    if isinstance(original, bytes):
        return hashlib.new(algorithm, original, usedforsecurity=False).digest()
    if algorithm not in original.hashes:
        raise OriginalMissingError(
            f"expected the {algorithm} hash of the detached document, got only"
            f" {', '.join(sorted(original.hashes))}"
        )
    return original.hashes[algorithm]


def octets(original: Original) -> bytes:
    """Return the octets of an original.

    Raises:
        OriginalMissingError: Only its hash is known.
    """
    if isinstance(original, bytes):
        return original
    raise OriginalMissingError("expected the detached document itself here, got only its hash")
