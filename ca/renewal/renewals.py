"""Renewing a certificate at its owner's signed request."""

import dataclasses
import datetime
import hashlib
import logging

from cryptography import x509
from sqlalchemy import orm

from ca import csr, hierarchy, orders, revocation
from ca.applications import certification
from ca.renewal import lineage, rules, signed_request
from ca.renewal import settings as renewal_settings
from pki import certificates, errors, profiles, registry, status

log = logging.getLogger(__name__)


class DeviceUnknownError(errors.PolicyError):
    """Nobody answers for the new key being in a qualified device."""

    code = "renewal-device-unknown"


@dataclasses.dataclass(frozen=True)
class Renewal:
    """The certificate that was renewed, as it was found, and its successor."""

    old: registry.CertificateRecord
    issued: certification.Issued


def renew(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    settings: renewal_settings.Settings,
    request_der: bytes,
    at: datetime.datetime,
    *,
    operator: str | None = None,
    serial_number: int | None = None,
    early: bool = False,
    supersede: bool = False,
) -> Renewal:
    """Issue the successor of a certificate, or return it where it is issued already.

    The old certificate's own key signs the request (EN 319 411-1 6.2.3). It is the authority for
    the new one: for signatures with nonRepudiation it is a signature of the owner's will; one for
    authentication renews itself and nothing else. The old one stays good until it ends.

    Args:
        sessions: The database.
        authorities: Who signs.
        settings: When a renewal is due.
        request_der: PKCS#10 for the new key in CMS signed by the old one (`signed_request`).
        at: The present.
        operator: Who makes the call at an office and answers for where the new key is; None for
            the owner's own call.
        serial_number: Which certificate the operator means; the request must be its owner's.
        early: Before the window too; for an operator alone.
        supersede: Revoke the old one as superseded at once; for an operator alone, as the owner's
            signature does not cover it.

    Raises:
        InputError: The request is malformed.
        RenewalSignatureError: It is not signed by a subscriber's certificate of this CA.
        SubjectChangedError: It asks for another name than the old certificate has.
        DeviceUnknownError: The owner's own call for a certificate that claims a qualified device.
        ImzaError: As `rules.check` and `certification.certify_key`.
    """
    signed = signed_request.parse(request_der)
    old = _find_signer(sessions, signed)
    if serial_number not in (None, old.serial_number):
        raise errors.InputError("expected a request signed by the certificate that is renewed")
    asked = csr.parse(signed.csr_der)
    key = lineage.request_key(old.serial_number, hashlib.sha256(signed.csr_der).hexdigest())
    actor = operator or f"subscriber:{certificates.serial_text(old.serial_number)}"
    request = orders.IssuanceRequest(key, actor)
    with sessions() as session:
        earlier = orders.find_answer(session, request, asked.key_sha256)
        if earlier is None:
            application_id = rules.check(
                session,
                old,
                asked.public_key,
                settings,
                at,
                attended=operator is not None,
                early=early and operator is not None,
            )
    if earlier is not None and earlier.certificate_der is not None:
        chain = authorities.named(earlier.issuer_name).chain_der
        issued = certification.Issued(earlier, earlier.certificate_der, chain)
    else:
        _check_subject(signed.csr_der, old.certificate)
        if operator is None:
            _check_device(old.profile, authorities)
        issued = certification.certify_key(
            sessions,
            authorities,
            application_id,
            old.profile,
            asked.public_key,
            request,
            at,
            renews=old.certificate.subject,
        )
        log.info(
            "certificate_renewed old=%s new=%s",
            certificates.serial_text(old.serial_number),
            certificates.serial_text(issued.record.serial_number),
        )
    if supersede and operator is not None:
        with sessions() as session:
            _supersede(session, old.serial_number, at, actor)
            session.commit()
    return Renewal(old, issued)


def _find_signer(
    sessions: orm.sessionmaker[orm.Session], signed: signed_request.SignedRequest
) -> registry.CertificateRecord:
    with sessions() as session:
        old = _find_named(session, signed)
    if old is None:
        # The same words as for a wrong signature: which serials exist is not told.
        raise signed_request.RenewalSignatureError(
            "the request's signature does not verify with the certificate's key"
        )
    signed.check(old.certificate)
    return old


def _find_named(
    session: orm.Session, signed: signed_request.SignedRequest
) -> registry.CertificateRecord | None:
    try:
        record = registry.find(session, signed.serial_number)
    except registry.CertificateNotFoundError:
        return None
    if record.certificate_der is None or record.profile not in profiles.SUBSCRIBER_NAMES:
        return None
    if record.certificate.issuer.public_bytes() != signed.issuer:
        return None
    return record


def _check_subject(csr_der: bytes, old: x509.Certificate) -> None:
    """Refuse a request for another name; an empty one asks for whatever is vetted."""
    try:
        asked = x509.load_der_x509_csr(csr_der).subject
    except ValueError as error:
        raise csr.CSRError("expected a PKCS#10 request whose subject can be read") from error
    if list(asked) and asked != old.subject:
        raise certification.SubjectChangedError(
            "expected the subject of the certificate that is renewed, or an empty one: who has"
            " another name or role applies anew"
        )


def _check_device(profile: str, authorities: hierarchy.Hierarchy) -> None:
    # EN 319 411-2 6.5.1: a certificate says that its key is in a device only where that is known,
    # and nobody can see it from here.
    if profile == profiles.SIGN.name and authorities.settings.secure_device:
        raise DeviceUnknownError(
            "a key for qualified signatures is renewed at a registration office, which knows the"
            " device that it is in"
        )


def _supersede(session: orm.Session, serial_number: int, at: datetime.datetime, actor: str) -> None:
    row = registry.find_row(session, serial_number, lock=True)
    if row.revoked_at is None:
        revocation.revoke(
            session, serial_number, status.RevocationReason.superseded, at, actor=actor
        )
