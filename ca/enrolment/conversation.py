"""Answer any bytes with a message: check them, do what they ask, protect what is said.

The order of checks is that of RFC 9483 3.5: header, protection, body.
"""

import dataclasses
import datetime
import logging
import secrets

from sqlalchemy import exc, orm

from ca import drafts, hierarchy, lint, orders
from ca.applications import states
from ca.enrolment import (
    changes,
    general,
    messages,
    protection,
    references,
    requests,
    senders,
    signer,
    transactions,
)
from ca.renewal import settings as renewal_settings
from pki import algorithms, errors

log = logging.getLogger(__name__)

MAX_CLOCK_DIFFERENCE = datetime.timedelta(hours=1)
"""Between messageTime and our clock. Small devices keep time badly; what is sent again is found by
its transactionID, however old it is."""

_FAILURES: tuple[tuple[type[errors.ImzaError], messages.FailureInfo], ...] = (
    (lint.LintError, messages.FailureInfo.badCertTemplate),
    (drafts.ProfileRefusedError, messages.FailureInfo.badCertTemplate),
    (orders.KeyCertifiedError, messages.FailureInfo.duplicateCertReq),
    (orders.RequestInProgressError, messages.FailureInfo.transactionIdInUse),
    (orders.RequestAnsweredError, messages.FailureInfo.transactionIdInUse),
    (algorithms.UnsupportedAlgorithmError, messages.FailureInfo.badAlg),
    (errors.InputError, messages.FailureInfo.badDataFormat),
    (errors.NotFoundError, messages.FailureInfo.badRequest),
    (errors.StateError, messages.FailureInfo.badRequest),
    (errors.PolicyError, messages.FailureInfo.notAuthorized),
    (errors.DeviceError, messages.FailureInfo.systemUnavail),
    (errors.PeerError, messages.FailureInfo.systemUnavail),
)

_OUR_FAULT = frozenset({messages.FailureInfo.systemFailure, messages.FailureInfo.systemUnavail})


@dataclasses.dataclass(frozen=True)
class Office:
    """Everything that answering needs; what a certificate signs for is under `renewal`'s rules."""

    sessions: orm.sessionmaker[orm.Session]
    authorities: hierarchy.Hierarchy
    secrets: references.Secrets
    signer: signer.CurrentSigner
    renewal: renewal_settings.Settings


def answer(message_der: bytes, office: Office, at: datetime.datetime) -> bytes:
    """Return the message that answers any bytes; what is refused gets an error message.

    A message with a good MAC is answered with the same secret's, everything else with our
    signature (RFC 9483 3.2).
    """
    header = _blank_header(at)
    sender: senders.Sender | None = None
    kind: messages.BodyType | None = None
    try:
        message = messages.parse_message(message_der)
        header = _reply_header(message.header, at)
        _check_header(message, at)
        with office.sessions() as session:
            sender = senders.identify(session, message, office.secrets, at)
        kind = _kind(message.body_tag)
        identity = transactions.identify(sender.name, message.header.transaction_id or b"")
        request = changes.Request(message, sender, identity, header.sender_nonce or b"", at)
        outcome = _dispatch(office, request, kind)
        log.info("cmp_answered body=%s", kind.name)
    except errors.ImzaError as error:
        outcome = _refuse(kind, error)
    except exc.SQLAlchemyError:
        log.exception("cmp_database_failed")
        outcome = changes.Outcome(
            messages.encode_error(messages.FailureInfo.systemUnavail, "try again later")
        )
    return _protect(office, header, outcome, sender)


def refuse_size(office: Office, at: datetime.datetime) -> bytes:
    """Return the answer to a message that was too large to be read."""
    body = messages.encode_error(
        messages.FailureInfo.badDataFormat,
        f"expected a message of at most {messages.MAX_MESSAGE_BYTES} bytes",
    )
    return _protect(office, _blank_header(at), changes.Outcome(body), None)


def _dispatch(office: Office, request: changes.Request, kind: messages.BodyType) -> changes.Outcome:
    body = messages.BodyType
    if kind in (body.certConf, body.error):
        run = changes.confirm if kind is body.certConf else changes.give_up
        return run(office.sessions, office.authorities, request)
    if request.message.header.recipient_nonce is not None:
        # RFC 9483 3.5: a first message answers none.
        raise messages.RefusedError(
            messages.FailureInfo.badRecipientNonce, "expected no recipNonce in a first message"
        )
    if kind in (body.ir, body.cr, body.p10cr, body.kur):
        return changes.certify(office.sessions, office.authorities, office.renewal, request, kind)
    if kind is body.rr:
        return changes.revoke(office.sessions, office.authorities, request)
    if kind is body.genm:
        asked = requests.parse_general(request.message.body)
        with office.sessions() as session:
            issuer_name = _issuer_of(session, office.authorities, request.sender)
            settings = office.authorities.settings
            return changes.Outcome(general.answer(session, asked, issuer_name, settings))
    raise messages.RefusedError(
        messages.FailureInfo.badRequest, f"expected a request, got the body {kind.name}"
    )


