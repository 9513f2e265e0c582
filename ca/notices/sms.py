"""Handing SMS to a gateway: a POST of JSON signed by the Standard Webhooks scheme."""

import base64
import datetime
import hmac
import json

from pki import errors, outbound

TIMEOUT_S = 10.0

_LATER = frozenset({408, 425, 429})
"""Refusals that may be none later."""


class SmsError(errors.PeerError):
    """The gateway did not take a message; `retriable` says whether it may later.

    Attributes:
        reached: The gateway was there, so that another message can be tried at once.
    """

    code = "sms-not-taken"

    def __init__(self, said: str, *, retriable: bool, reached: bool) -> None:
        """Keep a sentence without number or content."""
        super().__init__(f"the SMS gateway did not take the message ({said})", retriable=retriable)
        self.reached = reached


def send(
    client: outbound.Client,
    url: str,
    secret: bytes,
    *,
    phone_number: str,
    text: str,
    message_id: str,
    at: datetime.datetime,
) -> None:
    """Hand one message over.

    Args:
        client: What sends.
        url: The gateway's.
        secret: The key of the signature.
        phone_number: E.164.
        text: What the phone shows.
        message_id: The same in every attempt: the gateway sends one id once.
        at: The present; the gateway refuses what is old.

    Raises:
        SmsError: The gateway did not take it.
    """
    body = json.dumps(
        {
            "type": "notice.sms",
            "timestamp": at.isoformat(),
            "data": {"to": phone_number, "text": text},
        },
        ensure_ascii=False,
    ).encode()
    seconds = str(int(at.timestamp()))
    try:
        client.send(
            "POST",
            url,
            body=body,
            content_type="application/json",
            headers={
                "webhook-id": message_id,
                "webhook-timestamp": seconds,
                "webhook-signature": sign(secret, message_id, seconds, body),
            },
            timeout_s=TIMEOUT_S,
            expect=range(200, 300),
        )
    except outbound.PeerAnswerError as error:
        status = 0 if error.reply is None else error.reply.status
        final = 400 <= status < 500 and status not in _LATER
        raise SmsError(f"HTTP {status}", retriable=not final, reached=True) from None
    except outbound.PeerUnavailableError as error:
        raise SmsError(error.code, retriable=True, reached=False) from None


def sign(secret: bytes, message_id: str, seconds: str, body: bytes) -> str:
    """Return `v1,` and the base64 of HMAC-SHA256 over id, time and body, joined by dots."""
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode('ascii')}"
