"""A whole CA for tests: database, keys in memory, hierarchy, and people to certify."""

import dataclasses
import datetime
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from sqlalchemy import orm

from ca import foundation, hierarchy, subjects
from ca import settings as ca_settings
from ca.applications import certification, identity_check, states
from ca.operators import roles
from pki import algorithms, person_codes, registration, signature
from pki import vetting as vettings
from pki.keystore import store
from tests.support.hierarchy import MemoryKeyStore, make_key

SETTINGS = ca_settings.Settings(
    country="AZ",
    organisation_name="Nümunə Sertifikat Mərkəzi",
    organisation_code="1234567890",
    base_url="http://pki.example.com",
    disclosures=(
        ca_settings.Disclosure("https://pki.example.com/pds/en.pdf", "en"),
        ca_settings.Disclosure("https://pki.example.com/pds/az.pdf", "az"),
    ),
    test=True,
    # Worlds of tests certify the same people again and again.
    certificates_per_role=0,
)

ORGANISATION = registration.Organisation("AZ", "9876543210", "TEST Ağıllı Çörəkçi MMC")
CITIZEN = registration.Person("AZ", "5AB12CD", "Əliyeva-Şıxlı", "Günay Öztürk")
GEORGIAN = registration.Person("GE", "01234567890", "გიორგაძე", "ნინო")
ESTONIAN = registration.Person("EE", "60001019906", "O\u2019CONNEŽ-ŠUSLIK TESTNUMBER", "MARY ÄNN")
TURK = registration.Person("TR", "PAS-U12345678", "TEST Yılmaz", "Ayşe")
UKRAINIAN = registration.Person("UA", "IDC-000123456", "TEST Шевченко", "Олена")
FOREIGN_AUTHORITY = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "GE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TEST Digital Governance"),
        x509.NameAttribute(NameOID.COMMON_NAME, "TEST GE Signing CA"),
    ]
)
OFFICER = roles.Operator("officer-1", roles.Role.RA_OFFICER)
APPROVER = roles.Operator("officer-2", roles.Role.APPROVER)


def vetting_of(person: registration.Person) -> vettings.Vetting:
    """What an officer saw who had a person with a passport before them."""
    kind, number = person_codes.document_number(person.person_code) or ("PAS", "P1234567")
    seen = vettings.DocumentKind.PASSPORT
    if kind == "IDC":
        seen = vettings.DocumentKind.IDENTITY_CARD
    expires = datetime.date(2035, 1, 31)
    return vettings.Vetting((vettings.Document(seen, person.country, number, expires),))


VETTING = vetting_of(CITIZEN)


class CountingKey:
    """A key handle that counts its signatures, and can be told to fail after signing."""

    def __init__(self, handle: store.KeyHandle) -> None:
        self._handle = handle
        self.signatures = 0
        self.fails_with: Exception | None = None

    @property
    def label(self) -> str:
        return self._handle.label

    @property
    def public_key(self) -> algorithms.PublicKey:
        return self._handle.public_key

    def sign(
        self, representation: signature.DataToBeSignedRepresentation
    ) -> signature.SignatureValue:
        self.signatures += 1
        value = self._handle.sign(representation)
        if self.fails_with is not None:
            raise self.fails_with
        return value


class CountingKeyStore(MemoryKeyStore):
    """A key store in memory whose keys count."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[str, CountingKey] = {}

    def open_key(self, label: str) -> CountingKey:  # type: ignore[override]
        if label not in self.counted:
            self.counted[label] = CountingKey(super().open_key(label))
        return self.counted[label]

    @property
    def signatures(self) -> int:
        return sum(one.signatures for one in self.counted.values())


@dataclasses.dataclass
class World:
    """A CA that was initialised at `at`."""

    sessions: orm.sessionmaker[orm.Session]
    keys: CountingKeyStore
    hierarchy: hierarchy.Hierarchy
    settings: ca_settings.Settings
    at: datetime.datetime

    def application(
        self,
        person: registration.Person = CITIZEN,
        category: registration.Category = registration.Category.CITIZEN,
    ) -> str:
        """An approved application's id."""
        organisation = None if category is registration.Category.CITIZEN else ORGANISATION
        return self.approved(
            subjects.Applicant(
                category, person, organisation, "Baş mühasib" if organisation else None
            )
        )

    def approved(self, applicant: subjects.Applicant) -> str:
        """The id of an application that was vetted, and approved by another where needed."""
        made = self.vetted(applicant)
        if made.state is registration.ApplicationState.AWAITING_APPROVAL:
            with self.sessions() as session:
                states.approve_application(session, made.id, self.at, operator=APPROVER)
                session.commit()
        return made.id

    def vetted(
        self, applicant: subjects.Applicant, handed_in: vettings.Vetting | None = None
    ) -> registration.Application:
        """An application that an officer vetted."""
        record = identity_check.examine(
            self.desk,
            applicant,
            handed_in or vetting_of(applicant.person),
            self.at,
            officer=OFFICER.name,
        )
        with self.sessions() as session:
            made = states.record_application(session, applicant, self.at, operator=OFFICER)
            made = states.vet_application(
                session,
                made.id,
                record,
                self.at,
                operator=OFFICER,
                expected_hash=made.request_hash,
            )
            session.commit()
        return made

    @property
    def desk(self) -> identity_check.Desk:
        """Where this world's people are examined, without a register."""
        return identity_check.Desk(self.sessions, self.hierarchy)

    def certify(
        self,
        application_id: str,
        profile: str = "sign",
        csr_der: bytes | None = None,
        at: datetime.datetime | None = None,
    ) -> certification.Issued:
        """A certificate for an application."""
        return certification.certify_application(
            self.sessions,
            self.hierarchy,
            application_id,
            profile,
            csr_der or make_csr(),
            at or self.at,
            actor="test",
        )


def make_world(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    settings: ca_settings.Settings = SETTINGS,
    *,
    keys: CountingKeyStore | None = None,
    guard: Callable[[store.KeyStore], store.KeyStore] = lambda keys: keys,
) -> World:
    """Initialise a CA in an empty database; `guard` stands between it and its keys."""
    counted = keys or CountingKeyStore()
    made = foundation.initialise(sessions, guard(counted), settings, at)
    return World(sessions, counted, made, settings, at)


def make_csr(
    kind: algorithms.KeyKind = algorithms.KeyKind.P256, key: algorithms.PrivateKey | None = None
) -> bytes:
    """A PKCS#10 request in DER by a new key, or by the one given."""
    key = key or make_key(kind)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whatever is asked for")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
