"""`imza ca crl`: make an authority publish its lists, or show which are published."""

import json

import click

from pki import operator_options


@click.command(
    "crl",
    epilog="Example: imza ca crl citizen --show --credentials w/sandbox.json",
)
@click.argument("name")
@click.option("--delta", is_flag=True, help="Publish what changed since the last full lists.")
@click.option("--show", is_flag=True, help="Publish nothing; show the newest lists.")
@operator_options.calls_ca()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    name: str,
    delta: bool,
    show: bool,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Make an authority sign and publish a fresh CRL of each of its partitions."""
    if delta and show:
        raise click.UsageError("expected --delta or --show, got both")
    with ca.open() as client:
        found = client.show_crls(name) if show else client.publish_crl(name, delta=delta)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    lists = found["lists"]
    for one in lists if isinstance(lists, list) else ():
        kind = "full" if one["base_number"] is None else f"delta on {one['base_number']}"
        click.echo(
            f"{one['url']}  number {one['number']} ({kind}), {one['entries']} entries,"
            f" {one['size']} bytes, {one['this_update']} to {one['next_update']}"
        )
