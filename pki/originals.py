"""Originals that signatures are over: their octets, where these are read, or their hashes alone."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping

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


class StoredOriginal:
    """An original that is read in pieces whenever it is hashed, so that it is never held.

    Each hash is taken once, however many signatures ask for it.
    """

    def __init__(self, read: Callable[[], Iterable[bytes]]) -> None:
        """Take what gives the pieces, each time from the beginning; nothing is read yet."""
        self._read = read
        self._hashes: dict[str, bytes] = {}

    def pieces(self) -> Iterator[bytes]:
        """Give the octets in pieces; raises what the reading raises."""
        yield from self._read()

    def digest(self, algorithm: str) -> bytes:
        """Return the hash by an algorithm that hashlib knows."""
        if algorithm not in self._hashes:
            hasher = hashlib.new(algorithm, usedforsecurity=False)
            for piece in self.pieces():
                hasher.update(piece)
            self._hashes[algorithm] = finish(hasher, algorithm)
        return self._hashes[algorithm]


SHAKE_SIZES = {"shake_128": 32, "shake_256": 64}
"""Octets that signatures take of the functions of any length (RFC 8702 1, RFC 8419 2.2)."""


def finish(hasher: "hashlib._Hash", algorithm: str) -> bytes:
    """Return the hash by an algorithm that hashlib knows, of the length that signatures use."""
    size = SHAKE_SIZES.get(algorithm)
    # The functions of any length want to be told one, and the others refuse it.
    return hasher.digest() if size is None else hasher.digest(size)  # type: ignore[call-arg]


Original = bytes | HashedOriginal | StoredOriginal

_PIECE = 2**18


def of_file(path: pathlib.Path) -> StoredOriginal:
    """Return a file as an original; it has to stay as it is."""

    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    return StoredOriginal(read)


def of_parts(path: pathlib.Path, parts: Iterable[bytes | tuple[int, int]]) -> StoredOriginal:
    """Return what follows each other: bytes, and parts of a file by their offsets and sizes.

    Raises:
        OriginalMissingError: When it is read: the file has become shorter.
    """
    known = tuple(parts)

    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            for part in known:
                if isinstance(part, bytes):
                    yield part
                    continue
                file.seek(part[0])
                left = part[1]
                while left:
                    piece = file.read(min(_PIECE, left))
                    if not piece:
                        raise OriginalMissingError("expected the whole original, got its beginning")
                    left -= len(piece)
                    yield piece

    return StoredOriginal(read)


def digest(original: Original, algorithm: str) -> bytes:
    """Return the hash of an original.

    Args:
        original: It.
        algorithm: A name that hashlib knows.

    Raises:
        OriginalMissingError: Only hashes by other algorithms are known.
    """
    if isinstance(original, bytes):
        return finish(hashlib.new(algorithm, original, usedforsecurity=False), algorithm)
    if isinstance(original, StoredOriginal):
        return original.digest(algorithm)
    if algorithm not in original.hashes:
        raise OriginalMissingError(
            f"expected the {algorithm} hash of the detached document, got only"
            f" {', '.join(sorted(original.hashes))}"
        )
    return original.hashes[algorithm]


def pieces(original: Original) -> Iterator[bytes]:
    """Give the octets of an original in pieces.

    Raises:
        OriginalMissingError: Only its hash is known.
    """
    if isinstance(original, HashedOriginal):
        raise OriginalMissingError("expected the detached document itself here, got only its hash")
    if isinstance(original, bytes):
        yield original
    else:
        yield from original.pieces()


def octets(original: Original) -> bytes:
    """Return the octets of an original; raises as `pieces` does."""
    return original if isinstance(original, bytes) else b"".join(pieces(original))
