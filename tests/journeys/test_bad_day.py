"""One bad day from end to end: a CA's key is lost, then the database; openssl judges."""

import json
import pathlib
import subprocess
import time
import urllib.request

import pytest

from pki import certificates
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer]


def _imza(*arguments: str, expect: int = 0) -> dict[str, object]:
    done = subprocess.run(
        [*worlds.IMZA, "ca", *arguments, "--json"], capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _openssl(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _fetch(world: worlds.World, folder: pathlib.Path, *names: str) -> list[str]:
    """The CRLs that the world publishes, as PEM and DER; the arguments that openssl takes."""
    arguments: list[str] = []
    for name in names:
        with urllib.request.urlopen(f"{world.base_url}/crl/{name}.crl") as reply:  # noqa: S310
            (folder / f"{name}.crl").write_bytes(reply.read())
        pem = folder / f"{name}.crl.pem"
        code, text = _openssl("crl", "-in", str(folder / f"{name}.crl"), "-inform", "DER",
                              "-out", str(pem))  # fmt: skip
        assert code == 0, text
        arguments += ["-CRLfile", str(pem)]
    return arguments


def _ocsp(world: worlds.World, folder: pathlib.Path, leaf: pathlib.Path, issuer: str) -> str:
    with urllib.request.urlopen(f"{world.base_url}/ca/{issuer}.cer") as reply:  # noqa: S310
        (folder / f"{issuer}.cer").write_bytes(reply.read())
    pem = folder / f"{issuer}.pem"
    assert _openssl("x509", "-inform", "DER", "-in", str(folder / f"{issuer}.cer"),
                    "-out", str(pem))[0] == 0  # fmt: skip
    _, text = _openssl(
        "ocsp", "-issuer", str(pem), "-cert", str(leaf), "-url", f"{world.base_url}/ocsp",
        "-CAfile", str(world.root), "-verify_other", str(pem),
    )  # fmt: skip
    return text


def test_a_bad_day(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "world"
    config = str(folder / "config" / "ca.toml")
    officer = ("--config", config, "--officer")
    saved = tmp_path / "ca.backup"
    leaf = tmp_path / "leaf.pem"
    with worlds.sandbox(folder) as world:
        signer = worlds.certify(world.office(), "1BD22BD")
        leaf.write_text(certificates.to_pem(certificates.parse(signer.certificate_der)))
        above = str(folder / "authorities.pem")
        verify = ("verify", "-crl_check_all", "-CAfile", str(world.root), "-untrusted", above)
        world.imza("ca", "crl", "citizen", *world.credentials)
        lists = _fetch(world, tmp_path, "citizen", "root")
        assert _openssl(*verify, *lists, str(leaf))[0] == 0
        assert f"{leaf}: good" in _ocsp(world, tmp_path, leaf, "citizen")

        _imza("backup", *officer, "admin-1", "--out", str(saved))
        assert _imza("check", *officer, "auditor-1", "--every", "5")["errors"] == 0

        # The key of the citizens' CA is lost; the next generation certifies from now on.
        done = _imza("compromise", "citizen", *officer, "admin-1", "--confirm", "citizen")
        assert done["complete"]
        text = _ocsp(world, tmp_path, leaf, "citizen")
        assert f"{leaf}: revoked" in text
        assert "Reason: cACompromise" in text
        lists = _fetch(world, tmp_path, "citizen", "root")
        code, text = _openssl(*verify, *lists, str(leaf))
        assert code != 0
        assert "certificate revoked" in text
        shown = _openssl("crl", "-in", str(tmp_path / "citizen.crl"), "-inform", "DER",
                         "-noout", "-nextupdate")[1]  # fmt: skip
        assert "Dec 31 23:59:59 9999" in shown
        assert (
            _imza("rollover", "citizen", *officer, "admin-1", "--out", str(tmp_path))["name"]
            == "citizen-2"
        )
        deadline = time.monotonic() + 150
        while "authority_opened name=citizen-2" not in world.log:
            assert time.monotonic() < deadline, "the running CA did not see its next generation"
            time.sleep(1)
        worlds.certify(world.office(), "1BD33BD")
        assert _fetch(world, tmp_path, "citizen-2", "business", "official", "infrastructure")

    # Then the disk with the database dies, and yesterday's backup comes back.
    for one in folder.glob("ca.sqlite*"):
        one.unlink()
    restored = _imza("restore", *officer, "admin-1", "--from", str(saved))
    assert restored["locked"]
    problem = _imza("restore", *officer, "admin-1", "--reconcile", expect=4)
    assert problem["code"] == "revocations-missing"
    crls = [
        word
        for name in ("citizen", "root", "business", "official", "infrastructure")
        for word in ("--crl", str(tmp_path / f"{name}.crl"))
    ]
    # The authority that the backup does not know is lost with all that it issued.
    again = _imza(
        "restore", *officer, "admin-1", "--reconcile", "--without-crl", "citizen-2", *crls
    )
    assert again["certificates"]
    assert _imza("restore", *officer, "admin-1", "--release", expect=4)["code"] == "same-person"
    _imza("restore", *officer, "admin-2", "--release")
    # That the citizens' CA is closed came back by the root's CRL.
    shown_again = _imza("compromise", "citizen", *officer, "admin-1", "--show", expect=4)
    assert shown_again["left"] == 0
    with worlds.sandbox(folder) as world:
        assert f"{leaf}: revoked" in _ocsp(world, tmp_path, leaf, "citizen")
