"""Many documents under one confirmation: all of them are signed, or none."""

import json
import pathlib
import re
import shutil
from typing import Any

import pytest

from card_reader import apdu
from imza import people
from tests.support import terminals
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]

CITIZEN = "5AB12CD"
VERIFY = apdu.Instruction.VERIFY.value
SIGN = apdu.Instruction.GENERAL_AUTHENTICATE.value


@pytest.fixture
def letters(contract: pathlib.Path, tmp_path: pathlib.Path) -> list[pathlib.Path]:
    names = ("a.pdf", "müqavilə.pdf", "წერილი.pdf")
    return [pathlib.Path(shutil.copy(contract, tmp_path / name)) for name in names]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "signed"
    made.mkdir()
    return made


def put_back(world: worlds.World) -> None:
    reader = world.card(CITIZEN)["reader"]
    world.remove_card(reader)
    world.insert_card(reader, world.folder / "cards" / f"{CITIZEN}.json")


def by_card(world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path) -> list[str]:
    return [
        "sign", *map(str, letters), "--level", "B-T", "--card",
        "--reader", world.card(CITIZEN)["reader"], *world.service, "-o", str(folder),
    ]  # fmt: skip


def batch_of(world: worlds.World, told: str) -> tuple[str, dict[str, Any]]:
    found = re.search(r"batch ([0-9a-f]{32}) waits", told)
    assert found is not None, told
    batch: dict[str, Any] = world.api().call("GET", f"/api/v1/signing-batches/{found.group(1)}")
    return found.group(1), batch


def check_signed(world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path) -> None:
    assert {one.name for one in folder.iterdir()} == {one.name for one in letters}
    for one in letters:
        report = world.verify(folder / one.name)
        assert report["overall"] == "TOTAL-PASSED"
        assert report["signatures"][0]["person_code"] == CITIZEN


@pytest.mark.card
def test_one_pin_signs_what_was_listed(
    card_world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path
) -> None:
    # The descriptor holds one line: a second question for the PIN would find none.
    done = card_world.imza(
        *by_card(card_world, letters, folder), "--json", pin=card_world.card(CITIZEN)["pin1"]
    )
    check_signed(card_world, letters, folder)
    batch_id, batch = batch_of(card_world, done.stderr)
    for place, (one, session) in enumerate(zip(letters, batch["sessions"], strict=True), start=1):
        assert re.search(rf"{place}\. {one.name}  SHA-256 [0-9a-f]{{64}}", done.stderr)
        assert session["state"] == "completed"
    results = json.loads(done.stdout)["sessions"]
    assert [(one["batch"], one["file"]) for one in results] == [
        (batch_id, str(one)) for one in letters
    ]


