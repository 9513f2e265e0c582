"""The CA ends: rehearsed, then in earnest; openssl judges what it leaves behind."""

import csv
import hashlib
import json
import pathlib
import shutil
import subprocess
from typing import Any

import httpx
import pytest
from cryptography import x509

from pki import outbound
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer]

AUTHORITIES = ("root", "citizen", "business", "official", "infrastructure")


def _termination(zones: worlds.Zones, out: pathlib.Path, *more: str, expect: int = 0) -> Any:
    config = str(zones.installation.config_path("ca"))
    done = subprocess.run(
        [*worlds.IMZA, "ca", "termination", "--config", config, "--officer", "admin-1",
         "--out", str(out), "--json", *more],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)


def _openssl(*arguments: str | pathlib.Path) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _check_folder(zones: worlds.Zones, out: pathlib.Path, *, final: bool) -> None:
    """Each file is in the manifest with its digest, and the manifest was time-stamped."""
    folder = zones.installation.folder
    root, below = folder / "trust-anchors.pem", folder / "authorities.pem"
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["final"] is final
    assert set(manifest["files"]) == {one.name for one in out.iterdir()} - {
        "manifest.json",
        "manifest.json.tst",
    }
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == facts["sha256"]
    told = _openssl(
        "ts", "-verify", "-token_in", "-data", out / "manifest.json",
        "-in", out / "manifest.json.tst", "-CAfile", root, "-untrusted", below,
    )  # fmt: skip
    assert "Verification: OK" in told
    for name in AUTHORITIES:
        pem = out.with_suffix(f".{name}.pem")
        _openssl("x509", "-inform", "DER", "-in", out / f"{name}.cer", "-out", pem)
        crl = ("crl", "-inform", "DER", "-in", out / f"{name}.crl", "-noout", "-nextupdate")
        told = _openssl(*crl, "-CAfile", pem)
        assert "verify OK" in told
        assert ("nextUpdate=Dec 31 23:59:59 9999 GMT" in told) is final


def _check_certificates(out: pathlib.Path, good: worlds.Signer, bad: worlds.Signer) -> None:
    bundle = x509.load_pem_x509_certificates((out / "certificates.pem").read_bytes())
    with (out / "certificates.csv").open(encoding="ascii") as file:
        rows = {int(row["serial_number"], 16): row for row in csv.DictReader(file)}
    issued = {number for number, row in rows.items() if row["state"] == "issued"}
    assert issued == {one.serial_number for one in bundle}
    assert rows[int(good.serial_number, 16)]["revoked_at"] == ""
    assert rows[int(bad.serial_number, 16)]["reason"] == "keyCompromise"
    listed = _openssl("crl", "-inform", "DER", "-in", out / "citizen.crl", "-noout", "-text")
    assert f"{int(bad.serial_number, 16):X}" in listed.replace(":", "").upper()
    assert f"{int(good.serial_number, 16):X}" not in listed.replace(":", "").upper()


def test_a_ca_ends_and_leaves_all_that_old_signatures_need(tmp_path: pathlib.Path) -> None:
    with worlds.zones_apart(tmp_path / "w", started=("ca", "tsa")) as zones:
        office = zones.office()
        good, bad = worlds.certify(office, "1BD22BD"), worlds.certify(office, "1BD22BE")
        path = f"/ra/v1/certificates/{bad.serial_number}/revoke"
        office.call("POST", path, {"reason": "keyCompromise"})
        rehearsal = _termination(zones, tmp_path / "rehearsal")
        assert rehearsal["without_last_crl"] == []
        _check_folder(zones, tmp_path / "rehearsal", final=False)
        # A folder is never written over.
        again = _termination(zones, tmp_path / "rehearsal", expect=4)
        assert again["code"] == "termination-target"
        worlds.certify(office, "1BD22BF")

        # The root's key in its safe: everything ends but the root's own list.
        keys, safe = zones.installation.folder / "keys" / "ca", tmp_path / "safe"
        safe.mkdir()
        for one in keys.glob("root*"):
            shutil.move(one, safe / one.name)
        partly = _termination(zones, tmp_path / "partly", "--final", expect=4)
        assert partly["without_last_crl"] == ["root"]
        for one in safe.iterdir():
            shutil.move(one, keys / one.name)

        done = _termination(zones, tmp_path / "final", "--final")
        assert done["without_last_crl"] == []
        assert all(done["crls"][name]["last"] for name in AUTHORITIES)
        _check_folder(zones, tmp_path / "final", final=True)
        _check_certificates(tmp_path / "final", good, bad)
        # Nothing is certified after the end, and the last list is the one that is published.
        with pytest.raises(outbound.PeerAnswerError) as refused:
            worlds.certify(office, "1BD22BC")
        problem = refused.value.problem()
        assert problem is not None
        assert problem.code == "authority-closed"
        published = httpx.get(f"{zones.addresses.ca}/crl/citizen.crl", trust_env=False)
        assert published.content == (tmp_path / "final" / "citizen.crl").read_bytes()
