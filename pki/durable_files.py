"""Files that are whole after a crash or a power cut: the old one or the new one, never half.

A new file has its owner's permissions alone (0600). It is on the disk before it takes its name,
and the name is on the disk before these functions return.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from pki import errors

ROOM_BYTES = 64 * 1024
"""With less than this free, a disk counts as full before it is."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a path to write to; at the end of the block it takes the place of `path`.

    Nothing is changed or left behind where the block raises.

    Raises:
        OSError: The disk is full or gone; what was at `path` is still there.
    """
    with _partial(path) as partial:
        yield partial
        force(partial)
        partial.replace(path)
    force(path.parent)


def replace(path: pathlib.Path, content: bytes) -> None:
    """Write a file, in the place of the one that may be there. Raises as `replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def create(path: pathlib.Path, content: bytes) -> None:
    """Write a file that replaces no other.

    Raises:
        FileExistsError: The name is taken.
        OSError: The disk is full or gone, or knows no hard links.
    """
    with _partial(path) as partial:
        partial.write_bytes(content)
        force(partial)
        os.link(partial, path)
    force(path.parent)


def force(path: pathlib.Path) -> None:
    """Have a file's content, or a folder's names, on the disk before this returns."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_room(folder: pathlib.Path) -> None:
    """Check that a folder is there and its disk takes something more.

    Raises:
        StorageError: It is missing, read-only or full.
    """
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise errors.StorageError(
            f"expected the folder {folder}, but it cannot be used ({error.strerror})"
        ) from error
    if disk.f_flag & os.ST_RDONLY:
        raise errors.StorageError(f"the disk of {folder} is read-only: nothing was done")
    if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
        raise errors.StorageError(f"the disk of {folder} is full: nothing was done, make room")


@contextlib.contextmanager
def _partial(path: pathlib.Path) -> Iterator[pathlib.Path]:
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    os.close(handle)
    partial = pathlib.Path(name)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)