@pytest.mark.card
def test_wrong_pin_burns_one_try_and_the_batch_goes_on_later(
    card_world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    wrong = "999999" if card["pin1"] != "999999" else "888888"
    done = card_world.imza(*by_card(card_world, letters, folder), pin=wrong, expect=4)
    assert "2 tries left [wrong-pin]" in done.stderr
    assert wrong not in done.stderr
    assert not list(folder.iterdir())
    shown = card_world.imza("card", "show", "--reader", card["reader"], "--json")
    assert json.loads(shown.stdout)["pin"]["tries_left"] == 2
    batch_id, batch = batch_of(card_world, done.stderr)
    assert batch["state"] == "awaiting_value"
    card_world.imza(
        "sign", "--batch", batch_id, "--card", "--reader", card["reader"], *card_world.service,
        "-o", str(folder), pin=card["pin1"],
    )  # fmt: skip
    check_signed(card_world, letters, folder)


@pytest.mark.card
@pytest.mark.parametrize(
    ("instruction", "passing"), [(SIGN, 1), (VERIFY, 2)], ids=["while it signs", "in the PIN"]
)
def test_card_pulled_in_the_middle_leaves_no_document_signed_and_says_which_were(
    card_world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path,
    instruction: int, passing: int,
) -> None:  # fmt: skip
    card = card_world.card(CITIZEN)
    card_world.pull_card_at(card["reader"], instruction, answered=False, passing=passing)
    done = card_world.imza(*by_card(card_world, letters, folder), pin=card["pin1"], expect=5)
    put_back(card_world)
    assert "[card-removed]" in done.stderr
    assert "Signed by the card, but not handed in: a.pdf." in done.stderr
    assert "Not signed: müqavilə.pdf, წერილი.pdf." in done.stderr
    assert not list(folder.iterdir())
    batch_id, batch = batch_of(card_world, done.stderr)
    assert {one["state"] for one in batch["sessions"]} == {"awaiting_value"}
    card_world.imza(
        "sign", "--batch", batch_id, "--card", "--reader", card["reader"], *card_world.service,
        "-o", str(folder), pin=card["pin1"],
    )  # fmt: skip
    check_signed(card_world, letters, folder)


@pytest.mark.card
def test_person_at_a_terminal_puts_the_card_back_and_the_rest_is_signed(
    card_world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path
) -> None:
    card = card_world.card(CITIZEN)
    card_world.pull_card_at(card["reader"], SIGN, answered=False, passing=1)
    with terminals.at_terminal(card_world, *by_card(card_world, letters, folder)) as terminal:
        terminal.wait_for("One PIN signs all of them")
        terminal.wait_for("PIN for signing")
        terminal.type(card["pin1"])
        terminal.wait_for("1 of 3 are signed and kept")
        terminal.wait_for("press Enter")
        put_back(card_world)
        terminal.type("")
        # The PIN was wiped when the card went: it is asked for again.
        terminal.wait_for("PIN for signing")
        terminal.type(card["pin1"])
        assert terminal.exit_code() == 0, terminal.shown
    assert card["pin1"] not in terminal.shown
    check_signed(card_world, letters, folder)


@pytest.mark.card
def test_another_persons_card_does_not_go_on_with_the_batch(
    card_world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path
) -> None:
    card, other = card_world.card(CITIZEN), card_world.card("2MN56PQ")
    card_world.pull_card_at(card["reader"], VERIFY, answered=False)
    done = card_world.imza(*by_card(card_world, letters, folder), pin=card["pin1"], expect=5)
    put_back(card_world)
    batch_id, _ = batch_of(card_world, done.stderr)
    refused = card_world.imza(
        "sign", "--batch", batch_id, "--card", "--reader", other["reader"], *card_world.service,
        "-o", str(folder), pin=other["pin1"], expect=4,
    )  # fmt: skip
    assert "[other-card]" in refused.stderr
    cancelled = card_world.api().call("POST", f"/api/v1/signing-batches/{batch_id}/cancel")
    assert cancelled["state"] == "refused"


def by_phone(
    world: worlds.World, person: people.Person, letters: list[pathlib.Path], folder: pathlib.Path
) -> list[str]:
    return [
        "sign", *map(str, letters), "--level", "B-T", "--phone", str(person.phone_number),
        "--person", person.person_code, *world.service, "-o", str(folder),
    ]  # fmt: skip


def test_one_confirmation_on_the_phone_signs_every_document(
    world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path
) -> None:
    person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
    done = world.imza(*by_phone(world, person, letters, folder))
    assert len(re.findall(r"control code \d{4} for 3 documents", done.stderr)) == 1
    for place, one in enumerate(letters, start=1):
        assert f"  {place}. {one.name}\n" in done.stderr
        report = world.verify(folder / one.name)
        assert report["overall"] == "TOTAL-PASSED"
        assert report["signatures"][0]["person_code"] == person.person_code


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [("USER_CANCELLED", "phone-refused"), ("SIGNATURE_HASH_MISMATCH", "phone-signature-wrong"),
     ("SIM_ERROR", "phone-failed")],
)  # fmt: skip
def test_phone_that_does_not_sign_every_document_leaves_none(
    world: worlds.World, letters: list[pathlib.Path], folder: pathlib.Path, behaviour: str,
    code: str,
) -> None:  # fmt: skip
    person = next(one for one in people.PEOPLE if one.behaviour == behaviour)
    done = world.imza(*by_phone(world, person, letters, folder), expect=4)
    assert f"[{code}]" in done.stderr
    assert not list(folder.iterdir())


def test_person_sees_every_name_on_the_phone_and_refuses_another_code(
    world: worlds.World, letters: list[pathlib.Path]
) -> None:
    person = people.OFFICIAL
    signer = {"phone_number": person.phone_number, "person_code": person.person_code}
    api = world.api()

    def open_batch() -> dict[str, Any]:
        batch: dict[str, Any] = api.upload(
            "/api/v1/signing-batches",
            letters,
            {"format": "PAdES", "level": "B-B", "signer": signer},
        )
        return batch

    def simulate(code: str, expect: int) -> str:
        return world.imza(
            "mobile", "simulate", "--dir", str(world.folder), "--phone", str(person.phone_number),
            "--code", code, expect=expect,
        ).stderr  # fmt: skip

    batch = open_batch()
    other = "0000" if batch["control_code"] != "0000" else "0001"
    assert "refused" in simulate(other, 4)
    ended = api.call("GET", f"/api/v1/signing-batches/{batch['id']}?wait=20")
    assert ended["state"] == "refused"

    batch = open_batch()
    shown = simulate(batch["control_code"], 0)
    assert "3 documents, one PIN2:" in shown
    for place, one in enumerate(letters, start=1):
        assert f"{place}. {one.name}\n" in shown
    for one in batch["sessions"]:
        assert api.wait(one["id"], ["completed", "failed"])["state"] == "completed"


def test_files_of_one_name_are_refused_before_anything_is_sent(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path, folder: pathlib.Path
) -> None:
    other = tmp_path / "other" / contract.name
    other.parent.mkdir()
    shutil.copy(contract, other)
    done = world.imza(
        "sign", str(contract), str(other), "--seal", "ministry", *world.service, "-o", str(folder),
        expect=2,
    )  # fmt: skip
    assert "one name" in done.stderr
