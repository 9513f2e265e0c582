import base64
import dataclasses
import datetime
import json
import re
import threading
import time
from typing import Any

import httpx
import pytest
from cryptography import x509

from mobile_id import api, gateway, results, waiting
from mobile_id.simulation import personas
from pki import algorithms, signature
from tests.mobile_id.conftest import (
    PARTY_NAME,
    PARTY_UUID,
    WHO,
    World,
    make_application,
    mid_hash,
    representation,
)
from tests.support import servers

STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "relyingPartyUUID": PARTY_UUID,
        "relyingPartyName": PARTY_NAME,
        "phoneNumber": WHO.phone_number,
        "nationalIdentityNumber": WHO.person_code,
        "hash": mid_hash(),
        "hashType": "SHA256",
        "language": "ENG",
        **changes,
    }


def post(world: World, path: str, **changes: Any) -> httpx.Response:
    return httpx.post(f"{world.api_root}/{path}", json=fields(**changes), trust_env=False)


def get(world: World, path: str, timeout_ms: int | str | None = None) -> httpx.Response:
    query = "" if timeout_ms is None else f"?timeoutMs={timeout_ms}"
    return httpx.get(f"{world.api_root}/{path}{query}", timeout=95, trust_env=False)


def assert_error(response: httpx.Response, status: int, text: str) -> None:
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"error", "time", "traceId"}
    assert body["error"] == text
    assert re.fullmatch(STAMP, body["time"])
    assert re.fullmatch(r"[0-9a-f]{16}", body["traceId"])


@pytest.mark.clause("Mobile-ID REST", "3.1.6")
def test_the_signing_certificate_is_given_at_once(live: World) -> None:
    enrolled = live.enrol()
    body = post(live, "certificate").json()
    assert set(body) == {"result", "cert", "time", "traceId"}
    assert base64.b64decode(body["cert"]) == enrolled.signing_certificate
    unknown = post(live, "certificate", phoneNumber="+994559999999").json()
    assert unknown["result"] == "NOT_FOUND"
    assert "cert" not in unknown


@pytest.mark.clause("Mobile-ID REST", "3.3.5")
@pytest.mark.parametrize("operation", ["authentication", "signature"])
def test_a_completed_session_has_exactly_the_published_fields(live: World, operation: str) -> None:
    enrolled = live.enrol()
    started = post(live, operation).json()
    assert set(started) == {"sessionID"}
    with live.phones_on(enrolled):
        body = get(live, f"{operation}/session/{started['sessionID']}", 90000).json()
    expected = {"state", "result", "signature", "time", "traceId"}
    assert set(body) == (expected | {"cert"} if operation == "authentication" else expected)
    assert body["state"] == "COMPLETE"
    assert body["result"] == "OK"
    assert body["signature"]["algorithm"] == "SHA256WithECEncryption"
    der = (
        enrolled.authentication_certificate
        if operation == "authentication"
        else enrolled.signing_certificate
    )
    if operation == "authentication":
        assert base64.b64decode(body["cert"]) == der
    value = base64.b64decode(body["signature"]["value"])
    signature.check_value(
        x509.load_der_x509_certificate(der).public_key(),
        representation(),
        signature.SignatureValue(
            algorithms.SignatureAlgorithm.ECDSA, algorithms.HashAlgorithm.SHA256, value
        ),
    )


@pytest.mark.parametrize("hash_type", ["SHA256", "SHA384", "SHA512"])
def test_every_hash_type_is_signed_as_it_is(live: World, hash_type: str) -> None:
    enrolled = live.enrol()
    algorithm = results.HASH_TYPES[hash_type]
    hashed = signature.represent(b"contract", algorithm)
    encoded = base64.b64encode(hashed.hash).decode()
    started = post(live, "signature", hash=encoded, hashType=hash_type).json()
    with live.phones_on(enrolled):
        body = get(live, f"signature/session/{started['sessionID']}").json()
    assert body["signature"]["algorithm"] == f"{hash_type}WithECEncryption"
    value = base64.b64decode(body["signature"]["value"])
    assert len(value) == 64
    key = x509.load_der_x509_certificate(enrolled.signing_certificate).public_key()
    signature.check_value(
        key,
        hashed,
        signature.SignatureValue(algorithms.SignatureAlgorithm.ECDSA, algorithm, value),
    )


@pytest.mark.clause("Mobile-ID REST", "3.3.8")
@pytest.mark.parametrize(
    "behaviour",
    [
        personas.Behaviour.USER_CANCELLED,
        personas.Behaviour.PHONE_ABSENT,
        personas.Behaviour.DELIVERY_ERROR,
        personas.Behaviour.SIM_ERROR,
        personas.Behaviour.SIGNATURE_HASH_MISMATCH,
    ],
)
def test_an_end_without_signature_is_a_200_with_its_result_alone(
    live: World, behaviour: personas.Behaviour
) -> None:
    enrolled = live.enrol(behaviour)
    started = post(live, "authentication").json()
    with live.phones_on(enrolled):
        response = get(live, f"authentication/session/{started['sessionID']}")
    assert response.status_code == 200
    assert set(response.json()) == {"state", "result", "time", "traceId"}
    assert response.json()["result"] == behaviour.value


