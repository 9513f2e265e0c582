"""`imza seal`: a key in the store of the zone, its request, and what is wrong with a seal."""

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    secret = tmp_path / "secret"
    secret.write_text("a passphrase for tests")
    secret.chmod(0o600)
    path = tmp_path / "signing.toml"
    seals = [
        {
            "name": name,
            "certificate": str(tmp_path / f"{name}.pem"),
            "key_label": f"seal-{name}",
            "clients": ["portal"],
        }
        for name in ("ministry", "archive")
    ]
    content = {
        "keystore": {
            "kind": "file",
            "secret_file": str(secret),
            "folder": str(tmp_path / "keys"),
        },
        "signing": {
            "folder": str(tmp_path / "documents"),
            "tsa_url": "http://127.0.0.1:1/tsa",
            "trust_anchors": [],
            "seals": seals,
        },
    }
    path.write_text(tomli_w.dumps(content))
    return path


def run(*arguments: str, expect: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "imza", "seal", *arguments, "--json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_request_is_for_a_key_that_stays_in_the_store_and_is_made_once(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "ministry.csr"
    request = ("request", "ministry", "--config", str(config), "-o", str(target))
    first = run(*request, "--kind", "P-384")
    csr = x509.load_pem_x509_csr(target.read_bytes())
    assert csr.is_signature_valid
    key = csr.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
    assert (first["made"], first["place"], first["key_label"]) == (True, "file", "seal-ministry")
    again = run(*request)
    assert (again["made"], again["key_sha256"]) == (False, first["key_sha256"])
    assert b"ENCRYPTED" in (tmp_path / "keys" / "seal-ministry.key").read_bytes()


def test_seal_that_the_settings_do_not_name_is_refused(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "x.csr"
    problem = run("request", "none", "--config", str(config), "-o", str(target), expect=4)
    assert "ministry, archive" in problem["detail"]
    assert not target.exists()


def test_list_says_of_each_seal_what_is_missing(
    config: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    run("request", "ministry", "--config", str(config), "-o", str(tmp_path / "m.csr"))
    seals = run("list", "--config", str(config))["seals"]
    assert [(one["name"], one["state"]) for one in seals] == [
        ("ministry", "invalid-input"), ("archive", "invalid-input")
    ]  # fmt: skip
    assert "ministry.pem" in seals[0]["reason"]
