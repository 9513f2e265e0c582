"""Batches: many documents, each with a signature of its own, and one confirmation for all.

A card's owner types the PIN once, and the card signs every representation that the batch lists; a
phone shows the list and asks for the PIN once. The values come back together and are taken
together: all of them or none, in one transaction with an audit entry over every representation.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence

from cryptography import x509
from sqlalchemy import orm

from pki import audit, errors, signature
from signing_service import documents
from signing_service.service import SigningService
from signing_service.signing import flow, levels, sessions, signers

MAX_DOCUMENTS = 20
"""As many as come in one upload."""


class BatchValuesError(errors.InputError):
    """The values are not exactly one for each session of the batch."""

    code = "batch-values"


@dataclasses.dataclass(frozen=True)
class Batch:
    """Sessions that were opened together, in the order of their documents."""

    id: str
    sessions: tuple[sessions.SigningSession, ...]

    @property
    def confirmation(self) -> bytes:
        """SHA-256 over every representation, in their order: what the one confirmation is for."""
        return hashlib.sha256(b"".join(one.representation.hash for one in self.sessions)).digest()


def open_batch(
    service: SigningService,
    opening: flow.Opening,
    certificate: x509.Certificate,
    at: datetime.datetime,
    *,
    state: sessions.SessionState = sessions.SessionState.AWAITING_VALUE,
) -> Batch:
    """Check all documents and the certificate, and open a session for each document.

    Args:
        service: Where and with whom.
        opening: The request; every document of it becomes a session.
        certificate: The signing certificate, whose status is asked for once.
        at: The present.
        state: Whom the sessions wait for.

    Raises:
        DocumentRefusedError: One document cannot be signed; then none is.
        Others as `flow.open_session`.
    """
    earlier = find_earlier(service, opening, at)
    if earlier is not None:
        return earlier
    parts = check_request(service, opening)
    path = signers.check_signing_certificate(
        certificate, service.authorities, client=service.client, at=at
    )
    opened: list[sessions.SigningSession] = []
    try:
        for one in parts:
            opened.append(flow.prepare_signature(service, one, path, at, state=state))
    except errors.ImzaError:
        for row in opened:
            flow.cancel_session(service, row.id, opening.client_id, at)
        raise
    if opened[0].batch is None:
        raise TypeError("a session of a batch was stored without it")
    # Read again: the same request, at the same time, may have been first.
    return read_batch(service, opened[0].batch, opening.client_id, at)


def find_earlier(
    service: SigningService, opening: flow.Opening, at: datetime.datetime
) -> Batch | None:
    """Return the batch that the same request opened before, if it named an Idempotency-Key.

    Raises:
        IdempotencyKeyReusedError: A single session was opened with it.
    """
    earlier = flow.find_earlier(service, opening)
    if earlier is None:
        return None
    if earlier.batch is None:
        raise sessions.IdempotencyKeyReusedError(
            "expected a new Idempotency-Key, got one that a single session used"
        )
    return read_batch(service, earlier.batch, opening.client_id, at)


def check_request(service: SigningService, opening: flow.Opening) -> Sequence[flow.Opening]:
    """Return a request for each document, all of which can be signed.

    Raises:
        DocumentRefusedError: One cannot be signed, or there are too many.
        Others as `flow.check_request`.
    """
    parts = _parts(opening)
    for one in parts:
        flow.check_request(service, one)
    return parts


def read_batch(
    service: SigningService, batch_id: str, client_id: str, at: datetime.datetime
) -> Batch:
    """Return a batch as it stands.

    Raises:
        SessionNotFoundError: No such batch of this client.
    """
    with service.database() as session:
        rows = sessions.load_batch(session, batch_id, client_id)
        for row in rows:
            row.expire_if_due(at)
        session.commit()
        return Batch(batch_id, rows)


def cancel_batch(
    service: SigningService, batch_id: str, client_id: str, at: datetime.datetime
) -> Batch:
    """End a batch that still waits.

    Raises:
        SessionNotFoundError: No such batch of this client.
        SessionStateError: The signatures exist already.
    """
    first = read_batch(service, batch_id, client_id, at).sessions[0]
    flow.cancel_session(service, first.id, client_id, at)
    return read_batch(service, batch_id, client_id, at)


def complete_batch(
    service: SigningService,
    batch_id: str,
    client_id: str | None,
    values: Mapping[str, signature.SignatureValue],
    at: datetime.datetime,
) -> Batch:
    """Take the values of all sessions, or none of them, and raise the signatures.

    The same values again give the batch as it stands.

    Args:
        service: Where and with whom.
        batch_id: Which batch.
        client_id: Who sends them; None when they come from the phone that we asked ourselves.
        values: By the sessions' ids.
        at: The present.

    Raises:
        BatchValuesError: A session without a value, or a value without its session.
        SignatureValueError: A value does not verify; the session is named.
        SessionStateError: A session waits no more.
    """
    awaited = (
        sessions.SessionState.AWAITING_PERSON
        if client_id is None
        else sessions.SessionState.AWAITING_VALUE
    )
    with service.database() as session:
        rows = sessions.load_batch(session, batch_id, client_id)
        if {row.id for row in rows} != set(values):
            raise BatchValuesError(
                f"expected a value for each of the batch's {len(rows)} sessions, got {len(values)}"
            )
        if not all([flow.has_value(row, values[row.id]) for row in rows]):
            for row in rows:
                row.expire_if_due(at)
                try:
                    flow.take_value(service, session, row, values[row.id], awaited, at)
                except signature.SignatureValueError as error:
                    raise signature.SignatureValueError(
                        f"session {row.id}: {error.message}"
                    ) from error
            _record(session, Batch(batch_id, rows), at)
        session.commit()
    for row in rows:
        levels.raise_level(service, row.id, at)
    return read_batch(service, batch_id, rows[0].client_id, at)


def sign_batch(
    service: SigningService,
    batch: Batch,
    client_id: str,
    sign: Callable[[signature.DataToBeSignedRepresentation], signature.SignatureValue],
    at: datetime.datetime,
) -> Batch:
    """Sign every session of a batch that waits, with a key of ours."""
    if any(one.state is not sessions.SessionState.AWAITING_VALUE for one in batch.sessions):
        return batch
    values = {one.id: sign(one.representation) for one in batch.sessions}
    return complete_batch(service, batch.id, client_id, values, at)


def _parts(opening: flow.Opening) -> Sequence[flow.Opening]:
    """One request for each document; the first carries the Idempotency-Key for all."""
    signed = opening.signed
    count = len(signed.files) + len(signed.digests)
    if not 1 <= count <= MAX_DOCUMENTS:
        raise documents.DocumentRefusedError(
            f"expected 1 to {MAX_DOCUMENTS} documents in a batch, got {count}"
        )
    batch_id = sessions.new_id()
    single = [
        *((one, ()) for one in signed.files),
        *((None, (one,)) for one in signed.digests),
    ]
    return [
        dataclasses.replace(
            opening,
            document=file,
            further=(),
            digests=digests,
            idempotency_key=opening.idempotency_key if place == 0 else None,
            batch=(batch_id, place),
        )
        for place, (file, digests) in enumerate(single)
    ]


def _record(session: orm.Session, batch: Batch, at: datetime.datetime) -> None:
    audit.append(
        session,
        audit.AuditEvent.BATCH_CONFIRMED,
        at,
        actor=batch.sessions[0].client_id,
        details={
            "batch": batch.id,
            "sessions": len(batch.sessions),
            "confirmation": batch.confirmation.hex(),
        },
    )
