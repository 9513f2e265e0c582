"""Statuses from the registry's database, with a status file to start from."""

import dataclasses
import datetime
import logging
import pathlib

from ocsp.statuses import contents as views
from pki import registry_reader, status_file

log = logging.getLogger(__name__)

NOBODY = status_file.Header(
    registry_reader.Position(), datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
)


class RegistrySource:
    """Follows the registry by its changes.

    The database may be a hot standby: what it tells is then as old as what it has replayed.
    """

    def __init__(self, url: str, file: pathlib.Path | None = None, *, revision: str = "") -> None:
        """Name the database.

        Args:
            url: As a settings file has it.
            file: A status file of the same registry, written by `write_file` of one process for
                all: the others map it and take the changes since from the database.
            revision: Of the tables that this version knows; empty: any.
        """
        self._url = url
        self._file = file
        self._revision = revision
        self._seen: tuple[int, int] | None = None
        self._taken: tuple[int, int] | None = None
        self._connection: registry_reader.Connection | None = None
        self._is_standby = False

    @property
    def is_asked(self) -> bool:
        """Whether the database is the primary one, which knows every change."""
        return not self._is_standby

    def update(self, known: views.Contents | None, at: datetime.datetime) -> views.Contents:
        """Return the contents as the database has them now.

        Raises:
            RegistryUnreadableError: It cannot be reached.
            RegistryOutdatedError: It is of another version.
        """
        try:
            if self._connection is None:
                self._connection = self._connect()
            known = self._take_file(self._connection, known)
            return self._follow(self._connection, known, at)
        except registry_reader.RegistryUnreadableError:
            self.close()
            raise

    def start(self) -> views.Contents | None:
        """What the file alone says, for as long as the database is away; None without one."""
        return self._new_file()

    def close(self) -> None:
        """Close the connection; the next update opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> registry_reader.Connection:
        connection = registry_reader.connect(self._url)
        found = connection.revision() if self._revision else ""
        if found != self._revision:
            connection.close()
            raise registry_reader.RegistryOutdatedError(
                f"expected the database at revision {self._revision}, found"
                f" {found or 'no tables'}: run `imza ca init` or `imza serve ZONE"
                " --upgrade-database`"
            )
        return connection

    def _new_file(self) -> views.Contents | None:
        """What the file says, if it is another one than was taken in last."""
        if self._file is None:
            return None
        try:
            state = self._file.stat()
            self._seen = (state.st_ino, state.st_mtime_ns)
            if self._seen == self._taken:
                return None
            return views.from_file(status_file.map_file(self._file))
        except FileNotFoundError:
            return None
        except (OSError, status_file.StatusFileError) as error:
            # It spares time and memory and is not needed: the database has it all.
            log.warning("status_file_refused error=%s", error)
            self._taken = self._seen
            return None

    def _take_file(
        self, connection: registry_reader.Connection, known: views.Contents | None
    ) -> views.Contents | None:
        """Put a new file under what is known, if it tells of the same registry."""
        found = self._new_file()
        if found is None:
            return known
        with connection.snapshot() as snapshot:
            is_same = snapshot.hash_at(found.position.number) == found.position.hash
        if not is_same:
            log.warning("status_file_of_another_registry number=%d", found.position.number)
            self._taken = self._seen
            return known
        if known is not None and found.position.number > known.position.number:
            return known  # The changes up to there come first; then the file is looked at again.
        self._taken = self._seen
        if known is None:
            return found
        number = found.position.number
        overlay: views.Overlay = {
            name: {serial: one for serial, one in changed.items() if one.number > number}
            for name, changed in known.overlay.items()
        }
        return dataclasses.replace(known, base=found.base, overlay=overlay)

    def _follow(
        self,
        connection: registry_reader.Connection,
        known: views.Contents | None,
        at: datetime.datetime,
    ) -> views.Contents:
        replayed_at = connection.replayed_at()
        self._is_standby = replayed_at is not None
        as_of = at if replayed_at is None else min(at, replayed_at)
        head = connection.head()
        if known is not None and known.position == head.position:
            return dataclasses.replace(known, as_of=as_of, locked_at=head.locked_at)
        with connection.snapshot() as snapshot:
            head = snapshot.head()
            if known is None or snapshot.hash_at(known.position.number) != known.position.hash:
                if known is not None:
                    # The database was restored from a backup: nothing of what was known holds.
                    log.warning("registry_read_anew known=%d", known.position.number)
                known = views.Contents(
                    status_file.StatusFile(b"".join(status_file.build(NOBODY, {}))),
                    {},
                    registry_reader.Position(-1),
                    as_of,
                    head.locked_at,
                    (),
                    (),
                )
            present = dataclasses.replace(
                known,
                position=head.position,
                as_of=as_of,
                locked_at=head.locked_at,
                issuers=snapshot.issuers(),
                responders=snapshot.responders(at),
            )
            for page in snapshot.changes(known.position.number):
                for change in page:
                    present.overlay.setdefault(change.issuer_name, {})[change.serial] = change
                present = views.settled(present)
        return present
