"""Operators whose keys stay in a token: SoftHSM 2, and a PIV card behind OpenSC's module."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy

from ca import api
from ca.operators import api as operators_api
from ca.operators import gate, roles
from card_reader import module_card
from card_reader.virtual_card import reader_station
from pki import clock, database, web
from tests.support import ca_world, card_station, operators, servers, softhsm
from tests.support import hierarchy as hierarchy_support

pytestmark = [pytest.mark.peer]


@pytest.fixture
def office(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    present = clock.SystemClock()
    world = ca_world.make_world(database.session_factory(engine), present.now())
    gates = gate.SignedRequestGate(world.sessions, present)
    routers = [
        api.routes(world.sessions, world.hierarchy, gates, present),
        operators_api.routes(world.sessions, world.hierarchy, gates, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        yield operators.office(world, tmp_path, base_url)
    engine.dispose()


def imza(*arguments: str, pin: str | None = None, expect: int = 0) -> dict[str, object]:
    command = [sys.executable, "-m", "imza", "ca", *arguments, "--json"]
    descriptors: tuple[int, ...] = ()
    if pin is not None:
        reading, writing = os.pipe()
        os.write(writing, f"{pin}\n".encode())
        os.close(writing)
        command += ["--pin-fd", str(reading)]
        descriptors = (reading,)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, pass_fds=descriptors
    )
    for one in descriptors:
        os.close(one)
    assert done.returncode == expect, done.stdout + done.stderr
    assert pin is None or pin not in done.stdout + done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def enrol(office: pathlib.Path, folder: pathlib.Path, pin: str, *key: str) -> tuple[str, ...]:
    """Have a key of a token certified for an officer; return the options that name them."""
    base_url = json.loads(office.read_text())["base_url"]
    made = imza(
        *("operator", "request", "--name", "TEST-token", *key, "--server", base_url),
        *("-o", str(folder / "TEST-token.csr")),
        pin=pin,
    )
    imza(
        *("operator", "add", "--name", "TEST-token", "--role", roles.Role.RA_OFFICER.value),
        *("--csr", str(folder / "TEST-token.csr"), "-o", str(folder / "TEST-token.pem")),
        *("--operator", str(office)),
    )
    return ("--operator", str(made["operator_file"]))


def test_a_key_in_softhsm_signs_the_operators_requests(
    office: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = softhsm.module_path()
    softhsm.make_folder(tmp_path / "softhsm", monkeypatch)
    softhsm.make_token("operators")
    own = enrol(
        office,
        tmp_path,
        softhsm.PIN,
        *("--module", str(module), "--token", "operators", "--key-label", "officer", "--generate"),
    )
    shown = imza("operator", "show", *own, pin=softhsm.PIN)
    assert (shown["name"], shown["role"]) == ("TEST-token", "ra-officer")
    refused = imza("list", *own, pin="00000000", expect=5)
    assert refused["code"] == "pkcs11-pin-refused"


@pytest.fixture
def station() -> Iterator[reader_station.ReaderStation]:
    with card_station.running_station() as running:
        yield running


@pytest.mark.card
@pytest.mark.xdist_group("pcscd")
def test_the_authentication_key_of_a_card_signs_the_operators_requests(
    office: pathlib.Path, station: reader_station.ReaderStation, tmp_path: pathlib.Path
) -> None:
    at = clock.whole_seconds(clock.SystemClock().now())
    ca = card_station.SmallCA(hierarchy_support.make_hierarchy(at))
    card = card_station.make_card(tmp_path / "card.json", ca)
    station.insert(station.reader_names[0], card.path)
    module = str(module_card.find_module())
    slots = subprocess.run(
        ["pkcs11-tool", "--module", module, "--list-token-slots"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (label,) = [
        line.partition(":")[2].strip() for line in slots.splitlines() if "token label" in line
    ]
    own = enrol(
        office,
        tmp_path,
        card.pin,
        *("--module", module, "--token", label, "--key-label", "PIV AUTH key"),
    )
    shown = imza("operator", "show", *own, pin=card.pin)
    assert shown["name"] == "TEST-token"
    assert imza("list", *own, pin=card.pin)["certificates"]
