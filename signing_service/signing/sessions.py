"""Signing sessions: the table, the states, and which state may follow which.

A row holds everything that any worker needs to finish the session: what was prepared, the value
once it came, the level reached. It holds no phone number and no person code.
"""

import datetime
import enum
import secrets

import sqlalchemy
from cryptography import x509
from sqlalchemy import orm

from pki import algorithms, database, errors, signature
from signing_service import documents


class SessionState(enum.Enum):
    """Where a session stands, spelled as the API spells it."""

    AWAITING_VALUE = "awaiting_value"
    AWAITING_PERSON = "awaiting_person"
    AUGMENTING = "augmenting"
    COMPLETED = "completed"
    REFUSED = "refused"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether no state may follow."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    SessionState.AWAITING_VALUE: frozenset(
        {SessionState.AUGMENTING, SessionState.REFUSED, SessionState.EXPIRED, SessionState.FAILED}
    ),
    SessionState.AWAITING_PERSON: frozenset(
        {SessionState.AUGMENTING, SessionState.REFUSED, SessionState.EXPIRED, SessionState.FAILED}
    ),
    SessionState.AUGMENTING: frozenset({SessionState.COMPLETED, SessionState.FAILED}),
    SessionState.COMPLETED: frozenset(),
    SessionState.REFUSED: frozenset(),
    SessionState.EXPIRED: frozenset(),
    SessionState.FAILED: frozenset(),
}
"""Which state may follow which; a signature that exists is never taken back to waiting."""

OPEN_STATES = (SessionState.AWAITING_VALUE, SessionState.AWAITING_PERSON)


class SessionNotFoundError(errors.NotFoundError):
    """No such session, or it belongs to another client."""

    code = "session-not-found"


class SessionStateError(errors.StateError):
    """The session's state does not allow the call."""

    code = "session-state"


class IdempotencyKeyReusedError(errors.InputError):
    """The same Idempotency-Key came with another request."""

    code = "idempotency-key-reused"


def _enum(kind: type[enum.Enum], size: int) -> sqlalchemy.Enum:
    # Kept as text: a new member needs no change of a database type.
    return sqlalchemy.Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=size,
        values_callable=lambda members: [str(member.value) for member in members],
    )


class SigningSession(database.Base):
    """One signature on one document, from the request to the level that was asked for."""

    __tablename__ = "signing_sessions"
    __table_args__ = (
        sqlalchemy.UniqueConstraint("client_id", "idempotency_key"),
        sqlalchemy.Index("ix_signing_sessions_state_next_try", "state", "next_try_at"),
        sqlalchemy.Index("ix_signing_sessions_batch", "batch"),
    )

    id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32), primary_key=True)
    client_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(100))
    idempotency_key: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(200))
    request_digest: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary(32))
    state: orm.Mapped[SessionState] = orm.mapped_column(_enum(SessionState, 20))
    format: orm.Mapped[documents.SignatureFormat] = orm.mapped_column(
        _enum(documents.SignatureFormat, 10)
    )
    level: orm.Mapped[int]
    level_reached: orm.Mapped[int | None]
    document_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(255))
    path_pem: orm.Mapped[bytes] = orm.mapped_column(
        sqlalchemy.LargeBinary, doc="PEM of the certification path, signing certificate first"
    )
    hash_algorithm: orm.Mapped[algorithms.HashAlgorithm] = orm.mapped_column(
        _enum(algorithms.HashAlgorithm, 10)
    )
    data_to_be_signed: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    context: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    control_code: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(10))
    phone_session: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(100))
    signature_algorithm: orm.Mapped[algorithms.SignatureAlgorithm | None] = orm.mapped_column(
        _enum(algorithms.SignatureAlgorithm, 20)
    )
    signature_value: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    error_code: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(60))
    error_message: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(500))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    next_try_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    give_up_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)
    ended_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(database.UtcDateTime)

    seal: orm.Mapped[str | None] = orm.mapped_column(
        sqlalchemy.String(100), doc="The name of the seal that signs, where none of a person does"
    )
    batch: orm.Mapped[str | None] = orm.mapped_column(
        sqlalchemy.String(32), doc="The id of the batch that the session belongs to"
    )
    batch_position: orm.Mapped[int | None]

    @property
    def prepared(self) -> documents.PreparedSignature:
        """What waits for the value."""
        return documents.PreparedSignature(
            format=self.format,
            data_to_be_signed=self.data_to_be_signed,
            hash_algorithm=self.hash_algorithm,
            context=self.context,
        )

    @property
    def representation(self) -> signature.DataToBeSignedRepresentation:
        """What the device signs."""
        return signature.represent(self.data_to_be_signed, self.hash_algorithm)

    @property
    def value(self) -> signature.SignatureValue | None:
        """The checked value, once there is one."""
        if self.signature_value is None or self.signature_algorithm is None:
            return None
        return signature.SignatureValue(
            self.signature_algorithm, self.hash_algorithm, self.signature_value
        )

    @property
    def position(self) -> documents.Position:
        """Which signature of the signed document is this session's."""
        return -1 if self.value is None else self.prepared.position(self.value)

    @property
    def reached(self) -> documents.SignatureLevel | None:
        """The level of the document that is stored."""
        return None if self.level_reached is None else documents.SignatureLevel(self.level_reached)

    @property
    def path(self) -> tuple[x509.Certificate, ...]:
        """The certification path that was found when the session was opened, signer first."""
        return tuple(x509.load_pem_x509_certificates(self.path_pem))

    def expire_if_due(self, at: datetime.datetime) -> bool:
        """End the session where nobody signed in time; tell whether that was so."""
        if self.state not in OPEN_STATES or at < self.expires_at:
            return False
        self.end(SessionState.EXPIRED, "expired", "Nobody signed in time.", at)
        return True

    def move(self, state: SessionState, at: datetime.datetime) -> None:
        """Take the session to another state.

        Raises:
            SessionStateError: That state cannot follow.
        """
        if state not in TRANSITIONS[self.state]:
            raise SessionStateError(
                f"expected a session that can become {state.value}, got one that is"
                f" {self.state.value}"
            )
        self.state = state
        if state.is_final:
            self.ended_at = at
            self.next_try_at = None
            # The person behind it is no longer needed; the control code and the phone's
            # session say nothing afterwards.
            self.phone_session = None

    def end(self, state: SessionState, code: str, message: str, at: datetime.datetime) -> None:
        """Take the session to an end that has a reason."""
        self.move(state, at)
        self.note(code, message)

    def note(self, code: str, message: str) -> None:
        """Say what hinders the session, or why it ended."""
        self.error_code = code
        self.error_message = message[:500]


