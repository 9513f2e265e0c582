"""Whether a certificate can be renewed: one judgement for every way of asking."""

import datetime

import sqlalchemy
from sqlalchemy import orm

from ca import orders, tables
from ca.renewal import lineage
from ca.renewal import settings as renewal_settings
from pki import algorithms, certificates, clock, errors, registry, status


class NotRenewableError(errors.StateError):
    """The certificate is on hold, revoked, or none of a subscriber."""

    code = "not-renewable"


class ExpiredError(errors.StateError):
    """The certificate has ended: nothing that it signs counts any more."""

    code = "certificate-expired"


class TooEarlyError(errors.StateError):
    """The certificate has longer to go than the window for renewals."""

    code = "renewal-too-early"


class IdentityOutdatedError(errors.PolicyError):
    """The identity was checked too long ago."""

    code = "identity-outdated"


class AttendedOnlyError(errors.PolicyError):
    """The certificate is renewed at a registration office."""

    code = "renewal-at-office"


def check(
    session: orm.Session,
    record: registry.CertificateRecord,
    new_key: algorithms.PublicKey,
    settings: renewal_settings.Settings,
    at: datetime.datetime,
    *,
    attended: bool = False,
    early: bool = False,
) -> str:
    """Check that a certificate can be renewed for a key; its owner's signature is checked already.

    Args:
        session: The database.
        record: The certificate.
        new_key: The key of the next one.
        settings: The window and what else decides.
        at: The present.
        attended: An operator makes the call, and answers for where the new key is.
        early: Before the window, too: a card is replaced during its life.

    Returns:
        The id of the application that stands behind it.

    Raises:
        ExpiredError: It has ended.
        NotRenewableError: It is on hold, revoked or no subscriber's.
        TooEarlyError: Its window has not begun.
        AttendedOnlyError: It is renewed at an office alone.
        KeyCertifiedError: The key has a certificate.
        IdentityOutdatedError: The identity was checked too long ago.
    """
    _check_state(record, at)
    opens = record.not_after - settings.window
    if not early and at < opens:
        raise TooEarlyError(
            f"expected a renewal from {clock.time_text(opens)} on, the certificate's last days"
        )
    behind = lineage.find(session, record.serial_number)
    if behind is None:
        raise NotRenewableError("no application stands behind this certificate")
    if not (attended or behind.enrolled_over_wire or settings.self_service):
        raise AttendedOnlyError("this certificate is renewed at a registration office")
    _check_key(session, new_key)
    _check_identity(session, behind.application_id, settings, at)
    return behind.application_id


def _check_state(record: registry.CertificateRecord, at: datetime.datetime) -> None:
    if at > record.not_after:
        ended = clock.time_text(record.not_after)
        raise ExpiredError(f"the certificate ended at {ended}: apply for a new one")
    if record.state is not registry.CertificateState.ISSUED or at < record.not_before:
        raise NotRenewableError("expected a certificate that is valid now")
    if record.status.reason is status.RevocationReason.certificateHold:
        raise NotRenewableError("the certificate is on hold: have it released first")
    if not record.status.is_good:
        raise NotRenewableError("the certificate is revoked: apply for a new one")


def _check_key(session: orm.Session, new_key: algorithms.PublicKey) -> None:
    known = session.scalars(
        sqlalchemy.select(registry.CertificateRow.id)
        .where(registry.CertificateRow.key_sha256 == certificates.key_sha256(new_key))
        .limit(1)
    ).first()
    if known is not None:
        raise orders.KeyCertifiedError("expected a key that has no certificate yet: make a new one")


def _check_identity(
    session: orm.Session,
    application_id: str,
    settings: renewal_settings.Settings,
    at: datetime.datetime,
) -> None:
    row = session.get(tables.ApplicationRow, application_id)
    if row is None:
        raise errors.TamperedError("expected the application behind a certificate")
    if at - row.recorded_at > settings.identity_validity:
        raise IdentityOutdatedError(
            "the identity was checked too long ago for another certificate: apply for a new one"
        )
