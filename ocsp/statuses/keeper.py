"""Keeping the status file that the workers of one machine share."""

import datetime
import logging
import pathlib

from ocsp.statuses import contents as views
from ocsp.statuses import registry_source, view
from pki import status_file

log = logging.getLogger(__name__)

READ_ANEW = datetime.timedelta(days=1)
"""So often everything is read from the registry again, not only what changed."""


class StatusFileKeeper:
    """Writes the file when there is something new in it, or it gets old; in one process."""

    def __init__(
        self,
        path: pathlib.Path,
        looking: view.StatusView,
        url: str,
        max_age: datetime.timedelta,
    ) -> None:
        """Name the file, the view whose contents it gets, and the registry's database."""
        self._path = path
        self._view = looking
        self._url = url
        self._renewal = max_age / 2
        self._read_at: datetime.datetime | None = None
        self._written: views.Contents | None = None

    def write(self, at: datetime.datetime) -> bool:
        """Write the file if that is due; return whether it was.

        Raises:
            StorageError: The disk is full or gone.
            RegistryUnreadableError: The registry was to be read anew and cannot be.
        """
        known = self._view.known
        if self._read_at is None or at - self._read_at >= READ_ANEW:
            source = registry_source.RegistrySource(self._url)
            try:
                known = source.update(None, at)
            finally:
                source.close()
            self._read_at = at
        elif known is None or not self._is_due(known, at):
            return False
        status_file.write(self._path, known.merged())
        self._written = known
        log.info("status_file_written change=%d", known.position.number)
        return True

    def _is_due(self, known: views.Contents, at: datetime.datetime) -> bool:
        written = self._written
        if written is None or (known.position, known.locked_at) != (
            written.position,
            written.locked_at,
        ):
            return True
        return at - written.as_of >= self._renewal
