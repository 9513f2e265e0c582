"""Certification paths with one thing wrong, made with `cryptography` and named by what it is."""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = datetime.timedelta(days=365)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclasses.dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def make_certificate(
    name: str,
    issuer: Made | None,
    at: datetime.datetime,
    *,
    authority: bool | None = False,
    path_length: int | None = None,
    usage: str | None = "content_commitment",
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    key: Key | None = None,
    digest: hashes.HashAlgorithm | None = None,
    period: tuple[datetime.datetime, datetime.datetime] | None = None,
    ocsp_url: str | None = None,
    crl_url: str | None = None,
) -> Made:
    """One certificate of a chain; `authority` None leaves basicConstraints out."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"TEST {name}")])
    start, end = period or (at - YEAR, at + YEAR)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, path_length), True)
    if usage is not None:
        names = (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        )
        wanted = usage.split()
        builder = builder.add_extension(
            x509.KeyUsage(**{one: one in wanted for one in names}), True
        )
    if purposes:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage(purposes), purposes == (ExtendedKeyUsageOID.TIME_STAMPING,)
        )
    if ocsp_url:
        address = x509.UniformResourceIdentifier(ocsp_url)
        access = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, address)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    if crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signing_key = issuer.key if issuer else key
    return Made(builder.sign(signing_key, digest or hashes.SHA256()), key)


def make_authority(
    name: str, issuer: Made | None, at: datetime.datetime, **changed: object
) -> Made:
    """An authority as it should be, but for what is changed."""
    wanted: dict[str, object] = {"authority": True, "usage": "key_cert_sign crl_sign"}
    return make_certificate(name, issuer, at, **(wanted | changed))  # type: ignore[arg-type]


def make_crl(
    issuer: Made,
    at: datetime.datetime,
    revoked: dict[int, tuple[datetime.datetime, x509.ReasonFlags | None]] | None = None,
    *,
    signed_by: Made | None = None,
    until: datetime.timedelta = datetime.timedelta(days=7),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    invalid_since: datetime.datetime | None = None,
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A list of an issuer, perhaps signed by somebody else."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(at)
        .next_update(at + until)
        .add_extension(x509.CRLNumber(1), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for serial, (when, reason) in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), False)
        if invalid_since is not None:
            entry = entry.add_extension(x509.InvalidityDate(invalid_since), False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign((signed_by or issuer).key, digest or hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)
