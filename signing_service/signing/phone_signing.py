"""Signing with a phone: the service asks the person's operator, and waits in the background.

The service is one more relying party of the Mobile-ID protocol. Once the phone was asked, the row
holds all that is needed to wait for the answer, so another process can go on waiting. Of a batch,
the phone is asked once for the whole list; its first session stands for all.
"""

import concurrent.futures
import dataclasses
import datetime
import logging
from collections.abc import Sequence

from mobile_id import addressee, answers, list_client, results, signature_list
from mobile_id import client as mobile_client
from pki import errors
from signing_service import parameters
from signing_service.service import SigningService
from signing_service.signing import batches, flow, levels, sessions, signers

log = logging.getLogger(__name__)

COUNTER_SIGNATURE = "Counter-signature"
"""The words on a phone; with the caller's own they still have to fit on its screen."""

RETRY_AFTER = datetime.timedelta(seconds=5)
"""When a gateway that did not answer is asked again about a phone that was asked."""

ENDS: tuple[tuple[type[errors.ImzaError], sessions.SessionState], ...] = (
    (answers.PhoneRefusedError, sessions.SessionState.REFUSED),
    (answers.PhoneTimeoutError, sessions.SessionState.EXPIRED),
    (answers.SessionGoneError, sessions.SessionState.EXPIRED),
    (errors.ImzaError, sessions.SessionState.FAILED),
)
"""How a session ends by what the phone's side says; the first that fits."""


@dataclasses.dataclass(frozen=True)
class PhoneSigning:
    """What signing with phones needs besides the signing service.

    Attributes:
        waiting: Runs the waits; each takes a thread until the person has answered.
    """

    service: SigningService
    client: mobile_client.MobileIdClient
    waiting: concurrent.futures.Executor


def open_phone_session(
    phones: PhoneSigning, opening: flow.Opening, signer: signers.PhoneSigner, at: datetime.datetime
) -> sessions.SigningSession:
    """Open a session and ask the person on the phone; the control code is in the session.

    Raises:
        InputError: The phone number or person code cannot be one.
        NotMobileIdClientError: Nobody has both.
        Others as `flow.open_session`.
    """
    service = phones.service
    earlier = flow.find_earlier(service, opening)
    if earlier is not None:
        return earlier
    flow.check_request(service, opening)
    who = addressee.Addressee(signer.phone_number, signer.person_code)
    certificate = phones.client.fetch_certificate(who)
    row = flow.open_session(
        service, opening, certificate, at, state=sessions.SessionState.AWAITING_PERSON
    )
    if row.control_code is not None:
        return row  # The same request, at the same time, has asked the phone already.
    try:
        started = phones.client.start_signature(
            who, row.representation, text=shown_text(opening.parameters)
        )
    except errors.ImzaError as error:
        _end(phones, row.id, error, at)
        raise
    (row,) = _asked(phones, row.id, started.session_id, started.control_code, at)
    return row


def open_phone_batch(
    phones: PhoneSigning, opening: flow.Opening, signer: signers.PhoneSigner, at: datetime.datetime
) -> batches.Batch:
    """Open a batch and ask the person once for all of it.

    The phone shows how many documents there are and the name of each; the control code is made
    from the whole list.

    Raises:
        ListsUnsupportedError: The person's operator confirms one hash at a time.
        Others as `open_phone_session` and `batches.open_batch`.
    """
    service = phones.service
    earlier = batches.find_earlier(service, opening, at)
    if earlier is not None:
        return earlier
    batches.check_request(service, opening)
    who = addressee.Addressee(signer.phone_number, signer.person_code)
    certificate = phones.client.fetch_certificate(who)
    batch = batches.open_batch(
        service, opening, certificate, at, state=sessions.SessionState.AWAITING_PERSON
    )
    first = batch.sessions[0]
    if first.control_code is not None:
        return batch  # The same request, at the same time, has asked the phone already.
    documents = signature_list.SignatureList(
        tuple(
            signature_list.ListedDocument(signature_list.shown_name(name), row.representation)
            for name, row in zip(opening.signed.names, batch.sessions, strict=True)
        )
    )
    try:
        started = list_client.start(
            phones.client, who, documents, text=shown_text(opening.parameters)
        )
    except errors.ImzaError as error:
        _end(phones, first.id, error, at)
        raise
    rows = _asked(phones, first.id, started.session_id, documents.control_code, at)
    return batches.Batch(batch.id, rows)


