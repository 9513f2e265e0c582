"""The main job as functions in the order they happen: open, prepare, complete, raise.

A session stops between `open_session` and `complete_session` for a person. Everything needed to
go on lies in its row and its folder, so any worker can finish any session, and after a crash the
work goes on where the last stored file and the last recorded level say.
"""

import dataclasses
import datetime
import hashlib
import logging
import pathlib

import sqlalchemy.exc
from cryptography import x509
from sqlalchemy import orm

from pki import audit, certificates, clock, errors, failpoints, outbound, signature
from signing_service import (
    augment,
    certification_paths,
    document_store,
    documents,
    pades,
    parameters,
    sessions,
    settings,
    signers,
    xades,
)
from tsa import client as tsa_client
from tsa import messages

log = logging.getLogger(__name__)

LEASE = datetime.timedelta(minutes=2)
"""For how long a worker has a session to itself; more than any step takes."""

PREPARED = "prepared"
"""Name of the file with a placeholder; signed ones are called after their level."""


class DocumentTooLargeError(errors.LimitError):
    """The document is larger than the service takes."""

    code = "document-too-large"


class SessionExpiredError(sessions.SessionStateError):
    """Nobody signed in time."""

    code = "session-expired"


class AlreadySignedError(sessions.SessionStateError):
    """The session has another signature value already."""

    code = "session-already-signed"


@dataclasses.dataclass(frozen=True)
class SigningService:
    """What the functions here work with, made once in `imza.wiring`."""

    settings: settings.Settings
    database: orm.sessionmaker[orm.Session]
    store: document_store.DocumentStore
    authorities: certification_paths.Authorities
    client: outbound.Client
    clock: clock.Clock

    def request_token(self, representation: signature.DataToBeSignedRepresentation) -> bytes:
        """Return a checked time-stamp token over a hash.

        Raises:
            PeerError: The time-stamping authority did not answer, or not usefully.
        """
        imprint = messages.MessageImprint(representation.hash_algorithm, representation.hash)
        token = tsa_client.request_time_stamp(
            self.client, self.settings.tsa_url, imprint, self.clock.now()
        )
        return token.token_der


@dataclasses.dataclass(frozen=True)
class Opening:
    """A request to open a session.

    Attributes:
        client_id: The API client that will own it.
        document: What is signed; the file is copied.
        parameters: What the client chose.
        idempotency_key: Sent by the client, so that a repeated request opens one session.
        request_digest: Over everything else in the request.
    """

    client_id: str
    document: documents.Document
    parameters: parameters.SignatureParameters
    idempotency_key: str | None = None
    request_digest: bytes = b""


def open_session(
    service: SigningService,
    opening: Opening,
    certificate: x509.Certificate,
    at: datetime.datetime,
    *,
    state: sessions.SessionState = sessions.SessionState.AWAITING_VALUE,
) -> sessions.SigningSession:
    """Check document and certificate, prepare the signature, and store the session.

    Args:
        service: Where and with whom.
        opening: The request.
        certificate: The signing certificate, from a card or from the phone's operator.
        at: The present; the claimed signing time.
        state: Whom the session waits for.

    Raises:
        DocumentRefusedError: The document cannot be signed, for the reason its code names.
        UnsupportedFormatError: Format and level do not fit.
        PolicyError: The certificate is not usable: see `signers.check_signing_certificate`.
        PeerError: The certificate's status cannot be learned now.
        IdempotencyKeyReusedError: The key came with another request before.
    """
    earlier = find_earlier(service, opening)
    if earlier is not None:
        return earlier
    check_request(service, opening)
    path = signers.check_signing_certificate(
        certificate, service.authorities, client=service.client, at=at
    )
    return prepare_signature(service, opening, path, at, state=state)


def find_earlier(service: SigningService, opening: Opening) -> sessions.SigningSession | None:
    """Return the session that the same request opened before, if it named an Idempotency-Key."""
    if opening.idempotency_key is None:
        return None
    with service.database() as session:
        return sessions.find_by_key(
            session, opening.client_id, opening.idempotency_key, opening.request_digest
        )


