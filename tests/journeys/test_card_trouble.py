"""What can go wrong with a card between the wish to sign and the signature, as a person meets it.

Each trouble has its own code and sentence, no traceback, and the session goes on afterwards.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from card_reader import apdu
from card_reader.virtual_card import card_file
from tests.support import terminals
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.card, pytest.mark.xdist_group("card-trouble")]

CITIZEN = "5AB12CD"
DIRECTOR = "2MN56PQ"

VERIFY = apdu.Instruction.VERIFY.value
SIGN = apdu.Instruction.GENERAL_AUTHENTICATE.value


@pytest.fixture(scope="module")
def trouble_world() -> Iterator[worlds.World]:
    """A sandbox of its own: pcscd is killed in it and a PIN is blocked."""
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.sandbox(pathlib.Path(folder) / "w") as running,
    ):
        if running.description["pcscd"] is None:
            if os.environ.get("CI"):
                pytest.fail("the sandbox has no card reader: this machine refuses namespaces")
            pytest.skip("this machine refuses namespaces, so there is no card reader")
        yield running


@pytest.fixture
def world(trouble_world: worlds.World) -> Iterator[worlds.World]:
    """The same, with the citizen's card back in its reader at the end."""
    yield trouble_world
    put_back(trouble_world)


def put_back(world: worlds.World, person_code: str = CITIZEN) -> None:
    reader = world.card(person_code)["reader"]
    world.remove_card(reader)
    world.insert_card(reader, world.folder / "cards" / f"{person_code}.json")


def sign(
    world: worlds.World,
    contract: pathlib.Path,
    target: pathlib.Path,
    *,
    pin: str,
    expect: int,
    reader: str | None = None,
) -> str:
    """Try to sign as a script would; return what it told people."""
    done = world.imza(
        "sign", str(contract), "--level", "B-B", "--card",
        "--reader", reader or world.card(CITIZEN)["reader"], *world.service,
        "-o", str(target), pin=pin, expect=expect,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert pin not in done.stdout + done.stderr
    return done.stderr


def go_on(world: worlds.World, told: str, target: pathlib.Path) -> None:
    """The session of an attempt still waits; the card, back in its reader, completes it."""
    found = re.search(r"session ([0-9a-f]{32}) waits", told)
    assert found is not None, told
    state = world.api().call("GET", f"/api/v1/signing-sessions/{found.group(1)}")
    assert state["state"] == "awaiting_value"
    card = world.card(CITIZEN)
    world.imza(
        "sign", "--session", found.group(1), "--card", "--reader", card["reader"],
        *world.service, "-o", str(target), pin=card["pin1"],
    )  # fmt: skip
    assert world.verify(target)["overall"] == "TOTAL-PASSED"


def test_card_taken_out_before_the_pin_is_told_and_the_session_goes_on(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = world.card(CITIZEN)
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*worlds.IMZA, "sign", str(contract), "--level", "B-B", "--card", "--reader",
         card["reader"], *world.service, "-o", str(tmp_path / "x.pdf"), "--pin-fd", str(reading)],
        env=world.environment, pass_fds=(reading,), stderr=subprocess.PIPE, text=True,
    ) as waiting:  # fmt: skip
        assert waiting.stderr is not None
        told = waiting.stderr.readline()
        assert "waits for the card" in told
        world.remove_card(card["reader"])
        os.write(writing, f"{card['pin1']}\n".encode())
        told += waiting.stderr.read()
        assert waiting.wait(60) == 5
    os.close(reading)
    os.close(writing)
    assert "[no-card]" in told or "[card-removed]" in told
    assert "Traceback" not in told
    put_back(world)
    go_on(world, told, tmp_path / "x.pdf")


@pytest.mark.parametrize(
    ("instruction", "answered"),
    [(VERIFY, False), (VERIFY, True), (SIGN, False)],
    ids=["in the PIN", "after the PIN", "while it signs"],
)
def test_card_taken_out_is_told_and_the_session_goes_on(
    world: worlds.World,
    contract: pathlib.Path,
    tmp_path: pathlib.Path,
    instruction: int,
    answered: bool,
) -> None:
    card = world.card(CITIZEN)
    world.pull_card_at(card["reader"], instruction, answered=answered)
    told = sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=5)
    assert "[card-removed]" in told
    assert "taken out" in told
    assert not (tmp_path / "x.pdf").exists()
    put_back(world)
    go_on(world, told, tmp_path / "x.pdf")


@pytest.mark.parametrize("passing", [0, 12, 25, 37, 50])
def test_card_taken_out_at_any_command_is_told_as_such(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path, passing: int
) -> None:
    """From the first look at the card, before there is a session, to the PIN."""
    card = world.card(CITIZEN)
    world.pull_card_at(card["reader"], None, answered=bool(passing % 2), passing=passing)
    told = sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=5)
    assert "[card-removed]" in told or "[no-card]" in told
    assert not (tmp_path / "x.pdf").exists()
    put_back(world)
    if "waits for the card" in told:
        go_on(world, told, tmp_path / "x.pdf")
    else:
        sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=0)


