"""Ask an authority for a time stamp and check everything about its answer."""

import datetime
import secrets

from cryptography import x509

from pki import errors, outbound
from tsa import messages, signed_token, unit_certificate

NONCE_BITS = 64
"""RFC 3161 2.4.1: large, so that it is used once."""

CLOCK_SKEW = datetime.timedelta(seconds=120)
"""How far genTime may be from the client's own time, the waiting included."""

REQUEST_TYPE = "application/timestamp-query"
RESPONSE_TYPE = "application/timestamp-reply"


class TimeStampRefusedError(errors.PeerError):
    """The authority gave no token."""

    code = "time-stamp-refused"


class TokenRefusedError(errors.PeerError):
    """The token is not one that a careful relying party takes."""

    code = "time-stamp-token-refused"
    retriable = False


def request_time_stamp(
    client: outbound.Client,
    url: str,
    imprint: messages.MessageImprint,
    at: datetime.datetime,
    *,
    policy: str | None = None,
    timeout_s: float | None = None,
) -> signed_token.TimeStampToken:
    """Send an imprint, with a nonce, and return the checked token.

    The certificate in the token is the one that signed it and is for time-stamping alone; its
    path to a trust anchor is the caller's to validate.

    Args:
        client: Sends the request.
        url: The authority's address.
        imprint: The hash to be stamped.
        at: The present time, which genTime must be close to.
        policy: Only a token of this policy is taken.
        timeout_s: How long to wait.

    Raises:
        PeerUnavailableError: No answer.
        PeerAnswerError: An answer that is no time-stamp reply by its HTTP status or type.
        TimeStampRefusedError: A rejection; retriable where the time or the system failed.
        TokenRefusedError: Malformed, for another imprint, nonce or policy, wrongly signed, or by a
            key that is not for time-stamping alone.
    """
    request = messages.TimeStampRequest(
        imprint, policy, nonce=secrets.randbits(NONCE_BITS), cert_req=True
    )
    reply = client.send(
        "POST",
        url,
        body=messages.build_request(request),
        content_type=REQUEST_TYPE,
        accept=RESPONSE_TYPE,
        expect_type=RESPONSE_TYPE,
        timeout_s=timeout_s,
    )
    return check_response(reply.body, request, at)


def check_response(
    response_der: bytes, request: messages.TimeStampRequest, at: datetime.datetime
) -> signed_token.TimeStampToken:
    """Check an answer to a request that asked for the certificate.

    Raises:
        TimeStampRefusedError, TokenRefusedError: As for `request_time_stamp`.
    """
    try:
        response = messages.parse_response(response_der)
    except messages.MalformedTokenError as error:
        raise TokenRefusedError(str(error)) from error
    if response.token_der is None:
        raise _refusal(response)
    try:
        token = signed_token.parse_token(response.token_der)
        check_token(token, request.imprint)
    except errors.InputError as error:
        raise TokenRefusedError(f"the time-stamp token is refused: {error}") from error
    # RFC 3161 2.2: imprint, nonce and policy are compared before the token is relied upon.
    if request.nonce is not None and token.info.nonce != request.nonce:
        raise TokenRefusedError("the token does not carry the nonce that was sent")
    if request.policy is not None and token.info.policy != request.policy:
        raise TokenRefusedError("the token is of another policy than was asked for")
    if abs(token.info.gen_time - at) > CLOCK_SKEW:
        raise TokenRefusedError("the token's time is far from this machine's: compare the clocks")
    return token


def check_token(
    token: signed_token.TimeStampToken, imprint: messages.MessageImprint
) -> x509.Certificate:
    """Check that a token covers an imprint and is signed by a unit; return its certificate.

    Raises:
        TokenSignatureError: Another imprint, no certificate, or a signature that is not right.
        UnitCertificateError: The signer is not for time-stamping alone.
        InputError: An algorithm that is not allowed.
    """
    if token.info.imprint != imprint:
        raise signed_token.TokenSignatureError("the token covers another imprint")
    certificate = signed_token.find_signer_certificate(token)
    unit_certificate.check_purpose(certificate)
    if not (
        certificate.not_valid_before_utc <= token.info.gen_time <= certificate.not_valid_after_utc
    ):
        raise unit_certificate.UnitCertificateError(
            "the unit's certificate was not valid when the token was made"
        )
    signed_token.check_signature(token, certificate)
    return certificate


def _refusal(response: messages.TimeStampResponse) -> TimeStampRefusedError:
    names = sorted(one.name for one in response.failures) or [response.status.name]
    passing = {
        messages.PKIFailureInfo.timeNotAvailable,
        messages.PKIFailureInfo.systemFailure,
    }
    return TimeStampRefusedError(
        f"the time-stamping authority refused: {', '.join(names)}",
        retriable=bool(response.failures & passing),
    )
