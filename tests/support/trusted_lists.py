"""A CA that publishes a trusted list, and lists that are not what they should be."""

import dataclasses
import datetime

import sqlalchemy
from cryptography import x509
from lxml import etree
from sqlalchemy import orm

from ca.trusted_list import document, enveloped, publication, services
from ca.trusted_list import scheme as schemes
from ca.trusted_list import settings as list_settings
from pki import certificates, profiles, registry
from tests.support import ca_world, hierarchy

SCHEME = list_settings.Settings(
    street_address="TEST küçəsi 1",
    locality="Bakı",
    postal_code="AZ1000",
    email="tl@example.com",
    website="https://example.com/tl",
    operator_names=(list_settings.LocalName("ka", "სანიმუშო ცენტრი"),),
)
SETTINGS = dataclasses.replace(ca_world.SETTINGS, trusted_list=SCHEME)


@dataclasses.dataclass(frozen=True)
class ListWorld:
    """A CA with its publisher."""

    ca: ca_world.World
    publisher: publication.Publisher

    @property
    def root(self) -> x509.Certificate:
        return self.ca.hierarchy.authorities["root"].certificate

    @property
    def infrastructure(self) -> x509.Certificate:
        return self.ca.hierarchy.authorities["infrastructure"].certificate

    @property
    def signer(self) -> x509.Certificate:
        with self.ca.sessions() as session:
            record = registry.current_certificate(
                session, profiles.TRUSTED_LIST_SIGNER.name, self.ca.at
            )
        assert record is not None
        assert record.certificate_der is not None
        return certificates.parse(record.certificate_der)

    def publish(self, at: datetime.datetime | None = None) -> publication.PublishedList:
        """The national list."""
        return self.publisher.publish(at or self.ca.at, actor="test")[0]

    def services(self) -> tuple[services.Service, ...]:
        with self.ca.sessions() as session:
            return services.record_services(session, self.ca.settings, self.ca.at)

    def sign(
        self,
        *,
        issued_at: datetime.datetime | None = None,
        next_update: datetime.datetime | None = None,
        sequence_number: int = 1,
        signer: hierarchy.Holder | None = None,
    ) -> bytes:
        """A list as `publish` makes it, but for what is named."""
        root = self.unsigned(
            issued_at=issued_at, next_update=next_update, sequence_number=sequence_number
        )
        if signer is not None:
            return enveloped.sign(root, signer.certificate, signer.handle, self.ca.at)
        return enveloped.sign(root, self.signer, self.ca.keys.open_key("tl-signer"), self.ca.at)

    def unsigned(
        self,
        *,
        issued_at: datetime.datetime | None = None,
        next_update: datetime.datetime | None = None,
        sequence_number: int = 1,
    ) -> etree._Element:
        issued_at = issued_at or self.ca.at
        scheme = schemes.of(self.ca.settings)
        issue = document.Issue(
            sequence_number, issued_at, next_update or issued_at + datetime.timedelta(days=30)
        )
        return document.build(scheme, scheme.variants[0], self.services(), issue)


def make_world(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> ListWorld:
    """Initialise a CA in an empty database, with a scheme."""
    world = ca_world.make_world(sessions, at, SETTINGS)
    return ListWorld(world, publication.Publisher(sessions, world.keys, world.hierarchy))


def make_world_in(engine: sqlalchemy.Engine, at: datetime.datetime) -> ListWorld:
    """The same with a database's engine."""
    from pki import database

    database.Base.metadata.create_all(engine)
    return make_world(database.session_factory(engine), at)
