"""Certomancer as a peer: a small hierarchy whose responder and time-stamping unit it animates.

Its keys are P-256, like those that are measured beside it, and its server answers one request at a
time on a connection of its own.
"""

import contextlib
import dataclasses
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import servers

PROGRAM = str(pathlib.Path(sys.executable).parent / "certomancer")
SERIAL = 4097
START_LIMIT_S = 30.0
_NAMES = ("root", "signer", "ocsp", "tsa")
_VALIDITY = {"valid-from": "2020-01-01T00:00:00+0000", "valid-to": "2100-01-01T00:00:00+0000"}
_USAGE = {"schema": "key-usage", "params": ["digital_signature"]}


@dataclasses.dataclass(frozen=True)
class Animated:
    """Where it answers, and the issuer of the certificate `SERIAL` that it knows."""

    ocsp_url: str
    tsa_url: str
    issuer: x509.Certificate


@contextlib.contextmanager
def animated(folder: pathlib.Path) -> Iterator[Animated]:
    """Run it in a folder of its own."""
    folder.mkdir()
    _write(folder)
    subprocess.run(
        [PROGRAM, "mass-summon", "bench", "out", "--no-pfx"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    issuer = x509.load_pem_x509_certificate((folder / "out/root/root.cert.pem").read_bytes())
    port = servers.free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "animate", "--port", str(port)], cwd=folder, stdout=log, stderr=log
        )
        try:
            base = f"http://127.0.0.1:{port}"
            _await_answer(process, base)
            yield Animated(f"{base}/bench/ocsp/root", f"{base}/bench/tsa/tsa", issuer)
        finally:
            process.kill()
            process.wait(30)


def _await_answer(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, trust_env=False)
            return
        time.sleep(0.1)
    raise RuntimeError("certomancer did not start")


def _write(folder: pathlib.Path) -> None:
    (folder / "keys").mkdir()
    for name in _NAMES:
        (folder / "keys" / f"{name}.pem").write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    purposes: dict[str, dict[str, object]] = {
        "root": {"profiles": [{"id": "simple-ca"}]},
        "signer": {"serial": SERIAL, "profiles": [{"id": "digsig-commitment"}]},
        "ocsp": {"profiles": ["ocsp-responder"]},
        "tsa": {
            "extensions": [
                {"id": "key_usage", "critical": True, "smart-value": _USAGE},
                {"id": "extended_key_usage", "critical": True, "value": ["time_stamping"]},
            ]
        },
    }
    content = {
        "keysets": {
            "bench": {
                "path-prefix": "keys",
                "keys": {name: {"path": f"{name}.pem"} for name in _NAMES},
            }
        },
        "pki-architectures": {
            "bench": {
                "keyset": "bench",
                "entity-defaults": {"country-name": "AZ", "organization-name": "TEST"},
                "entities": {name: {"common-name": f"TEST {name}"} for name in _NAMES},
                "certs": {
                    name: {"subject": name, "issuer": "root", "validity": _VALIDITY, **more}
                    for name, more in purposes.items()
                },
                "services": {
                    "ocsp": {
                        "root": {
                            "for-issuer": "root",
                            "responder-cert": "ocsp",
                            "signing-key": "ocsp",
                        }
                    },
                    "time-stamping": {"tsa": {"signing-key": "tsa", "signing-cert": "tsa"}},
                },
            }
        },
    }
    (folder / "certomancer.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
