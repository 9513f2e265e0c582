"""The mobile signature gateway: what relying parties ask, and what phones answer.

The roles are those of TS 102 204: the gateway carries a request to the person's SIM and a
signature value back. It has no key that signs for anybody, and gives no value out that does not
verify with the subscriber's certificate over the hash that was asked for.
"""

import dataclasses
import datetime
import logging
from collections.abc import Callable, Sequence

import sqlalchemy
from sqlalchemy import orm

from mobile_id import (
    addressee,
    confirmations,
    results,
    settings,
    signature_list,
    subscribers,
    transactions,
)
from pki import errors, person_codes, signature

log = logging.getLogger(__name__)


CHANGES_LOOK_BACK = datetime.timedelta(seconds=5)
"""How far back changes of other processes are looked for; their clocks may differ by less."""


class SessionNotFoundError(errors.NotFoundError):
    """No such session, or its time is over."""

    code = "mobile-session-not-found"


@dataclasses.dataclass(frozen=True)
class SignatureRequest:
    """What a relying party asks of a person.

    Attributes:
        representation: What is signed; of a list, its digest.
        documents: The list, where several documents are to be confirmed at once.
    """

    operation: results.Operation
    who: addressee.Addressee
    representation: signature.DataToBeSignedRepresentation
    language: results.Language
    display_text: str
    documents: signature_list.SignatureList | None = None


@dataclasses.dataclass(frozen=True)
class CertificateAnswer:
    """The signing certificate of a person, or why there is none."""

    result: results.CertificateResult
    certificate_der: bytes | None


@dataclasses.dataclass(frozen=True)
class SessionStatus:
    """Where a session stands.

    Attributes:
        result: None while it runs.
        values: Only with the result OK: one, or one for each document of a list.
        certificate_der: Only with the result OK: whose key made the value.
        answer_by: When it expires by itself.
    """

    result: results.Result | None
    values: tuple[signature.SignatureValue, ...]
    certificate_der: bytes | None
    answer_by: datetime.datetime


@dataclasses.dataclass(frozen=True)
class DeliveredTransaction:
    """What the phone is given to show and to sign; the control code is not among it.

    Attributes:
        representation: What is signed, where there is no list.
        documents: The list; its digest, too, the phone computes itself.
    """

    id: str
    operation: results.Operation
    relying_party: str
    text: str
    language: results.Language
    representation: signature.DataToBeSignedRepresentation
    answer_by: datetime.datetime
    documents: signature_list.SignatureList | None = None


def session_topic(session_id: str) -> str:
    """What a relying party waits for."""
    return f"session:{session_id}"


def sim_topic(subscriber_id: str) -> str:
    """What a phone waits for."""
    return f"sim:{subscriber_id}"


