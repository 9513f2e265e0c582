"""Ask a responder for a certificate's status and check everything about its answer."""

import dataclasses
import datetime
import enum
import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence

from cryptography import x509

from ocsp import cert_id, delegation, messages
from pki import certificates, clock, der_types, errors, outbound, peers, signature, status

NONCE_OCTETS = 32
"""What RFC 9654 2.1 wants of clients."""

CLOCK_SKEW = datetime.timedelta(seconds=60)
"""How far the clocks of responder and client may be apart."""

MAX_AGE = datetime.timedelta(hours=24)
"""Oldest answer that is taken where it has no nonce and no nextUpdate of its own."""

MAX_ANSWER_TIME = datetime.timedelta(minutes=2)
"""More than any request waits for its answer."""

MAX_RESPONDERS = 4
"""More than any certificate names in earnest; a stranger's might name a thousand."""

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


class NoncePolicy(enum.Enum):
    """What a client does about the nonce (RFC 9654)."""

    REQUIRED = "required"
    """It is sent, and an answer without it is refused."""

    PREFERRED = "preferred"
    """It is sent; an answer without it, as from a responder that signs in advance, is taken while
    it is fresh. An answer with another nonce is refused."""

    NOT_SENT = "not-sent"
    """The answer may come from a cache, and is taken while it is fresh."""


@dataclasses.dataclass(frozen=True)
class Demands:
    """What a relying party demands of an answer.

    Attributes:
        nonce: What happens where the responder omits it.
        max_age: The oldest thisUpdate that is taken of an answer without the nonce, or None:
            as nextUpdate says, and a day where there is none.
    """

    nonce: NoncePolicy = NoncePolicy.REQUIRED
    max_age: datetime.timedelta | None = None


DEMANDS = Demands()

