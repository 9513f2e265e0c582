"""Mobile-ID REST with programs that are not ours: curl asks, openssl verifies.

Published client libraries' habits are replayed beside it, as they send them.
"""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from mobile_id.simulation import personas
from tests.mobile_id.conftest import (  # noqa: F401 - fixtures
    PARTY_NAME,
    PARTY_UUID,
    WHO,
    World,
    authority,
    live,
)

pytestmark = pytest.mark.peer


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            raise RuntimeError(f"{name} is missing")
        pytest.skip(f"{name} is missing")
    return found


def run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def curl(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(program("curl"), "-sS", "--noproxy", "*", *arguments))
    return answer


def der_of(raw: bytes) -> bytes:
    """r||s as a DER SEQUENCE, by hand, so that nothing of ours is between the two programs."""

    def integer(value: bytes) -> bytes:
        value = value.lstrip(b"\0") or b"\0"
        if value[0] & 0x80:
            value = b"\0" + value
        return b"\x02" + bytes([len(value)]) + value

    half = len(raw) // 2
    content = integer(raw[:half]) + integer(raw[half:])
    return b"\x30" + bytes([len(content)]) + content


@pytest.mark.clause("Mobile-ID REST", "3.3.6")
def test_curl_authenticates_a_person_and_openssl_verifies_it(
    live: World,  # noqa: F811
    tmp_path: pathlib.Path,
) -> None:
    openssl = program("openssl")
    enrolled = live.enrol()
    challenge = os.urandom(32)
    hashed = hashlib.sha256(challenge).digest()
    request = {
        "relyingPartyUUID": PARTY_UUID,
        "relyingPartyName": PARTY_NAME,
        "phoneNumber": WHO.phone_number,
        "nationalIdentityNumber": WHO.person_code,
        "hash": base64.b64encode(hashed).decode(),
        "hashType": "SHA256",
        "language": "ENG",
        "displayText": "Enter the portal",
        "displayTextFormat": "GSM-7",
    }
    with live.phones_on(enrolled):
        started = curl(
            "-H", "Content-Type: application/json", "-d", json.dumps(request),
            f"{live.api_root}/authentication",
        )  # fmt: skip
        session = f"{live.api_root}/authentication/session/{started['sessionID']}"
        ended = curl(f"{session}?timeoutMs=90000")
    assert ended["result"] == "OK"
    certificate = tmp_path / "cert.pem"
    run(openssl, "x509", "-inform", "DER", "-in", save(tmp_path, "cert.der", ended["cert"]),
        "-out", str(certificate))  # fmt: skip
    issuers = live.authority.chain
    (tmp_path / "issuing.pem").write_bytes(issuers.issuing.pem)
    (tmp_path / "root.pem").write_bytes(issuers.root.pem)
    run(openssl, "verify", "-CAfile", str(tmp_path / "root.pem"),
        "-untrusted", str(tmp_path / "issuing.pem"), str(certificate))  # fmt: skip
    key = tmp_path / "key.pem"
    key.write_bytes(run(openssl, "x509", "-in", str(certificate), "-noout", "-pubkey"))
    (tmp_path / "hash").write_bytes(hashed)
    (tmp_path / "value").write_bytes(der_of(base64.b64decode(ended["signature"]["value"])))
    verify = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", str(key),
              "-sigfile", str(tmp_path / "value"), "-in"]  # fmt: skip
    assert b"Verified Successfully" in run(*verify, str(tmp_path / "hash"))
    # It is over the hash itself: a program that hashes the challenge once verifies it too.
    (tmp_path / "challenge").write_bytes(challenge)
    answer = run(openssl, "dgst", "-sha256", "-verify", str(key),
                 "-signature", str(tmp_path / "value"), str(tmp_path / "challenge"))  # fmt: skip
    assert b"Verified OK" in answer
    subject = run(openssl, "x509", "-in", str(certificate), "-noout", "-subject").decode()
    assert "PNOAZ-5AB12CD" in subject


def save(folder: pathlib.Path, name: str, encoded: str) -> str:
    (folder / name).write_bytes(base64.b64decode(encoded, validate=True))
    return str(folder / name)


def test_the_java_clients_requests_are_understood(live: World) -> None:  # noqa: F811
    """mid-rest-java-client: null fields left out, long poll 90 s, Accept JSON, JSON charset."""
    enrolled = live.enrol()
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    body = {
        "relyingPartyName": PARTY_NAME, "relyingPartyUUID": PARTY_UUID,
        "phoneNumber": WHO.phone_number, "nationalIdentityNumber": WHO.person_code,
        "hash": base64.b64encode(bytes(48)).decode(), "hashType": "SHA384", "language": "RUS",
    }  # fmt: skip
    with httpx.Client(base_url=live.api_root, trust_env=False, timeout=91.5) as client:
        certificate = client.post(
            "/certificate", json={name: body[name] for name in list(body)[:4]}, headers=headers
        ).json()
        assert certificate["result"] == "OK"
        started = client.post("/signature", json=body, headers=headers).json()
        with live.phones_on(enrolled):
            ended = client.get(
                f"/signature/session/{started['sessionID']}",
                params={"timeoutMs": 90000},
                headers=headers,
            ).json()
    assert ended["state"] == "COMPLETE"
    assert ended["signature"]["algorithm"] == "SHA384WithECEncryption"
    # It cuts the value in two fixed halves.
    assert len(base64.b64decode(ended["signature"]["value"])) == 64


def test_the_python_clients_requests_are_understood(live: World) -> None:  # noqa: F811
    """mobile-id-rest-python-client: displayText null, DEMO, a base address with a slash."""
    enrolled = live.enrol(phone_number="+37200000766", person_code="60001019906", country="EE")
    started = httpx.post(
        f"{live.api_root}/authentication",
        json={
            "relyingPartyUUID": PARTY_UUID, "relyingPartyName": "DEMO",
            "phoneNumber": "+37200000766", "nationalIdentityNumber": "60001019906",
            "language": "EST", "hash": base64.b64encode(bytes(32)).decode(),
            "hashType": "SHA256", "displayText": None,
        },
        trust_env=False,
    )  # fmt: skip
    started.raise_for_status()
    session_id = started.json()["sessionID"]
    with live.phones_on(enrolled):
        ended = httpx.get(
            f"{live.api_root}/authentication/session/{session_id}?timeoutMs=10000",
            trust_env=False,
            timeout=12,
        ).json()
    assert base64.b64decode(ended["cert"])
    assert base64.b64decode(ended["signature"]["value"])
    assert ended["signature"]["algorithm"]


def test_errors_are_json_that_clients_read_the_reason_from(live: World) -> None:  # noqa: F811
    live.enrol(personas.Behaviour.MANUAL)
    answer = httpx.post(f"{live.api_root}/authentication", json={}, trust_env=False)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"] == "Required relyingPartyUUID is missing."
