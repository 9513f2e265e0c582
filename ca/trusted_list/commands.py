"""`imza ca trusted-list`: publish the list now, show what is published, write it to a file."""

import json
import pathlib
from collections.abc import Mapping

import click

from pki import operator_options

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_CA = operator_options.calls_ca()


@click.group(
    "trusted-list",
    epilog="Example: imza ca trusted-list show --credentials w/sandbox.json",
)
def group() -> None:
    """The signed list of our services and their statuses (TS 119 612)."""


@group.command(epilog="Example: imza ca trusted-list publish --credentials w/sandbox.json")
@_CA
@_JSON
def publish(ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Sign and publish every form of the list now; the CA does so by itself before it is due."""
    with ca.open() as client:
        _print(client.publish_trusted_lists(), as_json)


@group.command(epilog="Example: imza ca trusted-list show --credentials w/sandbox.json")
@_CA
@_JSON
def show(ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Show number, dates and address of what is published."""
    with ca.open() as client:
        _print(client.trusted_lists(), as_json)


@group.command(
    epilog="Example: imza ca trusted-list write az -o az.xml --credentials w/sandbox.json"
)
@click.argument("name")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the signed list.",
)
@_CA
@_JSON
def write(
    name: str,
    output: pathlib.Path,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Write a published list to a file, byte for byte."""
    import hashlib

    from pki import durable_files

    with ca.open() as client:
        content = client.fetch_trusted_list(name)
    durable_files.replace(output, content)
    digest = hashlib.sha256(content).hexdigest()
    if as_json:
        click.echo(json.dumps({"name": name, "output": str(output), "sha256": digest}))
    else:
        click.echo(f"{output}: {len(content)} bytes, SHA-256 {digest}")


def _print(value: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    lists = value["trusted_lists"]
    assert isinstance(lists, list)  # noqa: S101 - the client checked it
    for one in lists:
        click.echo(
            f"{one['name']:<16}number {one['sequence_number']}, issued {one['issued_at']},"
            f" next update {one['next_update']}\n{'':<16}{one['url']}"
        )