def _issuer_of(
    session: orm.Session, authorities: hierarchy.Hierarchy, sender: senders.Sender
) -> str:
    try:
        case = states.find(session, sender.application_id)
    except states.ApplicationNotFoundError as error:
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized, "no application stands behind the sender"
        ) from error
    return authorities.issuing(case.applicant.category).issuer.name


def _kind(body_tag: int) -> messages.BodyType:
    try:
        return messages.BodyType(body_tag)
    except ValueError as error:
        raise messages.RefusedError(
            messages.FailureInfo.badRequest, f"expected a known body, got number {body_tag}"
        ) from error


def _check_header(message: messages.PKIMessage, at: datetime.datetime) -> None:
    header = message.header
    if header.version not in messages.VERSIONS:
        raise messages.RefusedError(
            messages.FailureInfo.unsupportedVersion, "expected the version 2 or 3"
        )
    if len(header.transaction_id or b"") < messages.NONCE_OCTETS:
        raise messages.RefusedError(
            messages.FailureInfo.badDataFormat,
            f"expected a transactionID of at least {messages.NONCE_OCTETS} octets",
        )
    if len(header.sender_nonce or b"") < messages.NONCE_OCTETS:
        raise messages.RefusedError(
            messages.FailureInfo.badSenderNonce,
            f"expected a senderNonce of at least {messages.NONCE_OCTETS} octets",
        )
    if header.at is not None and abs(header.at - at) > MAX_CLOCK_DIFFERENCE:
        raise messages.RefusedError(
            messages.FailureInfo.badTime, "expected the present as messageTime: check the clock"
        )


def _blank_header(at: datetime.datetime) -> messages.PKIHeader:
    """The header of an answer to somebody of whom nothing could be read."""
    return messages.PKIHeader(
        version=messages.VERSIONS[0],
        sender=messages.null_name(),
        recipient=messages.null_name(),
        transaction_id=secrets.token_bytes(messages.NONCE_OCTETS),
        sender_nonce=secrets.token_bytes(messages.NONCE_OCTETS),
        at=at,
    )


def _reply_header(asked: messages.PKIHeader, at: datetime.datetime) -> messages.PKIHeader:
    blank = _blank_header(at)
    return dataclasses.replace(
        blank,
        version=asked.version if asked.version in messages.VERSIONS else blank.version,
        recipient=asked.sender,
        transaction_id=asked.transaction_id or blank.transaction_id,
        recipient_nonce=asked.sender_nonce,
    )


def _refuse(kind: messages.BodyType | None, error: errors.ImzaError) -> changes.Outcome:
    failure = _failure_of(error)
    message = error.message
    if failure in _OUR_FAULT:
        log.warning("cmp_failed failure=%s code=%s", failure.name, error.code)
        message = "the service failed: try again later"
    else:
        log.info("cmp_refused failure=%s code=%s", failure.name, error.code)
    body = None
    # What cannot be read at all is no request that could be rejected.
    if kind is not None and failure is not messages.FailureInfo.badDataFormat:
        body = changes.encode_rejection(kind, failure, message)
    return changes.Outcome(body or messages.encode_error(failure, message))


def _failure_of(error: errors.ImzaError) -> messages.FailureInfo:
    if isinstance(error, messages.RefusedError):
        return error.failure
    for family, failure in _FAILURES:
        if isinstance(error, family):
            return failure
    return messages.FailureInfo.systemFailure


def _protect(
    office: Office,
    header: messages.PKIHeader,
    outcome: changes.Outcome,
    sender: senders.Sender | None,
) -> bytes:
    own = office.signer.present
    header = dataclasses.replace(
        header,
        sender=messages.directory_name(own.name),
        implicit_confirm=outcome.implicit_confirm,
    )
    if isinstance(sender, senders.ReferenceSender):
        return protection.protect_mac(
            header,
            outcome.body,
            sender.parameters,
            sender.reference.reference.encode("ascii"),
            sender.secret,
            outcome.extra_certificates,
        )
    try:
        return protection.protect_signed(header, outcome.body, own, outcome.extra_certificates)
    except errors.ImzaError as error:
        # Without its key the office can still say that it cannot answer (RFC 9483 3.6.4).
        log.warning("cmp_not_signed code=%s", error.code)
        body = messages.encode_error(
            messages.FailureInfo.systemUnavail, "the service failed: try again later"
        )
        return messages.encode_message(header, body, None, ())
