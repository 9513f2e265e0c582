"""A time-stamping zone in a folder, ready for `imza serve tsa`."""

import pathlib

import tomli_w
from cryptography.hazmat.primitives import serialization

from imza import config as configs
from imza.serving import zone_process
from tests.support import hierarchy, servers


def write(
    holder: hierarchy.Holder, folder: pathlib.Path, policy: str, *, workers: int = 0
) -> tuple[pathlib.Path, int]:
    """Write a zone's key, certificates, database and settings; return the settings and port."""
    secret = folder / "secret"
    secret.write_text("a passphrase", encoding="ascii")
    (folder / "keys").mkdir(mode=0o700)
    secret.chmod(0o600)
    (folder / "keys" / "tsu-1.key").write_bytes(
        holder.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a passphrase"),
        )
    )
    (folder / "tsu-1.pem").write_bytes(
        b"".join(
            one.public_bytes(serialization.Encoding.PEM)
            for one in (holder.certificate, *holder.issuers[:-1])
        )
    )
    port = servers.free_port()
    path = folder / "tsa.toml"
    path.write_text(
        tomli_w.dumps(
            {
                "server": {"port": port, "workers": workers},
                "database": {"url": f"sqlite:///{folder}/tsa.sqlite"},
                "keystore": {
                    "kind": "file",
                    "folder": str(folder / "keys"),
                    "secret_file": str(secret),
                },
                "tsa": {
                    "certificates": str(folder / "tsu-1.pem"),
                    "policies": [policy],
                    "clock": {"trust_system_clock": True},
                },
            }
        )
    )
    zone_process.upgrade_database(configs.read(path))
    return path, port
