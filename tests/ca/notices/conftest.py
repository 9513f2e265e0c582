import datetime
import json
import pathlib
from collections.abc import Iterator

import fastapi
import pytest
from standardwebhooks import webhooks

from ca.notices import delivery, occasions
from ca.notices import settings as notice_settings
from pki import outbound
from tests.support import ca_world, mail_server, servers
from tests.support.notice_desk import Desk, Gateway

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    app = fastapi.FastAPI()

    @app.post("/sms")
    async def take(request: fastapi.Request) -> fastapi.Response:
        body = await request.body()
        message_id = request.headers["webhook-id"]
        # The scheme's own library. Its check of the time is left out: clocks are moved here.
        at = datetime.datetime.fromtimestamp(
            int(request.headers["webhook-timestamp"]), datetime.UTC
        )
        expected = webhooks.Webhook(SECRET).sign(message_id, at, body.decode())
        if request.headers["webhook-signature"] != expected:
            return fastapi.Response(status_code=401)
        if gateway.status < 300:
            gateway.taken.append((message_id, json.loads(body)))
        return fastapi.Response(status_code=gateway.status)

    with servers.serve(app) as url:
        gateway.url = f"{url}/sms"
        yield gateway


@pytest.fixture
def desk(world: ca_world.World, gateway: Gateway, tmp_path: pathlib.Path) -> Iterator[Desk]:
    secret = tmp_path / "sms-secret"
    secret.write_text(SECRET)
    with mail_server.serve() as mail:
        settings = notice_settings.Settings(
            smtp=notice_settings.SmtpSettings(
                "127.0.0.1", "CA <ca@pki.example>", port=mail.port, security="none"
            ),
            sms=notice_settings.SmsSettings(gateway.url, secret),
            attempts=3,
        )
        client = outbound.Client(timeout_s=5.0)
        post = delivery.Post(world.sessions, settings, client, "TEST Mərkəz")
        made = Desk(world, mail, gateway, post, world.application())
        made.tell(world.at, email="gunay@example.az", phone_number="+994501234567")
        # The audit log is followed from here on.
        occasions.record_changes(world.sessions, settings, world.at)
        yield made
        client.close()
