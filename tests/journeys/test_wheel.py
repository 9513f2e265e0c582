"""The wheel as a stranger gets it: installed in an empty environment, used from elsewhere."""

import json
import os
import pathlib
import site
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Iterator

import pytest

from imza import people
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

ROOT = pathlib.Path(__file__).parents[2]

PACKAGES = {
    "ca", "card_reader", "imza", "mobile_id", "ocsp", "pki", "signing_service", "tsa",
}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built from a copy, so that what an earlier build left behind is not in it."""
    base = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():
            target = base / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(base / "dist"), str(base / "source")],
        check=True, capture_output=True,
    )  # fmt: skip
    (built,) = (base / "dist").glob("imza-*.whl")
    return built


@pytest.fixture(scope="module")
def program(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """`imza` in an environment where nothing but the wheel and its dependencies can be found."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps",
         "--no-index", "--disable-pip-version-check", str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    # The dependencies are those that are installed here already. A `.pth` of theirs is not read
    # from there, and it is one such file that makes our own packages importable from the source.
    packages = pathlib.Path(
        sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    )
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin" / "imza"


def run(program: pathlib.Path, *arguments: str, cwd: pathlib.Path) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def test_wheel_holds_the_packages_their_data_and_no_tests(wheel: pathlib.Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    source = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert source - set(names) == set()
    assert "imza/migrations/script.py.mako" in names


def test_version_is_told_from_anywhere(program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert run(program, "--version", cwd=tmp_path).startswith("imza ")
    python = program.with_name("python")
    where = subprocess.run(
        [str(python), "-c", "import pki, imza; print(pki.__file__, imza.__file__)"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert all(one.startswith(str(program.parents[1])) for one in where.split())


@pytest.fixture
def installed_world(program: pathlib.Path) -> Iterator[worlds.World]:
    with tempfile.TemporaryDirectory(prefix="imza-") as folder:
        world = worlds.start_sandbox(
            pathlib.Path(folder) / "w", command=(str(program),), environment=clean_environment()
        )
        try:
            yield world
        finally:
            world.stop()


def test_installed_wheel_signs_and_verifies(
    installed_world: worlds.World,
    program: pathlib.Path,
    contract: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
    run(
        program, "sign", str(contract), "--level", "B-LTA", "--phone", str(person.phone_number),
        "--person", person.person_code, *installed_world.service, "-o", "signed.pdf", cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(
        run(program, "verify", "signed.pdf", "--trust", str(installed_world.root), "--json",
            cwd=tmp_path)
    )  # fmt: skip
    assert report["overall"] == "TOTAL-PASSED"
    assert report["signatures"][0]["level"] == "PAdES-BASELINE-LTA"
