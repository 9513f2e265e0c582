import json
import pathlib
import threading
from typing import Any

import pytest
from click import testing

from mobile_id import commands, results
from mobile_id.simulation import personas, station
from pki import errors
from tests.mobile_id.conftest import WHO, World, representation
from tests.support import operators

PHONE = "+994501112255"


@pytest.fixture
def counter(live: World, authority: tuple[Any, str], tmp_path: pathlib.Path) -> World:
    """A station's settings beside the live world's SIMs, as the sandbox writes them."""
    credentials = operators.stranger().write(tmp_path, authority[1])
    station.write_settings(
        live.folder,
        station.StationSettings(
            database_url=f"sqlite:///{tmp_path}/live.sqlite",
            registration_url=authority[1],
            registration_credentials=credentials,
            device_url=live.device_url,
        ),
    )
    return live


def run(world: World, *arguments: str) -> testing.Result:
    return testing.CliRunner().invoke(
        commands.group, [arguments[0], "--dir", str(world.folder.parent), *arguments[1:]]
    )


def enrol(world: World) -> dict[str, Any]:
    done = run(
        world, "enrol", "--phone", PHONE, "--person", "7AB12CD", "--surname", "TEST",
        "--given-name", "Aytən", "--document", "passport:AZ:TEST2:2035-01-31", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_person_is_enrolled_shown_suspended_and_let_in_again(counter: World) -> None:
    made = enrol(counter)
    person = personas.load_person(counter.folder, PHONE)
    for pin in (person.pin1, person.pin2, person.puk):
        assert pin.reveal() not in json.dumps(made).split()
    shown = json.loads(run(counter, "show", "--phone", PHONE, "--json").stdout)
    assert shown["state"] == "active"
    assert shown["tries_left"] == {"authentication": 3, "signature": 3}
    assert "PNOAZ-7AB12CD" in shown["signature_certificate"]["subject"]
    suspended = json.loads(run(counter, "suspend", "--phone", PHONE, "--json").stdout)
    assert suspended["state"] == "suspended"
    ended = json.loads(run(counter, "suspend", "--phone", PHONE, "--end", "--json").stdout)
    assert ended["state"] == "active"
    again = run(
        counter, "enrol", "--phone", PHONE, "--person", "7AB12CD", "--surname", "TEST",
        "--given-name", "Aytən", "--document", "passport:AZ:TEST2:2035-01-31",
    )  # fmt: skip
    assert isinstance(again.exception, errors.StateError)


def simulate(world: World, code: str) -> testing.Result:
    return run(world, "simulate", "--phone", WHO.phone_number, "--code", code, "--json")


def test_a_simulated_phone_confirms_the_code_of_the_other_screen(counter: World) -> None:
    counter.enrol(personas.Behaviour.MANUAL)
    party = counter.relying_party
    certificate = party.fetch_certificate(WHO)
    started = party.start_signature(WHO, representation(), text="Müqavilə")
    done = simulate(counter, started.control_code)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "result": "OK",
        "relying_party": "TEST portal",
        "text": "Müqavilə",
        "control_code": started.control_code,
    }
    assert started.control_code in done.stderr
    assert party.poll_signature(started, certificate) is not None


def test_a_simulated_phone_refuses_any_other_code(counter: World) -> None:
    counter.enrol(personas.Behaviour.MANUAL)
    started = counter.relying_party.start_signature(WHO, representation())
    other = f"{(int(started.control_code) + 1) % 8192:04d}"
    done = simulate(counter, other)
    assert isinstance(done.exception, errors.PolicyError)
    # The one JSON document of a failure is the problem that `imza` prints.
    assert done.stdout == ""
    found = counter.gateway.session_status(
        started.session_id, results.Operation.SIGNATURE, "127.0.0.1", counter.present.now()
    )
    assert found.result is results.Result.USER_CANCELLED
    assert found.values == ()


def test_a_simulated_phone_waits_for_a_request_that_comes_later(counter: World) -> None:
    counter.enrol(personas.Behaviour.MANUAL)
    party = counter.relying_party
    code = party.start_signature
    timer = threading.Timer(0.5, code, [WHO, representation()])
    timer.start()
    shown = run(counter, "simulate", "--phone", WHO.phone_number, "--code", "0000", "--wait", "10")
    timer.join()
    assert isinstance(shown.exception, errors.PolicyError)


def test_nothing_asked_is_said_so(counter: World) -> None:
    counter.enrol(personas.Behaviour.MANUAL)
    done = run(counter, "simulate", "--phone", WHO.phone_number, "--code", "0000", "--wait", "0")
    assert isinstance(done.exception, station.NothingDeliveredError)


def test_what_is_missing_is_told_by_an_error_of_ours(
    counter: World, tmp_path: pathlib.Path
) -> None:
    for arguments in (["show"], ["suspend"], ["simulate", "--code", "1462"]):
        done = testing.CliRunner().invoke(
            commands.group, [*arguments, "--dir", str(tmp_path / "nowhere"), "--phone", PHONE]
        )
        assert isinstance(done.exception, errors.InputError)
    assert isinstance(run(counter, "show", "--phone", PHONE).exception, errors.NotFoundError)
    assert isinstance(run(counter, "show", "--phone", "1").exception, errors.InputError)
    without = testing.CliRunner().invoke(commands.group, ["show", "--phone", PHONE])
    assert isinstance(without.exception, errors.InputError)


@pytest.mark.parametrize("command", ["enrol", "show", "suspend", "simulate"])
def test_every_command_has_an_example(command: str) -> None:
    done = testing.CliRunner().invoke(commands.group, [command, "--help"])
    assert done.exit_code == 0
    assert f"imza mobile {command}" in done.output