def _asked(
    phones: PhoneSigning,
    session_id: str,
    phone_session: str,
    control_code: str,
    at: datetime.datetime,
) -> tuple[sessions.SigningSession, ...]:
    """Record that the phone was asked, and wait for it in the background."""
    with phones.service.database() as session:
        rows = sessions.load_confirmed_with(session, session_id, None)
        for row in rows:
            row.control_code = control_code
            row.phone_session = phone_session
            row.next_try_at = at + phones.service.settings.lease
        session.commit()
    phones.waiting.submit(follow, phones, session_id)
    return rows


def shown_text(chosen: parameters.SignatureParameters) -> str:
    """Return what the phone shows; of a counter-signature the person reads that it is one."""
    text = chosen.display_text or ""
    if chosen.counter_signature_of is None:
        return text
    return f"{COUNTER_SIGNATURE}: {text}" if text else COUNTER_SIGNATURE


def follow(phones: PhoneSigning, session_id: str) -> None:
    """Wait until the person has answered, then complete the session or end it."""
    try:
        while _poll(phones, session_id):
            pass
    except Exception:
        # This runs in a thread of its own, where nobody else would hear of it; the worker will
        # take the session up again.
        log.exception("phone_wait_failed session=%s", session_id)


def follow_abandoned(phones: PhoneSigning, at: datetime.datetime, *, limit: int = 100) -> int:
    """Wait for phones that a process which is gone had asked; returns how many."""
    service = phones.service
    with service.database() as session:
        found = sessions.abandoned_phones(session, at, limit)
        for session_id in found:
            sessions.load(session, session_id, None).next_try_at = at + service.settings.lease
        session.commit()
    for session_id in found:
        phones.waiting.submit(follow, phones, session_id)
    return len(found)


def _poll(phones: PhoneSigning, session_id: str) -> bool:
    """Ask the gateway once; tell whether to ask again."""
    service = phones.service
    at = service.clock.now()
    with service.database() as session:
        rows = sessions.load_confirmed_with(session, session_id, None)
        for row in rows:
            row.expire_if_due(at)
        phone_session = rows[0].phone_session
        waits = all(row.state is sessions.SessionState.AWAITING_PERSON for row in rows)
        if waits and phone_session is not None:
            rows[0].next_try_at = at + service.settings.lease
        session.commit()
    if not waits or phone_session is None:
        return False
    try:
        return not _take_answer(phones, rows, phone_session)
    except sessions.SessionStateError:
        return False  # Cancelled or expired while the phone answered.
    except errors.ImzaError as error:
        if error.retriable and isinstance(error, errors.PeerError):
            # The worker asks again in a moment: the person has little time to answer.
            with service.database() as session:
                row = sessions.load(session, session_id, None)
                if row.state is sessions.SessionState.AWAITING_PERSON:
                    row.next_try_at = service.clock.now() + RETRY_AFTER
                session.commit()
            return False
        _end(phones, session_id, error, service.clock.now())
    return False


def _take_answer(
    phones: PhoneSigning, rows: Sequence[sessions.SigningSession], phone_session: str
) -> bool:
    """Complete what the person has confirmed; False while there is no answer."""
    service, first = phones.service, rows[0]
    certificate = first.path[0]
    if first.batch is None:
        started = mobile_client.StartedSession(
            phone_session, results.Operation.SIGNATURE, first.representation
        )
        value = phones.client.poll_signature(started, certificate)
        if value is None:
            return False
        flow.complete_session(service, first.id, None, value, service.clock.now())
        return True
    asked = list_client.StartedList(phone_session, tuple(row.representation for row in rows))
    values = list_client.poll(phones.client, asked, certificate)
    if values is None:
        return False
    by_session = {row.id: value for row, value in zip(rows, values, strict=True)}
    batches.complete_batch(service, first.batch, None, by_session, service.clock.now())
    return True


def _end(
    phones: PhoneSigning, session_id: str, error: errors.ImzaError, at: datetime.datetime
) -> None:
    """End all that the phone was asked for."""
    state = next(state for family, state in ENDS if isinstance(error, family))
    with phones.service.database() as session:
        rows = sessions.load_confirmed_with(session, session_id, None)
        for row in rows:
            if row.state is sessions.SessionState.AWAITING_PERSON:
                row.end(state, error.code, error.message, at)
        session.commit()
    for row in rows:
        levels.remove_unsigned(phones.service, row)
