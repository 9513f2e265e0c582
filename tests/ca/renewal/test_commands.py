import json
import pathlib
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from ca.operators import gate
from ca.renewal import api
from imza import ca_commands
from pki import certificates, clock, registry, web
from tests.support import ca_world, operators, renewal, servers


@pytest.fixture
def owner(world: ca_world.World, tmp_path: pathlib.Path) -> renewal.Owner:
    """A subscriber with old.pem, old.key and a request for a new key in new.csr."""
    owner = renewal.make_owner(world)
    (tmp_path / "old.pem").write_text(certificates.to_pem(owner.certificate))
    key = tmp_path / "old.key"
    key.touch(mode=0o600)
    key.write_bytes(
        owner.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "new.csr").write_bytes(renewal.csr_for())
    return owner


@pytest.fixture
def office(owner: renewal.Owner, tmp_path: pathlib.Path) -> Iterator[str]:
    world, present = owner.world, clock.FixedClock(owner.before_end(10))
    gates = gate.SignedRequestGate(world.sessions, clock.SystemClock())
    routers = [
        api.routes(world.sessions, world.hierarchy, renewal.SETTINGS, gates, present),
        api.public_routes(world.sessions, world.hierarchy, renewal.SETTINGS, present),
    ]
    with servers.serve(web.application("test", routers)) as url:
        operators.office(world, tmp_path, url)
        yield url


def _renew(folder: pathlib.Path, *options: str) -> Result:
    files = ("old.pem", "old.key", "new.csr")
    named = [str(folder / one) for one in files]
    pairs = zip(("--old-cert", "--old-key", "--csr"), named, strict=True)
    arguments = [one for pair in pairs for one in pair]
    return CliRunner().invoke(ca_commands.group, ["renew", *arguments, "--json", *options])


def test_an_owner_and_then_an_office_renew(
    owner: renewal.Owner, office: str, tmp_path: pathlib.Path
) -> None:
    done = _renew(tmp_path, "--server", office, "-o", str(tmp_path / "new.pem"))
    assert done.exit_code == 0, done.output
    serial = json.loads(done.stdout)["serial_number"]
    assert (tmp_path / "new.pem").read_text().count("BEGIN CERTIFICATE") == 3
    # The same request by the office is answered with the same certificate.
    again = _renew(tmp_path, "--credentials", str(tmp_path / "sandbox.json"), "--supersede")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["serial_number"] == serial
    with owner.world.sessions() as session:
        assert not registry.find(session, owner.serial).status.is_good


def test_a_request_signed_elsewhere_is_handed_in(
    owner: renewal.Owner, office: str, tmp_path: pathlib.Path
) -> None:
    request = tmp_path / "renewal.p7"
    request.write_bytes(owner.request(renewal.csr_for()))
    arguments = ["renew", "--request", str(request), "--server", office]
    done = CliRunner().invoke(ca_commands.group, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("serial number ")


@pytest.mark.parametrize("options", [("--early",), (), ("--request", "old.pem")])
def test_what_is_not_enough_is_a_usage_error(
    owner: renewal.Owner, tmp_path: pathlib.Path, options: tuple[str, ...]
) -> None:
    named = tuple(str(tmp_path / one) if one == "old.pem" else one for one in options)
    assert _renew(tmp_path, *named).exit_code == 2
