"""Sending the notices that are due: claimed, sent outside of any transaction, settled.

A message is claimed by moving its next attempt into the future. A process that dies between
sending and settling leaves one that is sent again, under the same message id, by which a mail
program or a gateway knows it: whether it had been sent, nobody can know.
"""

import contextlib
import dataclasses
import datetime
import logging
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy
from sqlalchemy import orm

from ca.notices import mail, occasions, sms, tables, texts
from ca.notices import settings as notice_settings
from ca.subscribers import contacts
from pki import audit, outbound, registry

log = logging.getLogger(__name__)

BATCH = 50
"""Messages sent in one run: the worker has other duties."""

SENT = "sent"
GIVEN_UP = "given-up"

ACTOR = "worker"

MAX_AGE = datetime.timedelta(days=14)
"""Old news is not sent any more, whatever kept it."""


@dataclasses.dataclass(frozen=True)
class Post:
    """What sending needs.

    Attributes:
        sessions: The database.
        settings: Where messages are handed over.
        client: Calls the SMS gateway.
        organisation: Who writes.
    """

    sessions: orm.sessionmaker[orm.Session]
    settings: notice_settings.Settings
    client: outbound.Client | None
    organisation: str


@dataclasses.dataclass(frozen=True)
class _Message:
    row_id: int
    message_id: str
    address: str = dataclasses.field(repr=False)
    language: contacts.Language
    text: texts.Text


def deliver_due(post: Post, at: datetime.datetime) -> int:
    """Send what is due; a regular duty of the worker.

    A server that cannot be reached ends its channel's turn, and that counts as no attempt of any
    message: an outage of days loses none.

    Returns:
        How many messages were handed over.
    """
    sent = 0
    for channel in (occasions.EMAIL, occasions.SMS):
        claimed = _claim(post, channel, at)
        if claimed:
            sent += _send_some(post, channel, claimed, at)
    return sent


def _send_some(post: Post, channel: str, claimed: Sequence[_Message], at: datetime.datetime) -> int:
    sent = 0
    left = list(claimed)
    try:
        with _open(post, channel) as send:
            while left:
                refusal = _refusal(send, left[0], at)
                _settle(post, left.pop(0), refusal, at)
                sent += refusal is None
    except (mail.MailError, sms.SmsError) as error:
        log.warning("notices_not_sent channel=%s code=%s left=%d", channel, error.code, len(left))
        _put_back(post, left, at)
    return sent


def _refusal(
    send: Callable[[_Message, datetime.datetime], None], message: _Message, at: datetime.datetime
) -> mail.MailError | sms.SmsError | None:
    """Send one message and return why it was refused; raises where nobody was reached."""
    try:
        send(message, at)
    except (mail.MailError, sms.SmsError) as error:
        if not error.reached:
            raise
        return error
    return None


@contextlib.contextmanager
def _open(post: Post, channel: str) -> Iterator[Callable[[_Message, datetime.datetime], None]]:
    smtp, gateway = post.settings.smtp, post.settings.sms
    if channel == occasions.EMAIL and smtp is not None:
        with mail.open_mailer(smtp) as mailer:
            yield lambda message, at: mailer.send(_letter(post, message, at))
    elif gateway is not None and post.client is not None:
        client, secret = post.client, gateway.load_secret()
        yield lambda message, at: sms.send(
            client,
            gateway.url,
            secret,
            phone_number=message.address,
            text=message.text.body,
            message_id=message.message_id,
            at=at,
        )
    else:
        raise mail.MailError("the settings name no server", retriable=True, reached=False)


def _letter(post: Post, message: _Message, at: datetime.datetime) -> mail.Letter:
    return mail.Letter(
        message.address,
        message.text.subject,
        texts.close(message.text.body, message.language, post.organisation),
        message.language.value,
        message.message_id,
        at,
    )


def _claim(post: Post, channel: str, at: datetime.datetime) -> list[_Message]:
    """Take messages for this run; another worker does not see them before their next attempt."""
    claimed = []
    with post.sessions() as session:
        rows = session.scalars(
            sqlalchemy.select(tables.NoticeRow)
            .where(
                tables.NoticeRow.state == occasions.WAITING,
                tables.NoticeRow.due_at <= at,
                tables.NoticeRow.channel == channel,
            )
            .order_by(tables.NoticeRow.due_at, tables.NoticeRow.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            message = _message(session, row)
            if message is None or at - row.happened_at > MAX_AGE:
                _give_up(session, row, at)
                continue
            row.attempts += 1
            row.due_at = at + post.settings.pause_after(row.attempts)
            claimed.append(message)
        session.commit()
    return claimed


def _message(session: orm.Session, row: tables.NoticeRow) -> _Message | None:
    """What a row says now; None where its owner no longer wants to be told."""
    serial_number = int(row.serial_number, 16)
    contact = occasions.contact_of(session, serial_number)
    address = None
    if contact is not None:
        address = contact.email if row.channel == occasions.EMAIL else contact.phone_number
    if contact is None or address is None:
        return None
    record = registry.find(session, serial_number)
    kind = texts.Kind(row.occasion.rpartition("-")[0])
    text = texts.write(
        kind,
        contact.language,
        profile=record.profile,
        serial_number=serial_number,
        happened_at=row.happened_at,
        not_after=record.not_after,
    )
    return _Message(row.id, row.message_id, address, contact.language, text)


def _settle(
    post: Post,
    message: _Message,
    refusal: mail.MailError | sms.SmsError | None,
    at: datetime.datetime,
) -> None:
    with post.sessions() as session:
        row = session.get(tables.NoticeRow, message.row_id, with_for_update=True)
        if row is None or row.state != occasions.WAITING:
            return
        if refusal is None:
            row.state = SENT
            row.settled_at = at
            _audit(session, audit.AuditEvent.NOTICE_SENT, row, at)
        elif not refusal.retriable or row.attempts >= post.settings.attempts:
            _give_up(session, row, at)
        session.commit()


def _put_back(post: Post, messages: Sequence[_Message], at: datetime.datetime) -> None:
    with post.sessions() as session:
        for message in messages:
            row = session.get(tables.NoticeRow, message.row_id, with_for_update=True)
            if row is not None and row.state == occasions.WAITING:
                row.attempts -= 1
                row.due_at = at + post.settings.first_retry
        session.commit()


def _give_up(session: orm.Session, row: tables.NoticeRow, at: datetime.datetime) -> None:
    row.state = GIVEN_UP
    row.settled_at = at
    _audit(session, audit.AuditEvent.NOTICE_ABANDONED, row, at)
    log.warning("notice_given_up serial=%s occasion=%s", row.serial_number, row.occasion)


def _audit(
    session: orm.Session, event: audit.AuditEvent, row: tables.NoticeRow, at: datetime.datetime
) -> None:
    audit.append(
        session,
        event,
        at,
        actor=ACTOR,
        details={
            "serial_number": row.serial_number,
            "occasion": row.occasion,
            "channel": row.channel,
            "message_id": row.message_id,
            "attempts": row.attempts,
        },
    )
