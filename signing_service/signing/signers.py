"""Who signs: a certificate that a card or a phone holds, checked before its owner is asked."""

import dataclasses
import datetime

from cryptography import x509

from pki import algorithms, certificates, errors, outbound
from signing_service import certification_paths, revocation_data


@dataclasses.dataclass(frozen=True)
class CardSigner:
    """A person whose certificate the caller has read from a card."""

    certificate_der: bytes


@dataclasses.dataclass(frozen=True)
class PhoneSigner:
    """A person who signs on a phone; neither number is ever printed."""

    phone_number: str = dataclasses.field(repr=False)
    person_code: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class SealSigner:
    """An organisation, whose key is in the service's key store."""

    name: str


Signer = CardSigner | PhoneSigner | SealSigner


class CertificateUnusableError(errors.PolicyError):
    """The certificate is not one that a person signs with."""

    code = "certificate-not-for-signing"


class CertificateExpiredError(errors.PolicyError):
    """The certificate's time has passed, or has not come."""

    code = "certificate-expired"


def check_signing_certificate(
    certificate: x509.Certificate,
    authorities: certification_paths.Authorities,
    *,
    client: outbound.Client,
    at: datetime.datetime,
) -> tuple[x509.Certificate, ...]:
    """Check that a signature with this certificate can be made now, and return its path.

    Raises:
        CertificateUnusableError: Its key is not for signatures that bind a person, or too weak.
        CertificateExpiredError: Outside its validity.
        UntrustedCertificateError: No path to a trusted root.
        CertificateRevokedError: Revoked or on hold.
        PeerError: The status cannot be learned now, or the issuer does not know it.
    """
    facts = certificates.read(certificate)
    try:
        algorithms.key_kind(certificate.public_key())
    except algorithms.UnsupportedAlgorithmError as error:
        raise CertificateUnusableError(f"the certificate's key is not usable: {error}") from error
    # EN 319 412-2 4.3.2: nonRepudiation is what says that its owner means what is signed.
    if not facts.is_for_signing or facts.is_authority:
        raise CertificateUnusableError(
            "expected a signing certificate (key usage nonRepudiation), got another one: the"
            " authentication certificate of the same card, for example"
        )
    if not facts.not_before <= at <= facts.not_after:
        raise CertificateExpiredError(
            f"expected a certificate that is valid now, got one valid from"
            f" {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}"
        )
    path = authorities.path(certificate, at)
    revocation_data.fetch([path[:2]], client=client, at=at)
    return path
