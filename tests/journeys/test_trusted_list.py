"""A stranger verifies with the country's trusted list, and with nothing else."""

import json
import pathlib

import pytest

from imza import people
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]


def test_a_signature_passes_with_an_authentic_list_alone(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    person = next(one for one in people.PEOPLE if one.person_code == "3KL78RS")
    signed, listed = tmp_path / "signed.pdf", tmp_path / "az.xml"
    world.imza(
        "sign", str(contract), "--level", "B-LTA", "--phone", str(person.phone_number),
        "--person", person.person_code, *world.service, "-o", str(signed),
    )  # fmt: skip
    credentials = str(world.folder / "sandbox.json")
    world.imza("ca", "trusted-list", "write", "az", "-o", str(listed), "--credentials", credentials)
    signer = ("--list-signer", str(world.description["trusted_list_signer_pem"]))
    url = str(world.description["trusted_list"])

    for given in (
        ("--offline", "--trust", str(listed), *signer),
        ("--trust", url, *signer),
        ("--trust", url, "--trust", str(world.description["trust_anchors_pem"])),
    ):
        done = world.imza("verify", "--json", *given, str(signed))
        report = json.loads(done.stdout)
        assert report["overall"] == "TOTAL-PASSED"
        # What the TEST list says of the TEST authority; nothing of it is certified.
        assert report["signatures"][0]["qualified"] == "QESig", report["signatures"][0]["info"]

    refused = world.imza("verify", "--json", "--trust", url, str(signed), expect=4)
    assert json.loads(refused.stdout)["code"] == "trusted-list-not-authenticated"
