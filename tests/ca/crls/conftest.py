import dataclasses
import datetime

import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import authority, revocation
from ca import settings as ca_settings
from ca.crls import addresses, published, schedule
from pki import database, status
from tests.support import ca_world, crls

NAME = "citizen"


@dataclasses.dataclass
class Office:
    """An authority of which only the lists matter: its certificates are rows without bytes."""

    sessions: orm.sessionmaker[orm.Session]
    issuing: authority.CertificationAuthority
    settings: ca_settings.Settings
    at: datetime.datetime

    def issue(self, *serial_numbers: int, partition: int = 0) -> None:
        with self.sessions() as session:
            for one in serial_numbers:
                crls.add_certificate(session, NAME, one, self.at, partition)
            session.commit()

    def revoke(self, serial_number: int, reason: str = "keyCompromise") -> None:
        with self.sessions() as session:
            revocation.revoke(
                session,
                serial_number,
                status.RevocationReason[reason],
                self.at,
                actor="test",
            )
            session.commit()

    def hold(self, serial_number: int) -> None:
        with self.sessions() as session:
            revocation.hold(session, serial_number, self.at, actor="test")
            session.commit()

    def release(self, serial_number: int) -> None:
        with self.sessions() as session:
            revocation.release(session, serial_number, self.at, actor="test")
            session.commit()

    def publish_full(self, partition: int = 0) -> tuple[published.PublishedCRL, ...]:
        return schedule.publish_full(
            self.sessions, self.issuing, self.settings, self.at, actor="test", partition=partition
        )

    def publish_changes(self) -> tuple[published.PublishedCRL, ...]:
        return schedule.publish_changes(
            self.sessions, self.issuing, self.settings, self.at, actor="test"
        )

    def publish_due(self) -> tuple[published.PublishedCRL, ...]:
        return schedule.publish_due(
            self.sessions, [self.issuing], self.settings, self.at, actor="test"
        )

    def der(self, made: published.PublishedCRL) -> bytes:
        with self.sessions() as session:
            return published.content(session, made)

    def said(self, made: published.PublishedCRL) -> dict[int, crls.Said]:
        return crls.said_by(self.der(made))

    def registered(self, partition: int = 0) -> dict[int, crls.Said]:
        with self.sessions() as session:
            return crls.said_by_registry(session, addresses.Scope(NAME, partition))


@pytest.fixture(scope="session")
def issuing() -> authority.CertificationAuthority:
    """Made once: no test changes it."""
    return crls.make_authority(NAME, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))


@pytest.fixture
def make_office(engine: sqlalchemy.Engine, issuing: authority.CertificationAuthority):
    def make(**settings: object) -> Office:
        return Office(
            database.session_factory(engine),
            issuing,
            dataclasses.replace(ca_world.SETTINGS, **settings),  # type: ignore[arg-type]
            datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC),
        )

    return make


@pytest.fixture
def office(make_office) -> Office:
    """Publishes deltas from the first entry on."""
    return make_office(crl_delta_from=0)
