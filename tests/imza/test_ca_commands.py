import json
import pathlib
import sqlite3
import stat

import pytest
from click.testing import CliRunner
from cryptography import x509

from imza import ca_commands, installation
from pki import algorithms, errors
from pki.keystore import store


@pytest.fixture
def world(tmp_path: pathlib.Path) -> installation.Installation:
    made = installation.Installation(tmp_path / "w")
    made.lay_out(installation.Addresses.together("http://127.0.0.1:8080"))
    return made


def _init(world: installation.Installation, *options: str) -> str:
    done = CliRunner().invoke(
        ca_commands.group,
        ["init", "--config", str(world.config_path("ca")), *options],
        catch_exceptions=False,
        standalone_mode=False,
    )
    return done.stdout


def _keys(world: installation.Installation) -> dict[str, bytes]:
    folder = world.folder / "keys"
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def _certificates(world: installation.Installation) -> list[tuple[object, ...]]:
    with sqlite3.connect(world.folder / "ca.sqlite") as connection:
        return connection.execute("SELECT serial_number, state FROM certificates").fetchall()


def test_init_makes_the_hierarchy_and_a_second_run_changes_nothing(
    world: installation.Installation,
) -> None:
    out = world.folder / "out"
    told = json.loads(_init(world, "--out", str(out), "--json"))["authorities"]
    assert {one["name"] for one in told} == {
        "root", "citizen", "business", "official", "infrastructure",
    }  # fmt: skip
    keys, certificates = _keys(world), _certificates(world)
    files = {one.name: one.read_bytes() for one in out.iterdir()}

    again = json.loads(_init(world, "--out", str(out), "--json"))["authorities"]

    assert again == told
    assert _keys(world) == keys
    assert _certificates(world) == certificates
    assert {one.name: one.read_bytes() for one in out.iterdir()} == files


def test_each_zones_keys_are_in_its_own_store_and_private(
    world: installation.Installation,
) -> None:
    _init(world)
    labels = sorted(_keys(world))
    assert any(one.startswith("ca/root") for one in labels)
    assert any(one.startswith("ocsp/ocsp-citizen") for one in labels)
    assert any(one.startswith("tsa/tsu-1") for one in labels)
    for label in labels:
        store, _, name = label.partition("/")
        assert (store == "ocsp") is name.startswith("ocsp-")
        assert (store == "tsa") is name.startswith("tsu-")
        path = world.folder / "keys" / label
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"BEGIN PRIVATE KEY" not in path.read_bytes()


def test_the_files_for_the_other_zones_hold_the_right_certificates(
    world: installation.Installation,
) -> None:
    out = world.folder / "out"
    _init(world, "--out", str(out))
    (root,) = x509.load_pem_x509_certificates((out / "trust-anchors.pem").read_bytes())
    below = x509.load_pem_x509_certificates((out / "authorities.pem").read_bytes())
    unit, above = x509.load_pem_x509_certificates((out / "tsu-1.pem").read_bytes())
    assert root.subject == root.issuer
    beside, _ = x509.load_pem_x509_certificates((out / "tsu-2.pem").read_bytes())
    kinds = [algorithms.key_kind(one.public_key()) for one in (unit, beside)]
    assert kinds == [algorithms.KeyKind.P384, algorithms.KeyKind.RSA3072]
    assert len(below) == 4
    for one in below:
        one.verify_directly_issued_by(root)
    unit.verify_directly_issued_by(above)
    assert above in below


def test_people_are_shown_names_and_fingerprints(world: installation.Installation) -> None:
    shown = _init(world)
    assert "root            CN=TEST AZ Root CA" in shown
    assert shown.count("SHA-256 ") == 5


def test_init_without_the_authoritys_section_is_refused(
    world: installation.Installation, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "short.toml"
    path.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/x.sqlite"\n')
    done = CliRunner().invoke(ca_commands.group, ["init", "--config", str(path)])
    assert isinstance(done.exception, errors.InputError)
    assert "[keystore]" in done.exception.message


def test_init_that_lost_a_key_makes_no_other_in_its_place(
    world: installation.Installation,
) -> None:
    _init(world)
    certificates = _certificates(world)
    key = next((world.folder / "keys" / "ca").glob("*citizen*.key"))
    key.unlink()
    for _ in range(2):
        done = CliRunner().invoke(
            ca_commands.group, ["init", "--config", str(world.config_path("ca"))]
        )
        assert isinstance(done.exception, store.KeyNotFoundError)
    assert not key.exists()
    assert _certificates(world) == certificates
