"""An official signs on the phone; other phones refuse, never answer, or are not who they claim."""

import pathlib
import re
import subprocess

import pytest

from imza import people
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]


def parameters(person: people.Person, **others: object) -> dict[str, object]:
    return {
        "format": "PAdES",
        "level": "B-T",
        "packaging": "enveloped",
        "signer": {"phone_number": person.phone_number, "person_code": person.person_code},
        **others,
    }


def by_behaviour(behaviour: str) -> people.Person:
    return next(one for one in people.PEOPLE if one.behaviour == behaviour)


def test_phone_that_answers_signs_up_to_an_archive_time_stamp(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
    signed = tmp_path / "signed.pdf"
    done = world.imza(
        "sign", str(contract), "--level", "B-LTA", "--phone", str(person.phone_number),
        "--person", person.person_code, *world.service, "-o", str(signed),
    )  # fmt: skip
    assert re.search(r"control code \d{4}", done.stderr)
    (one,) = world.verify(signed)["signatures"]
    assert (one["level"], one["person_code"]) == ("PAdES-BASELINE-LTA", person.person_code)


def test_georgian_names_survive(
    world: worlds.World, form: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    person = next(one for one in people.PEOPLE if one.country == "GE")
    signed = tmp_path / "signed.xml"
    world.imza(
        "sign", str(form), "--format", "xades", "--level", "B-T", "--phone",
        str(person.phone_number), "--person", person.person_code, *world.service,
        "-o", str(signed),
    )  # fmt: skip
    assert person.surname in world.verify(signed)["signatures"][0]["signed_by"]


@pytest.mark.parametrize(
    ("behaviour", "state"),
    [("USER_CANCELLED", "refused"), ("SIGNATURE_HASH_MISMATCH", "failed"), ("SIM_ERROR", "failed"),
     ("PHONE_ABSENT", "failed"), ("DELIVERY_ERROR", "failed")],
)  # fmt: skip
def test_phone_that_does_not_sign_ends_the_session_with_the_reason(
    world: worlds.World, contract: pathlib.Path, behaviour: str, state: str
) -> None:
    api = world.api()
    opened = api.open_session(contract.read_bytes(), parameters(by_behaviour(behaviour)))
    ended = api.wait(opened["id"], ["refused", "failed", "expired", "completed"])
    assert ended["state"] == state
    assert ended["error"]["code"]
    assert ended.get("level_reached") is None
    refusal = api.call("GET", f"/api/v1/signing-sessions/{opened['id']}/document", expect=(409,))
    assert refusal["code"]


def test_somebody_without_mobile_id_is_refused_at_once(
    world: worlds.World, contract: pathlib.Path
) -> None:
    answer = world.api().open_session(
        contract.read_bytes(), parameters(by_behaviour("NOT_MID_CLIENT")), expect=(404,)
    )
    assert answer["code"] == "not-mobile-id-client"


def test_phone_that_never_answers_can_be_cancelled(
    world: worlds.World, contract: pathlib.Path
) -> None:
    api = world.api()
    opened = api.open_session(contract.read_bytes(), parameters(by_behaviour("TIMEOUT")))
    assert opened["state"] == "awaiting_person"
    cancelled = api.call("POST", f"/api/v1/signing-sessions/{opened['id']}/cancel")
    assert cancelled["state"] == "refused"


def test_person_refuses_when_the_codes_differ(world: worlds.World, contract: pathlib.Path) -> None:
    api = world.api()
    opened = api.open_session(contract.read_bytes(), parameters(people.OFFICIAL))
    other = "0000" if opened["control_code"] != "0000" else "0001"
    world.imza(
        "mobile", "simulate", "--dir", str(world.folder), "--phone",
        str(people.OFFICIAL.phone_number), "--code", other, expect=4,
    )  # fmt: skip
    assert api.wait(opened["id"], ["refused", "completed"])["state"] == "refused"


def test_person_confirms_the_code_that_the_portal_shows(
    world: worlds.World, contract: pathlib.Path
) -> None:
    api = world.api()
    opened = api.open_session(
        contract.read_bytes(), parameters(people.OFFICIAL, display_text="Müqavilə")
    )
    shown = world.imza(
        "mobile", "simulate", "--dir", str(world.folder), "--phone",
        str(people.OFFICIAL.phone_number), "--code", opened["control_code"],
    )  # fmt: skip
    assert opened["control_code"] in shown.stderr
    assert api.wait(opened["id"], ["refused", "completed"])["state"] == "completed"


@pytest.mark.peer
def test_authentication_by_curl_verifies_with_openssl(
    world: worlds.World, tmp_path: pathlib.Path
) -> None:
    """The published Mobile-ID protocol over TLS, with none of our programs."""
    import base64
    import hashlib
    import json

    from pki import algorithms

    facts = world.description["mobile_id"]
    challenge = b"a challenge of the portal"
    digest = hashlib.sha256(challenge).digest()
    request = {
        "relyingPartyUUID": facts["relying_party_uuid"],
        "relyingPartyName": facts["relying_party_name"],
        "phoneNumber": "+37268000769",
        "nationalIdentityNumber": "60001017869",
        "hash": base64.b64encode(digest).decode(),
        "hashType": "SHA256",
        "language": "ENG",
    }

    def curl(*arguments: str) -> dict[str, object]:
        done = subprocess.run(
            ["curl", "-sSf", "--cacert", world.description["tls_ca_pem"], *arguments],
            check=True, capture_output=True,
        )  # fmt: skip
        found: dict[str, object] = json.loads(done.stdout)
        return found

    started = curl(
        f"{facts['api_root']}/authentication", "-H", "Content-Type: application/json",
        "-d", json.dumps(request),
    )  # fmt: skip
    answer = curl(
        f"{facts['api_root']}/authentication/session/{started['sessionID']}?timeoutMs=20000"
    )
    assert (answer["state"], answer["result"]) == ("COMPLETE", "OK")
    value = answer["signature"]
    assert isinstance(value, dict)
    (tmp_path / "cert.der").write_bytes(base64.b64decode(str(answer["cert"])))
    (tmp_path / "value.der").write_bytes(
        algorithms.ecdsa_raw_to_der(base64.b64decode(value["value"]))
    )
    (tmp_path / "challenge").write_bytes(challenge)

    def openssl(*arguments: str) -> str:
        return subprocess.run(
            ["openssl", *arguments], check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout

    openssl("x509", "-inform", "DER", "-in", "cert.der", "-pubkey", "-noout", "-out", "key.pem")
    verified = openssl(
        "dgst", "-sha256", "-verify", "key.pem", "-signature", "value.der", "challenge"
    )
    assert verified.strip() == "Verified OK"


@pytest.mark.parametrize(
    ("format", "chosen"),
    [("xades", ()), ("cades", ("--packaging", "enveloping")), ("asice", ()),
     ("asice", ("--container-signature", "cades")), ("asics", ("--container-signature", "cades"))],
)  # fmt: skip
def test_seal_signs_in_every_format_and_an_official_countersigns_on_the_phone(
    world: worlds.World, form: pathlib.Path, tmp_path: pathlib.Path, format: str,
    chosen: tuple[str, ...],
) -> None:  # fmt: skip
    seal = world.description["seals"][0]["name"]
    signed, both = tmp_path / "signed", tmp_path / "countersigned"
    options = ("--role", "TEST direktor", "--place", "Bakı", "--commitment", "proof-of-approval")
    world.imza(
        "sign", str(form), "--format", format, "--level", "B-LTA", "--seal", seal, *chosen,
        *options, *world.service, "-o", str(signed),
    )  # fmt: skip
    (main,) = world.verify(signed)["signatures"]
    person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
    world.imza(
        "sign", str(signed), "--format", format, "--level", "B-LTA", "--countersign", main["id"],
        "--phone", str(person.phone_number), "--person", person.person_code, *options,
        *world.service, "-o", str(both),
    )  # fmt: skip
    judged = world.verify(both)
    assert judged["overall"] == "TOTAL-PASSED"
    outer, inner = judged["signatures"]
    assert "counter_signature_of" not in outer
    assert (inner["counter_signature_of"], inner["person_code"]) == (
        main["id"], person.person_code
    )  # fmt: skip
    assert inner["level"].endswith("-BASELINE-LTA")
