"""A ceremony on SoftHSM 2 by the command line; its transcript, CRL and anchors before OpenSSL."""

import base64
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
import tomli_w

from tests.support import softhsm

pytestmark = pytest.mark.peer

EXAMPLE = pathlib.Path("docs/examples/ceremony.yaml").absolute()


class Installation:
    """A CA zone whose root key has a token of its own, each key store a SoftHSM token."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = softhsm.module_path()
        self.folder = folder
        self.tokens = folder / "softhsm" / "tokens"
        softhsm.make_folder(folder / "softhsm", monkeypatch)
        pin = folder / "pin"
        pin.write_text(softhsm.PIN)
        pin.chmod(0o600)
        content: dict[str, object] = {
            "database": {"url": f"sqlite:///{folder}/ca.sqlite"},
            "signature_log": {"file": f"{folder}/signatures.log"},
            "ca": {
                "country": "AZ",
                "organisation_name": "imza",
                "organisation_code": "9900000001",
                "base_url": "http://pki.example.com",
                "disclosures": [{"url": "https://pki.example.com/en.pdf"}],
                "test": True,
            },
        }
        for section, label in (("keystore", "issuing"), ("keystore_root", "root")):
            softhsm.make_token(label)
            content[section] = {
                "kind": "pkcs11",
                "module": str(module),
                "token": label,
                "secret_file": str(pin),
            }
        self.config = folder / "ca.toml"
        self.config.write_text(tomli_w.dumps(content))
        self.out = folder / "out"

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        # A process of its own: a module keeps the configuration that it was loaded with.
        return subprocess.run(
            [sys.executable, "-m", "imza", "ca", *arguments],
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    def play(self, script: pathlib.Path, *more: str, typed: str = "") -> tuple[int, str]:
        files = ("--script", str(script), "--config", str(self.config), "--out", str(self.out))
        result = self.run("ceremony", *files, *more, typed=typed)
        return result.returncode, result.stdout + result.stderr

    @property
    def transcript(self) -> pathlib.Path:
        return max(self.out.glob("ceremony-*.json"))


@pytest.fixture
def installation(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    return Installation(tmp_path, monkeypatch)


@pytest.fixture
def founded(installation: Installation) -> Installation:
    code, said = installation.play(EXAMPLE, "--yes")
    assert code == 0, said
    return installation


def _openssl(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_transcript_shows_keys_that_never_leave_and_passes_its_check(
    founded: Installation,
) -> None:
    record = json.loads(founded.transcript.read_text())
    keys = [key for step in record["steps"] for key in step["keys"]]
    assert len(keys) == 22
    for key in keys:
        assert key["place"].startswith(f"pkcs11:{'root' if key['label'] == 'root' else 'issuing'}")
        assert key["sensitive"]
        assert key["always_sensitive"]
        assert key["never_extractable"]
        assert key["local"]
        assert not key["extractable"]
    checked = founded.run("ceremony", "--check", str(founded.transcript), "--json")
    assert checked.returncode == 0, checked.stderr
    shown = json.loads(checked.stdout)
    assert shown["steps"] == 27
    assert shown["warnings"] == ["a rehearsal: nobody was asked to confirm"]


def test_openssl_verifies_the_transcript_by_the_root_alone(founded: Installation) -> None:
    path = founded.transcript
    arguments = (
        *("cms", "-verify", "-binary", "-inform", "DER", "-in", f"{path}.p7s"),
        *("-content", path, "-CAfile", founded.out / "trust-anchors.pem"),
        *("-purpose", "any", "-out", founded.folder / "verified"),
    )
    verified = _openssl(*arguments)
    assert verified.returncode == 0, verified.stderr
    assert (founded.folder / "verified").read_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"Baku", b"Bacu"))
    assert _openssl(*arguments).returncode != 0
    checked = founded.run("ceremony", "--check", str(path))
    assert checked.returncode == 4, checked.stdout


def test_openssl_verifies_what_was_certified(founded: Installation) -> None:
    root = founded.out / "trust-anchors.pem"
    for name in ("citizen", "business", "official", "infrastructure"):
        pem = founded.folder / f"{name}.pem"
        _openssl("x509", "-inform", "DER", "-in", founded.out / f"{name}.cer", "-out", pem)
        verified = _openssl("verify", "-x509_strict", "-CAfile", root, pem)
        assert verified.returncode == 0, verified.stderr
    above = founded.folder / "infrastructure.pem"
    for name in ("tsu-1", "tl-signer", "cmp-1"):
        pem = founded.folder / f"{name}.pem"
        _openssl("x509", "-inform", "DER", "-in", founded.out / f"{name}.cer", "-out", pem)
        verified = _openssl("verify", "-x509_strict", "-CAfile", root, "-untrusted", above, pem)
        assert verified.returncode == 0, verified.stderr
    crl = _openssl(
        *("crl", "-inform", "DER", "-in", founded.out / "root.crl", "-CAfile", root, "-noout")
    )
    assert "verify OK" in crl.stderr


def test_the_ca_starts_and_signs_while_the_roots_token_is_away(founded: Installation) -> None:
    for token in founded.tokens.iterdir():
        if b"root   " in (token / "token.object").read_bytes():
            shutil.rmtree(token)
    again = founded.run("init", "--config", str(founded.config), "--json")
    assert again.returncode == 0, again.stderr
    assert len(json.loads(again.stdout)["authorities"]) == 5
    code, said = founded.play(EXAMPLE, "--yes")
    assert code == 5
    assert "no token named 'root'" in said


def test_init_makes_no_root_where_a_ceremony_has_to(installation: Installation) -> None:
    result = installation.run("init", "--config", str(installation.config))
    assert result.returncode == 4
    assert "ca-not-initialised" in result.stderr


def test_each_witness_types_their_id_and_one_who_does_not_stops_it(
    installation: Installation,
) -> None:
    script = installation.folder / "script.yaml"
    script.write_bytes(
        b"title: TEST\nplace: TEST\ndate: today\n"
        b"witnesses:\n  - {id: first, name: TEST A, role: R}\n"
        b"  - {id: second, name: TEST B, role: R}\n"
        b"steps:\n  - {do: generate-key, label: root, kind: P-384}\n  - {do: certify-root}\n"
        b"  - {do: publish-crl, name: root}\n"
    )
    agreed = "first\nsecond\n"
    code, said = installation.play(script, typed=agreed * 2 + "first\nno\n")
    assert code == 4
    assert "ceremony-not-confirmed" in said
    root = installation.out / "trust-anchors.pem"
    checked = installation.run(
        "ceremony", "--check", str(installation.transcript), "--root", str(root), "--json"
    )
    assert json.loads(checked.stdout)["outcome"] == "stopped"


def test_openssl_verifies_an_anchor_of_the_audit_log(tmp_path: pathlib.Path) -> None:
    """The statement and the token, as `docs/key-ceremony.md` tells an auditor."""
    import datetime

    from ca.audit_log import anchors
    from pki import algorithms, clock
    from tests.support.hierarchy import make_hierarchy
    from tsa import messages, signed_token

    at = clock.whole_seconds(clock.SystemClock().now())
    made = make_hierarchy(at)
    unit = made.time_stamping_unit()

    def stamp(digest: bytes, at: datetime.datetime) -> bytes:
        imprint = messages.MessageImprint(algorithms.HashAlgorithm.SHA256, digest)
        info = messages.TSTInfo("1.3.6.1.4.1.99999.2", imprint, 1, at)
        return signed_token.build_token(info, unit.certificate, unit.handle, unit.chain[:-1])

    anchoring = anchors.Anchoring(tmp_path / "anchors", stamp)
    anchors.write_next(anchoring, lambda: (7, "ab" * 32), at)
    kept = json.loads((tmp_path / "anchors" / "000000000007.json").read_text())
    (tmp_path / "token").write_bytes(base64.b64decode(kept["token"]))
    (tmp_path / "line").write_text(f"imza audit log: 7 entries, head {'ab' * 32}\n")
    (tmp_path / "root.pem").write_bytes(made.root.pem)
    (tmp_path / "above.pem").write_bytes(made.infrastructure.pem)
    verified = _openssl(
        *("ts", "-verify", "-in", tmp_path / "token", "-token_in", "-data", tmp_path / "line"),
        *("-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "above.pem"),
    )
    assert verified.returncode == 0, verified.stderr + verified.stdout
