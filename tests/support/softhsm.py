"""A throw-away SoftHSM 2 token, made by its own tool."""

import os
import pathlib
import shutil
import subprocess

import pytest

MODULES = (
    pathlib.Path("/usr/lib/softhsm/libsofthsm2.so"),
    pathlib.Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    pathlib.Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
)

PIN = "71940385"


def module_path() -> pathlib.Path:
    """The module's path; where SoftHSM 2 is not installed a skip, and in CI a failure."""
    for path in MODULES:
        if path.exists() and shutil.which("softhsm2-util"):
            return path
    if os.environ.get("CI"):
        pytest.fail("SoftHSM 2 is not installed (apt install softhsm2)")
    pytest.skip("SoftHSM 2 is not installed (apt install softhsm2)")


def make_folder(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process and its children to an empty SoftHSM in a folder."""
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))


def make_token(label: str, pin: str = PIN) -> None:
    """Initialise a token in the SoftHSM that the environment names."""
    names = ["--label", label, "--pin", pin, "--so-pin", "12345678"]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", *names],
        check=True,
        capture_output=True,
    )


def start_afresh(module: pathlib.Path) -> None:
    """Let this process's module read its configuration again, as a new process would."""
    import pkcs11

    pkcs11.lib(str(module.resolve())).reinitialize()
