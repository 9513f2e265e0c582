"""Ask a responder for a certificate's status and check everything about its answer."""

import dataclasses
import datetime
import hmac
import secrets
from collections.abc import Iterator

from cryptography import x509

from ocsp import cert_id, delegation, messages
from pki import certificates, clock, der_types, errors, outbound, signature, status

NONCE_OCTETS = 32
"""What RFC 9654 2.1 wants of clients."""

CLOCK_SKEW = datetime.timedelta(seconds=60)
"""How far the clocks of responder and client may be apart."""

MAX_AGE = datetime.timedelta(hours=24)
"""Oldest answer that is taken where it has no nonce and no nextUpdate of its own."""

MAX_ANSWER_TIME = datetime.timedelta(minutes=2)
"""More than any request waits for its answer."""

REQUEST_TYPE = "application/ocsp-request"
RESPONSE_TYPE = "application/ocsp-response"


class NoResponderAddressError(errors.InputError):
    """The certificate names no responder, and the caller gave none."""

    code = "ocsp-no-address"


class ResponderRefusedError(errors.PeerError):
    """The responder answered with an error status."""

    code = "ocsp-refused"


class ResponseRefusedError(errors.PeerError):
    """The answer is not one that a careful relying party takes."""

    code = "ocsp-response-refused"
    retriable = False


class StaleResponseError(ResponseRefusedError):
    """The answer is too old, or from before the time it must vouch for; asking later helps."""

    code = "ocsp-response-stale"
    retriable = True


class StatusUnknownError(errors.PeerError):
    """The responder does not know the certificate."""

    code = "ocsp-status-unknown"
    retriable = False


@dataclasses.dataclass(frozen=True)
class CheckedStatus:
    """A certificate's status and the response that proves it.

    Attributes:
        response_der: The whole OCSPResponse, to be kept as revocation data.
        status: Good, or revoked with time and reason.
        produced_at: When the responder signed.
        this_update: When the status was known to be right.
        next_update: When newer information will be there.
        responder: The certificate that signed: the issuer's own or a delegated one.
    """

    response_der: bytes = dataclasses.field(repr=False)
    status: status.CertificateStatus
    produced_at: datetime.datetime
    this_update: datetime.datetime
    next_update: datetime.datetime | None
    responder: x509.Certificate


def fetch_status(
    client: outbound.Client,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime.datetime,
    *,
    url: str | None = None,
    not_before: datetime.datetime | None = None,
    timeout_s: float | None = None,
) -> CheckedStatus:
    """Ask, with a nonce, for the status of a certificate and check the answer.

    Args:
        client: Sends the request.
        certificate: Whose status is asked.
        issuer: Its issuer; the certificate's signature is checked against it.
        at: The present time, by which the answer must be fresh.
        url: Where to ask; else what the certificate names.
        not_before: The answer's thisUpdate must not lie before this time. For a signature that a
            time stamp of whole-second time covers: the time stamp's time.
        timeout_s: How long to wait.

    Raises:
        NoResponderAddressError: No address to ask at.
        CertificateSignatureError: `issuer` did not issue `certificate`.
        PeerUnavailableError: No answer.
        PeerAnswerError: An answer that is no OCSP response by its HTTP status or type.
        ResponderRefusedError: An error status; retriable when it is tryLater or internalError.
        ResponseRefusedError: Malformed, not about this certificate, not signed by a responder
            that the issuer authorised, stale, or without the nonce.
        StatusUnknownError: The responder does not know the certificate.
    """
    certificates.check_issued_by(certificate, issuer)
    address = url or next(iter(certificates.read(certificate).ocsp_urls), None)
    if address is None:
        raise NoResponderAddressError("the certificate names no OCSP responder")
    request = messages.OCSPRequest(
        (cert_id.name_certificate(issuer, certificate.serial_number),),
        secrets.token_bytes(NONCE_OCTETS),
    )
    reply = client.send(
        "POST",
        address,
        body=messages.build_request(request),
        content_type=REQUEST_TYPE,
        accept=RESPONSE_TYPE,
        expect_type=RESPONSE_TYPE,
        timeout_s=timeout_s,
    )
    return check_response(
        reply.body, certificate, issuer, at, nonce=request.nonce, not_before=not_before
    )


