"""Registries with any history, written as the CA writes them, and what they say afterwards."""

import datetime
import itertools
import pathlib
import random

import sqlalchemy
from sqlalchemy import orm

from ca import intents, revocation
from ocsp.statuses import registry_source
from pki import errors, registry, registry_reader, status
from tests.support import crls

NAMES = ("citizen", "business")
FINAL = [one for one in status.RevocationReason if one.name != "certificateHold"]


class History:
    """Changes of certificates of two authorities, in transactions that may be given up."""

    def __init__(self, sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> None:
        self.sessions = sessions
        self.at = at
        self.serials: list[int] = []
        self._numbers = itertools.count(1)

    def issue(self, session: orm.Session, *, intended: bool = False) -> int:
        """A certificate that was issued, or one that is about to be signed."""
        serial = next(self._numbers) * 2**100 + 7
        self.serials.append(serial)
        crls.add_certificate(session, self.issuer_of(serial), serial, self.at)
        if intended:
            row = registry.find_row(session, serial)
            row.state, row.changed = registry.CertificateState.INTENDED.value, None
        return serial

    def change(self, session: orm.Session, chance: random.Random) -> None:
        """Hold, release or revoke one of them, if its state allows that."""
        serial = chance.choice(self.serials)
        kind = chance.randrange(4)
        try:
            if kind == 0:
                revocation.hold(session, serial, self.at, actor="test")
            elif kind == 1:
                revocation.release(session, serial, self.at, actor="test")
            else:
                since = (
                    self.at - datetime.timedelta(days=chance.randrange(9)) if kind == 2 else None
                )
                reason = chance.choice(FINAL)
                revocation.revoke(
                    session, serial, reason, self.at, actor="test", invalidity_date=since
                )
        except (errors.StateError, errors.NotFoundError):
            return

    def abandon(self) -> None:
        """What a CA does with its intents when it starts."""
        intents.reconcile(self.sessions, self.at)

    def expected(self) -> dict[int, status.CertificateStatus | None]:
        """What the registry says of each, by the CA's own way to it."""
        with self.sessions() as session:
            known = {}
            for name in NAMES:
                known |= registry.statuses_of(session, name, self.serials)
        return {serial: known.get(serial) for serial in self.serials}

    @staticmethod
    def issuer_of(serial: int) -> str:
        return NAMES[(serial >> 100) % 2]


def url_of(sessions: orm.sessionmaker[orm.Session]) -> str:
    """The address of the database behind a session factory."""
    with sessions() as session:
        return session.get_bind().engine.url.render_as_string(hide_password=False)


def source_of(
    sessions: orm.sessionmaker[orm.Session], file: pathlib.Path | None = None
) -> registry_source.RegistrySource:
    """What follows the database behind a session factory."""
    return registry_source.RegistrySource(url_of(sessions), file)


def reader_of(sessions: orm.sessionmaker[orm.Session]) -> registry_reader.Connection:
    """A reader of the database behind a session factory."""
    return registry_reader.connect(url_of(sessions))


def add_issuers(sessions: orm.sessionmaker[orm.Session]) -> None:
    """Name the two authorities in the registry; nobody looks at their certificates."""
    with sessions() as session:
        for name in NAMES:
            session.add(
                registry.IssuerRow(
                    name=name, certificate_der=name.encode(), issuer_name="root", key_label=name
                )
            )
        session.commit()


def restore_from(
    sessions: orm.sessionmaker[orm.Session], tables: dict[str, list[dict[str, object]]]
) -> None:
    """Put back what `saved` gave."""
    with sessions() as session:
        for table in _TABLES:
            session.execute(sqlalchemy.delete(table))
            if tables[table.name]:
                session.execute(sqlalchemy.insert(table), tables[table.name])
        session.commit()


def saved(sessions: orm.sessionmaker[orm.Session]) -> dict[str, list[dict[str, object]]]:
    """A copy of the registry and its audit log."""
    with sessions() as session:
        return {
            table.name: [dict(row._mapping) for row in session.execute(sqlalchemy.select(table))]
            for table in _TABLES
        }


def _tables() -> tuple[sqlalchemy.Table, ...]:
    from ca.crls import tables
    from pki import audit

    mapped = (registry.CertificateRow, tables.CRLEntryRow, audit.EntryRow, audit.HeadRow)
    return tuple(one.__table__ for one in mapped)  # type: ignore[misc]


_TABLES = _tables()
