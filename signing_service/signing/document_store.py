"""The files of signing sessions: one folder for each, written whole or not at all.

A document is written beside its place, forced to the disk, and then renamed: after a crash a file
is either the old one or the new one, and what the database says exists does exist.
"""

import contextlib
import datetime
import errno
import pathlib
import re
import shutil
from collections.abc import Iterator

from pki import durable_files, errors

_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[a-z0-9.-]{1,40}")


class DocumentMissingError(errors.TamperedError):
    """A file that a session needs is not there."""

    code = "document-missing"


class StorageFullError(errors.DeviceError):
    """The disk takes no more; the session stays as it is until there is room."""

    code = "storage-full"
    retriable = True


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DocumentStore:
    """Keeps the files of sessions under one folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Make the folder, for this user only."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def path(self, session_id: str, name: str) -> pathlib.Path:
        """Return where a session's file is.

        Raises:
            DocumentMissingError: It is not there.
        """
        path = self.place(session_id, name)
        if not path.is_file():
            raise DocumentMissingError(f"the file {name!r} of the session {session_id} is missing")
        return path

    def holds(self, session_id: str, name: str) -> bool:
        """Tell whether a file is there."""
        return self.place(session_id, name).is_file()

    @contextlib.contextmanager
    def writing(self, session_id: str, name: str) -> Iterator[pathlib.Path]:
        """Give a path to write to; at the end of the block it becomes the session's file.

        Nothing is left where the block raises.

        Raises:
            StorageFullError: There is no room for the file.
        """
        place = self.place(session_id, name)
        try:
            place.parent.mkdir(mode=0o700, exist_ok=True)
            with durable_files.replacing(place) as path:
                yield path
            durable_files.force(self._folder)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise StorageFullError("there is no room to store the document: try later") from error

    def remove(self, session_id: str, name: str) -> None:
        """Remove one file if it is there."""
        self.place(session_id, name).unlink(missing_ok=True)

    def discard(self, session_id: str) -> None:
        """Remove all files of a session."""
        folder = self.place(session_id, "x").parent
        if folder.is_dir():
            shutil.rmtree(folder)

    def untouched_since(self, at: datetime.datetime) -> Iterator[str]:
        """Give the ids whose folders have not changed since a time."""
        for folder in self._folder.iterdir():
            if folder.stat().st_mtime < at.timestamp() and _ID.fullmatch(folder.name):
                yield folder.name

    def place(self, session_id: str, name: str) -> pathlib.Path:
        """Return where a session's file is or will be."""
        # Ids and names are our own; this holds even if one day they are not.
        if not _ID.fullmatch(session_id) or not _NAME.fullmatch(name):
            raise errors.NotFoundError("no such session")
        return self._folder / session_id / name
