"""Ask an authority for a time stamp and check everything about its answer."""

import dataclasses
import datetime
import secrets
from collections.abc import Callable, Sequence

from cryptography import x509

from pki import errors, outbound, peers
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


@dataclasses.dataclass(frozen=True)
class Demands:
    """What a relying party demands of a token besides what the protocol does.

    Attributes:
        policies: The token's must be one of them; empty: any.
        max_skew: How far genTime may be from the client's own time.
        max_accuracy: The widest accuracy that is taken; a token that declares none is taken where
            its policy is (RFC 3161 2.4.2).
    """

    policies: tuple[str, ...] = ()
    max_skew: datetime.timedelta = CLOCK_SKEW
    max_accuracy: datetime.timedelta = datetime.timedelta(seconds=60)


DEMANDS = Demands()

CheckUnit = Callable[[signed_token.TimeStampToken], object]
"""Raises an ImzaError where the unit of a token is not to be trusted."""


def request_time_stamp(
    client: outbound.Client,
    urls: str | Sequence[str],
    imprint: messages.MessageImprint,
    at: datetime.datetime,
    *,
    policy: str | None = None,
    demands: Demands = DEMANDS,
    check_unit: CheckUnit | None = None,
    patience: peers.Patience = peers.PATIENCE,
) -> signed_token.TimeStampToken:
    """Send an imprint, with a nonce, and return the checked token.

    The certificate in the token is the one that signed it and is for time-stamping alone; whether
    it is trusted is what `check_unit` says.

    Args:
        client: Sends the request, over connections that it keeps.
        urls: The authority's address, or several authorities', the preferred one first: who is
            down, slow, refuses or answers wrongly leaves the question to the next.
        imprint: The hash to be stamped.
        at: The present time, which genTime must be close to.
        policy: Asked for; only a token of this policy is taken.
        demands: What else the token must keep.
        check_unit: Judges the unit's path to a trust anchor.
        patience: How long to go on.

    Raises:
        PeerUnavailableError: No answer.
        PeerAnswerError: An answer that is no time-stamp reply by its HTTP status or type.
        TimeStampRefusedError: A rejection; retriable where the time or the system failed.
        TokenRefusedError: Malformed, for another imprint, nonce or policy, wrongly signed, or by a
            key that is not for time-stamping alone, or that `check_unit` refused.
    """

    def ask(url: str, seconds: float) -> signed_token.TimeStampToken:
        # RFC 3161 2.4.1: a nonce for each request, so that no old answer fits it.
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
            timeout_s=seconds,
            total_s=seconds,
            max_bytes=messages.MAX_RESPONSE_BYTES,
        )
        token = check_response(reply.body, request, at, demands)
        if check_unit is not None:
            try:
                check_unit(token)
            except errors.ImzaError as error:
                raise TokenRefusedError(f"the unit is not trusted: {error.message}") from error
        return token

    return peers.ask_in_turn((urls,) if isinstance(urls, str) else urls, ask, patience)


def check_response(
    response_der: bytes,
    request: messages.TimeStampRequest,
    at: datetime.datetime,
    demands: Demands = DEMANDS,
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
    if demands.policies and token.info.policy not in demands.policies:
        raise TokenRefusedError(
            f"expected a token of a policy of {', '.join(demands.policies)},"
            f" got {token.info.policy}"
        )
    if abs(token.info.gen_time - at) > demands.max_skew:
        raise TokenRefusedError("the token's time is far from this machine's: compare the clocks")
    if token.info.accuracy is not None and token.info.accuracy > demands.max_accuracy:
        raise TokenRefusedError(
            f"expected an accuracy of {demands.max_accuracy.total_seconds():g} s or better,"
            f" got {token.info.accuracy.total_seconds():g} s"
        )
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
