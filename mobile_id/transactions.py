"""A request to one person, from the moment a relying party asks until it ends.

    requested ──> delivered ──> confirmed
        │             ├───────> refused
        ├─────────────┼───────> expired
        └───────────────────-─> refused

The three on the right are final: no call leads out of them.
"""

import datetime
import enum
import re
import uuid
from collections.abc import Mapping

import sqlalchemy
from sqlalchemy import orm

from mobile_id import results, signature_list
from pki import algorithms, database, errors, signature

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What `new_id` makes."""


class TransactionStateError(errors.StateError):
    """The transaction is not in a state that allows this."""

    code = "mobile-transaction-state"


class TransactionNotFoundError(errors.NotFoundError):
    """There is no such transaction, or it is somebody else's."""

    code = "mobile-transaction-not-found"


class TransactionState(enum.Enum):
    """Where a transaction stands."""

    REQUESTED = "requested"
    DELIVERED = "delivered"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return not TRANSITIONS[self]

    def check_transition(self, to: "TransactionState") -> None:
        """Check that `to` may follow.

        Raises:
            TransactionStateError: It may not.
        """
        if to not in TRANSITIONS[self]:
            raise TransactionStateError(f"a {self.value} transaction cannot become {to.value}")


TRANSITIONS: Mapping[TransactionState, frozenset[TransactionState]] = {
    TransactionState.REQUESTED: frozenset(
        {TransactionState.DELIVERED, TransactionState.REFUSED, TransactionState.EXPIRED}
    ),
    TransactionState.DELIVERED: frozenset(
        {TransactionState.CONFIRMED, TransactionState.REFUSED, TransactionState.EXPIRED}
    ),
    TransactionState.CONFIRMED: frozenset(),
    TransactionState.REFUSED: frozenset(),
    TransactionState.EXPIRED: frozenset(),
}

OPEN_STATES = (TransactionState.REQUESTED.value, TransactionState.DELIVERED.value)


class TransactionRow(database.Base):
    """A transaction. No PIN and no control code is kept: neither ever comes here."""

    __tablename__ = "mobile_transactions"
    __table_args__ = (
        # One open transaction on a SIM: the database itself refuses a second one.
        sqlalchemy.Index(
            "uq_mobile_transactions_on_sim",
            "subscriber_id",
            unique=True,
            sqlite_where=sqlalchemy.text("state = 'delivered'"),
            postgresql_where=sqlalchemy.text("state = 'delivered'"),
        ),
        sqlalchemy.Index("ix_mobile_transactions_waiting", "subscriber_id", "state"),
        sqlalchemy.Index("ix_mobile_transactions_due", "state", "answer_by"),
        sqlalchemy.Index("ix_mobile_transactions_changed", "changed_at"),
    )

    id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(36), primary_key=True)
    operation: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    relying_party_key: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(32))
    relying_party_name: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(200))
    subscriber_id: orm.Mapped[str | None] = orm.mapped_column(
        sqlalchemy.ForeignKey("mobile_subscribers.id")
    )
    hash_algorithm: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(8))
    hash: orm.Mapped[bytes] = orm.mapped_column(sqlalchemy.LargeBinary)
    language: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(3))
    display_text: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(100))
    certificate: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    documents: orm.Mapped[list[dict[str, str]] | None] = orm.mapped_column(
        sqlalchemy.JSON(none_as_null=True),
        doc="Of a list that is confirmed at once; `hash` is then the list's digest",
    )
    state: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(16))
    result: orm.Mapped[str | None] = orm.mapped_column(sqlalchemy.String(32))
    signature_value: orm.Mapped[bytes | None] = orm.mapped_column(sqlalchemy.LargeBinary)
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    answer_by: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    gone_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)
    changed_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime)

    @property
    def representation(self) -> signature.DataToBeSignedRepresentation:
        """What the SIM signs; of a list, what its control code is made from."""
        return signature.DataToBeSignedRepresentation(
            algorithms.HashAlgorithm(self.hash_algorithm), self.hash
        )

    @property
    def listed(self) -> signature_list.SignatureList | None:
        """The documents, where there is a list of them."""
        if self.documents is None:
            return None
        return signature_list.SignatureList.from_json(self.documents)

    @property
    def representations(self) -> tuple[signature.DataToBeSignedRepresentation, ...]:
        """All that the SIM signs."""
        listed = self.listed
        return (self.representation,) if listed is None else listed.representations

    @property
    def values(self) -> tuple[signature.SignatureValue, ...]:
        """The values of a confirmed transaction, in the order of what was signed."""
        joined, asked = self.signature_value or b"", self.representations
        # Values of one key are of one length.
        size = len(joined) // len(asked)
        return tuple(
            ecdsa(one, joined[size * place : size * (place + 1)]) for place, one in enumerate(asked)
        )

    def move(self, to: TransactionState, at: datetime.datetime) -> None:
        """Go to another state.

        Raises:
            TransactionStateError: The present state does not allow it.
        """
        TransactionState(self.state).check_transition(to)
        self.state = to.value
        self.changed_at = at

    def deliver(self, at: datetime.datetime) -> None:
        """The phone has it."""
        self.move(TransactionState.DELIVERED, at)

    def confirm(self, value: bytes, at: datetime.datetime) -> None:
        """The person confirmed; `value` was checked with the certificate.

        Of a list it is all values, one after the other.
        """
        self.move(TransactionState.CONFIRMED, at)
        self.result = results.Result.OK.value
        self.signature_value = value

    def refuse(self, result: results.Result, at: datetime.datetime) -> None:
        """It ends without a signature."""
        if result in (results.Result.OK, results.Result.TIMEOUT):
            raise TransactionStateError(f"{result.value} is no reason to refuse")
        self.move(TransactionState.REFUSED, at)
        self.result = result.value

    def expire(self, at: datetime.datetime) -> None:
        """Nobody answered in time."""
        self.move(TransactionState.EXPIRED, at)
        self.result = results.Result.TIMEOUT.value

    def is_due(self, at: datetime.datetime) -> bool:
        """Whether it is open although its time is over."""
        return self.state in OPEN_STATES and at >= self.answer_by

    def expire_if_due(self, at: datetime.datetime) -> bool:
        """End it if its time is over; whether that was so."""
        if self.is_due(at):
            self.expire(at)
            return True
        return False


