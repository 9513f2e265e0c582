import datetime
import pathlib

import pytest
from standardwebhooks import webhooks

from ca.notices import settings as notice_settings
from ca.notices import sms
from pki import clock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_schemes_own_library_verifies_what_we_sign(
    tmp_path: pathlib.Path,
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    secret = notice_settings.SmsSettings("https://sms.example/", file).load_secret()
    body = '{"text": "Sertifikatınız ləğv edildi"}'.encode()
    now = clock.SystemClock().now()

    def headers(at: datetime.datetime) -> dict[str, str]:
        seconds = str(int(at.timestamp()))
        return {
            "webhook-id": "17",
            "webhook-timestamp": seconds,
            "webhook-signature": sms.sign(secret, "17", seconds, body),
        }

    receiver = webhooks.Webhook(SECRET)
    assert receiver.verify(body, headers(now)) == {"text": "Sertifikatınız ləğv edildi"}
    with pytest.raises(webhooks.WebhookVerificationError):
        receiver.verify(body + b" ", headers(now))
    with pytest.raises(webhooks.WebhookVerificationError):
        receiver.verify(body, headers(now - datetime.timedelta(hours=1)))
