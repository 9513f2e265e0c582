from pathlib import Path

import pytest

from pki.algorithms import KeyKind
from pki.keystore import settings

LABEL = "demo"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("a passphrase for tests\n")
    path.chmod(0o600)
    return path


def test_file_settings_open_a_store_of_files(tmp_path: Path, secret: Path) -> None:
    chosen = settings.Settings(kind="file", secret_file=secret, folder=tmp_path / "keys")
    settings.open_store(chosen).generate("ca", KeyKind.P256)
    assert settings.open_store(chosen).labels() == ("ca",)


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, secret: Path) -> None:
    for wrong in (
        settings.Settings(kind="cloud", secret_file=secret),
        settings.Settings(kind="file", secret_file=secret),
        settings.Settings(kind="file", secret_file=secret, folder=tmp_path, token=LABEL),
        settings.Settings(kind="pkcs11", secret_file=secret, token=LABEL),
        settings.Settings(
            kind="pkcs11", secret_file=secret, module=tmp_path, token=LABEL, folder=tmp_path
        ),
    ):
        with pytest.raises(settings.SettingsError):
            settings.open_store(wrong)
