"""An operator makes a seal with the commands of the guide, while the service runs."""

import dataclasses
import json
import pathlib
import subprocess
from typing import Any

import pytest

from imza import installation, people
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("apart")]


def imza(*arguments: str) -> Any:
    done = subprocess.run(
        [*worlds.IMZA, *arguments, "--json"],
        capture_output=True, text=True, timeout=worlds.STEP_LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def sign(
    zones: worlds.Zones, contract: pathlib.Path, tmp_path: pathlib.Path
) -> "subprocess.CompletedProcess[str]":
    credentials = tmp_path / "client.json"
    credentials.write_text(json.dumps(dataclasses.asdict(zones.installation.api_client)))
    return subprocess.run(
        [*worlds.IMZA, "sign", str(contract), "--level", "B-T", "--seal", installation.SEAL,
         "--server", zones.addresses.signing, "--credentials", str(credentials),
         "-o", str(tmp_path / "sealed.pdf")],
        capture_output=True, text=True, timeout=worlds.STEP_LIMIT_S, check=False,
    )  # fmt: skip


def test_operator_makes_a_seal_and_it_works_without_a_restart(
    zones: worlds.Zones, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    # In the settings since the start, and neither key nor certificate is there.
    told = sign(zones, contract, tmp_path)
    assert told.returncode == 5, told.stderr
    assert "[seal-unavailable]" in told.stderr
    assert "seal_unavailable" in zones.log("signing")

    config = str(zones.installation.config_path("signing"))
    operators = ("--credentials", str(zones.operators))
    request = tmp_path / "ministry.csr"
    imza("seal", "request", installation.SEAL, "--config", config, "-o", str(request))
    person, ministry = people.OFFICIAL, people.MINISTRY
    application = imza(
        "ca", "request", "--category", "organisation", "--profile", "seal",
        "--country", person.country, "--person-code", person.person_code,
        "--surname", person.surname, "--given-name", person.given_name,
        "--organisation-code", ministry.code, "--organisation-name", ministry.name,
        "--document", "passport:AZ:C0123456:2099-01-31", *operators,
    )  # fmt: skip
    assert application["state"] == "awaiting_approval"
    imza("ca", "approve", application["id"], *operators)
    certificate = zones.installation.seal_certificate
    imza(
        "ca", "issue", application["id"], "--profile", "seal", "--csr", str(request),
        "-o", str(certificate), *operators,
    )  # fmt: skip
    (listed,) = imza("seal", "list", "--config", config)["seals"]
    assert listed["state"] == "ready", listed

    told = sign(zones, contract, tmp_path)
    assert told.returncode == 0, told.stderr
    report = worlds.verify(tmp_path / "sealed.pdf", zones.installation.trust_anchors)
    assert report["signatures"][0]["organisation"] == ministry.name

    away = certificate.rename(tmp_path / "away.pem")
    assert "[seal-unavailable]" in sign(zones, contract, tmp_path).stderr
    away.rename(certificate)
    assert sign(zones, contract, tmp_path).returncode == 0
