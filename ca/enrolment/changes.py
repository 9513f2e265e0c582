"""What messages change: a certificate, a newer one, its confirmation, its revocation."""

import dataclasses
import datetime
import hmac
import logging

from sqlalchemy import orm

from ca import hierarchy, orders, publication, revocation
from ca.applications import certification
from ca.enrolment import (
    messages,
    references,
    requests,
    senders,
    transactions,
)
from ca.renewal import rules
from ca.renewal import settings as renewal_settings
from pki import algorithms, certificates, der, der_types, errors, registry, status

log = logging.getLogger(__name__)

_ANSWERS = {
    messages.BodyType.ir: messages.BodyType.ip,
    messages.BodyType.cr: messages.BodyType.cp,
    messages.BodyType.p10cr: messages.BodyType.cp,
    messages.BodyType.kur: messages.BodyType.kup,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is answered.

    Attributes:
        body: A body in DER.
        extra_certificates: What the receiver needs besides the signer's chain.
        implicit_confirm: No certConf is awaited.
    """

    body: bytes
    extra_certificates: tuple[bytes, ...] = ()
    implicit_confirm: bool = False


@dataclasses.dataclass(frozen=True)
class Request:
    """A message whose sender is known.

    Attributes:
        message: As it was read.
        sender: Whose protection it has.
        identity: The name of its conversation.
        nonce: The senderNonce that the answer will have.
        at: The present.
    """

    message: messages.PKIMessage
    sender: senders.Sender
    identity: str
    nonce: bytes
    at: datetime.datetime


def certify(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    renewal: renewal_settings.Settings,
    request: Request,
    kind: messages.BodyType,
) -> Outcome:
    """Answer an ir, cr, p10cr or kur (RFC 9483 4.1).

    What a certificate signs for is its renewal, whichever of these bodies asks, and is under the
    rules of renewals.

    The conversation is recorded first and the certificate under its name, so that neither a
    repeated message nor a crash yields a second one.

    Raises:
        DERError: The body is malformed.
        RefusedError: The request is not granted.
        ImzaError: As `issuance.issue_certificate`.
    """
    if kind is messages.BodyType.p10cr:
        asked = requests.parse_p10_request(request.message.body)
    else:
        asked = requests.parse_cert_request(request.message.body)
    if kind is messages.BodyType.kur:
        _check_update(request.sender, asked)
    old = request.sender.record if isinstance(request.sender, senders.CertificateSender) else None
    with sessions() as session:
        transactions.begin(
            session,
            request.identity,
            kind.name,
            request.sender.application_id,
            asked.cert_req_id,
            request.at,
            renews=None if old is None else old.serial_number,
        )
        if old is not None:
            rules.check(session, old, asked.public_key, renewal, request.at)
        if isinstance(request.sender, senders.ReferenceSender):
            reference = request.sender.reference.reference
            references.use(session, reference, request.identity, request.at)
        session.commit()
    try:
        issued = _issue(sessions, authorities, request, asked)
    except errors.ImzaError:
        _give_up(sessions, request)
        raise
    implicit = request.message.header.implicit_confirm
    state = transactions.TransactionState.AWAITING_CONFIRMATION
    if implicit:
        state = transactions.TransactionState.DONE
    with sessions() as session:
        transactions.settle(session, request.identity, state, request.nonce)
        session.commit()
    modified = asked.asks_for_more or (
        asked.subject is not None and asked.subject != _subject(issued.certificate_der)
    )
    return Outcome(
        _certificate_body(kind, request.sender, asked.cert_req_id, issued, modified=modified),
        issued.chain_der[:-1],
        implicit,
    )


def encode_rejection(
    kind: messages.BodyType, failure: messages.FailureInfo, message: str
) -> bytes | None:
    """Return the body that refuses a request in its own kind; None for a kind without one."""
    said = messages.encode_status(messages.PKIStatus.rejection, failure, message)
    if kind is messages.BodyType.rr:
        return _revocation_body(said)
    if kind not in _ANSWERS:
        return None
    number = requests.CERT_REQ_ID
    if kind is messages.BodyType.p10cr:
        number = requests.P10_CERT_REQ_ID
    response = der.encode(der.SEQUENCE, der_types.encode_integer(number), said)
    return messages.encode_body(
        _ANSWERS[kind], der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, response))
    )


def confirm(
    sessions: orm.sessionmaker[orm.Session], authorities: hierarchy.Hierarchy, request: Request
) -> Outcome:
    """Answer a certConf (RFC 9810 5.3.18): the certificate stays, or is revoked.

    Raises:
        DERError: The body is malformed.
        RefusedError: No such conversation, another nonce, or a hash that is not the certificate's;
            after the last the certificate is revoked.
    """
    said = requests.parse_confirmation(request.message.body)
    refusal: messages.RefusedError | None = None
    with sessions() as session:
        row = transactions.find_awaiting(session, request.identity)
        _check_nonce(request.message.header, row.nonce)
        if said is not None and said.cert_req_id != row.cert_req_id:
            raise messages.RefusedError(
                messages.FailureInfo.badRequest, f"expected the certReqId {row.cert_req_id}"
            )
        certificate = transactions.find_certificate(session, row.id)
        right = said is not None and certificate is not None and _is_hash_of(said, certificate)
        changed = None
        if said is not None and said.accepted and right:
            row.state = transactions.TransactionState.DONE.value
        else:
            changed = transactions.reject(session, row, request.at)
        if said is not None and not right:
            refusal = messages.RefusedError(
                messages.FailureInfo.badCertId,
                "the hash is not that of the certificate, which is revoked now",
            )
        session.commit()
    _publish(sessions, authorities, changed, request.at)
    if refusal is not None:
        raise refusal
    return Outcome(confirmation_body())


def give_up(
    sessions: orm.sessionmaker[orm.Session], authorities: hierarchy.Hierarchy, request: Request
) -> Outcome:
    """Answer an error that the other side reports: what it awaits is revoked (RFC 9483 3.6.4)."""
    changed = None
    with sessions() as session:
        try:
            row = transactions.find_awaiting(session, request.identity)
            _check_nonce(request.message.header, row.nonce)
        except messages.RefusedError as error:
            # There is nothing to undo, and an error is never answered by an error.
            log.info("cmp_error_ignored failure=%s", error.failure.name)
        else:
            changed = transactions.reject(session, row, request.at)
            session.commit()
    _publish(sessions, authorities, changed, request.at)
    return Outcome(confirmation_body())


def revoke(
    sessions: orm.sessionmaker[orm.Session], authorities: hierarchy.Hierarchy, request: Request
) -> Outcome:
    """Answer an rr: its signer's own certificate is revoked or held (RFC 9483 4.2).

    Raises:
        DERError: The body is malformed.
        RefusedError: Another's certificate, or one that is revoked already.
    """
    asked = requests.parse_revocation(request.message.body)
    sender = request.sender
    if not isinstance(sender, senders.CertificateSender):
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized,
            "expected a revocation signed by the certificate that it revokes",
        )
    if not _names(asked.certificate, sender):
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized, "expected the signer's own certificate"
        )
    number = sender.record.serial_number
    with sessions() as session:
        transactions.begin(
            session,
            request.identity,
            messages.BodyType.rr.name,
            sender.application_id,
            requests.CERT_REQ_ID,
            request.at,
        )
        if asked.reason is status.RevocationReason.certificateHold:
            revocation.hold(session, number, request.at, actor=sender.name)
        else:
            revocation.revoke(
                session,
                number,
                asked.reason,
                request.at,
                actor=sender.name,
                invalidity_date=asked.invalidity_date,
            )
        transactions.settle(session, request.identity, transactions.TransactionState.DONE)
        session.commit()
    _publish(sessions, authorities, sender.record.issuer_name, request.at)
    return Outcome(_revocation_body(messages.encode_status(messages.PKIStatus.accepted)))


def confirmation_body() -> bytes:
    """A pkiConf (RFC 9810 5.3.17)."""
    return messages.encode_body(messages.BodyType.pkiconf, b"\x05\x00")


def _check_update(sender: senders.Sender, asked: requests.KeyRequest) -> None:
    if not isinstance(sender, senders.CertificateSender):
        raise messages.RefusedError(
            messages.FailureInfo.notAuthorized,
            "expected a key update signed with the certificate that it updates",
        )
    if asked.old_certificate is not None and not _names(asked.old_certificate, sender):
        raise messages.RefusedError(
            messages.FailureInfo.badCertId, "expected the signer's own certificate to be updated"
        )
    old_key = certificates.public_key(sender.certificate)
    if certificates.key_sha256(old_key) == certificates.key_sha256(asked.public_key):
        raise messages.RefusedError(
            messages.FailureInfo.badCertTemplate, "expected a new key in a key update"
        )


def _issue(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    request: Request,
    asked: requests.KeyRequest,
) -> certification.Issued:
    # For a key update as for a first certificate, the application says what was vetted and
    # approved; it is checked again that nothing of it was altered.
    sender = request.sender
    return certification.certify_key(
        sessions,
        authorities,
        sender.application_id,
        sender.profile,
        asked.public_key,
        orders.IssuanceRequest(transactions.request_key(request.identity), sender.name),
        request.at,
        renews=(
            sender.certificate.subject if isinstance(sender, senders.CertificateSender) else None
        ),
    )


def _give_up(sessions: orm.sessionmaker[orm.Session], request: Request) -> None:
    with sessions() as session:
        transactions.settle(session, request.identity, transactions.TransactionState.FAILED)
        if isinstance(request.sender, senders.ReferenceSender):
            references.give_back(session, request.sender.reference.reference, request.identity)
        session.commit()


def _certificate_body(
    kind: messages.BodyType,
    sender: senders.Sender,
    cert_req_id: int,
    issued: certification.Issued,
    *,
    modified: bool,
) -> bytes:
    said = messages.encode_status(messages.PKIStatus.accepted)
    if modified:
        said = messages.encode_status(
            messages.PKIStatus.grantedWithMods,
            message="the certificate says what was vetted and what its profile demands",
        )
    response = der.encode(
        der.SEQUENCE,
        der_types.encode_integer(cert_req_id),
        said,
        der.encode(der.SEQUENCE, der.encode(0xA0, issued.certificate_der)),
    )
    authorities = b""
    if kind is messages.BodyType.ir and isinstance(sender, senders.ReferenceSender):
        # RFC 9483 4.1.1: a secret that both share lets the applicant trust a root sent along.
        authorities = der.encode(0xA1, der.encode(der.SEQUENCE, issued.chain_der[-1]))
    return messages.encode_body(
        _ANSWERS[kind],
        der.encode(der.SEQUENCE, authorities, der.encode(der.SEQUENCE, response)),
    )


def _revocation_body(said: bytes) -> bytes:
    return messages.encode_body(
        messages.BodyType.rp, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, said))
    )


def _subject(certificate_der: bytes) -> bytes:
    return certificates.parse(certificate_der).subject.public_bytes()


def _names(named: requests.CertId, sender: senders.CertificateSender) -> bool:
    return (
        named.serial_number == sender.record.serial_number
        and named.issuer == sender.certificate.issuer.public_bytes()
    )


def _check_nonce(header: messages.PKIHeader, nonce: bytes) -> None:
    if header.recipient_nonce is None or not hmac.compare_digest(header.recipient_nonce, nonce):
        raise messages.RefusedError(
            messages.FailureInfo.badRecipientNonce, "expected the nonce of the last answer"
        )


def _is_hash_of(said: requests.Confirmation, row: registry.CertificateRow) -> bool:
    certificate_der = row.certificate_der or b""
    hash_algorithm = said.hash_algorithm
    if hash_algorithm is None:
        # RFC 9810 5.3.18: the hash of the certificate's own signature algorithm.
        hasher = certificates.parse(certificate_der).signature_hash_algorithm
        known = {one.short_name: one for one in algorithms.HashAlgorithm}
        hash_algorithm = known[hasher.name if hasher else ""]
    return hmac.compare_digest(hash_algorithm.digest(certificate_der), said.cert_hash)


def _publish(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    issuer_name: str | None,
    at: datetime.datetime,
) -> None:
    if issuer_name is None:
        return
    publication.publish_changed(sessions, authorities, [issuer_name], at, actor=transactions.ACTOR)
