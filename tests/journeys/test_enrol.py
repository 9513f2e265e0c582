"""A device enrols over CMP with what sandbox.json tells, renews its key and is revoked."""

import pathlib
import subprocess
import time

import pytest

from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.xdist_group("world")]


def _openssl(folder: pathlib.Path, *arguments: str) -> str:
    done = subprocess.run(
        ("openssl", *arguments), cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_device_enrols_renews_its_key_and_is_revoked(
    world: worlds.World, tmp_path: pathlib.Path
) -> None:
    shared = world.description["cmp"]
    (tmp_path / "secret").write_text(shared["secret"])
    root = str(world.root)
    for name in ("first", "second"):
        _openssl(tmp_path, "ecparam", "-genkey", "-name", "prime256v1", "-out", f"{name}.key")
    ask = ("cmp", "-server", shared["url"], "-recipient", "/CN=CA")
    _openssl(
        tmp_path, *ask, "-cmd", "ir", "-ref", shared["reference"], "-secret", "file:secret",
        "-newkey", "first.key", "-subject", "/CN=device", "-certout", "first.pem",
        "-chainout", "chain.pem",
    )  # fmt: skip
    _openssl(
        tmp_path, *ask, "-cmd", "kur", "-cert", "first.pem", "-key", "first.key",
        "-newkey", "second.key", "-certout", "second.pem", "-trusted", root,
    )  # fmt: skip
    for name in ("first", "second"):
        _openssl(
            tmp_path, "verify", "-x509_strict", "-CAfile", root, "-untrusted", "chain.pem",
            f"{name}.pem",
        )  # fmt: skip
    _openssl(
        tmp_path, *ask, "-cmd", "rr", "-cert", "first.pem", "-key", "first.key",
        "-oldcert", "first.pem", "-revreason", "4", "-trusted", root,
    )  # fmt: skip
    # The responder follows the registry within two seconds.
    deadline = time.monotonic() + 2
    while "first.pem: good" in _status(tmp_path, world, "first") and time.monotonic() < deadline:
        time.sleep(0.1)
    for name, expected in (("first", "revoked"), ("second", "good")):
        assert f"{name}.pem: {expected}" in _status(tmp_path, world, name)


def _status(folder: pathlib.Path, world: worlds.World, name: str) -> str:
    return _openssl(
        folder, "ocsp", "-issuer", "chain.pem", "-cert", f"{name}.pem",
        "-url", f"{world.base_url}/ocsp", "-CAfile", str(world.root), "-verify_other", "chain.pem",
    )  # fmt: skip