def test_no_reader_of_this_name(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    told = sign(world, contract, tmp_path / "x", pin="123456", expect=5, reader="No such reader")
    assert "[no-reader]" in told


def test_card_of_another_kind_is_unknown(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    reader = world.card(CITIZEN)["reader"]
    library_card = tmp_path / "library-card.json"
    card_file.CardFile.create(library_card, card_file.OTHER_APPLET)
    world.remove_card(reader)
    world.insert_card(reader, library_card)
    told = sign(world, contract, tmp_path / "x.pdf", pin="123456", expect=5)
    assert "[unknown-card]" in told


def test_another_persons_card_does_not_go_on_with_the_session(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card, other = world.card(CITIZEN), world.card(DIRECTOR)
    world.pull_card_at(card["reader"], VERIFY, answered=False)
    told = sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=5)
    session = re.search(r"session ([0-9a-f]{32}) waits", told)
    assert session is not None
    done = world.imza(
        "sign", "--session", session.group(1), "--card", "--reader", other["reader"],
        *world.service, "-o", str(tmp_path / "x.pdf"), pin=other["pin1"], expect=4,
    )  # fmt: skip
    assert "[other-card]" in done.stderr
    put_back(world)
    go_on(world, told, tmp_path / "x.pdf")


def test_person_at_a_terminal_corrects_a_wrong_pin_and_puts_the_card_back(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = world.card(CITIZEN)
    wrong = "999999" if card["pin1"] != "999999" else "888888"
    with terminals.at_terminal(
        world, "sign", str(contract), "--level", "B-B", "--card", "--reader", card["reader"],
        *world.service, "-o", str(tmp_path / "x.pdf"),
    ) as terminal:  # fmt: skip
        terminal.wait_for("PIN for signing")
        terminal.type(wrong)
        terminal.wait_for("2 tries left")
        terminal.wait_for("PIN for signing")
        terminal.type("12")
        terminal.wait_for("expected 6 to 8 digits")
        terminal.wait_for("PIN for signing")
        world.remove_card(card["reader"])
        terminal.type(card["pin1"])
        terminal.wait_for("press Enter")
        world.insert_card(card["reader"], world.folder / "cards" / f"{CITIZEN}.json")
        terminal.type("")
        terminal.wait_for("PIN for signing")
        terminal.type(card["pin1"])
        assert terminal.exit_code() == 0, terminal.shown
    assert wrong not in terminal.shown
    assert card["pin1"] not in terminal.shown
    assert world.verify(tmp_path / "x.pdf")["overall"] == "TOTAL-PASSED"


def test_three_wrong_pins_block_the_card_until_the_puk_opens_it(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    card = world.card(CITIZEN)
    wrong = "999999" if card["pin1"] != "999999" else "888888"
    told = [sign(world, contract, tmp_path / "x.pdf", pin=wrong, expect=4) for _ in range(3)]
    assert "2 tries left [wrong-pin]" in told[0]
    assert "1 try left [wrong-pin]" in told[1]
    assert "[pin-blocked]" in told[2]
    # The right PIN is refused now as well, and the sentence says what to do.
    blocked = sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=4)
    assert "[pin-blocked]" in blocked
    assert "imza card unblock" in blocked
    world.imza("card", "unblock", "--reader", card["reader"], pin=f"{card['puk']}\n{card['pin1']}")
    go_on(world, told[0], tmp_path / "x.pdf")


def test_smart_card_service_killed_is_told_and_a_restart_of_the_world_brings_it_back(
    trouble_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    world = trouble_world
    card = world.card(CITIZEN)
    opened = sign(world, contract, tmp_path / "x.pdf", pin="111111", expect=4)
    os.kill(service_pid(world), signal.SIGKILL)
    told = sign(world, contract, tmp_path / "x.pdf", pin=card["pin1"], expect=5)
    assert "[reader-service-down]" in told
    # The rest of the world lives on, and says that the session waits.
    found = re.search(r"session ([0-9a-f]{32}) waits", opened)
    assert found is not None
    state = world.api().call("GET", f"/api/v1/signing-sessions/{found.group(1)}")
    assert state["state"] == "awaiting_value"
    world.stop()
    again = worlds.start_sandbox(world.folder)
    world.process, world.description = again.process, again.description
    go_on(world, opened, tmp_path / "x.pdf")


def service_pid(world: worlds.World) -> int:
    """This world's own pcscd, and nobody else's."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It may have ended just now.
            program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
            ours = any(f"{world.folder}/pcscd/".encode() in one for one in arguments)
            if program.endswith(b"/pcscd") and ours:
                found.append(int(process.name))
    (pid,) = found
    return pid