class Gateway:
    """Carries requests to phones and answers back; each method is one transaction."""

    def __init__(
        self,
        sessions: orm.sessionmaker[orm.Session],
        parties: Sequence[settings.RelyingParty],
        config: settings.Settings,
        announce: Callable[[str], None],
    ) -> None:
        """Keep what the gateway works with.

        Args:
            sessions: Opens database sessions.
            parties: Who may ask.
            config: Windows and limits.
            announce: Called with a topic after each change, from any thread.

        Raises:
            InputError: A relying party or a country is wrong.
        """
        settings.check_relying_parties(parties)
        for country in config.countries:
            person_codes.rules(country)
        self._sessions = sessions
        self._parties = tuple(parties)
        self._announce = announce
        self.config = config

    def authorise(
        self, uuid: str, name: str, address: str | None
    ) -> tuple[settings.RelyingParty, str]:
        """Return the relying party and its registered name, or raise `AccessError`."""
        return settings.authorise(self._parties, uuid, name, address)

    def certificate(self, who: addressee.Addressee, at: datetime.datetime) -> CertificateAnswer:
        """Return a person's signing certificate."""
        with self._sessions() as session:
            row = subscribers.by_addressee(session, who)
            if row is None:
                return CertificateAnswer(results.CertificateResult.NOT_FOUND, None)
            if not row.is_active(results.Operation.SIGNATURE, at):
                return CertificateAnswer(results.CertificateResult.NOT_ACTIVE, None)
            return CertificateAnswer(results.CertificateResult.OK, row.signing_certificate)

    def request_signature(
        self,
        party: settings.RelyingParty,
        party_name: str,
        request: SignatureRequest,
        at: datetime.datetime,
    ) -> str:
        """Ask a person to confirm and return the session's id.

        A person who is unknown or suspended gets a session too, which has ended: the protocol
        tells it so, and not by an error.
        """
        with self._sessions() as session:
            subscriber = subscribers.by_addressee(session, request.who)
            active = subscriber is not None and subscriber.is_active(request.operation, at)
            row = transactions.TransactionRow(
                id=transactions.new_id(),
                operation=request.operation.value,
                relying_party_key=party.key,
                relying_party_name=party_name,
                subscriber_id=subscriber.id if subscriber else None,
                hash_algorithm=request.representation.hash_algorithm.value,
                hash=request.representation.hash,
                documents=request.documents.to_json() if request.documents else None,
                language=results.language_for(request.language, request.who.phone_number).value,
                display_text=request.display_text,
                certificate=subscriber.certificate_der(request.operation) if subscriber else None,
                state=transactions.TransactionState.REQUESTED.value,
                created_at=at,
                answer_by=at + self.config.answer_window,
                gone_at=at + self.config.session_life,
                changed_at=at,
            )
            if subscriber is None or not active:
                row.refuse(results.Result.NOT_MID_CLIENT, at)
            elif self._is_full(session, subscriber.id, at):
                row.refuse(results.Result.DELIVERY_ERROR, at)
            session.add(row)
            session.commit()
        log.info("session_opened operation=%s state=%s", row.operation, row.state)
        if row.state == transactions.TransactionState.REQUESTED.value and subscriber:
            self._announce(sim_topic(subscriber.id))
        return row.id

    def session_status(
        self,
        session_id: str,
        operation: results.Operation,
        address: str | None,
        at: datetime.datetime,
        *,
        of_list: bool = False,
    ) -> SessionStatus:
        """Return where a session stands; its time being over ends it here.

        Raises:
            SessionNotFoundError: Unknown, of another kind, or older than its life.
            AccessError: The address is not one of the relying party that opened it.
        """
        with self._sessions() as session:
            try:
                row = transactions.read(session, session_id)
            except transactions.TransactionNotFoundError as error:
                raise SessionNotFoundError("there is no such session") from error
            known = (row.operation, row.documents is not None)
            if known != (operation.value, of_list) or at >= row.gone_at:
                raise SessionNotFoundError("there is no such session")
            self._check_origin(row, address)
            if row.is_due(at):
                # Only now is the row kept from others: most questions change nothing.
                row = transactions.load(session, session_id)
                row.expire_if_due(at)
                session.commit()
            return _status_of(row)

    def open_transaction(
        self, subscriber_id: str, at: datetime.datetime
    ) -> DeliveredTransaction | None:
        """Return the transaction that a SIM has open, or deliver the next one.

        A phone that asks again gets the same one: the answer to the first call may have been
        lost.
        """
        with self._sessions() as session:
            rows = transactions.open_for(session, subscriber_id)
            expired = [row for row in rows if row.expire_if_due(at)]
            waiting = [row for row in rows if row not in expired]
            # Expired rows leave the SIM before the next one is put on it.
            session.flush()
            delivered = waiting[0] if waiting else None
            if delivered is not None and delivered.state == (
                transactions.TransactionState.REQUESTED.value
            ):
                delivered.deliver(at)
            try:
                session.commit()
            except sqlalchemy.exc.IntegrityError:
                # Another call of the same phone delivered first; its answer is the phone's.
                return None
        for row in expired:
            self._announce(session_topic(row.id))
        return _delivered(delivered) if delivered is not None else None

    def confirm(
        self, subscriber_id: str, transaction_id: str, value: bytes, at: datetime.datetime
    ) -> results.Result:
        """Take a signature value from a phone. Returns and raises as `confirm_all`."""
        return self.confirm_all(subscriber_id, transaction_id, (value,), at)

    def confirm_all(
        self,
        subscriber_id: str,
        transaction_id: str,
        values: Sequence[bytes],
        at: datetime.datetime,
    ) -> results.Result:
        """Take the values for all that was asked, or none; the same again get the same answer.

        Returns:
            OK, TIMEOUT when they came too late, or SIGNATURE_HASH_MISMATCH when one is missing or
            does not verify: then all are forgotten.

        Raises:
            TransactionNotFoundError: There is none for this SIM.
            TransactionStateError: The transaction ended in another way.
        """
        with self._sessions() as session:
            row = self._load_for(session, subscriber_id, transaction_id)
            if row.state == transactions.TransactionState.CONFIRMED.value and [
                one.value for one in row.values
            ] == list(values):
                return results.Result.OK
            if not row.expire_if_due(at):
                transactions.TransactionState(row.state).check_transition(
                    transactions.TransactionState.CONFIRMED
                )
                if confirmations.verify(row, values):
                    row.confirm(b"".join(values), at)
                    confirmations.record(session, row, at)
                    confirmations.count(session, row, at)
                else:
                    row.refuse(results.Result.SIGNATURE_HASH_MISMATCH, at)
            session.commit()
        return self._ended(row)

    def refuse(
        self,
        subscriber_id: str,
        transaction_id: str,
        reason: results.Result,
        at: datetime.datetime,
    ) -> results.Result:
        """Take a refusal from a phone, or a failure from the network on its behalf.

        Raises:
            InputError: The reason is none that a phone may give.
            TransactionNotFoundError: There is none for this SIM.
            TransactionStateError: The transaction has ended.
        """
        if reason not in results.REFUSABLE:
            accepted = ", ".join(sorted(one.value for one in results.REFUSABLE))
            raise errors.InputError(f"expected a reason of {accepted}, got {reason.value}")
        with self._sessions() as session:
            row = self._load_for(session, subscriber_id, transaction_id)
            if (
                row.state == transactions.TransactionState.REFUSED.value
                and row.result == reason.value
            ):
                return reason
            if not row.expire_if_due(at):
                row.refuse(reason, at)
            session.commit()
        return self._ended(row)

    def subscriber_id(self, device_secret: str | None) -> str:
        """Return whose SIM shows this secret, or raise `AccessError`."""
        with self._sessions() as session:
            return subscribers.by_device_secret(session, device_secret).id

    def expire_due(self, at: datetime.datetime) -> int:
        """End every transaction whose time is over; the worker calls it now and then."""
        with self._sessions() as session:
            rows = transactions.due(session, at)
            for row in rows:
                row.expire(at)
            session.commit()
        for row in rows:
            self._announce(session_topic(row.id))
        return len(rows)

    def changed_topics(self, at: datetime.datetime) -> tuple[str, ...]:
        """The topics to announce for what changed lately, whichever process changed it."""
        since = at - CHANGES_LOOK_BACK
        with self._sessions() as session:
            found = transactions.changed_since(session, since)
        topics = []
        for transaction_id, subscriber_id, state in found:
            if transactions.TransactionState(state).is_final:
                topics.append(session_topic(transaction_id))
            elif state == transactions.TransactionState.REQUESTED.value and subscriber_id:
                topics.append(sim_topic(subscriber_id))
        return tuple(topics)

    def _is_full(self, session: orm.Session, subscriber_id: str, at: datetime.datetime) -> bool:
        limit = self.config.max_waiting_per_sim
        if limit == 0:
            return False
        rows = transactions.open_for(session, subscriber_id)
        return sum(not row.expire_if_due(at) for row in rows) >= limit

    def _check_origin(self, row: transactions.TransactionRow, address: str | None) -> None:
        for party in self._parties:
            if party.key == row.relying_party_key and party.comes_from(address):
                return
        raise settings.UnknownRelyingPartyError("expected the relying party that opened it")

    def _load_for(
        self, session: orm.Session, subscriber_id: str, transaction_id: str
    ) -> transactions.TransactionRow:
        row = transactions.load(session, transaction_id)
        if row.subscriber_id != subscriber_id:
            raise transactions.TransactionNotFoundError("there is no such transaction")
        return row

    def _ended(self, row: transactions.TransactionRow) -> results.Result:
        log.info("session_ended operation=%s result=%s", row.operation, row.result)
        self._announce(session_topic(row.id))
        if row.subscriber_id is not None:
            # The next one may be waiting for the SIM to be free.
            self._announce(sim_topic(row.subscriber_id))
        return results.Result(row.result)


def _status_of(row: transactions.TransactionRow) -> SessionStatus:
    result = results.Result(row.result) if row.result else None
    values = row.values if result is results.Result.OK else ()
    return SessionStatus(result, values, row.certificate if values else None, row.answer_by)


def _delivered(row: transactions.TransactionRow) -> DeliveredTransaction:
    return DeliveredTransaction(
        id=row.id,
        operation=results.Operation(row.operation),
        relying_party=row.relying_party_name,
        text=row.display_text,
        language=results.Language(row.language),
        representation=row.representation,
        answer_by=row.answer_by,
        documents=row.listed,
    )
