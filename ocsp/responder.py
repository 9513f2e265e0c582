"""Answer status requests (RFC 6960 2 and 4.2), from facts that are handed in."""

import dataclasses
import datetime
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ocsp import cert_id, messages, responder_key
from pki import algorithms, certificates, clock, errors, signature, status

log = logging.getLogger(__name__)

StatusLookup: TypeAlias = Callable[[str, int], status.CertificateStatus | None]
"""From an issuer's name and a serial number to what the registry knows; None: never issued."""

DEFAULT_VALIDITY = datetime.timedelta(minutes=30)
"""How long a response may be kept. EN 319 411-1 wants a revocation to be known within 60 minutes
of its confirmation, and X-Road takes nothing older than 3600 seconds."""


class UnknownIssuerError(errors.NotFoundError):
    """None of our CAs has the name and key hash asked for; answered `unauthorized`."""

    code = "ocsp-unknown-issuer"


@dataclasses.dataclass(frozen=True)
class Answer:
    """A response ready to be sent.

    Attributes:
        response_der: The bytes.
        response_status: What became of the request.
        produced_at: None unless successful.
        next_update: Until when anybody may keep it; None where nobody may: it answers one
            requester's nonce, or says `unknown` of a certificate that may be issued any moment.
    """

    response_der: bytes = dataclasses.field(repr=False)
    response_status: messages.ResponseStatus
    produced_at: datetime.datetime | None = None
    next_update: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Responder:
    """What answering needs.

    Attributes:
        issuers: The CAs answered for.
        lookup: Reads the registry.
        validity: From thisUpdate to nextUpdate.
    """

    issuers: Sequence[responder_key.StatusIssuer]
    lookup: StatusLookup
    validity: datetime.timedelta = DEFAULT_VALIDITY


def respond(request_der: bytes, responder: Responder, at: datetime.datetime) -> Answer:
    """Answer any bytes; what cannot be answered gets the error status that fits (RFC 6960 4.2.1).

    Args:
        request_der: What came, whatever it is.
        responder: The issuers, their keys and the registry.
        at: The present time.
    """
    try:
        request = messages.parse_request(request_der)
        answer = answer_request(request, responder, at)
    except messages.MalformedRequestError as error:
        return _refuse(messages.ResponseStatus.malformedRequest, error)
    except UnknownIssuerError as error:
        return _refuse(messages.ResponseStatus.unauthorized, error)
    except (errors.DeviceError, errors.PeerError) as error:
        why = messages.ResponseStatus.internalError
        if error.retriable:
            why = messages.ResponseStatus.tryLater
        return _refuse(why, error)
    except errors.ImzaError as error:
        return _refuse(messages.ResponseStatus.internalError, error)
    log.info("status_answered certificates=%d", len(request.cert_ids))
    return answer


def answer_request(
    request: messages.OCSPRequest, responder: Responder, at: datetime.datetime
) -> Answer:
    """Answer a status request for certificates of one issuer and sign the response.

    A serial that the issuer never issued is answered `unknown`, never `good` (RFC 6960 2.2).

    Args:
        request: At most `MAX_CERTS_PER_REQUEST` identifiers, hashed with SHA-1 or SHA-256.
        responder: The issuers, their keys and the registry.
        at: Becomes producedAt and thisUpdate, cut to whole seconds.

    Raises:
        UnknownIssuerError: Not one issuer of ours that all identifiers name.
        NoResponderKeyError: The issuer has no responder with a valid certificate.
        DeviceError: The key did not sign.
    """
    issuer = _find_issuer(request.cert_ids, responder.issuers)
    key = issuer.key_at(at)
    produced_at = clock.whole_seconds(at)
    # No response outlives its signer's certificate: nobody could verify it then.
    next_update = min(produced_at + responder.validity, key.certificate.not_valid_after_utc)
    statuses = [responder.lookup(issuer.name, one.serial_number) for one in request.cert_ids]
    data = messages.ResponseData(
        responder=cert_id.key_hash(key.certificate, cert_id.CertIDHash.SHA1),
        produced_at=produced_at,
        responses=tuple(
            messages.SingleResponse(
                cert_id=one,
                status=known,
                this_update=produced_at,
                # Of an unknown serial newer information may come any moment (RFC 6960 4.2.2.1).
                next_update=next_update if known is not None else None,
                # EN 319 411-2: status is kept since the CA began, beyond expiry.
                archive_cutoff=issuer.certificate.not_valid_before_utc
                if known is not None
                else None,
            )
            for one, known in zip(request.cert_ids, statuses, strict=True)
        ),
        nonce=request.nonce,
    )
    signed = messages.build_response_data(data)
    hash_algorithm = algorithms.key_kind(key.handle.public_key).hash_algorithm
    value = key.handle.sign(signature.represent(signed, hash_algorithm))
    response_der = messages.build_response(signed, value, (certificates.to_der(key.certificate),))
    may_be_kept = request.nonce is None and None not in statuses
    return Answer(
        response_der,
        messages.ResponseStatus.successful,
        produced_at,
        next_update if may_be_kept else None,
    )


def _find_issuer(
    cert_ids: tuple[cert_id.CertID, ...], issuers: Sequence[responder_key.StatusIssuer]
) -> responder_key.StatusIssuer:
    """Return the issuer that all identifiers name.

    One response has one signer, and a delegated responder speaks for its own issuer alone.
    """
    for issuer in issuers:
        if all(one.issuer in issuer.identities for one in cert_ids):
            return issuer
    raise UnknownIssuerError("the request names no issuer of ours, or several")


def _refuse(why: messages.ResponseStatus, error: errors.ImzaError) -> Answer:
    log.log(
        logging.WARNING if why.value in {2, 3} else logging.INFO,
        "status_refused response=%s code=%s",
        why.name,
        error.code,
    )
    return Answer(messages.build_error(why), why)
