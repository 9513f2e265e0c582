"""Issuing one certificate: prepare, lint, record, sign, record.

The intent comes first: before the authority's key is used, the registry holds the serial number
and the exact bytes that will be signed. A crash at any point leaves at worst an intent, which
`reconcile` ends as abandoned and revoked; no certificate can exist that the registry does not
know.
"""

import dataclasses
import datetime
import logging

import sqlalchemy
from sqlalchemy import exc, orm

from ca import authority, drafts, lint
from ca import settings as ca_settings
from ca.continuity import closures
from pki import audit, certificates, database, errors, failpoints, registry, status
from pki.keystore import logged_store

log = logging.getLogger(__name__)

OPEN_LIMIT = datetime.timedelta(minutes=5)
"""An intent that is older has lost its process, or its process the database."""

SYSTEM = "system"
"""The actor of what no client or officer asked for."""


class RequestInProgressError(errors.StateError):
    """The same certificate is being issued at this moment."""

    code = "issuance-in-progress"
    retriable = True


class RequestAnsweredError(errors.StateError):
    """The request got a certificate already, for another key."""

    code = "already-certified"


class KeyCertifiedError(errors.PolicyError):
    """The key was certified before, for somebody else or for something else."""

    code = "key-already-certified"


class IssuanceAbandonedError(errors.StateError):
    """The certificate was abandoned and revoked while it was being issued."""

    code = "issuance-abandoned"
    retriable = True


@dataclasses.dataclass(frozen=True)
class IssuanceRequest:
    """What a certificate is asked for by, and by whom.

    Attributes:
        key: Names the request; the same name never yields a second certificate.
        actor: Which client or officer asks.
        key_label: Where the key of one of our own services lies; None for subscribers.
    """

    key: str
    actor: str
    key_label: str | None = None