def check_response(
    response_der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime.datetime,
    *,
    nonce: bytes | None = None,
    not_before: datetime.datetime | None = None,
) -> CheckedStatus:
    """Check a response for a certificate, however it came.

    Args:
        response_der: The OCSPResponse.
        certificate: Whose status it must be.
        issuer: The certificate's issuer.
        at: The time at which it must be fresh.
        nonce: What must come back; None where none was sent.
        not_before: As for `fetch_status`.

    Raises:
        ResponderRefusedError, ResponseRefusedError, StatusUnknownError: As for `fetch_status`.
    """
    try:
        why, basic = messages.parse_response(response_der)
    except messages.MalformedResponseError as error:
        raise ResponseRefusedError(str(error)) from error
    if basic is None:
        raise ResponderRefusedError(
            f"the OCSP responder answered {why.name}",
            retriable=why
            in {messages.ResponseStatus.tryLater, messages.ResponseStatus.internalError},
        )
    signer = _check_signature(basic, issuer, at)
    if nonce is not None and not hmac.compare_digest(basic.data.nonce or b"", nonce):
        raise ResponseRefusedError("the OCSP response does not carry the nonce that was sent")
    single = _find_single(basic.data, certificate, issuer)
    _check_times(basic.data, single, at, fresh=nonce is not None)
    if not_before is not None and single.this_update < clock.whole_seconds(not_before):
        raise StaleResponseError(
            "the OCSP response is from before the time it must vouch for: ask again"
        )
    if single.status is None:
        raise StatusUnknownError("the OCSP responder does not know the certificate")
    return CheckedStatus(
        response_der,
        single.status,
        basic.data.produced_at,
        single.this_update,
        single.next_update,
        signer,
    )


def _check_signature(
    basic: messages.BasicResponse, issuer: x509.Certificate, at: datetime.datetime
) -> x509.Certificate:
    """Return the certificate that signed, which is the issuer's or one it authorised itself."""
    for candidate in _candidates(basic, issuer):
        try:
            if candidate != issuer:
                delegation.check_delegation(candidate, issuer)
            _verify(basic, candidate)
        except errors.ImzaError as error:
            raise ResponseRefusedError(f"the OCSP response is not trusted: {error}") from error
        if not candidate.not_valid_before_utc <= at <= candidate.not_valid_after_utc:
            raise ResponseRefusedError("the OCSP responder's certificate is not valid now")
        return candidate
    raise ResponseRefusedError("the OCSP response comes without its responder's certificate")


def _candidates(
    basic: messages.BasicResponse, issuer: x509.Certificate
) -> Iterator[x509.Certificate]:
    """The certificates that the responder's identifier fits, the issuer's own first."""
    if _is_responder(basic.data, issuer):
        yield issuer
    for certificate_der in basic.certificates:
        try:
            certificate = certificates.parse(certificate_der)
        except certificates.CertificateError as error:
            raise ResponseRefusedError(f"the OCSP response holds {error}") from error
        if certificate != issuer and _is_responder(basic.data, certificate):
            yield certificate


def _is_responder(data: messages.ResponseData, certificate: x509.Certificate) -> bool:
    if data.by_key:
        return data.responder == cert_id.key_hash(certificate, cert_id.CertIDHash.SHA1)
    parts = der_types.certificate_parts(certificate.tbs_certificate_bytes)
    return data.responder == parts.subject


def _verify(basic: messages.BasicResponse, signer: x509.Certificate) -> None:
    key = certificates.public_key(signer)
    value = der_types.decode_signature_value(basic.algorithm, basic.signature, key)
    signature.check_value(key, signature.represent(basic.signed, value.hash_algorithm), value)


def _find_single(
    data: messages.ResponseData, certificate: x509.Certificate, issuer: x509.Certificate
) -> messages.SingleResponse:
    for single in data.responses:
        identity = single.cert_id.issuer
        if (
            identity is not None
            and single.cert_id.serial_number == certificate.serial_number
            and identity == cert_id.issuer_id(issuer, identity.hash_algorithm)
        ):
            return single
    raise ResponseRefusedError("the OCSP response is about another certificate")


def _check_times(
    data: messages.ResponseData,
    single: messages.SingleResponse,
    at: datetime.datetime,
    *,
    fresh: bool,
) -> None:
    """Check the times against `at` (RFC 6960 3.2 points 5 and 6, 4.2.2.1)."""
    if max(single.this_update, data.produced_at) > at + CLOCK_SKEW:
        raise StaleResponseError("the OCSP response is from the future: compare the clocks")
    if single.next_update is not None and single.next_update < at - CLOCK_SKEW:
        raise StaleResponseError("newer information than the OCSP response is available")
    age = at - single.this_update
    if age > MAX_AGE and single.next_update is None:
        raise StaleResponseError("the OCSP response is older than a day and has no nextUpdate")
    if fresh and at - data.produced_at > CLOCK_SKEW + MAX_ANSWER_TIME:
        raise StaleResponseError("the OCSP response was not produced for this request")
