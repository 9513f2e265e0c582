"""Signing with a phone: the service asks the person's operator, and waits in the background.

The service is one more relying party of the Mobile-ID protocol. Once the phone was asked, the row
holds all that is needed to wait for the answer, so another process can go on waiting.
"""

import concurrent.futures
import dataclasses
import datetime
import logging

from mobile_id import addressee, results
from mobile_id import client as mobile_client
from pki import errors
from signing_service import flow, levels, parameters, sessions, signers
from signing_service.service import SigningService

log = logging.getLogger(__name__)

COUNTER_SIGNATURE = "Counter-signature"
"""The words on a phone; with the caller's own they still have to fit on its screen."""

RETRY_AFTER = datetime.timedelta(seconds=5)
"""When a gateway that did not answer is asked again about a phone that was asked."""

ENDS: tuple[tuple[type[errors.ImzaError], sessions.SessionState], ...] = (
    (mobile_client.PhoneRefusedError, sessions.SessionState.REFUSED),
    (mobile_client.PhoneTimeoutError, sessions.SessionState.EXPIRED),
    (mobile_client.SessionGoneError, sessions.SessionState.EXPIRED),
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
    with service.database() as session:
        row = sessions.load(session, row.id, None)
        row.control_code = started.control_code
        row.phone_session = started.session_id
        row.next_try_at = at + service.settings.lease
        session.commit()
    phones.waiting.submit(follow, phones, row.id)
    return row


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
        row = sessions.load(session, session_id, None)
        if row.state is not sessions.SessionState.AWAITING_PERSON or row.phone_session is None:
            return False
        if at >= row.expires_at:
            row.expire_if_due(at)
            session.commit()
            return False
        row.next_try_at = at + service.settings.lease
        session.commit()
    started = mobile_client.StartedSession(
        row.phone_session, results.Operation.SIGNATURE, row.representation
    )
    try:
        value = phones.client.poll_signature(started, row.path[0])
        if value is None:
            return True
        flow.complete_session(service, session_id, None, value, service.clock.now())
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


def _end(
    phones: PhoneSigning, session_id: str, error: errors.ImzaError, at: datetime.datetime
) -> None:
    state = next(state for family, state in ENDS if isinstance(error, family))
    with phones.service.database() as session:
        row = sessions.load(session, session_id, None)
        if row.state is sessions.SessionState.AWAITING_PERSON:
            row.end(state, error.code, error.message, at)
        session.commit()
    phones.service.store.remove(session_id, levels.PREPARED)