def issue_certificate(
    sessions: orm.sessionmaker[orm.Session],
    draft: drafts.CertificateDraft,
    request: IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    """Issue what a draft says, or return what the same request was given before.

    Raises:
        LintError: The certificate would break its profile; nothing was recorded or signed.
        RequestInProgressError: The same request is under way elsewhere.
        RequestAnsweredError: The request was answered before, for another key.
        KeyCertifiedError: The key belongs to another subject or profile already.
        AuthorityClosedError: The issuer certifies nobody any more.
        DeviceError: The key store failed; the certificate is abandoned and revoked.
    """
    with sessions() as session:
        earlier = find_answer(session, request, certificates.key_sha256(draft.public_key))
        _check_key_is_free(session, draft)
        if earlier is None:
            closures.check_open(session, draft.issuer.name, draft.profile.name)
    if earlier is not None:
        return earlier
    return issue_twin(sessions, drafts.build_twin(draft), draft, request, settings, at)


def issue_twin(
    sessions: orm.sessionmaker[orm.Session],
    twin_der: bytes,
    draft: drafts.CertificateDraft,
    request: IssuanceRequest,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    """Lint a twin, record it, sign exactly its bytes, store the result. Raises as above."""
    failpoints.reach("reserve")
    # A key that is known not to sign now costs no serial number.
    logged_store.check_ready(draft.issuer.key)
    lint.check_twin(twin_der, draft.profile, draft.issuer, settings, at)
    failpoints.reach("lint")
    row_id = _record_intent(sessions, twin_der, draft, request, at)
    failpoints.reach("intent")
    try:
        certificate_der = authority.sign_like(twin_der, draft.issuer.key)
    except Exception:
        # Whether the key signed before it failed is unknown: the serial is never used again.
        _abandon_now(sessions, row_id, request, at)
        raise
    failpoints.reach("sign")
    return _store(sessions, row_id, certificate_der, request, at)


def find_answer(
    session: orm.Session, request: IssuanceRequest, key_sha256: str
) -> registry.CertificateRecord | None:
    """Return what a request was given before; None for a new one.

    Raises:
        RequestInProgressError: It is being issued now.
        RequestAnsweredError: It was for another key.
    """
    row = session.scalars(
        sqlalchemy.select(registry.CertificateRow).where(
            registry.CertificateRow.request_key == request.key
        )
    ).first()
    if row is None:
        return None
    if row.key_sha256 != key_sha256:
        raise RequestAnsweredError(
            "this application has its certificate of that profile already, for another key:"
            " a new key needs a new application"
        )
    if row.state == registry.CertificateState.INTENDED.value:
        raise RequestInProgressError("the same certificate is being issued: ask again shortly")
    return registry.to_record(row)


def reconcile(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    *,
    recorded_before: datetime.datetime | None = None,
) -> tuple[int, ...]:
    """End every intent that no process works on any more; run it when the CA starts.

    Such a certificate may have been signed and was handed to nobody, so it is abandoned and
    revoked. A process that is issuing at this moment finds its intent gone and stores nothing.

    Args:
        sessions: The database.
        at: The present.
        recorded_before: Only older ones, for a CA that is running; see `OPEN_LIMIT`.

    Returns:
        The serial numbers that were abandoned.
    """
    query = sqlalchemy.select(registry.CertificateRow).where(
        registry.CertificateRow.state == registry.CertificateState.INTENDED.value
    )
    if recorded_before is not None:
        query = query.where(registry.CertificateRow.recorded_at < recorded_before)
    with sessions() as session:
        rows = session.scalars(query.order_by(registry.CertificateRow.id).with_for_update()).all()
        for row in rows:
            _abandon(session, row.id, SYSTEM, at)
        session.commit()
    return tuple(int(row.serial_number, 16) for row in rows)


def _check_key_is_free(session: orm.Session, draft: drafts.CertificateDraft) -> None:
    # One key with two certificates would make a signature point at either of two subjects, and
    # an authentication could be replayed as a signature.
    facts_of_key = sqlalchemy.select(registry.CertificateRow).where(
        registry.CertificateRow.key_sha256 == certificates.key_sha256(draft.public_key)
    )
    subject = certificates.name_text(draft.subject)
    for row in session.scalars(facts_of_key):
        if row.subject != subject or row.profile != draft.profile.name:
            raise KeyCertifiedError(
                "this key has a certificate for another subject or another use: make a new key"
            )


def _record_intent(
    sessions: orm.sessionmaker[orm.Session],
    twin_der: bytes,
    draft: drafts.CertificateDraft,
    request: IssuanceRequest,
    at: datetime.datetime,
) -> int:
    facts = certificates.read(certificates.parse(twin_der))
    row = registry.CertificateRow(
        issuer_name=draft.issuer.name,
        serial_number=registry.serial_key(facts.serial_number),
        state=registry.CertificateState.INTENDED.value,
        profile=draft.profile.name,
        request_key=request.key,
        key_sha256=certificates.key_sha256(draft.public_key),
        key_label=request.key_label,
        subject=facts.subject,
        person_identifier=facts.identifier,
        organisation_identifier=facts.organisation_identifier,
        not_before=facts.not_before,
        not_after=facts.not_after,
        to_be_signed_der=authority.to_be_signed(twin_der),
        recorded_at=at,
    )
    with sessions() as session:
        session.add(row)
        try:
            session.flush()
        except exc.IntegrityError as error:
            raise RequestInProgressError(
                "the same certificate is being issued: ask again shortly"
            ) from error
        audit.append(
            session,
            audit.AuditEvent.CERTIFICATE_INTENDED,
            at,
            actor=request.actor,
            details=_details(row, request.key),
        )
        # Asked again now that the audit log's head is locked: whoever recorded the same key at
        # the same moment has committed and is seen.
        _check_key_is_free(session, draft)
        closures.check_open(session, draft.issuer.name, draft.profile.name)
        session.commit()
    return row.id


def _store(
    sessions: orm.sessionmaker[orm.Session],
    row_id: int,
    certificate_der: bytes,
    request: IssuanceRequest,
    at: datetime.datetime,
) -> registry.CertificateRecord:
    with sessions() as session:
        row = session.get(registry.CertificateRow, row_id, with_for_update=True)
        if row is None or row.state != registry.CertificateState.INTENDED.value:
            raise IssuanceAbandonedError("the certificate was abandoned meanwhile: ask again")
        if authority.to_be_signed(certificate_der) != row.to_be_signed_der:
            raise authority.SignedBytesError("the signed bytes are not the recorded ones")
        row.state = registry.CertificateState.ISSUED.value
        row.certificate_der = certificate_der
        row.issued_at = at
        session.flush()
        failpoints.reach("store")
        audit.append(
            session,
            audit.AuditEvent.CERTIFICATE_ISSUED,
            at,
            actor=request.actor,
            details=_details(row, request.key),
        )
        failpoints.reach("audit")
        session.commit()
    failpoints.reach("publish")
    log.info("certificate_issued issuer=%s serial=%s", row.issuer_name, row.serial_number)
    return registry.to_record(row)


def _abandon_now(
    sessions: orm.sessionmaker[orm.Session],
    row_id: int,
    request: IssuanceRequest,
    at: datetime.datetime,
) -> None:
    try:
        with sessions() as session:
            _abandon(session, row_id, request.actor, at)
            session.commit()
    except database.DatabaseError:
        # The worker ends it when the database is back.
        log.warning("intent_left_open row=%d", row_id)


def _abandon(session: orm.Session, row_id: int, actor: str, at: datetime.datetime) -> None:
    row = session.get(registry.CertificateRow, row_id, with_for_update=True)
    if row is None or row.state != registry.CertificateState.INTENDED.value:
        return
    request_key = row.request_key or ""
    row.state = registry.CertificateState.ABANDONED.value
    # The request may be made again; it gets another serial number.
    row.request_key = None
    row.revoked_at = at
    row.reason = status.RevocationReason.unspecified.name
    audit.append(
        session,
        audit.AuditEvent.CERTIFICATE_ABANDONED,
        at,
        actor=actor,
        details=_details(row, request_key),
    )
    log.warning("certificate_abandoned issuer=%s serial=%s", row.issuer_name, row.serial_number)


def _details(row: registry.CertificateRow, request_key: str) -> dict[str, str | int | None]:
    return {
        "issuer": row.issuer_name,
        "serial_number": row.serial_number,
        "profile": row.profile,
        "request": request_key,
    }
