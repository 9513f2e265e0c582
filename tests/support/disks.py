"""A small disk of its own, to fill and to make read-only: a tmpfs, which only root can mount."""

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest

_FILLER = ".filler"


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no block free; files keep the room that they have in their last block."""
        with (self.folder / _FILLER).open("ab", buffering=0) as file:
            for size in (64 * 1024, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)

    def make_room(self) -> None:
        (self.folder / _FILLER).unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Remount read-only, which is refused while a file is open for writing."""
        _mount("-o", "remount,ro", str(self.folder))
        try:
            yield
        finally:
            _mount("-o", "remount,rw", str(self.folder))


@contextlib.contextmanager
def small(folder: pathlib.Path, size: str = "2m") -> Iterator[SmallDisk]:
    """Mount a small tmpfs at `folder`, or skip where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={size},mode=0777", "imza-test", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not let a small disk be mounted: {error.stderr}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
