"""`imza sandbox`."""

import pathlib
import signal
import threading
import time

import click


@click.command("sandbox", epilog="Example: imza sandbox --dir w --port 8080 --tls-port 8443")
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    help="The world's folder; one that exists is continued.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Plain HTTP [8080].")
@click.option("--tls-port", type=click.IntRange(0, 65535), default=None, help="TLS [8443].")
@click.option("--database-url", help="One database for all zones instead of SQLite files.")
@click.option(
    "--pkcs11",
    "module",
    metavar="MODULE",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Keep the authorities' keys in a PKCS#11 token; with --token and --pin-file.",
)
@click.option("--token", metavar="LABEL", help="The token's label.")
@click.option(
    "--pin-file",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Holds the token's PIN.",
)
def command(
    folder: pathlib.Path,
    port: int | None,
    tls_port: int | None,
    database_url: str | None,
    module: pathlib.Path | None,
    token: str | None,
    pin_file: pathlib.Path | None,
) -> int:
    """Run a whole throw-away world in the foreground, on loopback.

    CA hierarchy, OCSP, TSA, signing service, mobile gateway with simulated phones, and virtual
    readers with cards. When everything answers, DIR/sandbox.json says where. Ctrl-C stops it all.
    """
    from imza import sandbox
    from pki import logs
    from pki.keystore import settings as keystore_settings

    if (module is None) is not (token is None) or (module is None) is not (pin_file is None):
        raise click.UsageError("--pkcs11, --token and --pin-file belong together")
    hsm = None
    if module is not None and pin_file is not None:
        hsm = keystore_settings.Settings(
            "pkcs11", pin_file.absolute(), module=module.absolute(), token=token
        )
    logs.configure(folder / "imza.log")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    # A world that exists keeps its ports; a new one without a wish gets the usual ones.
    exists = (folder / "world.json").exists()
    ports = sandbox.Ports(
        port if port is not None else (0 if exists else 8080),
        tls_port if tls_port is not None else (0 if exists else 8443),
    )
    start = time.monotonic()

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with sandbox.Sandbox(folder, ports, tell, database_url=database_url, token=hsm) as world:
        tell(f"Ready after {time.monotonic() - start:.1f} s; see {world.description_path}")
        tell("Nothing here is certified: the cards and the SIMs are software. Ctrl-C stops it.")
        stopping.wait()
        tell("Stopping")
    return 0