def check_request(service: SigningService, opening: Opening) -> None:
    """Refuse a format that is not made here, and a document that cannot be signed."""
    chosen, document = opening.parameters, opening.document
    augment.require_level(chosen.format, chosen.level)
    size = document.path.stat().st_size
    if size > service.settings.max_document_bytes:
        raise DocumentTooLargeError(
            f"expected a document of at most {service.settings.max_document_bytes} bytes,"
            f" got {size}"
        )
    if chosen.format is documents.SignatureFormat.XADES:
        xades.check_document(document.path, chosen)
    else:
        pades.check_document(document.path, chosen)


def prepare_signature(
    service: SigningService,
    opening: Opening,
    path: tuple[x509.Certificate, ...],
    at: datetime.datetime,
    *,
    state: sessions.SessionState,
) -> sessions.SigningSession:
    """Make the data to be signed, store the prepared document, then record the session."""
    chosen = opening.parameters
    row = sessions.SigningSession(
        id=sessions.new_id(),
        client_id=opening.client_id,
        idempotency_key=opening.idempotency_key,
        request_digest=opening.request_digest or hashlib.sha256().digest(),
        state=state,
        format=chosen.format,
        level=chosen.level.value,
        document_name=opening.document.name,
        path_pem="".join(map(certificates.to_pem, path)).encode(),
        created_at=at,
    )
    with service.store.writing(row.id, PREPARED) as target:
        prepared = _prepare(service, opening, target, path, at)
    row.hash_algorithm = prepared.hash_algorithm
    row.data_to_be_signed = prepared.data_to_be_signed
    row.context = prepared.context
    awaited = state is sessions.SessionState.AWAITING_PERSON
    limits = service.settings
    row.expires_at = at + (limits.phone_window if awaited else limits.card_window)
    try:
        with service.database() as session:
            session.add(row)
            session.commit()
    except sqlalchemy.exc.IntegrityError:
        # The same request came twice at once; the other one was first.
        service.store.discard(row.id)
        earlier = find_earlier(service, opening)
        if earlier is None:
            raise
        return earlier
    return row


def complete_session(
    service: SigningService,
    session_id: str,
    client_id: str | None,
    value: signature.SignatureValue,
    at: datetime.datetime,
) -> sessions.SigningSession:
    """Take a signature value, embed it, and raise the signature to its level.

    The value is checked before anything is written: a wrong one leaves the session waiting.
    The same value again gives the session as it stands.

    Args:
        service: Where and with whom.
        session_id: Which session.
        client_id: Who sends it; None when it comes from the phone that we asked ourselves.
        value: By the card or the phone.
        at: The present.

    Raises:
        SessionNotFoundError: No such session of this client.
        SignatureValueError: The value does not verify with the signing certificate.
        SignatureEncodingError: ECDSA in DER, or of a wrong length.
        SessionStateError: The session waits for something else, or has ended.
    """
    with service.database() as session:
        row = sessions.load(session, session_id, client_id)
        if row.value is not None:
            if row.value != value:
                raise AlreadySignedError(
                    "expected the signature value that this session has, got another one"
                )
            session.commit()
            return row
        awaited = (
            sessions.SessionState.AWAITING_PERSON
            if client_id is None
            else sessions.SessionState.AWAITING_VALUE
        )
        if _expire_if_due(row, at):
            session.commit()
        if row.state is sessions.SessionState.EXPIRED:
            raise SessionExpiredError("nobody signed in time: open a new session")
        if row.state is not awaited:
            raise sessions.SessionStateError(
                f"expected a session that is {awaited.value}, got one that is {row.state.value}"
            )
        signature.check_value(signing_path(row)[0].public_key(), row.representation, value)
        row.signature_algorithm = value.algorithm
        row.signature_value = value.value
        row.move(sessions.SessionState.AUGMENTING, at)
        row.next_try_at = at + LEASE
        row.give_up_at = at + service.settings.raise_window
        audit.append(
            session,
            audit.AuditEvent.SESSION_CONFIRMED,
            at,
            actor=row.client_id,
            details=_audited(row),
        )
        session.commit()
    return raise_level(service, session_id, at)


