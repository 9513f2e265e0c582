import pickle
from pathlib import Path

import pytest

from pki.keystore import passphrase


def test_a_passphrase_says_nothing_when_it_is_printed() -> None:
    secret = passphrase.Passphrase("horse-battery")
    assert "horse" not in f"{secret!r} {secret} {[secret]}"
    assert secret.reveal() == "horse-battery"


def test_a_passphrase_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(passphrase.Passphrase("horse-battery"))


def test_only_the_first_line_of_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    path.write_text("horse-battery\nsecond line\n")
    path.chmod(0o600)
    assert passphrase.read_passphrase(path).reveal() == "horse-battery"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_file_open_to_every_user_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pass"
    path.write_text("horse-battery\n")
    path.chmod(mode)
    with pytest.raises(passphrase.PassphraseError, match="chmod 600"):
        passphrase.read_passphrase(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"abc\n", b"x" * 2000, b"\xff\xfe\xfd\xfc\xfb"])
def test_a_file_that_holds_no_passphrase_is_refused_without_telling_its_content(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "pass"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(passphrase.PassphraseError) as caught:
        passphrase.read_passphrase(path)
    assert "xxx" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(passphrase.PassphraseError, match="nothing-here"):
        passphrase.read_passphrase(tmp_path / "nothing-here")
