"""A sandbox whose authorities keep their keys in a PKCS#11 token (SoftHSM 2)."""

import json
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from tests.support import softhsm
from tests.support import world as worlds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.xdist_group("keys-in-a-module"),
]

TOKEN = "TEST authorities"


@pytest.fixture(scope="module")
def module_world() -> Iterator[worlds.World]:
    module = softhsm.module_path()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="imza-") as base:
        folder = pathlib.Path(base)
        softhsm.make_folder(folder / "hsm", patch)
        softhsm.make_token(TOKEN)
        pin_file = folder / "pin"
        pin_file.write_text(softhsm.PIN)
        pin_file.chmod(0o600)
        with worlds.sandbox(
            folder / "w",
            "--pkcs11", str(module), "--token", TOKEN, "--pin-file", str(pin_file),
        ) as running:  # fmt: skip
            yield running


def sign(world: worlds.World, contract: pathlib.Path, person_code: str = "4PK11HS") -> bytes:
    signer = worlds.certify(world.office(), person_code)
    api = world.api()
    opened = api.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    api.call("POST", f"{path}/signature-value", signer.value(opened))
    assert api.wait(opened["id"], ["completed", "failed"])["state"] == "completed"
    content = api.call("GET", f"{path}/document")
    assert isinstance(content, bytes)
    return content


def test_document_is_signed_to_the_highest_level_and_others_accept_it(
    module_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    signed = tmp_path / "signed.pdf"
    signed.write_bytes(sign(module_world, contract))
    report = module_world.verify(signed)
    assert report["overall"] == "TOTAL-PASSED"
    assert report["signatures"][0]["level"] == "PAdES-BASELINE-LTA"
    shown = subprocess.run(
        ["pdfsig", "-nocert", str(signed)], capture_output=True, text=True, check=True
    ).stdout
    assert "Signature is Valid." in shown
    checked = subprocess.run(
        ["openssl", "verify", "-CAfile", str(module_world.root), "-untrusted",
         str(module_world.folder / "authorities.pem"), str(module_world.folder / "tsu-1.pem")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_keys_lie_in_the_token_and_cannot_be_taken_out(module_world: worlds.World) -> None:
    listed = subprocess.run(
        ["pkcs11-tool", "--module", str(softhsm.module_path()), "--token-label", TOKEN,
         "--login", "--pin", softhsm.PIN, "--list-objects", "--type", "privkey"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    keys = re.split(r"(?m)^Private Key Object", listed)[1:]
    labels = [re.search(r"label:\s+(.+)", one) for one in keys]
    names = {one.group(1).strip() for one in labels if one is not None}
    assert {"root", "ca-citizen", "ca-business", "ca-official", "ca-infrastructure"} <= names
    for key in keys:
        assert "never extractable" in key, key
        assert "sensitive" in key, key
    assert not (module_world.folder / "keys").exists()
    private = [
        path.name
        for path in module_world.folder.rglob("*")
        if path.is_file()
        and b"PRIVATE KEY" in path.read_bytes()
        # The listening port's key; and people's, who do not sign with the authority's token.
        and path.parent.name not in ("tls", "operators")
    ]
    assert private == []


def test_seal_whose_key_is_in_the_module_is_qualified_by_the_trusted_list(
    module_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    signed = tmp_path / "sealed.pdf"
    module_world.imza(
        "sign", str(contract), "--level", "B-LTA", "--seal", "ministry", *module_world.service,
        "-o", str(signed),
    )  # fmt: skip
    done = module_world.imza("verify", str(signed), *module_world.service, "--json")
    (one,) = json.loads(done.stdout)["signatures"]
    assert (one["indication"], one["qualified"]) == ("TOTAL-PASSED", "QESeal"), one["info"]
    assert one["organisation"] == module_world.description["seals"][0]["organisation"]


def test_restarted_world_finds_its_keys_again(
    module_world: worlds.World, contract: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    module_world.stop()
    again = worlds.start_sandbox(
        module_world.folder,
        "--pkcs11", str(softhsm.module_path()), "--token", TOKEN,
        "--pin-file", str(module_world.folder.parent / "pin"),
    )  # fmt: skip
    module_world.process, module_world.description = again.process, again.description
    (tmp_path / "signed.pdf").write_bytes(sign(module_world, contract, "4PK12HS"))
    assert module_world.verify(tmp_path / "signed.pdf")["overall"] == "TOTAL-PASSED"
