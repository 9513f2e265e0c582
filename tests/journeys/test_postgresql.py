"""A sandbox on PostgreSQL: it signs, goes on after a restart, and bears a database that stops."""

import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

import pytest

from tests.support import postgresql
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with tempfile.TemporaryDirectory(prefix="imza-") as folder:
        try:
            with postgresql.running(pathlib.Path(folder)) as started:
                yield started
        except postgresql.PostgresqlMissingError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def database_world(server: postgresql.Server) -> Iterator[worlds.World]:
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.sandbox(pathlib.Path(folder) / "w", "--database-url", server.url) as running,
    ):
        yield running


def test_document_is_signed_to_the_highest_level(
    database_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    world = database_world
    assert not list(world.folder.glob("*.sqlite"))
    signer = worlds.certify(world.office(), "5PG55PG")
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed", "failed"])["level_reached"] == "B-LTA"
    (tmp_path / "signed.pdf").write_bytes(api.call("GET", f"{path}/document"))
    assert world.verify(tmp_path / "signed.pdf")["overall"] == "TOTAL-PASSED"


def test_database_that_stops_is_a_clean_failure_and_comes_back(
    database_world: worlds.World, server: postgresql.Server, contract: pathlib.Path
) -> None:
    world = database_world
    signer = worlds.certify(world.office(), "5PG66PG")
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-T"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    server.stop()
    try:
        start = time.monotonic()
        problem = api.call("GET", path, expect=range(500, 600))
        assert problem["code"]
        assert "psycopg" not in str(problem)
        api.call("POST", f"{path}/signature-value", signer.value(opened), expect=range(500, 600))
        api.call("GET", "/readyz", expect=(503,))
        assert time.monotonic() - start < 30
        done = world.imza("ca", "list", *world.credentials, "--json", expect=5)
        assert "Traceback" not in done.stderr
    finally:
        server.start()
    # The session is where it was, and the value completes it.
    assert api.call("GET", path)["state"] == "awaiting_value"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed", "failed"])["state"] == "completed"


def test_restart_continues_the_world(
    database_world: worlds.World, server: postgresql.Server, contract: pathlib.Path
) -> None:
    world = database_world
    before = world.api().call("GET", "/readyz")
    serials = {one["serial_number"] for one in listed(world)}
    world.stop()
    again = worlds.start_sandbox(world.folder, "--database-url", server.url)
    world.process, world.description = again.process, again.description
    assert world.api().call("GET", "/readyz").keys() == before.keys()
    assert {one["serial_number"] for one in listed(world)} >= serials


def listed(world: worlds.World) -> list[dict[str, str]]:
    api = world.office()
    found: list[dict[str, str]] = api.call("GET", "/ra/v1/certificates")["certificates"]
    return found
