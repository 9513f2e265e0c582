"""openssl makes renewal requests: a new key, PKCS#10, and CMS signed with the old key."""

import pathlib
import subprocess

import pytest
import sqlalchemy
from cryptography.hazmat.primitives import serialization
from sqlalchemy import orm

from ca.renewal import renewals, signed_request
from pki import algorithms, certificates, clock, database
from tests.support import ca_world, renewal
from tests.support.hierarchy import make_key

pytestmark = pytest.mark.peer


@pytest.fixture
def sessions(tmp_path: pathlib.Path) -> orm.sessionmaker[orm.Session]:
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    return database.session_factory(engine)


def _openssl(folder: pathlib.Path, *arguments: str) -> None:
    done = subprocess.run(
        ("openssl", *arguments), cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [(), ("-nosmimecap",), ("-cades",), ("-nocerts",)])
@pytest.mark.parametrize("kind", list(algorithms.KeyKind))
def test_openssl_cms_signs_a_renewal(
    sessions: orm.sessionmaker[orm.Session],
    tmp_path: pathlib.Path,
    kind: algorithms.KeyKind,
    options: tuple[str, ...],
) -> None:
    world = ca_world.make_world(sessions, clock.whole_seconds(clock.SystemClock().now()))
    key = make_key(kind)
    issued = world.certify(world.application(), "authenticate", ca_world.make_csr(key=key))
    owner = renewal.Owner(world, key, issued)
    (tmp_path / "old.pem").write_text(certificates.to_pem(owner.certificate))
    (tmp_path / "old.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    _openssl(tmp_path, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "new.key")
    _openssl(
        tmp_path, "req", "-new", "-key", "new.key", "-subj", "/", "-outform", "DER",
        "-out", "new.csr",
    )  # fmt: skip
    _openssl(
        tmp_path, "cms", "-sign", "-binary", "-nodetach", "-in", "new.csr", "-signer", "old.pem",
        "-inkey", "old.key", "-outform", "DER", "-out", "renewal.p7", *options,
    )  # fmt: skip
    request = (tmp_path / "renewal.p7").read_bytes()
    made = renewals.renew(sessions, world.hierarchy, renewal.SETTINGS, request, owner.before_end(5))
    assert made.old.serial_number == owner.serial


def test_openssl_verifies_what_the_command_builds(
    sessions: orm.sessionmaker[orm.Session], tmp_path: pathlib.Path
) -> None:
    world = ca_world.make_world(sessions, clock.whole_seconds(clock.SystemClock().now()))
    owner = renewal.make_owner(world)
    csr_der = renewal.csr_for()
    (tmp_path / "renewal.p7").write_bytes(owner.request(csr_der))
    (tmp_path / "old.pem").write_text(certificates.to_pem(owner.certificate))
    _openssl(
        tmp_path, "cms", "-verify", "-binary", "-inform", "DER", "-in", "renewal.p7",
        "-certfile", "old.pem", "-noverify", "-out", "out.csr",
    )  # fmt: skip
    assert (tmp_path / "out.csr").read_bytes() == csr_der
    assert signed_request.parse((tmp_path / "renewal.p7").read_bytes()).csr_der == csr_der
