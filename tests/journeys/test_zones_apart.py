"""Every trust zone as a process of its own, and what a portal sees when one of them is down."""

import contextlib
import dataclasses
import os
import pathlib
import subprocess

import pytest

from mobile_id.simulation import station
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("apart")]


@pytest.fixture
def api(zones: worlds.Zones) -> worlds.Api:
    return worlds.Api(zones.addresses.signing, dataclasses.asdict(zones.installation.api_client))


@pytest.fixture
def signer(zones: worlds.Zones) -> worlds.Signer:
    return worlds.certify(zones.office())


def test_zones_work_together_over_their_protocols_alone(
    api: worlds.Api, signer: worlds.Signer, contract: pathlib.Path
) -> None:
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    assert opened["state"] == "awaiting_value"
    path = f"/api/v1/signing-sessions/{opened['id']}"
    value = signer.value(opened)
    api.call("POST", f"{path}/signature-value", value)
    done = api.wait(opened["id"], ["completed"])
    assert (done["state"], done["level_reached"]) == ("completed", "B-LTA")
    document = api.call("GET", f"{path}/document")
    # The same call again returns the same answer, and the same document.
    assert api.call("POST", f"{path}/signature-value", value)["state"] == "completed"
    assert api.call("GET", f"{path}/document") == document


def test_time_stamping_down_keeps_the_level_reached_and_raises_it_later(
    zones: worlds.Zones, api: worlds.Api, signer: worlds.Signer, contract: pathlib.Path
) -> None:
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    zones.stop("tsa")
    try:
        told = api.call("POST", f"{path}/signature-value", signer.value(opened))
        assert (told["state"], told["level_reached"]) == ("augmenting", "B-B")
        assert told["error"]["code"] == "peer-unavailable"
        assert api.call("GET", f"{path}/document").startswith(b"%PDF-")
    finally:
        zones.start("tsa")
    done = api.wait(opened["id"], ["completed", "failed"])
    assert (done["state"], done["level_reached"]) == ("completed", "B-LTA")


def test_status_service_down_refuses_before_a_person_is_asked(
    zones: worlds.Zones, api: worlds.Api, signer: worlds.Signer, contract: pathlib.Path
) -> None:
    zones.stop("ocsp")
    try:
        problem = api.open_session(contract.read_bytes(), signer.parameters("B-T"), expect=(502,))
        assert problem["retriable"] is True
    finally:
        zones.start("ocsp")
    api.open_session(contract.read_bytes(), signer.parameters("B-T"))


def test_signing_service_restarted_finishes_the_session(
    zones: worlds.Zones, api: worlds.Api, signer: worlds.Signer, contract: pathlib.Path
) -> None:
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LT"))
    zones.stop("signing")
    zones.start("signing")
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed"])["level_reached"] == "B-LT"


def test_no_zone_holds_another_zones_keys(zones: worlds.Zones) -> None:
    keys = zones.installation.folder / "keys"
    labels = {one.name: {key.stem for key in one.iterdir()} for one in keys.iterdir()}
    assert not any(label.startswith(("root", "ca-")) for label in labels["ocsp"] | labels["tsa"])
    assert all(label.startswith("ocsp-") for label in labels["ocsp"])
    assert all(label.startswith("tsu-") for label in labels["tsa"])


@dataclasses.dataclass(frozen=True)
class Subscriber:
    """A person with a simulated SIM, enrolled in the mobile zone, who answers when told to."""

    station: pathlib.Path
    phone_number: str
    person_code: str

    def answer(self, control_code: str) -> None:
        subprocess.run(
            [*worlds.IMZA, "mobile", "simulate", "--config", str(self.station),
             "--phone", self.phone_number, "--code", control_code],
            check=True, capture_output=True, timeout=worlds.STEP_LIMIT_S,
        )  # fmt: skip

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "format": "PAdES",
            "level": "B-T",
            "packaging": "enveloped",
            "signer": {"phone_number": self.phone_number, "person_code": self.person_code},
        }


@pytest.fixture
def subscriber(zones: worlds.Zones) -> Subscriber:
    folder = zones.installation.folder
    credentials = zones.operators
    station.write_settings(
        folder / "mobile",
        station.StationSettings(
            database_url=f"sqlite:///{folder / 'mobile.sqlite'}",
            registration_url=zones.addresses.ca,
            registration_credentials=credentials,
            device_url=f"{zones.addresses.mobile}/mobile-device",
        ),
    )
    one = Subscriber(folder / "mobile" / station.FILE_NAME, "+994500000077", "8MB88MB")
    subprocess.run(
        [*worlds.IMZA, "mobile", "enrol", "--config", str(one.station), "--phone",
         one.phone_number, "--person", one.person_code, "--surname", "Quliyev",
         "--given-name", "Anar", "--document", "passport:AZ:TEST1:2099-12-31"],
        check=True, capture_output=True, timeout=worlds.STEP_LIMIT_S,
    )  # fmt: skip
    return one


def test_mobile_gateway_down_is_told_at_once_and_loses_no_session(
    zones: worlds.Zones, api: worlds.Api, subscriber: Subscriber, contract: pathlib.Path
) -> None:
    opened = api.open_session(contract.read_bytes(), subscriber.parameters)
    assert opened["state"] == "awaiting_person"
    zones.stop("mobile")
    try:
        problem = api.open_session(contract.read_bytes(), subscriber.parameters, expect=(502,))
        assert (problem["code"], problem["retriable"]) == ("peer-unavailable", True)
        # Whoever is asked already may still answer when the gateway is back.
        path = f"/api/v1/signing-sessions/{opened['id']}"
        assert api.call("GET", path)["state"] == "awaiting_person"
    finally:
        zones.start("mobile")
    subscriber.answer(opened["control_code"])
    done = api.wait(opened["id"], ["completed", "failed", "refused", "expired"])
    assert (done["state"], done["level_reached"]) == ("completed", "B-T")


def test_disk_that_is_full_loses_no_session(
    zones: worlds.Zones,
    api: worlds.Api,
    signer: worlds.Signer,
    contract: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk, usual = tmp_path / "disk", zones.installation.folder / "documents"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a disk")
    zones.stop("signing")
    zones.change("signing", "signing", folder=str(disk), lease=2)
    zones.start("signing")
    try:
        opened = api.open_session(contract.read_bytes(), signer.parameters("B-T"))
        path = f"/api/v1/signing-sessions/{opened['id']}"
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        told = api.call("POST", f"{path}/signature-value", signer.value(opened))
        assert (told["state"], told["level_reached"]) == ("augmenting", None)
        assert told["error"]["code"] == "storage-full"
        problem = api.open_session(
            contract.read_bytes(), signer.parameters("B-T"), expect=range(500, 600)
        )
        assert (problem["code"], problem["retriable"]) == ("storage-full", True)
        filler.unlink()
        done = api.wait(opened["id"], ["completed", "failed"])
        assert (done["state"], done["level_reached"]) == ("completed", "B-T")
    finally:
        zones.stop("signing")
        zones.change("signing", "signing", folder=str(usual))
        zones.start("signing")
        subprocess.run(["umount", str(disk)], check=True)