def new_id() -> str:
    """Return a session id of 128 random bits."""
    return secrets.token_hex(16)


def load(session: orm.Session, session_id: str, client_id: str | None) -> SigningSession:
    """Return a session and lock its row.

    Args:
        session: The database session.
        session_id: As the client sent it.
        client_id: Who asks; None for our own workers.

    Raises:
        SessionNotFoundError: Unknown, or another client's: the two are not told apart.
    """
    row = session.get(SigningSession, session_id, with_for_update=True)
    if row is None or (client_id is not None and row.client_id != client_id):
        raise SessionNotFoundError("no such signing session")
    return row


def load_batch(
    session: orm.Session, batch_id: str, client_id: str | None
) -> tuple[SigningSession, ...]:
    """Return the sessions of a batch in their order, and lock their rows.

    Args:
        session: The database session.
        batch_id: Which batch.
        client_id: Who asks; None for our own workers.

    Raises:
        SessionNotFoundError: No such batch of this client.
    """
    rows = tuple(
        session.scalars(
            sqlalchemy.select(SigningSession)
            .where(
                SigningSession.batch == batch_id,
                *(() if client_id is None else (SigningSession.client_id == client_id,)),
            )
            .order_by(SigningSession.batch_position)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )
    if not rows:
        raise SessionNotFoundError("no such signing batch")
    return rows


def load_confirmed_with(
    session: orm.Session, session_id: str, client_id: str | None
) -> tuple[SigningSession, ...]:
    """Return all sessions that one confirmation is for: a batch, or the session alone.

    Their rows are locked. Raises as `load`.
    """
    # Read first: the rows of a batch are always locked in their order, or two would wait for
    # each other.
    row = session.get(SigningSession, session_id)
    if row is None or row.batch is None:
        return (load(session, session_id, client_id),)
    return load_batch(session, row.batch, client_id)


def find_by_key(
    session: orm.Session, client_id: str, key: str, request_digest: bytes
) -> SigningSession | None:
    """Return the session that an earlier request with this Idempotency-Key opened.

    Raises:
        IdempotencyKeyReusedError: The earlier request was another one.
    """
    row = session.scalar(
        sqlalchemy.select(SigningSession).where(
            SigningSession.client_id == client_id, SigningSession.idempotency_key == key
        )
    )
    if row is not None and row.request_digest != request_digest:
        raise IdempotencyKeyReusedError(
            "expected a new Idempotency-Key for a new request, got one that another request used"
        )
    return row


def due(session: orm.Session, at: datetime.datetime, limit: int) -> tuple[str, ...]:
    """Return the ids of sessions whose level is waiting to be raised."""
    return tuple(
        session.scalars(
            sqlalchemy.select(SigningSession.id)
            .where(
                SigningSession.state == SessionState.AUGMENTING, SigningSession.next_try_at <= at
            )
            .order_by(SigningSession.next_try_at)
            .limit(limit)
        )
    )


def overdue(session: orm.Session, at: datetime.datetime, limit: int) -> tuple[str, ...]:
    """Return the ids of sessions that have waited too long for a person."""
    return tuple(
        session.scalars(
            sqlalchemy.select(SigningSession.id)
            .where(SigningSession.state.in_(OPEN_STATES), SigningSession.expires_at <= at)
            .limit(limit)
        )
    )


def abandoned_phones(session: orm.Session, at: datetime.datetime, limit: int) -> tuple[str, ...]:
    """Return the ids of phone sessions that no process waits for any more.

    Of a batch it is the first session, which stands for all.
    """
    return tuple(
        session.scalars(
            sqlalchemy.select(SigningSession.id)
            .where(
                SigningSession.state == SessionState.AWAITING_PERSON,
                SigningSession.phone_session.is_not(None),
                SigningSession.next_try_at <= at,
                sqlalchemy.or_(SigningSession.batch.is_(None), SigningSession.batch_position == 0),
            )
            .limit(limit)
        )
    )


def ended_before(session: orm.Session, at: datetime.datetime, limit: int) -> tuple[str, ...]:
    """Return the ids of sessions that ended before a time."""
    return tuple(
        session.scalars(
            sqlalchemy.select(SigningSession.id).where(SigningSession.ended_at < at).limit(limit)
        )
    )
