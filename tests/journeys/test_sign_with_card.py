"""A citizen signs with a card; the last test does it with other people's programs alone."""

import base64
import json
import pathlib
import re
import subprocess

import pytest
from PIL import Image

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.card, pytest.mark.xdist_group("world")]

CITIZEN = "5AB12CD"


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT", "B-LTA"])
def test_contract_reaches_the_level_that_was_asked_for(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path, level: str
) -> None:
    card = card_world.card(CITIZEN)
    signed = tmp_path / "signed.pdf"
    card_world.imza(
        "sign", str(contract), "--level", level, "--card", "--reader", card["reader"],
        *card_world.service, "-o", str(signed), pin=card["pin1"],
    )  # fmt: skip
    report = card_world.verify(signed)
    (one,) = report["signatures"]
    assert one["indication"] == "TOTAL-PASSED"
    assert one["level"] == f"PAdES-BASELINE-{level.removeprefix('B-')}"
    assert one["person_code"] == CITIZEN
    assert one["intact"] is True
    assert one["scope"]["kind"] == "full"


def test_visible_signature_shows_the_name_in_its_own_letters(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    signed = tmp_path / "signed.pdf"
    card_world.imza(
        "sign", str(contract), "--level", "B-B", "--card", "--reader", card["reader"], "--visible",
        "--reason", "Müqavilə ilə razıyam", *card_world.service, "-o", str(signed),
        pin=card["pin1"],
    )  # fmt: skip
    text = subprocess.run(
        ["pdftotext", "-layout", str(signed), "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Əliyeva" in text.split("Tərəflərin imzaları")[1]


def test_offer_is_certified_with_a_picture_and_signed_by_another_out_of_sight(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    logo, certified, signed = (tmp_path / one for one in ("logo.png", "offer.pdf", "signed.pdf"))
    Image.new("RGBA", (120, 60), (0, 90, 40, 200)).save(logo)
    by_card = ("--card", "--reader", card["reader"], *card_world.service)
    card_world.imza(
        "sign", str(contract), "--certify", "form-filling", "--image", str(logo),
        "--box", "60,60,300,130", *by_card, "-o", str(certified), pin=card["pin1"],
    )  # fmt: skip
    refused = card_world.imza(
        "sign", str(certified), *by_card, "-o", str(signed), pin=card["pin1"], expect=4
    )
    assert "[document-certified]" in refused.stderr
    card_world.imza(
        "sign", str(certified), "--invisible", *by_card, "-o", str(signed), pin=card["pin1"]
    )
    first, second = card_world.verify(signed)["signatures"]
    assert first["indication"] == second["indication"] == "TOTAL-PASSED"
    assert first["changes_after_signing"] == "permitted"


def test_xml_form_is_signed_with_a_time_stamp(
    card_world: worlds.World, form: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    signed = tmp_path / "signed.xml"
    card_world.imza(
        "sign", str(form), "--format", "xades", "--level", "B-T", "--card",
        "--reader", card["reader"], *card_world.service, "-o", str(signed), pin=card["pin1"],
    )  # fmt: skip
    assert card_world.verify(signed)["signatures"][0]["level"] == "XAdES-BASELINE-T"


def test_wrong_pin_tells_the_tries_and_leaves_the_session_open(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    wrong = "999999" if card["pin1"] != "999999" else "888888"
    done = card_world.imza(
        "sign", str(contract), "--card", "--reader", card["reader"], *card_world.service,
        "-o", str(tmp_path / "x.pdf"), pin=wrong, expect=4,
    )  # fmt: skip
    assert "2 tries left [wrong-pin]" in done.stderr
    assert "Traceback" not in done.stderr
    assert wrong not in done.stderr
    session = re.search(r"session ([0-9a-f]+) waits", done.stderr)
    assert session is not None
    state = card_world.api().call("GET", f"/api/v1/signing-sessions/{session.group(1)}")
    assert state["state"] == "awaiting_value"
    # The right PIN gives the tries back.
    card_world.imza(
        "sign", str(contract), "--level", "B-B", "--card", "--reader", card["reader"],
        *card_world.service, "-o", str(tmp_path / "x.pdf"), pin=card["pin1"],
    )  # fmt: skip


def test_reader_without_a_card_is_told_as_such(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    listed = json.loads(card_world.imza("card", "list", "--json").stdout)["readers"]
    empty = next(one["name"] for one in listed if not one["card_present"])
    done = card_world.imza(
        "sign", str(contract), "--card", "--reader", empty, *card_world.service,
        "-o", str(tmp_path / "x.pdf"), expect=5,
    )  # fmt: skip
    assert "[no-card]" in done.stderr


def test_blank_card_is_told_as_such(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    done = card_world.imza(
        "sign", str(contract), "--card", "--reader", card_world.description["blank_card_reader"],
        *card_world.service, "-o", str(tmp_path / "x.pdf"), expect=None,
    )  # fmt: skip
    assert done.returncode in (4, 5)
    assert "[card-not-personalised]" in done.stderr or "[unknown-card]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.peer
def test_curl_and_pkcs11_tool_sign_with_only_the_sandbox_file(
    card_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """What a portal developer does on the first day, with none of our programs."""
    facts = card_world.description
    card = card_world.card(CITIZEN)
    slot = card_world.description["cards"].index(card)

    def run(*command: str) -> bytes:
        return subprocess.run(
            command, check=True, capture_output=True, env=card_world.environment, cwd=tmp_path
        ).stdout

    token = json.loads(
        run("curl", "-sSf", f"{facts['base_url']}/oauth2/token",
            "-d", "grant_type=client_credentials",
            "-d", f"client_id={facts['api_client']['client_id']}",
            "--data-urlencode", f"client_secret={facts['api_client']['client_secret']}")
    )["access_token"]  # fmt: skip
    module = facts["pkcs11_module"]
    run("pkcs11-tool", "--module", module, "--slot-index", str(slot), "--read-object",
        "--type", "cert", "--id", "02", "-o", "signer.der")  # fmt: skip
    parameters = {
        "format": "PAdES",
        "level": "B-T",
        "packaging": "enveloped",
        "signer": {
            "certificate": base64.b64encode((tmp_path / "signer.der").read_bytes()).decode()
        },
    }
    (tmp_path / "parameters.json").write_text(json.dumps(parameters))
    bearer = f"Authorization: Bearer {token}"
    session = json.loads(
        run("curl", "-sSf", "-H", bearer, f"{facts['base_url']}/api/v1/signing-sessions",
            "-F", f"document=@{contract}", "-F", "parameters=<parameters.json")
    )  # fmt: skip
    (tmp_path / "hash").write_bytes(base64.b64decode(session["representation"]["hash"]))
    run("pkcs11-tool", "--module", module, "--slot-index", str(slot), "--sign", "--id", "02",
        "--mechanism", "ECDSA", "--login", "--pin", card["pin1"],
        "--input-file", "hash", "--output-file", "value")  # fmt: skip
    value = (tmp_path / "value").read_bytes()
    assert len(value) == 64
    body = {
        "signature_value": base64.b64encode(value).decode(),
        "signature_algorithm": "ECDSA",
        "hash_algorithm": session["representation"]["hash_algorithm"],
    }
    address = f"{facts['base_url']}/api/v1/signing-sessions/{session['id']}"
    run("curl", "-sSf", "-H", bearer, "-H", "Content-Type: application/json",
        f"{address}/signature-value", "-d", json.dumps(body))  # fmt: skip
    done = json.loads(run("curl", "-sSf", "-H", bearer, f"{address}?wait=20"))
    assert done["state"] == "completed", done
    run("curl", "-sSf", "-H", bearer, f"{address}/document", "-o", "signed.pdf")
    assert card_world.verify(tmp_path / "signed.pdf")["overall"] == "TOTAL-PASSED"
    shown = run("pdfsig", "-nocert", "signed.pdf").decode()
    assert "Signature is Valid." in shown
