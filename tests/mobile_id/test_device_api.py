import base64
import threading
import time

import httpx
import pytest

from mobile_id import gateway, results
from mobile_id.simulation import personas, phones, sim_applet
from pki import outbound
from tests.mobile_id.conftest import PARTY_NAME, WHO, World, representation


def ask(world: World, text: str = "contract") -> str:
    request = gateway.SignatureRequest(
        results.Operation.SIGNATURE, WHO, representation(text), results.Language.ENG, "Text"
    )
    return world.gateway.request_signature(world.party, PARTY_NAME, request, world.present.now())


def call(world: World, method: str, path: str, secret: str, **given: object) -> httpx.Response:
    return httpx.request(
        method,
        f"{world.device_url}/{path}",
        headers={"Authorization": f"Bearer {secret}"},
        trust_env=False,
        timeout=70,
        **given,  # type: ignore[arg-type]
    )


def test_a_phone_that_waits_gets_a_request_as_soon_as_it_comes(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    got: list[tuple[phones.Delivery | None, float]] = []

    def fetch() -> None:
        got.append((live.device(enrolled).fetch(20), time.monotonic()))

    waiting = threading.Thread(target=fetch)
    waiting.start()
    time.sleep(0.3)
    asked = time.monotonic()
    session_id = ask(live)
    waiting.join(5)
    delivery, when = got[0]
    assert delivery is not None
    assert delivery.id == session_id
    assert delivery.prompt.representation == representation()
    assert when - asked < 1


def test_nothing_asked_is_204_after_the_wait(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    begun = time.monotonic()
    assert live.device(enrolled).fetch(1) is None
    assert 0.9 < time.monotonic() - begun < 4


def test_the_same_request_is_given_again_until_the_phone_says_it_has_seen_it(
    live: World,
) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    first = ask(live)
    device = live.device(enrolled)
    for _ in range(2):
        delivery = device.fetch(0)
        assert delivery is not None
        assert delivery.id == first
    assert device.fetch(0, first) is None
    second = ask(live, "second")
    assert device.fetch(0, first) is None
    device.refuse(first, results.Result.USER_CANCELLED)
    delivery = device.fetch(5, first)
    assert delivery is not None
    assert delivery.id == second


def test_a_wrong_or_missing_secret_is_401_and_a_foreign_transaction_404(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    other = live.enrol(
        personas.Behaviour.MANUAL, phone_number="+994501112244", person_code="6AB12CD"
    )
    session_id = ask(live)
    secret = enrolled.person.device_secret
    for wrong in ("x", other.subscriber_id):
        assert call(live, "GET", "transactions/open", wrong).status_code == 401
    bare = httpx.get(f"{live.device_url}/transactions/open", trust_env=False)
    assert bare.status_code == 401
    response = call(
        live,
        "POST",
        f"transactions/{session_id}/refusal",
        other.person.device_secret,
        json={"reason": "USER_CANCELLED"},
    )
    assert response.status_code == 404
    assert call(live, "GET", "transactions/open", secret).status_code == 200


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("confirmation", {}),
        ("confirmation", {"signature_value": 5}),
        ("confirmation", {"signature_value": "****"}),
        ("confirmation", {"signature_value": "A" * 200}),
        ("confirmation", {"signature_value": "AAAA", "pin": "1234"}),
        ("refusal", {}),
        ("refusal", {"reason": "OK"}),
        ("refusal", {"reason": "NOT_MID_CLIENT"}),
        ("refusal", {"reason": "because"}),
        ("refusal", []),
    ],
)
def test_malformed_answers_of_a_phone_are_4xx_and_change_nothing(
    live: World, path: str, content: object
) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    session_id = ask(live)
    secret = enrolled.person.device_secret
    assert call(live, "GET", "transactions/open", secret).status_code == 200
    response = call(live, "POST", f"transactions/{session_id}/{path}", secret, json=content)
    assert 400 <= response.status_code < 500
    found = live.gateway.session_status(
        session_id, results.Operation.SIGNATURE, "127.0.0.1", live.present.now()
    )
    assert found.result is None


def test_the_same_confirmation_twice_gets_the_same_answer_and_another_one_409(
    live: World,
) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    session_id = ask(live)
    secret = enrolled.person.device_secret
    delivery = live.device(enrolled).fetch(2)
    assert delivery is not None
    applet = sim_applet.SimApplet(personas.sim_path(live.folder, WHO.phone_number))
    applet.display(delivery.prompt)
    applet.confirm()
    encoded = base64.b64encode(applet.sign(enrolled.person.pin2).value).decode()
    path = f"transactions/{session_id}/confirmation"
    for _ in range(2):
        answer = call(live, "POST", path, secret, json={"signature_value": encoded})
        assert answer.json() == {"result": "OK"}
    other = base64.b64encode(bytes(64)).decode()
    assert call(live, "POST", path, secret, json={"signature_value": other}).status_code == 409
    refusal = call(
        live,
        "POST",
        f"transactions/{session_id}/refusal",
        secret,
        json={"reason": "USER_CANCELLED"},
    )
    assert refusal.status_code == 409


def test_a_gateway_that_talks_nonsense_is_a_peer_error_for_the_phone(live: World) -> None:
    device = phones.DeviceClient(live.http, live.api_root, "secret")
    with pytest.raises(outbound.PeerAnswerError):
        device.fetch(0)
