"""What was signed in a sandbox is in its statistics and in the portal's statement."""

import csv
import datetime
import json
import pathlib

import pytest

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sandbox")]


def _statistics(world: worlds.World) -> dict[str, int]:
    done = world.imza("ca", "stats", "--json", *world.credentials)
    (*_, newest) = json.loads(done.stdout)["totals"]
    return {name: figure["count"] for name, figure in newest.items() if name != "month"}


def test_a_signature_is_in_the_statistics_and_in_the_statement(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    before = _statistics(world)
    signer = worlds.certify(world.office())
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-B"))
    path = f"/api/v1/signing-sessions/{opened['id']}/signature-value"
    value = signer.value(opened)
    for _ in range(2):
        api.call("POST", path, value)
    phone = {"phone_number": "+994500000004", "person_code": "3KL78RS"}
    by_phone = api.open_session(
        contract.read_bytes(),
        {"format": "PAdES", "level": "B-B", "packaging": "enveloped", "signer": phone},
    )
    assert api.wait(by_phone["id"], ["completed"])["state"] == "completed"
    after = _statistics(world)
    grown = {name: after[name] - before[name] for name in after}
    assert grown == {
        "issued": 1,
        "valid": 1,
        "signatures_by_card": 1,
        "signatures_by_phone": 1,
        "authentications_by_phone": 0,
    }
    month = f"{datetime.datetime.now(datetime.UTC):%Y-%m}"  # noqa: TID251 - as the server does
    statement = tmp_path / "usage.csv"
    world.imza(
        "ca", "stats", "usage", "--month", month, "--relying-party",
        world.description["api_client"]["client_id"], "--csv", str(statement), *world.credentials,
    )  # fmt: skip
    rows = list(csv.DictReader(statement.read_text(encoding="utf-8").splitlines()))
    by_channel = {row["channel"]: int(row["count"]) for row in rows[:-1]}
    assert by_channel["card"] >= 1
    assert by_channel["phone"] >= 1
    assert int(rows[-1]["count"]) == sum(int(row["count"]) for row in rows[:-1])
