"""The main job as functions in the order they happen: open, prepare, complete, raise.

A session stops between `open_session` and `complete_session` for a person. Everything needed to
go on lies in its row and its folder, so any worker can finish any session, and after a crash the
work goes on where the last stored file and the last recorded level say.
"""

import dataclasses
import datetime
import hashlib

import sqlalchemy.exc
from cryptography import x509
from sqlalchemy import orm

from pki import audit, certificates, errors, signature
from signing_service import documents, parameters
from signing_service.creation import formats
from signing_service.service import SigningService
from signing_service.signing import levels, sessions, signers


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
class Opening:
    """A request to open a session.

    Attributes:
        client_id: The API client that will own it.
        document: What is signed; the file is copied. None where `digests` are signed.
        parameters: What the client chose.
        idempotency_key: Sent by the client, so that a repeated request opens one session.
        request_digest: Over everything else in the request.
        further: More documents under the same signature.
        digests: Hashes of documents that the client keeps.
        seal: The name of the seal that will sign.
        batch: The id of the batch that the session belongs to, and its place there.
    """

    client_id: str
    document: documents.Document | None
    parameters: parameters.SignatureParameters
    idempotency_key: str | None = None
    request_digest: bytes = b""
    further: tuple[documents.Document, ...] = ()
    digests: tuple[documents.DocumentDigest, ...] = ()
    seal: str | None = None
    batch: tuple[str, int] | None = None

    @property
    def signed(self) -> documents.SignersDocuments:
        """What the signature covers."""
        first = () if self.document is None else (self.document,)
        return documents.SignersDocuments((*first, *self.further), self.digests)


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
    """Refuse documents that do not fit the format, or cannot be signed."""
    chosen, signed = opening.parameters, opening.signed
    formats.check_documents(signed, chosen)
    size = sum(one.path.stat().st_size for one in signed.files)
    if size > service.settings.max_document_bytes:
        raise DocumentTooLargeError(
            f"expected a document of at most {service.settings.max_document_bytes} bytes,"
            f" got {size}"
        )
    for document in signed.files:
        service.check_document(document, chosen)


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
        document_name=formats.signed_name(opening.signed, chosen),
        path_pem="".join(map(certificates.to_pem, path)).encode(),
        created_at=at,
        seal=opening.seal,
    )
    if opening.batch is not None:
        row.batch, row.batch_position = opening.batch
    with service.store.writing(row.id, levels.PREPARED) as target:
        prepared = formats.prepare(
            opening.signed,
            target,
            path=path,
            chosen=chosen,
            at=at,
            font=service.settings.font,
        )
    row.hash_algorithm = prepared.hash_algorithm
    row.data_to_be_signed = prepared.data_to_be_signed
    originals = formats.originals(opening.signed, chosen)
    levels.keep_originals(service, row.id, originals)
    row.context = prepared.keeping(originals).context
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
        if has_value(row, value):
            session.commit()
            return row
        if row.batch is not None:
            # What was confirmed is the whole batch; one value alone would not be.
            raise sessions.SessionStateError(
                "expected the values of the whole batch, got one for a session of it"
            )
        awaited = (
            sessions.SessionState.AWAITING_PERSON
            if client_id is None
            else sessions.SessionState.AWAITING_VALUE
        )
        if row.expire_if_due(at):
            session.commit()
        take_value(service, session, row, value, awaited, at)
        session.commit()
    return levels.raise_level(service, session_id, at)


def has_value(row: sessions.SigningSession, value: signature.SignatureValue) -> bool:
    """Tell whether a session has this signature value already.

    Raises:
        AlreadySignedError: It has another one.
    """
    if row.value is not None and row.value != value:
        raise AlreadySignedError(
            "expected the signature value that this session has, got another one"
        )
    return row.value is not None


def take_value(
    service: SigningService,
    session: orm.Session,
    row: sessions.SigningSession,
    value: signature.SignatureValue,
    awaited: sessions.SessionState,
    at: datetime.datetime,
) -> None:
    """Check a value and put it into its session's row, with the audit entry; nothing is committed.

    Raises:
        SignatureValueError: The value does not verify with the signing certificate.
        SessionStateError: The session is not in the state `awaited`.
    """
    if row.state is sessions.SessionState.EXPIRED:
        raise SessionExpiredError("nobody signed in time: open a new session")
    if row.state is not awaited:
        raise sessions.SessionStateError(
            f"expected a session that is {awaited.value}, got one that is {row.state.value}"
        )
    signature.check_value(row.path[0].public_key(), row.representation, value)
    row.signature_algorithm = value.algorithm
    row.signature_value = value.value
    row.move(sessions.SessionState.AUGMENTING, at)
    row.next_try_at = at + service.settings.lease
    row.give_up_at = at + service.settings.raise_window
    event = audit.AuditEvent.SESSION_CONFIRMED if row.seal is None else audit.AuditEvent.SEAL_USED
    levels.record_event(session, event, row, at)


def read_session(
    service: SigningService, session_id: str, client_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """Return a session as it stands; one whose time has passed becomes expired.

    Raises:
        SessionNotFoundError: No such session of this client.
    """
    with service.database() as session:
        row = sessions.load(session, session_id, client_id)
        row.expire_if_due(at)
        session.commit()
        return row


def cancel_session(
    service: SigningService, session_id: str, client_id: str, at: datetime.datetime
) -> sessions.SigningSession:
    """End a session that still waits; ending an ended one changes nothing.

    A session of a batch ends with the whole batch: what was to be confirmed is all of it.

    Raises:
        SessionNotFoundError: No such session of this client.
        SessionStateError: The signature exists already and cannot be taken back.
    """
    with service.database() as session:
        rows = sessions.load_confirmed_with(session, session_id, client_id)
        row = next(one for one in rows if one.id == session_id)
        for one in rows:
            one.expire_if_due(at)
            if one.state in sessions.OPEN_STATES:
                one.end(
                    sessions.SessionState.REFUSED, "cancelled", "The session was cancelled.", at
                )
        session.commit()
        if row.state is not sessions.SessionState.REFUSED and row.value is not None:
            raise sessions.SessionStateError(
                "expected a session that still waits, got one whose signature was made"
            )
    for one in rows:
        if one.state is sessions.SessionState.REFUSED:
            levels.remove_unsigned(service, one)
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
    path = service.store.place(session_id, levels.file_name(row.reached))
    document = documents.Document(row.document_name, path)
    return documents.SignedDocument(document, row.format, row.reached)
