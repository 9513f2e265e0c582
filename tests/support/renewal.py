"""A subscriber who renews: a certificate, its key, and requests signed with it."""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ca.applications import certification
from ca.renewal import renewals, signed_request
from ca.renewal import settings as renewal_settings
from pki import algorithms, certificates
from tests.support import ca_world
from tests.support.hierarchy import MemoryKey, make_key

SETTINGS = renewal_settings.Settings(self_service=True)


@dataclasses.dataclass
class Owner:
    """A subscriber with a certificate and its key."""

    world: ca_world.World
    key: algorithms.PrivateKey
    issued: certification.Issued

    @property
    def certificate(self) -> x509.Certificate:
        return certificates.parse(self.issued.certificate_der)

    @property
    def serial(self) -> int:
        return self.issued.record.serial_number

    def request(self, csr_der: bytes) -> bytes:
        return signed_request.build(csr_der, self.certificate, MemoryKey("old", self.key).sign)

    def before_end(self, days: float) -> datetime.datetime:
        return self.issued.record.not_after - datetime.timedelta(days=days)

    def renew(
        self,
        csr_der: bytes,
        *,
        at: datetime.datetime | None = None,
        settings: renewal_settings.Settings = SETTINGS,
        **options: object,
    ) -> renewals.Renewal:
        return renewals.renew(
            self.world.sessions,
            self.world.hierarchy,
            settings,
            self.request(csr_der),
            at or self.before_end(10),
            **options,  # type: ignore[arg-type]
        )


def make_owner(
    world: ca_world.World, profile: str = "authenticate", *, at: datetime.datetime | None = None
) -> Owner:
    key = make_key(algorithms.KeyKind.P256)
    issued = world.certify(world.application(), profile, ca_world.make_csr(key=key), at=at)
    return Owner(world, key, issued)


def csr_for(subject: x509.Name | None = None, key: algorithms.PrivateKey | None = None) -> bytes:
    """A request with an empty subject, or the one given."""
    request = x509.CertificateSigningRequestBuilder().subject_name(subject or x509.Name([]))
    signed = request.sign(key or make_key(algorithms.KeyKind.P256), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def sample_request() -> bytes:
    """A request that no CA knows the signer of, for parsers."""
    key = make_key(algorithms.KeyKind.P256)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST")])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 17)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    return signed_request.build(csr_for(), certificate, MemoryKey("old", key).sign)


def new_key() -> algorithms.PrivateKey:
    return make_key(algorithms.KeyKind.P256)
