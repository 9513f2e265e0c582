"""Statuses from the signed file that the CA publishes, for a responder on another machine."""

import datetime
import logging
import pathlib
from collections.abc import Collection

from ocsp.statuses import contents as views
from pki import algorithms, errors, status_file, status_publishers

log = logging.getLogger(__name__)

CLOCK_TOLERANCE = datetime.timedelta(seconds=60)
"""How far in the future the file may have been written, by this machine's clock."""


class StatusFileMissingError(errors.PeerError):
    """The published file is not where it should be."""

    code = "status-file-missing"


class PublishedSource:
    """Takes each new file that is authentic, whole, and no older than the one before.

    The file is read, not mapped: whoever brings it may write over it, and a mapped file that is
    cut short would end the process.
    """

    is_asked = False

    def __init__(self, path: pathlib.Path, publishers: Collection[algorithms.PublicKey]) -> None:
        """Name the file, and the keys of whom it is taken."""
        self._path = path
        self._publishers = tuple(publishers)
        self._seen: tuple[int, int, int] | None = None
        self._refusal: status_file.StatusFileError | None = None

    def update(self, known: views.Contents | None, at: datetime.datetime) -> views.Contents:
        """Return what the file says, or what was known where it is still the same.

        Raises:
            StatusFileMissingError: There is none.
            StatusFileError: It is not authentic, not whole, or older than what is known.
        """
        try:
            state = self._path.stat()
        except OSError as error:
            raise StatusFileMissingError(
                f"the status file {self._path} cannot be read ({error.strerror})"
            ) from error
        identity = (state.st_ino, state.st_mtime_ns, state.st_size)
        if identity == self._seen:
            if self._refusal is not None:
                raise self._refusal
            if known is not None:
                return known
        try:
            found = self._read(known, at)
        except FileNotFoundError as error:
            raise StatusFileMissingError(f"the status file {self._path} is gone") from error
        except status_file.StatusFileError as error:
            # Not read again until it is another file.
            self._seen, self._refusal = identity, error
            raise
        self._seen, self._refusal = identity, None
        log.info("status_file_taken change=%d", found.position.number)
        return found

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, known: views.Contents | None, at: datetime.datetime) -> views.Contents:
        file = status_file.read_file(self._path)
        status_publishers.check_publisher(file, self._publishers)
        found = views.from_file(file)
        if found.as_of - at > CLOCK_TOLERANCE:
            raise status_file.StatusFileError(
                "the status file says that it was written in the future: which clock is wrong?"
            )
        if known is None:
            return found
        if found.as_of < known.as_of:
            raise status_file.StatusFileError("the status file is older than the one before it")
        # A registry that was restored from a backup is behind what was known. It is locked then,
        # which may always be told; what follows the locked one is compared with that.
        if found.locked_at is None and (
            found.position.number < known.position.number
            or (
                found.position.number == known.position.number
                and found.position.hash != known.position.hash
            )
        ):
            raise status_file.StatusFileError(
                f"expected a status file of change {known.position.number} or later, got one of"
                f" {found.position.number}: was the registry restored?"
            )
        return found