CheckResponder = Callable[[x509.Certificate], object]
"""Raises an ImzaError where a responder's own certificate is revoked, or that cannot be told."""


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
    urls: Sequence[str] = (),
    not_before: datetime.datetime | None = None,
    demands: Demands = DEMANDS,
    check_responder: CheckResponder | None = None,
    patience: peers.Patience = peers.PATIENCE,
) -> CheckedStatus:
    """Ask for the status of a certificate and check the answer.

    Args:
        client: Sends the request, over connections that it keeps.
        certificate: Whose status is asked.
        issuer: Its issuer; the certificate's signature is checked against it.
        at: The present time, by which the answer must be fresh.
        urls: Where to ask, the preferred responder first; else what the certificate names. Who is
            down, slow, says tryLater or answers wrongly leaves the question to the next.
        not_before: The answer's thisUpdate must not lie before this time. For a signature that a
            time stamp of whole-second time covers: the time stamp's time.
        demands: Whether a nonce is sent, and how old an answer without it may be.
        check_responder: Tells the status of a delegated responder whose certificate has no
            ocsp-nocheck; without it such a responder is refused (RFC 6960 4.2.2.2.1).
        patience: How long to go on.

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
    addresses = tuple(urls) or certificates.read(certificate).ocsp_urls
    if not addresses:
        raise NoResponderAddressError("the certificate names no OCSP responder")
    name = cert_id.name_certificate(issuer, certificate.serial_number)

    def ask(url: str, seconds: float) -> CheckedStatus:
        sends = demands.nonce is not NoncePolicy.NOT_SENT
        request = messages.OCSPRequest(
            (name,), secrets.token_bytes(NONCE_OCTETS) if sends else None
        )
        reply = client.send(
            "POST",
            url,
            body=messages.build_request(request),
            content_type=REQUEST_TYPE,
            accept=RESPONSE_TYPE,
            expect_type=RESPONSE_TYPE,
            timeout_s=seconds,
            total_s=seconds,
            max_bytes=messages.MAX_RESPONSE_BYTES,
        )
        return check_response(
            reply.body,
            certificate,
            issuer,
            at,
            nonce=request.nonce,
            not_before=not_before,
            demands=demands,
            check_responder=check_responder,
        )

    return peers.ask_in_turn(addresses[:MAX_RESPONDERS], ask, patience)


def check_response(
    response_der: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime.datetime,
    *,
    nonce: bytes | None = None,
    not_before: datetime.datetime | None = None,
    demands: Demands = DEMANDS,
    check_responder: CheckResponder | None = None,
) -> CheckedStatus:
    """Check a response for a certificate, however it came.

    Args:
        response_der: The OCSPResponse.
        certificate: Whose status it must be.
        issuer: The certificate's issuer.
        at: The time at which it must be fresh.
        nonce: What must come back; None where none was sent.
        not_before: As for `fetch_status`.
        demands: Likewise.
        check_responder: Likewise.

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
    signer = _check_signature(basic, issuer, at, check_responder)
    fresh = nonce is not None
    if nonce is not None and not hmac.compare_digest(basic.data.nonce or b"", nonce):
        fresh = False
        if basic.data.nonce is not None or demands.nonce is not NoncePolicy.PREFERRED:
            raise ResponseRefusedError("the OCSP response does not carry the nonce that was sent")
    single = _find_single(basic.data, certificate, issuer)
    _check_times(basic.data, single, at, fresh=fresh, max_age=demands.max_age)
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
    basic: messages.BasicResponse,
    issuer: x509.Certificate,
    at: datetime.datetime,
    check_responder: CheckResponder | None,
) -> x509.Certificate:
    """Return the certificate that signed, which is the issuer's or one it authorised itself."""
    for candidate in _candidates(basic, issuer):
        try:
            if candidate != issuer:
                delegation.check_purpose(candidate, issuer)
                if not delegation.needs_no_check(candidate):
                    _check_own_status(candidate, check_responder)
            _verify(basic, candidate)
        except errors.ImzaError as error:
            raise ResponseRefusedError(f"the OCSP response is not trusted: {error}") from error
        begin, end = candidate.not_valid_before_utc, candidate.not_valid_after_utc
        if not begin <= at <= end:
            raise ResponseRefusedError("the OCSP responder's certificate is not valid now")
        if not begin <= basic.data.produced_at <= end:
            raise ResponseRefusedError(
                "the OCSP responder's certificate was not valid when the response was produced"
            )
        return candidate
    raise ResponseRefusedError("the OCSP response comes without its responder's certificate")


def _check_own_status(responder: x509.Certificate, check_responder: CheckResponder | None) -> None:
    if check_responder is None:
        # RFC 6960 4.2.2.2.1: without ocsp-nocheck its own status has to be asked elsewhere.
        raise delegation.ResponderCertificateError(
            "the responder's certificate has no ocsp-nocheck extension"
        )
    check_responder(responder)


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
    max_age: datetime.timedelta | None,
) -> None:
    """Check the times against `at` (RFC 6960 3.2 points 5 and 6, 4.2.2.1)."""
    if max(single.this_update, data.produced_at) > at + CLOCK_SKEW:
        raise StaleResponseError("the OCSP response is from the future: compare the clocks")
    if single.next_update is not None and single.next_update < at - CLOCK_SKEW:
        raise StaleResponseError("newer information than the OCSP response is available")
    age = at - single.this_update
    if age > MAX_AGE and single.next_update is None:
        raise StaleResponseError("the OCSP response is older than a day and has no nextUpdate")
    if not fresh and max_age is not None and age > max_age + CLOCK_SKEW:
        raise StaleResponseError(
            f"expected an OCSP response at most {max_age.total_seconds():.0f} s old,"
            f" got one of {age.total_seconds():.0f} s"
        )
    if fresh and at - data.produced_at > CLOCK_SKEW + MAX_ANSWER_TIME:
        raise StaleResponseError("the OCSP response was not produced for this request")