def raise_level(
    service: SigningService, session_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """Embed the value where that is still to be done, and raise the level step by step.

    Each step writes a file, then records the level. A peer that fails leaves the session at the
    level reached, with the reason; `raise_pending` goes on later.
    """
    while True:
        with service.database() as session:
            row = sessions.load(session, session_id, None)
        if row.state is not sessions.SessionState.AUGMENTING:
            return row
        step = documents.SignatureLevel(1 if row.reached is None else row.reached + 1)
        try:
            with service.store.writing(session_id, file_name(step)) as target:
                _make_level(service, row, step, target, at)
        except errors.PeerError as error:
            return _postpone(service, session_id, error, at)
        except errors.ImzaError as error:
            # What was stored has changed, a certificate was revoked meanwhile, or the document
            # does not take the next level: waiting would not help.
            log.error("session_failed session=%s code=%s", session_id, error.code)
            return _fail(service, session_id, error, at)
        failpoints.reach("document-embedded")
        _record_level(service, session_id, step, at)


def raise_pending(service: SigningService, at: datetime.datetime, *, limit: int = 100) -> int:
    """Go on with sessions whose level a peer's failure, or a crash, left behind.

    Returns how many were tried. Called by the worker.
    """
    with service.database() as session:
        found = sessions.due(session, at, limit)
    tried = 0
    for session_id in found:
        with service.database() as session:
            row = sessions.load(session, session_id, None)
            # Another worker may have been faster.
            if row.state is not sessions.SessionState.AUGMENTING or (
                row.next_try_at is not None and row.next_try_at > at
            ):
                continue
            row.next_try_at = at + LEASE
            session.commit()
        raise_level(service, session_id, at)
        tried += 1
    return tried


def read_session(
    service: SigningService, session_id: str, client_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """Return a session as it stands; one whose time has passed becomes expired.

    Raises:
        SessionNotFoundError: No such session of this client.
    """
    with service.database() as session:
        row = sessions.load(session, session_id, client_id)
        _expire_if_due(row, at)
        session.commit()
        return row


def cancel_session(
    service: SigningService, session_id: str, client_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """End a session that still waits; ending an ended one changes nothing.

    Raises:
        SessionNotFoundError: No such session of this client.
        SessionStateError: The signature exists already and cannot be taken back.
    """
    with service.database() as session:
        row = sessions.load(session, session_id, client_id)
        _expire_if_due(row, at)
        if row.state in sessions.OPEN_STATES:
            row.end(sessions.SessionState.REFUSED, "cancelled", "The session was cancelled.", at)
        elif row.value is not None:
            session.commit()
            raise sessions.SessionStateError(
                "expected a session that still waits, got one whose signature was made"
            )
        session.commit()
        return row


def signed_document(
    service: SigningService, session_id: str, client_id: str, at: datetime.datetime
) -> documents.SignedDocument:
    """Return the signed document at the level reached.

    Raises:
        SessionNotFoundError: No such session of this client.
        SessionStateError: There is no signed document (yet).
    """
    row = read_session(service, session_id, client_id, at)
    if row.reached is None:
        raise sessions.SessionStateError(
            f"expected a session with a signed document, got one that is {row.state.value}"
        )
    path = service.store.place(session_id, file_name(row.reached))
    document = documents.Document(row.document_name, path)
    return documents.SignedDocument(document, row.format, row.reached)


def expire_overdue(service: SigningService, at: datetime.datetime, *, limit: int = 1000) -> int:
    """End sessions that waited too long; returns how many. Called by the worker."""
    with service.database() as session:
        found = sessions.overdue(session, at, limit)
        for session_id in found:
            _expire_if_due(sessions.load(session, session_id, None), at)
        session.commit()
    for session_id in found:
        service.store.discard(session_id)
    return len(found)


def discard_ended(service: SigningService, at: datetime.datetime, *, limit: int = 1000) -> int:
    """Remove sessions that ended long ago, with their documents. Called by the worker."""
    with service.database() as session:
        found = sessions.ended_before(session, at - service.settings.keep_documents, limit)
        for session_id in found:
            session.delete(sessions.load(session, session_id, None))
        session.commit()
    for session_id in found:
        service.store.discard(session_id)
    return len(found)


def signing_path(row: sessions.SigningSession) -> tuple[x509.Certificate, ...]:
    """Return the certification path that was found when the session was opened."""
    return tuple(x509.load_pem_x509_certificates(row.path_pem))


def file_name(level: documents.SignatureLevel) -> str:
    """Return the name of the file that holds the document at a level."""
    return level.label.lower()


def _prepare(
    service: SigningService,
    opening: Opening,
    target: pathlib.Path,
    path: tuple[x509.Certificate, ...],
    at: datetime.datetime,
) -> documents.PreparedSignature:
    chosen, source = opening.parameters, opening.document.path
    if chosen.format is documents.SignatureFormat.XADES:
        return xades.prepare(
            source, target, certificate=path[0], chain=path[1:], parameters=chosen, at=at
        )
    return pades.prepare(
        source,
        target,
        certificate=path[0],
        chain=path[1:],
        parameters=chosen,
        at=at,
        font=service.settings.font,
    )


def _make_level(
    service: SigningService,
    row: sessions.SigningSession,
    step: documents.SignatureLevel,
    target: pathlib.Path,
    at: datetime.datetime,
) -> None:
    if step is documents.SignatureLevel.B_B:
        source = service.store.path(row.id, PREPARED)
        if row.value is None:
            raise errors.TamperedError(f"the session {row.id} has lost its signature value")
        embed = xades.embed if row.format is documents.SignatureFormat.XADES else pades.embed
        embed(row.prepared, source, target, row.value)
        return
    source = service.store.path(row.id, file_name(documents.SignatureLevel(step - 1)))
    if step is documents.SignatureLevel.B_T:
        augment.add_signature_time_stamp(row.format, source, target, service.request_token)
    elif step is documents.SignatureLevel.B_LT:
        augment.add_validation_data(
            source,
            target,
            signing_path(row),
            service.authorities,
            client=service.client,
            at=at,
        )
    else:
        augment.add_archive_time_stamp(
            source,
            target,
            service.authorities,
            service.request_token,
            client=service.client,
            at=at,
        )


def _record_level(
    service: SigningService,
    session_id: str,
    step: documents.SignatureLevel,
    at: datetime.datetime,
) -> None:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.level_reached = step.value
        row.error_code = row.error_message = None
        if step.value == row.level:
            row.move(sessions.SessionState.COMPLETED, at)
            audit.append(
                session,
                audit.AuditEvent.SESSION_COMPLETED,
                at,
                actor=row.client_id,
                details=_audited(row),
            )
        session.commit()
    lower = (
        PREPARED
        if step is documents.SignatureLevel.B_B
        else file_name(documents.SignatureLevel(step - 1))
    )
    service.store.remove(session_id, lower)


def _postpone(
    service: SigningService, session_id: str, error: errors.PeerError, at: datetime.datetime
) -> sessions.SigningSession:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.note(error.code, error.message)
        if row.give_up_at is not None and at >= row.give_up_at:
            row.move(sessions.SessionState.FAILED, at)
        elif row.give_up_at is not None:
            # Soon at first, then ever more rarely: half of the time that has passed.
            waited = at - (row.give_up_at - service.settings.raise_window)
            row.next_try_at = at + min(
                max(waited / 2, datetime.timedelta(seconds=5)), datetime.timedelta(minutes=10)
            )
        session.commit()
        return row


def _fail(
    service: SigningService, session_id: str, error: errors.ImzaError, at: datetime.datetime
) -> sessions.SigningSession:
    with service.database() as session:
        row = sessions.load(session, session_id, None)
        row.end(sessions.SessionState.FAILED, error.code, error.message, at)
        session.commit()
        return row


def _expire_if_due(row: sessions.SigningSession, at: datetime.datetime) -> bool:
    if row.state not in sessions.OPEN_STATES or at < row.expires_at:
        return False
    row.end(sessions.SessionState.EXPIRED, "expired", "Nobody signed in time.", at)
    return True


def _audited(row: sessions.SigningSession) -> dict[str, str | int | None]:
    signer = signing_path(row)[0]
    return {
        "session": row.id,
        "format": row.format.value,
        "level": documents.SignatureLevel(row.level).label,
        "serial_number": certificates.serial_text(signer.serial_number),
        "certificate_sha256": certificates.sha256(signer),
        "representation": row.representation.hash.hex(),
    }
