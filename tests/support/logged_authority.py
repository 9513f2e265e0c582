"""A CA whose keys are logged and guarded as in production, and backups of its database."""

import dataclasses
import datetime
import pathlib
from typing import Any

import sqlalchemy
from sqlalchemy import orm

from ca import foundation, hierarchy
from ca.continuity import known_signatures
from pki import clock, database
from pki.keystore import logged_store, signature_log
from tests.support import ca_world


@dataclasses.dataclass
class LoggedWorld(ca_world.World):
    """A world with its signature log."""

    log_path: pathlib.Path
    present: clock.FixedClock

    def restart(self) -> known_signatures.SigningGuard:
        """Open everything anew, as a process that starts does."""
        guard, keys = _guarded(self.sessions, self.keys, self.log_path, self.present)
        self.hierarchy = hierarchy.load(self.sessions, keys, self.settings)
        return guard


def make_world(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime, folder: pathlib.Path
) -> LoggedWorld:
    """Initialise a CA in an empty database, with a signature log in `folder`."""
    path = folder / "signatures.log"
    present = clock.FixedClock(at)
    memory = ca_world.CountingKeyStore()
    _, keys = _guarded(sessions, memory, path, present)
    made = foundation.initialise(sessions, keys, ca_world.SETTINGS, at)
    return LoggedWorld(sessions, memory, made, ca_world.SETTINGS, at, path, present)


def _guarded(
    sessions: orm.sessionmaker[orm.Session],
    memory: ca_world.CountingKeyStore,
    path: pathlib.Path,
    present: clock.Clock,
) -> tuple[known_signatures.SigningGuard, logged_store.LoggedKeyStore]:
    guard = known_signatures.SigningGuard(sessions, path, present)
    return guard, logged_store.LoggedKeyStore(
        memory,
        signature_log.SignatureLog(path, present),
        hierarchy.is_authority_key,
        needs=[guard.check_log],
        permit=guard.check_recorded,
    )


Backup = dict[str, list[dict[str, Any]]]


def back_up(engine: sqlalchemy.Engine) -> Backup:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
            for table in database.Base.metadata.sorted_tables
        }


def put_back(engine: sqlalchemy.Engine, backup: Backup) -> None:
    """Make the database what it was."""
    with engine.begin() as connection:
        for table in reversed(database.Base.metadata.sorted_tables):
            connection.execute(table.delete())
        for table in database.Base.metadata.sorted_tables:
            if backup[table.name]:
                connection.execute(table.insert(), backup[table.name])
