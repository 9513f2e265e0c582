"""The commands as a person starts them: in a process of their own, against pcscd."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from card_reader.virtual_card import reader_station
from tests.support import card_station, operators, servers

pytestmark = pytest.mark.card

Station = reader_station.ReaderStation


def imza(
    *arguments: str, lines: tuple[str, ...] = (), socket: pathlib.Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `imza card …`; the lines are what a file descriptor gives where `--pin-fd` asks."""
    reading, writing = os.pipe()
    os.write(writing, "".join(f"{one}\n" for one in lines).encode())
    os.close(writing)
    try:
        more = ("--pin-fd", str(reading)) if lines else ()
        environment = dict(os.environ)
        if socket is not None:
            environment["PCSCLITE_CSOCK_NAME"] = str(socket)
        return subprocess.run(
            [sys.executable, "-m", "imza", "card", *arguments, *more],
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(reading,),
            env=environment,
            timeout=60,
        )
    finally:
        os.close(reading)


@pytest.fixture
def reader(station: Station, card: card_station.TestCard) -> str:
    name = station.reader_names[0]
    station.insert(name, card.path)
    return name


def test_list_names_the_readers_and_the_card(station: Station, reader: str) -> None:
    done = imza("list", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)["readers"]
    assert [(one["name"], one["card_present"]) for one in found] == [
        (station.reader_names[0], True),
        (station.reader_names[1], False),
    ]
    assert f"{reader}: card, ATR 3B 88" in imza("list").stdout


def test_show_tells_holder_validity_and_tries(reader: str, card: card_station.TestCard) -> None:
    shown = json.loads(imza("show", "--json").stdout)
    assert shown["reader"] == reader
    assert shown["pin"] == {"state": "ready", "tries_left": 3}
    assert [one["purpose"] for one in shown["certificates"]] == ["sign", "authenticate"]
    assert shown["certificates"][0]["holder"] == "Günay TEST Əliyeva TEST"
    assert shown["certificates"][0]["person_code"] == card_station.PERSON.person_code
    assert shown["certificates"][0]["not_after"].endswith("Z")
    text = imza("show", "--reader", reader).stdout
    assert "Certificate to sign: Günay TEST Əliyeva TEST" in text
    assert "3 tries left" in text


def test_the_pin_is_changed_and_a_wrong_one_tells_the_tries(
    reader: str, card: card_station.TestCard
) -> None:
    done = imza("change-pin", "--json", lines=(card.pin, "246802"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"reader": reader, "changed": "PIN"}
    again = imza("change-pin", "--json", lines=("999999", "135790"))
    assert again.returncode == 4
    problem = json.loads(again.stdout)
    assert problem["code"] == "wrong-pin"
    assert "2 tries left" in problem["detail"]
    for run in (done, again):
        assert not any(pin in run.stdout + run.stderr for pin in ("246802", "999999", card.pin))


def test_a_blocked_pin_is_unblocked_with_the_puk(reader: str, card: card_station.TestCard) -> None:
    codes = []
    for _ in range(4):
        done = imza("change-pin", "--json", lines=("999999", "135790"))
        codes.append(json.loads(done.stdout)["code"])
    assert codes == ["wrong-pin", "wrong-pin", "pin-blocked", "pin-blocked"]
    assert "blocked" in imza("show").stdout
    wrong = imza("unblock", "--json", lines=("00000000", "135790"))
    assert json.loads(wrong.stdout)["code"] == "wrong-pin"
    assert imza("unblock", lines=(card.puk, "135790")).returncode == 0
    assert json.loads(imza("show", "--json").stdout)["pin"]["tries_left"] == 3
    assert imza("change-pin", lines=("135790", "246802")).returncode == 0
    assert imza("change-pin", "--puk", lines=(card.puk, "11223344")).returncode == 0


def test_watch_tells_what_comes_and_goes(station: Station, reader: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "imza", "card", "watch", "--json", "--count", "4"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        first = [json.loads(watching.stdout.readline()) for _ in range(3)]
        station.remove(reader)
        last = json.loads(watching.stdout.readline())
        assert watching.wait(timeout=5) == 0
    kinds = sorted(one["event"] for one in first)
    assert kinds == ["card-inserted", "reader-attached", "reader-attached"]
    assert (last["event"], last["reader"]) == ("card-removed", reader)


def test_a_blank_card_is_personalised_by_the_command(
    station: Station, small_ca: card_station.SmallCA, tmp_path: pathlib.Path
) -> None:
    name = station.reader_names[1]
    reader_station.make_blank_card(tmp_path / "blank.json")
    station.insert(name, tmp_path / "blank.json")
    letter = tmp_path / "letter.json"
    person = card_station.PERSON
    with servers.serve(small_ca.application()) as base_url:
        world = operators.stranger().write(tmp_path, base_url)
        arguments = (
            *("personalise", "--json", "--reader", name, "--credentials", str(world)),
            *("--person-code", person.person_code, "--surname", person.surname),
            *("--given-name", person.given_name),
            *("--document", "passport:AZ:TEST1:2035-01-31"),
        )
        done = imza(*arguments, "--pin-letter", str(letter))
        assert done.returncode == 0, done.stderr
        again = imza(*arguments, "--pin-letter", str(tmp_path / "other.json"))
    assert again.returncode == 4
    assert json.loads(again.stdout)["code"] == "management-key-refused"
    secrets = json.loads(letter.read_bytes())
    assert not any(str(value) in done.stdout + done.stderr for value in secrets.values())
    shown = json.loads(imza("show", "--json", "--reader", name).stdout)
    assert [one["serial_number"] for one in shown["certificates"]] == [
        json.loads(done.stdout)["certificates"][one] for one in ("sign", "authenticate")
    ]
    assert imza("change-pin", "--reader", name, lines=(secrets["pin"], "246802")).returncode == 0
    station.remove(name)


@pytest.mark.parametrize("command", ["show", "change-pin", "unblock"])
def test_no_card_is_told_without_a_traceback(station: Station, command: str) -> None:
    for name in station.reader_names:
        station.remove(name)
    done = imza(command, "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["code"] == "no-card"
    text = imza(command)
    assert "insert it" in text.stderr
    assert "Traceback" not in text.stderr


def test_a_service_that_is_down_is_told_without_a_traceback(tmp_path: pathlib.Path) -> None:
    for command in ("list", "show", "watch"):
        done = imza(command, "--json", socket=tmp_path / "none.comm")
        assert done.returncode == 5
        assert json.loads(done.stdout)["code"] == "reader-service-down"
        assert "Traceback" not in imza(command, socket=tmp_path / "none.comm").stderr


def test_every_command_has_help_with_an_example() -> None:
    for command in ("list", "show", "watch", "change-pin", "unblock", "personalise"):
        done = imza(command, "--help")
        assert done.returncode == 0
        assert f"imza card {command}" in done.stdout
        assert "Example" in done.stdout


def test_help_needs_no_card_library() -> None:
    program = (
        "import sys; import card_reader.commands; sys.exit('smartcard' in sys.modules"
        " or 'pkcs11' in sys.modules or 'cryptography' in sys.modules)"
    )
    begin = time.monotonic()
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert time.monotonic() - begin < 5
