"""Status information for every certificate of a path, fetched now and checked before it is used.

A certificate that names an OCSP responder is asked for there, with a nonce; one that does not,
as a time-stamping unit's, is looked up in its issuer's CRL. Nothing is cached: a status from
before the best signature time does not show that the certificate was still good at that time
(EN 319 102-1 5.2.5).
"""

import dataclasses
import datetime
import functools
import itertools
from collections.abc import Sequence

from cryptography import exceptions, x509

from ocsp import client as ocsp_client
from pki import algorithms, certificates, errors, outbound
from signing_service import crl_scope

CLOCK_SKEW = datetime.timedelta(seconds=60)
"""How far in the future a `thisUpdate` may lie: two servers' clocks differ."""


class CertificateRevokedError(errors.PolicyError):
    """The certificate is revoked or on hold."""

    code = "certificate-revoked"


class NoStatusSourceError(errors.PolicyError):
    """The certificate names neither a responder nor a CRL."""

    code = "certificate-status-source"


class CRLError(errors.PeerError):
    """What came from a CRL's address is not a current CRL of the issuer."""

    code = "crl-unusable"


@dataclasses.dataclass(frozen=True)
class ValidationData:
    """What a validator needs, years later, to judge paths as they were (EN 319 142-1 5.4).

    Attributes:
        certificates: Of all paths and of the OCSP responders.
        ocsp_responses: DER of whole responses.
        crls: DER.
    """

    certificates: tuple[x509.Certificate, ...]
    ocsp_responses: tuple[bytes, ...]
    crls: tuple[bytes, ...]


def check_crl(
    crl_der: bytes, issuer: x509.Certificate, at: datetime.datetime
) -> x509.CertificateRevocationList:
    """Check that bytes are a complete CRL of this issuer, current at a time (RFC 5280 6.3.3).

    Raises:
        CRLError: Another issuer or key, out of date, or of a kind that is not read here.
    """
    try:
        crl = x509.load_der_x509_crl(crl_der)
        public_key = issuer.public_key()
        algorithms.key_kind(public_key)
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        genuine = crl.issuer == issuer.subject and crl.is_signature_valid(public_key)  # type: ignore[arg-type]
        next_update = crl.next_update_utc
        complete = crl_scope.is_complete_list(crl)
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension,
            x509.InvalidVersion, x509.UnsupportedGeneralNameType,
            exceptions.UnsupportedAlgorithm, errors.InputError) as error:  # fmt: skip
        raise CRLError(f"expected a CRL, got something else ({type(error).__name__})") from error
    if not genuine or not usage.crl_sign:
        raise CRLError("expected a CRL signed by the certificate's issuer, got another one")
    if not complete:
        raise CRLError("expected a complete CRL, got an indirect or partial one or a delta")
    if next_update is None or not crl.last_update_utc - CLOCK_SKEW <= at < next_update:
        raise CRLError("expected a current CRL, got one whose time has passed or not come")
    return crl


def fetch_crl(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    *,
    client: outbound.Client,
    at: datetime.datetime,
) -> bytes:
    """Fetch the CRL that a certificate names, and check that it does not list the certificate.

    Raises:
        CertificateRevokedError: It does.
        CRLError: No address gave a usable CRL.
        PeerError: No address answered.
    """
    failure: errors.PeerError | None = None
    for url in certificates.read(certificate).crl_urls:
        try:
            reply = client.send("GET", url, accept="application/pkix-crl")
            crl = check_crl(reply.body, issuer, at)
            _check_scope(crl, certificate)
        except errors.PeerError as error:
            failure = error
            continue
        if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            raise _revoked(certificate)
        return reply.body
    raise failure or NoStatusSourceError("expected a certificate that names a CRL, got none")


def _check_scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> None:
    try:
        covered = crl_scope.speaks_of(crl, certificate)
    except (ValueError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension) as error:
        raise CRLError(f"expected a readable scope ({type(error).__name__})") from error
    if not covered:
        raise CRLError("expected the CRL of the certificate's distribution point, got another's")


def fetch(
    paths: Sequence[Sequence[x509.Certificate]],
    *,
    client: outbound.Client,
    at: datetime.datetime,
    not_before: datetime.datetime | None = None,
    responders: Sequence[str] = (),
) -> ValidationData:
    """Fetch and check the status of every certificate of some paths, the last of each excepted.

    Args:
        paths: Each begins with the certificate that is judged and ends with one that is trusted.
        client: Asks responders and fetches CRLs.
        at: The present.
        not_before: The best signature time, before which an OCSP response proves nothing.
        responders: Asked after those that a certificate names.

    Raises:
        CertificateRevokedError: A certificate is revoked or on hold.
        NoStatusSourceError: It does not say where its status is told.
        PeerError: A source did not answer, or not usefully.
    """
    found: dict[bytes, x509.Certificate] = {}
    responses: dict[bytes, None] = {}
    crls: dict[bytes, None] = {}
    done: set[bytes] = set()
    for path in paths:
        found |= {certificates.to_der(one): one for one in path}
        for certificate, issuer in itertools.pairwise(path):
            key = certificates.to_der(certificate)
            if key in done:
                continue
            done.add(key)
            if named := certificates.read(certificate).ocsp_urls:
                checked = ocsp_client.fetch_status(
                    client,
                    certificate,
                    issuer,
                    at,
                    urls=(*named, *responders),
                    not_before=not_before,
                    check_responder=functools.partial(
                        _check_responder, issuer=issuer, client=client, at=at
                    ),
                )
                if checked.status.revoked_at is not None:
                    raise _revoked(certificate)
                responses[checked.response_der] = None
                found[certificates.to_der(checked.responder)] = checked.responder
            else:
                crls[fetch_crl(certificate, issuer, client=client, at=at)] = None
    return ValidationData(tuple(found.values()), tuple(responses), tuple(crls))


def _check_responder(
    responder: x509.Certificate,
    *,
    issuer: x509.Certificate,
    client: outbound.Client,
    at: datetime.datetime,
) -> None:
    """Look a responder without ocsp-nocheck up in its issuer's CRL (RFC 6960 4.2.2.2.1)."""
    fetch_crl(responder, issuer, client=client, at=at)


def _revoked(certificate: x509.Certificate) -> CertificateRevokedError:
    serial = certificates.serial_text(certificate.serial_number)
    return CertificateRevokedError(f"the certificate {serial} is revoked or on hold")
