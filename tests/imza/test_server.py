import contextlib
import pathlib
import socket
import subprocess
import sys

import pytest

from imza import installation, server
from imza.wiring.zone import ZONES
from pki import outbound
from tests.support import servers

LIMIT_S = 60


def _serve(zone: str, path: pathlib.Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imza", "serve", zone, "--config", str(path), *options],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: pathlib.Path) -> installation.Installation:
    made = installation.Installation(tmp_path / "w")
    made.lay_out(installation.Addresses.together(f"http://127.0.0.1:{servers.free_port()}"))
    return made


def test_every_zone_that_is_built_can_be_served() -> None:
    assert set(server.ZONES) == {*ZONES, "portal"}


def test_an_unknown_zone_is_wrong_use(world: installation.Installation) -> None:
    done = _serve("bank", world.config_path("ca"))
    assert done.returncode == 2
    assert "'bank'" in done.stderr


def test_the_portal_is_refused_in_plain_words(world: installation.Installation) -> None:
    done = _serve("portal", world.config_path("signing"))
    assert done.returncode == 4
    assert "not built yet" in done.stderr


def test_a_settings_file_of_another_zone_is_refused(world: installation.Installation) -> None:
    done = _serve("signing", world.config_path("mobile"), "--upgrade-database")
    assert done.returncode == 4
    assert "[signing]" in done.stderr


def test_a_database_without_tables_is_refused_until_it_is_upgraded(
    world: installation.Installation,
) -> None:
    done = _serve("mobile", world.config_path("mobile"))
    assert done.returncode == 4
    assert "[database-schema-outdated]" in done.stderr
    assert "--upgrade-database" in done.stderr


def test_a_taken_port_is_refused_with_a_devices_exit_code(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = installation.Installation(tmp_path)
        port = other.getsockname()[1]
        made.lay_out(installation.Addresses.together(f"http://127.0.0.1:{port}"))
        done = _serve("mobile", made.config_path("mobile"), "--upgrade-database")
    assert done.returncode == 5
    assert "[port-taken]" in done.stderr


def test_a_zone_tells_its_address_is_ready_and_ends_when_asked(
    world: installation.Installation,
) -> None:
    command = [sys.executable, "-m", "imza", "serve", "mobile", "--upgrade-database"]
    with subprocess.Popen(
        [*command, "--config", str(world.config_path("mobile"))], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        address = next(
            line.split()[-1] for line in process.stderr if line.startswith("imza mobile serves at")
        )
        with contextlib.closing(outbound.Client()) as client:
            told = client.send("GET", f"{address}/readyz").json()
            absent = client.send("GET", f"{address}/api/v1/signing-sessions/x", expect=(404,))
        process.terminate()
        assert process.wait(LIMIT_S) == 0
        assert "imza mobile stops" in process.stderr.read()
    assert told == {"status": "ready", "checks": {"database": "ok"}, "notes": {}}
    assert absent.status == 404