def ecdsa(
    representation: signature.DataToBeSignedRepresentation, value: bytes
) -> signature.SignatureValue:
    """A SIM's value over a hash."""
    return signature.SignatureValue(
        algorithms.SignatureAlgorithm.ECDSA, representation.hash_algorithm, value
    )


def new_id() -> str:
    """An unpredictable identifier in the 8-4-4-4-12 form."""
    return str(uuid.uuid4())


def read(session: orm.Session, transaction_id: str) -> TransactionRow:
    """Read a transaction that will not be changed. Raises as `load`."""
    return _get(session, transaction_id, lock=False)


def load(session: orm.Session, transaction_id: str) -> TransactionRow:
    """Load a transaction anew and keep others from changing it until the commit.

    Raises:
        TransactionNotFoundError: There is none.
    """
    return _get(session, transaction_id, lock=True)


def _get(session: orm.Session, transaction_id: str, *, lock: bool) -> TransactionRow:
    # Anything can stand in a path; not every database takes every text.
    if not ID.fullmatch(transaction_id):
        raise TransactionNotFoundError("there is no such transaction")
    row = session.get(TransactionRow, transaction_id, with_for_update=lock, populate_existing=lock)
    if row is None:
        raise TransactionNotFoundError("there is no such transaction")
    return row


def waiting_for(session: orm.Session, subscriber_id: str) -> int:
    """How many transactions are open for a SIM, delivered or not."""
    return (
        session.scalar(
            sqlalchemy.select(sqlalchemy.func.count())
            .select_from(TransactionRow)
            .where(
                TransactionRow.subscriber_id == subscriber_id, TransactionRow.state.in_(OPEN_STATES)
            )
        )
        or 0
    )


def open_for(session: orm.Session, subscriber_id: str) -> list[TransactionRow]:
    """The open transactions of a SIM, the delivered one first, then the oldest."""
    rows = session.scalars(
        sqlalchemy.select(TransactionRow)
        .where(TransactionRow.subscriber_id == subscriber_id, TransactionRow.state.in_(OPEN_STATES))
        .order_by(TransactionRow.created_at, TransactionRow.id)
        .with_for_update()
    )
    return sorted(rows, key=lambda row: row.state != TransactionState.DELIVERED.value)


def due(session: orm.Session, at: datetime.datetime) -> list[TransactionRow]:
    """The open transactions whose time is over."""
    return list(
        session.scalars(
            sqlalchemy.select(TransactionRow)
            .where(TransactionRow.state.in_(OPEN_STATES), TransactionRow.answer_by <= at)
            .with_for_update(skip_locked=True)
        )
    )


def changed_since(
    session: orm.Session, since: datetime.datetime
) -> list[tuple[str, str | None, str]]:
    """Id, subscriber and state of the transactions that changed since a time."""
    found = session.execute(
        sqlalchemy.select(
            TransactionRow.id, TransactionRow.subscriber_id, TransactionRow.state
        ).where(TransactionRow.changed_at >= since)
    )
    return [(row[0], row[1], row[2]) for row in found]
