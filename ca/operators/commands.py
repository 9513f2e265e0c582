"""`imza ca operator`: requests for certificates, and operators' life as administrators see it."""

import base64
import json
import pathlib
from collections.abc import Mapping

import click

from pki import operator_options

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the certificate as PEM.",
)


@click.group("operator", epilog="Example: imza ca operator list --operator administrator.toml")
def group() -> None:
    """Who may work at the CA: officers, approvers, administrators, auditors."""


@group.command(
    epilog="Example: imza ca operator request --new-key anna.key --name anna -o anna.csr"
)
@click.option("--name", required=True, help="The operator's name in this installation.")
@click.option(
    "--new-key",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Make a key and write it to this new file, encrypted under a passphrase.",
)
@click.option(
    "--module",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="A PKCS#11 module that has the key, instead of a file.",
)
@click.option("--token", help="The label of the token in the module.")
@click.option("--key-label", help="The label of the key in the token.")
@click.option("--generate", is_flag=True, help="Make the key in the token first.")
@click.option("--server", help="The CA zone's address, for the operator's file.")
@click.option(
    "--pin-fd", type=int, metavar="N", help="Read the passphrase or PIN from this descriptor."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the request (PKCS#10, PEM).",
)
@_JSON
def request(
    name: str,
    new_key: pathlib.Path | None,
    module: pathlib.Path | None,
    token: str | None,
    key_label: str | None,
    generate: bool,
    server: str | None,
    pin_fd: int | None,
    output: pathlib.Path,
    as_json: bool,
) -> None:
    """Make a request for an operator's certificate, and the file that names their credentials.

    The key is made here or in the operator's own token, and never leaves either. Beside the request
    NAME.toml is written; it names the certificate NAME.pem, which an administrator gives back.
    """
    from pki import operator_requests

    in_token = (module, token, key_label)
    if (new_key is None) == (None in in_token) or (new_key is not None and any(in_token)):
        raise click.UsageError("expected either --new-key, or --module, --token and --key-label")
    where = operator_requests.KeyPlace(new_key, module, token, key_label, generate)
    made = operator_requests.make(where, name, output, server=server, secret_fd=pin_fd)
    _print({"request": str(output), "operator_file": str(made)}, as_json)


@group.command(epilog="Example: imza ca operator confirm bela --operator administrator-2.toml")
@click.argument("name")
@operator_options.calls_ca()
@_JSON
def confirm(name: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Confirm an approver or an administrator whom another administrator added."""
    from pki import operator_calls

    with ca.open() as client:
        _print(operator_calls.confirm(client, name), as_json)


@group.command(epilog="Example: imza ca operator disable anna --operator administrator.toml")
@click.argument("name")
@operator_options.calls_ca()
@_JSON
def disable(name: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Disable an operator for good and revoke their certificates."""
    from pki import operator_calls

    with ca.open() as client:
        _print(operator_calls.disable(client, name), as_json)


@group.command("list", epilog="Example: imza ca operator list --operator administrator.toml")
@operator_options.calls_ca()
@_JSON
def list_operators(ca: operator_options.CallingOperator, as_json: bool) -> None:
    """List all operators there ever were."""
    from pki import operator_calls

    with ca.open() as client:
        found = operator_calls.every(client)
    if as_json:
        click.echo(json.dumps({"operators": found}, ensure_ascii=False))
        return
    for one in found:
        click.echo(f"{one['name']!s:<34}{one['role']!s:<18}{one['state']}")


@group.command(epilog="Example: imza ca operator show --operator anna.toml")
@operator_options.calls_ca()
@_JSON
def show(ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Show who one is to the CA."""
    from pki import operator_calls

    with ca.open() as client:
        _print(operator_calls.show_caller(client), as_json)


@group.command(
    epilog="Example: imza ca operator renew --csr anna.csr -o anna.pem --operator anna.toml"
)
@click.option(
    "--csr",
    "csr_path",
    required=True,
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="A PKCS#10 request, DER or PEM, of the same key or a new one.",
)
@operator_options.calls_ca()
@_OUTPUT
@_JSON
def renew(
    csr_path: pathlib.Path,
    ca: operator_options.CallingOperator,
    output: pathlib.Path | None,
    as_json: bool,
) -> None:
    """Get another certificate for oneself, before the present one ends."""
    from pki import operator_calls, operator_requests

    with ca.open() as client:
        made = operator_calls.renew_own(client, operator_requests.read(csr_path))
    print_certified(made, output, as_json)


def print_certified(made: Mapping[str, object], output: pathlib.Path | None, as_json: bool) -> None:
    """Write an operator's new certificate, and tell of it."""
    from pki import certificates, durable_files

    certificate = certificates.parse(base64.b64decode(str(made["certificate"])))
    pem = certificates.to_pem(certificate)
    if output is not None:
        durable_files.replace(output, pem.encode("ascii"))
    value = {**made, "pem": pem, "output": str(output) if output else None}
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    click.echo(f"{made['name']}: {made['role']}, {str(made['state']).replace('_', ' ')}")
    click.echo(f"SHA-256 {certificates.sha256(certificate)}" if output else pem)


def _print(value: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    for name, one in value.items():
        click.echo(f"{name:<16}{one}")
