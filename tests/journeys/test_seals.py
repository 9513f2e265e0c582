"""A ministry seals documents: nobody is asked, every use is audited, others are refused."""

import json
import pathlib
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from imza import sandbox_seals
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]

FORMATS = {
    "pades": ("contract.pdf", "PAdES"), "xades": ("form.xml", "XAdES"),
    "asice": ("contract.pdf", "XAdES"), "cades": ("contract.pdf", "CAdES"),
}  # fmt: skip


@pytest.fixture
def sources(
    contract: pathlib.Path, form: pathlib.Path, tmp_path: pathlib.Path
) -> dict[str, pathlib.Path]:
    return {one.name: pathlib.Path(shutil.copy(one, tmp_path)) for one in (contract, form)}


def seal(
    world: worlds.World, files: Sequence[pathlib.Path], target: pathlib.Path, *more: str
) -> str:
    done = world.imza(
        "sign", *map(str, files), "--seal", world.description["seals"][0]["name"], *more,
        *world.service, "-o", str(target),
    )  # fmt: skip
    return done.stderr


def uses(world: worlds.World) -> list[dict[str, Any]]:
    with sqlite3.connect(world.folder / "signing.sqlite") as database:
        rows = database.execute(
            "SELECT actor, details FROM audit_entries WHERE event = 'seal.used' ORDER BY number"
        ).fetchall()
    return [{"actor": actor, **json.loads(details)} for actor, details in rows]


def judge(
    world: worlds.World, signed: pathlib.Path, detached: pathlib.Path | None
) -> dict[str, Any]:
    """What the service's own validation says, by the sandbox's trusted list."""
    facts = world.description
    more = () if detached is None else ("--detached", str(detached))
    done = world.imza("verify", str(signed), *more, *world.service, "--json")
    (one,) = json.loads(done.stdout)["signatures"]
    assert one["organisation"] == facts["seals"][0]["organisation"]
    found: dict[str, Any] = one
    return found


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT", "B-LTA"])
@pytest.mark.parametrize("name", FORMATS)
def test_document_is_sealed_in_every_format_and_level(
    world: worlds.World, sources: dict[str, pathlib.Path], tmp_path: pathlib.Path,
    name: str, level: str,
) -> None:  # fmt: skip
    file, family = FORMATS[name]
    before = len(uses(world))
    signed = tmp_path / f"signed-{file}"
    seal(world, [sources[file]], signed, "--format", name, "--level", level)
    one = judge(world, signed, sources[file] if name == "cades" else None)
    assert one["level"] == f"{family}-BASELINE-{level.removeprefix('B-')}"
    assert (one["indication"], one["intact"]) == ("TOTAL-PASSED", True)
    # A key in a file claims no qualified device.
    assert one["qualified"] == "AdESeal-QC", one["info"]
    (used,) = uses(world)[before:]
    assert used["seal"] == world.description["seals"][0]["name"]
    assert used["actor"] == world.description["api_client"]["client_id"]
    assert len(used["representation"]) in (64, 96)


def test_several_documents_are_sealed_in_one_batch(
    world: worlds.World, sources: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    before = len(uses(world))
    folder = tmp_path / "sealed"
    folder.mkdir()
    told = seal(world, list(sources.values()), folder, "--format", "cades", "--level", "B-T")
    assert len(uses(world)) == before + 2
    for one in sources.values():
        assert one.name in told
        assert judge(world, folder / f"{one.name}.p7s", one)["indication"] == "TOTAL-PASSED"


def test_seal_of_another_name_and_a_token_without_the_scope_are_refused(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    before = len(uses(world))
    done = world.imza(
        "sign", str(contract), "--seal", "company", *world.service,
        "-o", str(tmp_path / "x.pdf"), expect=4,
    )  # fmt: skip
    assert "[seal-not-allowed]" in done.stderr
    problem = world.api("sign").open_session(
        contract.read_bytes(),
        {"format": "PAdES", "level": "B-B", "signer": {"seal": "ministry"}},
        expect=(403,),
    )
    assert problem["code"] == "insufficient-scope"
    assert not (tmp_path / "x.pdf").exists()
    assert len(uses(world)) == before


def test_seal_was_applied_for_by_a_representative_and_approved_by_another_officer(
    world: worlds.World,
) -> None:
    found = world.office().call("GET", "/ra/v1/applications?state=certified")["applications"]
    (application,) = [one for one in found if one["category"] == "organisation"]
    assert application["profiles"] == ["seal"]
    assert application["organisation"]["code"] == sandbox_seals.ORGANISATION.code
    assert application["recorded_by"] == "operator:TEST-officer-1"
    assert application["decided_by"] == "TEST-approver-1"


def test_certificate_is_a_legal_persons_for_seals(world: worlds.World) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(world.folder / "seal-ministry.pem"), "-noout", "-subject",
         "-ext", "keyUsage", "-text"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "organizationIdentifier = NTRAZ-9900000011" in shown
    assert "Non Repudiation" in shown
    listed = json.loads(
        world.imza(
            "seal", "list", "--config", str(world.folder / "config" / "signing.toml"), "--json"
        ).stdout
    )["seals"]
    assert [one["state"] for one in listed] == ["ready"]
