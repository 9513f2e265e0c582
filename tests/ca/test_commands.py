import json
import pathlib

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from ca import commands
from pki import database, errors, registry

CONFIG = """
[database]
url = "sqlite:///{folder}/ca.sqlite"

[keystore]
kind = "file"
folder = "{folder}/keys"
secret_file = "{folder}/secret"

[ca]
country = "AZ"
organisation_name = "Nümunə Sertifikat Mərkəzi"
organisation_code = "1234567890"
base_url = "http://pki.example.com"
test = true

[[ca.disclosures]]
url = "https://pki.example.com/pds/en.pdf"
"""


@pytest.fixture
def config(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "ca.toml"
    file.write_text(CONFIG.format(folder=tmp_path))
    secret = tmp_path / "secret"
    secret.write_text("a passphrase that only this test knows\n")
    secret.chmod(0o600)
    return file


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(
        commands.group,
        list(arguments),
        catch_exceptions=False,
        # What `imza` does before any command: the tables are there.
        obj=None,
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_init_makes_the_hierarchy_once(config: pathlib.Path, tmp_path: pathlib.Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)

    first = json.loads(_run("init", "--config", str(config), "--json"))
    second = json.loads(_run("init", "--config", str(config), "--json"))

    assert first == second
    assert {one["name"] for one in first["authorities"]} == {
        "root",
        "citizen",
        "business",
        "official",
        "infrastructure",
    }
    with database.session_factory(engine)() as session:
        assert len(registry.issuers(session)) == 5
    for file in (tmp_path / "keys").iterdir():
        content = file.read_bytes()
        if b"PRIVATE KEY" in content:
            with pytest.raises((TypeError, ValueError)):
                serialization.load_pem_private_key(content, None)
    engine.dispose()


def test_a_settings_file_with_an_unknown_entry_is_refused(config: pathlib.Path) -> None:
    config.write_text(config.read_text().replace("test = true", "tset = true"))
    with pytest.raises(errors.InputError, match="tset"):
        CliRunner().invoke(
            commands.group, ["init", "--config", str(config)], catch_exceptions=False
        )


@pytest.mark.parametrize(
    "name",
    ["init", "request", "approve", "issue", "revoke", "hold", "release", "list", "show", "crl"],
)
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert "Example:" in _run(name, "--help")
