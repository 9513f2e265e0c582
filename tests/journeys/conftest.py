import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from imza import samples
from tests.support import office as offices
from tests.support import world as worlds


@pytest.fixture(scope="session")
def world() -> Iterator[worlds.World]:
    """One sandbox for the journeys that leave it usable for the next."""
    # A Unix socket's path is short, so the folder is near the root.
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.sandbox(pathlib.Path(folder) / "w") as running,
    ):
        yield running


@pytest.fixture
def card_world(world: worlds.World) -> worlds.World:
    """The same, where the machine allows a reader."""
    if world.description["pcscd"] is None:
        if os.environ.get("CI"):
            pytest.fail("the sandbox has no card reader: this machine refuses namespaces")
        pytest.skip("this machine refuses namespaces, so there is no card reader")
    return world


@pytest.fixture(scope="session")
def zones() -> Iterator[worlds.Zones]:
    """Every zone as a process of its own; whoever stops one starts it again."""
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.zones_apart(pathlib.Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("samples") / "contract.pdf"
    samples.write_contract(path)
    return path


@pytest.fixture(scope="session")
def form(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("samples") / "form.xml"
    samples.write_form(path)
    return path


@pytest.fixture
def office(tmp_path: pathlib.Path) -> offices.Office:
    """A CA of the test's own, under a clock that it may move."""
    if offices.FAKETIME is None or shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("expected the packages faketime and openssl")
        pytest.skip("needs the packages faketime and openssl")
    return offices.Office(tmp_path)
