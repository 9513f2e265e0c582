"""The units, judged by systemd itself, and the zones under the system calls that these leave."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from imza import samples
from imza.wiring.zone import ZONES
from tests.support import confined
from tests.support import world as worlds

pytestmark = pytest.mark.peer

UNITS = pathlib.Path(__file__).parents[2] / "deploy" / "systemd"
TEMPLATE = UNITS / "imza@.service"

EXPOSED_AT_MOST = {"ca": 1.1, "ocsp": 0.9, "tsa": 1.4, "mobile": 1.1, "signing": 1.1}
"""What docs/scale-out.md says; of 10, as `systemd-analyze security` counts."""


@pytest.fixture(scope="module")
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("expected the package systemd")
        pytest.skip("systemd is not installed")
    return program


def files_of(zone: str) -> list[pathlib.Path]:
    return [TEMPLATE, *sorted((UNITS / f"imza@{zone}.service.d").glob("*.conf"))]


def install(folder: pathlib.Path, zone: str) -> pathlib.Path:
    """The unit as systemd would find it; only the program's place is another."""
    unit = folder / f"imza@{zone}.service"
    unit.write_text(TEMPLATE.read_text().replace("/opt/imza/.venv/bin/imza", "/bin/true"))
    for one in files_of(zone)[1:]:
        target = folder / f"{unit.name}.d"
        target.mkdir(exist_ok=True)
        shutil.copy(one, target)
    return unit


@pytest.mark.parametrize("zone", ZONES)
def test_systemd_finds_nothing_wrong_with_a_unit(
    analyze: str, tmp_path: pathlib.Path, zone: str
) -> None:
    assert "serve %i --config /etc/imza/%i.toml" in TEMPLATE.read_text()
    unit = install(tmp_path, zone)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if unit.name in line] == []


@pytest.mark.parametrize("zone", ZONES)
def test_a_unit_leaves_its_zone_little(analyze: str, tmp_path: pathlib.Path, zone: str) -> None:
    command = [analyze, "security", "--offline=yes", "--no-pager", str(install(tmp_path, zone))]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+) ", told)
    assert found is not None, told
    assert float(found.group(1)) <= EXPOSED_AT_MOST[zone], told


@pytest.fixture(scope="module")
def confined_zones(analyze: str) -> Iterator[worlds.Zones]:
    prefixes = {
        zone: [sys.executable, "-m", "tests.support.confined", *map(str, files_of(zone)), "--"]
        for zone in ZONES
    }
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        worlds.zones_apart(
            pathlib.Path(folder),
            prefixes=prefixes,
            settings={("ocsp", "server"): {"workers": 2}, ("tsa", "server"): {"workers": 2}},
        ) as running,
    ):
        yield running


@pytest.mark.slow
def test_every_zone_works_with_the_system_calls_that_its_unit_leaves(
    confined_zones: worlds.Zones, tmp_path: pathlib.Path
) -> None:
    zones = confined_zones
    for zone, process in zones.processes.items():
        state = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in state, zone
        assert "Seccomp:\t2" in state, zone
        assert "CapBnd:\t0000000000000000" in state or os.geteuid() != 0, zone
    # A certificate is judged and signed, a document signed with status and time stamps from the
    # other zones, and judged in a process of the signing zone's own.
    signer = worlds.certify(zones.office())
    api = worlds.Api(zones.addresses.signing, dataclasses.asdict(zones.installation.api_client))
    contract = tmp_path / "contract.pdf"
    samples.write_contract(contract)
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    done = api.wait(opened["id"], ["completed", "failed"])
    assert (done["state"], done["level_reached"]) == ("completed", "B-LTA")
    for zone in ZONES:
        assert worlds.ready(zones.addresses.of(zone)), zones.log(zone)


@pytest.mark.slow
def test_what_the_unit_takes_away_is_gone(analyze: str) -> None:
    script = """
import ctypes, json, mmap, os, socket, time
def refused(call):
    try:
        call()
    except OSError as error:
        return error.errno
libc = ctypes.CDLL(None, use_errno=True)
def unshare():
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "unshare")
print(json.dumps([
    refused(lambda: os.chown("/dev/null", 1, 1)),
    refused(lambda: os.setpriority(os.PRIO_PROCESS, 0, 5)),
    refused(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())),
    refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)),
    refused(unshare),
    refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM)),
]))
"""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.confined", str(TEMPLATE), "--",
         sys.executable, "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [1, 1, 1, 1, 1, 97, None]


def test_a_later_line_of_the_filter_gives_back_what_an_earlier_one_took(analyze: str) -> None:
    for zone, allowed in (("ocsp", False), ("tsa", True)):
        lines = confined.settings(files_of(zone))["SystemCallFilter"]
        assert ("adjtimex" in confined.allowed_calls(lines)) is allowed
        assert "clock_settime" not in confined.allowed_calls(lines)