@pytest.mark.clause("Mobile-ID REST", "3.3.4")
def test_a_long_poll_ends_when_its_time_is_over_and_not_before(live: World) -> None:
    live.enrol(personas.Behaviour.MANUAL)
    session = f"signature/session/{post(live, 'signature').json()['sessionID']}"
    begun = time.monotonic()
    body = get(live, session, 1200).json()
    assert 1.1 < time.monotonic() - begun < 4
    assert set(body) == {"state", "time", "traceId"}
    assert body["state"] == "RUNNING"
    # Very small and negative values become the minimum, silently.
    for small in (0, 1, -5):
        begun = time.monotonic()
        assert get(live, session, small).json()["state"] == "RUNNING"
        assert 0.9 < time.monotonic() - begun < 4
    assert_error(get(live, session, "soon"), 400, "timeoutMs must be an integer")


@pytest.mark.clause("Mobile-ID REST", "3.3.4")
def test_a_second_question_discards_the_first_which_is_told_running(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    session_id = post(live, "signature").json()["sessionID"]
    session = f"signature/session/{session_id}"
    answers: dict[str, tuple[str, float]] = {}

    def ask(name: str) -> None:
        begun = time.monotonic()
        state = get(live, session, 90000).json()["state"]
        answers[name] = state, time.monotonic() - begun

    first = threading.Thread(target=ask, args=("first",))
    second = threading.Thread(target=ask, args=("second",))
    first.start()
    time.sleep(0.3)
    second.start()
    first.join(5)
    assert answers["first"][0] == "RUNNING"
    assert answers["first"][1] < 3
    device = live.device(enrolled)
    delivery = device.fetch(2)
    assert delivery is not None
    device.refuse(delivery.id, results.Result.USER_CANCELLED)
    second.join(5)
    assert answers["second"][0] == "COMPLETE"


def test_the_answer_comes_at_once_when_the_state_changes(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    session_id = post(live, "signature").json()["sessionID"]
    device = live.device(enrolled)
    delivery = device.fetch(2)
    assert delivery is not None
    seen: list[float] = []

    def ask() -> None:
        assert get(live, f"signature/session/{session_id}", 60000).json()["state"] == "COMPLETE"
        seen.append(time.monotonic())

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    changed = time.monotonic()
    device.refuse(delivery.id, results.Result.USER_CANCELLED)
    asking.join(5)
    assert seen[0] - changed < 1


@pytest.mark.clause("Mobile-ID REST", "3.1.8")
@pytest.mark.parametrize("path", ["certificate", "authentication", "signature"])
def test_other_methods_get_405_and_options_are_told(live: World, path: str) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = httpx.request(method, f"{live.api_root}/{path}", trust_env=False)
        assert_error(response, 405, "Method Not Allowed")
        assert response.headers["allow"] == "POST, OPTIONS"
    options = httpx.options(f"{live.api_root}/{path}", trust_env=False)
    assert options.status_code == 200
    assert options.headers["allow"] == "POST, OPTIONS"


def test_a_status_takes_get_alone(live: World) -> None:
    response = httpx.post(f"{live.api_root}/signature/session/x", trust_env=False)
    assert_error(response, 405, "Method Not Allowed")
    assert response.headers["allow"] == "GET, OPTIONS"


@pytest.mark.clause("Mobile-ID REST", "3.3.9")
def test_sessions_that_are_unknown_unnamed_or_of_the_other_kind_are_not_found(
    live: World,
) -> None:
    live.enrol(personas.Behaviour.MANUAL)
    assert_error(
        get(live, "signature/session/de305d54-75b4-431b-adb2-eb6b9e546014"),
        404,
        "SessionID not found",
    )
    for nonsense in ("x" * 200, "%00", "%F0%9F%92%A9"):
        assert get(live, f"signature/session/{nonsense}").status_code == 404
    session_id = post(live, "signature").json()["sessionID"]
    assert_error(get(live, f"authentication/session/{session_id}"), 404, "SessionID not found")
    for path in ("signature/session", "signature/session/", "authentication/session/"):
        assert_error(get(live, path), 400, "Required sessionId is missing")


@pytest.mark.clause("Mobile-ID REST", "2.1")
def test_the_name_of_a_relying_party_has_no_case_and_its_uuid_has(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    assert post(live, "signature", relyingPartyName="dEmO").status_code == 200
    delivery = live.device(enrolled).fetch(2)
    assert delivery is not None
    # The phone shows the name as it was registered.
    assert delivery.prompt.relying_party == "DEMO"
    for wrong in (
        {"relyingPartyUUID": PARTY_UUID.upper()},
        {"relyingPartyUUID": "00000000-0000-0000-0000-000000000000"},
        {"relyingPartyName": "TEST other"},
        # Right in itself, but the address belongs to another network.
        {
            "relyingPartyUUID": "11111111-1111-4111-8111-111111111111",
            "relyingPartyName": "TEST other",
        },
    ):
        for path in ("certificate", "signature", "authentication"):
            assert_error(post(live, path, **wrong), 401, "Failed to authorize user")


def test_malformed_bodies_get_4xx_in_the_protocols_own_form(live: World) -> None:
    url = f"{live.api_root}/signature"
    as_json = {"Content-Type": "application/json"}
    cases: list[tuple[bytes, dict[str, str], int]] = [
        (b"", as_json, 400),
        (b"[]", as_json, 400),
        (b"\xff\xfe", as_json, 400),
        (b"[" * 10000, as_json, 400),
        (b" " * 20000, as_json, 413),
        (json.dumps(fields()).encode(), {"Content-Type": "text/plain"}, 415),
    ]
    for content, headers, status in cases:
        response = httpx.post(url, content=content, headers=headers, trust_env=False)
        assert response.status_code == status
        assert set(response.json()) == {"error", "time", "traceId"}
    assert_error(post(live, "signature", hash=None), 400, "Required hash is missing.")
    assert_error(post(live, "certificate", phoneNumber=None), 400, "phoneNumber cannot be null.")


def test_json_with_a_charset_is_json(live: World) -> None:
    live.enrol(personas.Behaviour.MANUAL)
    response = httpx.post(
        f"{live.api_root}/signature",
        content=json.dumps(fields()).encode(),
        headers={"Content-Type": "application/json;charset=UTF-8"},
        trust_env=False,
    )
    assert response.status_code == 200


@pytest.mark.clause("Mobile-ID REST", "3.4")
def test_the_version_is_told_in_the_published_form(live: World) -> None:
    response = get(live, "version")
    assert response.headers["content-type"].startswith("text/plain")
    assert re.fullmatch(
        r"Version: \d+\.\d+\.\d+\. Built: \d\d\.\d\d\.\d{4} \d\d:\d\d", response.text
    )
    assert response.text == api.VERSION


def test_the_phone_gets_no_control_code_and_names_that_people_registered(live: World) -> None:
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    post(live, "signature", displayText="Müqavilə", displayTextFormat="UCS-2")
    answer = httpx.get(
        f"{live.device_url}/transactions/open",
        headers={"Authorization": f"Bearer {enrolled.person.device_secret}"},
        trust_env=False,
    ).json()
    assert set(answer) == {
        "id", "operation", "relying_party", "text", "language", "hash_type", "hash", "answer_by",
    }  # fmt: skip
    assert answer["text"] == "Müqavilə"


def test_a_session_past_its_window_is_told_timeout_by_a_poll_that_was_open(
    live: World,
) -> None:
    live.enrol(personas.Behaviour.MANUAL)
    request = gateway.SignatureRequest(
        results.Operation.SIGNATURE, WHO, representation(), results.Language.ENG, ""
    )
    # Asked so long ago that the person has a second left.
    ago = live.gateway.config.answer_window - datetime.timedelta(seconds=1)
    session_id = live.gateway.request_signature(
        live.party, PARTY_NAME, request, live.present.now() - ago
    )
    begun = time.monotonic()
    body = get(live, f"signature/session/{session_id}", 60000).json()
    assert body["result"] == "TIMEOUT"
    assert time.monotonic() - begun < 5


def test_an_answer_that_another_process_took_ends_the_poll_too(live: World) -> None:
    """Two processes share the database: the phone talks to one, the relying party to the other."""
    enrolled = live.enrol(personas.Behaviour.MANUAL)
    notices = waiting.Notices()
    other_gateway = gateway.Gateway(
        live.sessions, [live.party], live.gateway.config, notices.announce
    )
    notices.follow(lambda: other_gateway.changed_topics(live.present.now()), every_s=0.1)
    other = dataclasses.replace(live, gateway=other_gateway, notices=notices)
    with servers.serve(make_application(other)) as url:
        other.base_url = url
        session_id = post(live, "signature").json()["sessionID"]
        ended: list[float] = []

        def ask() -> None:
            body = get(other, f"signature/session/{session_id}", 60000).json()
            assert body["result"] == "USER_CANCELLED"
            ended.append(time.monotonic())

        asking = threading.Thread(target=ask)
        asking.start()
        device = live.device(enrolled)
        delivery = device.fetch(5)
        assert delivery is not None
        time.sleep(0.3)
        changed = time.monotonic()
        device.refuse(delivery.id, results.Result.USER_CANCELLED)
        asking.join(10)
        assert ended[0] - changed < 2
