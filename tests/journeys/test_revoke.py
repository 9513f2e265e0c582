"""A certificate is revoked: what was signed before stays good, and nothing new is signed."""

import pathlib

import pytest

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world")]


def sign(world: worlds.World, signer: worlds.Signer, contract: pathlib.Path, level: str) -> bytes:
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters(level))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed"])["state"] == "completed"
    content = api.call("GET", f"{path}/document")
    assert isinstance(content, bytes)
    return content


def test_proof_of_time_decides_what_survives_a_revocation(
    world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    signer = worlds.certify(world.office(), "1RV22RV")
    for level in ("B-B", "B-T", "B-LT", "B-LTA"):
        (tmp_path / f"{level}.pdf").write_bytes(sign(world, signer, contract, level))
        assert world.verify(tmp_path / f"{level}.pdf")["overall"] == "TOTAL-PASSED"
    world.imza(
        "ca", "revoke", signer.serial_number, "--reason", "keyCompromise", *world.credentials
    )
    for level in ("B-T", "B-LT", "B-LTA"):
        assert world.verify(tmp_path / f"{level}.pdf")["overall"] == "TOTAL-PASSED", level
    # Nothing proves that this one was made before.
    report = world.verify(tmp_path / "B-B.pdf", expect=3)
    assert report["signatures"][0]["sub_indication"] == "REVOKED_NO_POE"
    problem = world.api().open_session(
        contract.read_bytes(), signer.parameters("B-T"), expect=(403,)
    )
    assert problem["code"] == "certificate-revoked"


def test_certificate_revoked_between_opening_and_signing_reaches_no_long_term_level(
    world: worlds.World, contract: pathlib.Path
) -> None:
    signer = worlds.certify(world.office(), "1RV33RV")
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LT"))
    world.imza(
        "ca", "revoke", signer.serial_number, "--reason", "keyCompromise", *world.credentials
    )
    api.call(
        "POST", f"/api/v1/signing-sessions/{opened['id']}/signature-value", signer.value(opened)
    )
    ended = api.wait(opened["id"], ["completed", "failed"])
    assert ended["state"] == "failed"
    assert ended["error"]["code"] == "certificate-revoked"
