"""Every trust zone as a process of its own, and what a portal sees when one of them is down."""

import dataclasses
import pathlib

import pytest

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("apart")]


@pytest.fixture
def api(zones: worlds.Zones) -> worlds.Api:
    return worlds.Api(zones.addresses.signing, dataclasses.asdict(zones.installation.api_client))


@pytest.fixture
def signer(zones: worlds.Zones) -> worlds.Signer:
    return worlds.certify(
        zones.addresses.ca, dataclasses.asdict(zones.installation.registration_client)
    )


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
