"""`imza ca status-file`: the statuses of all certificates for responders on other machines."""

import contextlib
import json
import pathlib

import click

from imza.continuity_commands import CONFIG, JSON, OFFICER, actor_of


@click.group("status-file", epilog="Example: imza ca status-file show statuses")
def group() -> None:
    """Publish the statuses of all certificates for responders that reach no database."""


@group.command(
    "write", epilog="Example: imza ca status-file write --config ca.toml --officer admin-1"
)
@CONFIG
@OFFICER
@JSON
def write(path: pathlib.Path, officer: str, as_json: bool) -> int:
    """Write the file that [status_file] names, signed, as of now; the CA zone does so regularly."""
    from imza import config as configs
    from imza.wiring import resources, status_publication
    from pki import clock

    config = configs.read(path)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        sessions = opened.sessions(config)
        publisher = status_publication.StatusPublisher(
            opened, config, sessions, opened.authority_keys(config, sessions),
            actor=actor_of(officer),
        )  # fmt: skip
        header = publisher.publish(opened.present.now())
    _tell({"change": header.position.number, "as_of": clock.time_text(header.as_of)}, as_json)
    return 0


@group.command("key", epilog="Example: imza ca status-file key --config ca.toml --officer admin-1")
@CONFIG
@OFFICER
def key(path: pathlib.Path, officer: str) -> int:
    """Print the public key that signs the files, in PEM; it is made if there is none."""
    from cryptography.hazmat.primitives import serialization

    from imza import config as configs
    from imza.wiring import resources, status_publication
    from pki import clock

    config = configs.read(path)
    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        sessions = opened.sessions(config)
        publisher = status_publication.StatusPublisher(
            opened, config, sessions, opened.authority_keys(config, sessions),
            actor=actor_of(officer),
        )  # fmt: skip
        public_key = publisher.public_key(opened.present.now()).public_key
    pem = public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    click.echo(pem.decode(), nl=False)
    return 0


@group.command("show", epilog="Example: imza ca status-file show statuses --publisher key.pem")
@click.argument("file", type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False))
@click.option(
    "--publisher",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Public keys in PEM, one of which must have signed the file.",
)
@JSON
def show(file: pathlib.Path, publisher: pathlib.Path | None, as_json: bool) -> int:
    """Say what a status file holds; refuse one that is damaged or of another publisher."""
    from pki import clock, status_file, status_publishers

    read = status_file.read_file(file)
    if publisher is not None:
        status_publishers.check_publisher(read, status_publishers.load_publishers(publisher))
    header = read.header
    _tell(
        {
            "change": header.position.number,
            "as_of": clock.time_text(header.as_of),
            "locked_at": clock.time_text(header.locked_at) if header.locked_at else None,
            "signed": read.signature is not None,
            "checked": publisher is not None,
            "issuers": {
                name: dict(zip(("good", "revoked"), read.count(name), strict=True))
                for name in read.table_names()
            },
            "responders": sorted({one.issuer_name for one in header.responders}),
        },
        as_json,
    )
    return 0


def _tell(facts: dict[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        click.echo(f"{name:<12}{value}")
