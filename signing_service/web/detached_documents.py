"""What a caller names beside a detached signature: files, and hashes of files that it keeps."""

import base64
import binascii
import pathlib
from collections.abc import Sequence

from pki import algorithms, errors
from signing_service import documents


class DigestTextError(errors.InputError):
    """A hash is not written as `NAME=ALGORITHM:HEX`."""

    code = "digest-malformed"


def read_digest(text: str) -> documents.DocumentDigest:
    """Read the hash of an original, written as `NAME=ALGORITHM:HEX`.

    Raises:
        DigestTextError: It is written otherwise.
        InputError: The hash is longer or shorter than its algorithm's.
    """
    name, _, rest = text.rpartition("=")
    algorithm, _, value = rest.partition(":")
    known = {one.value: one for one in algorithms.HashAlgorithm}
    try:
        octets = binascii.unhexlify(value)
    except (binascii.Error, ValueError):
        octets = b""
    if not name or algorithm not in known or not octets:
        raise DigestTextError(
            f"expected NAME=ALGORITHM:HEX with one of {', '.join(known)}, got {text[:200]!r}"
        )
    return documents.DocumentDigest(name, known[algorithm], octets)


def parts(
    detached: Sequence[documents.Detached],
) -> tuple[list[pathlib.Path], list[dict[str, str]]]:
    """Return the files to send, and the hashes as the API's parameter `digests` has them."""
    files = [one.path for one in detached if isinstance(one, documents.Document)]
    digests = [
        {
            "name": one.name,
            "algorithm": one.hash_algorithm.value,
            "value": base64.b64encode(one.value).decode(),
        }
        for one in detached
        if isinstance(one, documents.DocumentDigest)
    ]
    return files, digests
