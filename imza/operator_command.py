"""`imza ca operator add`: by an administrator, or on the CA's own machine for the first ones."""

import contextlib
import pathlib

import click

from ca.operators import commands
from pki import operator_options

ROLES = ("ra-officer", "approver", "ca-administrator", "auditor")


@click.command(
    epilog="Example: imza ca operator add --config /etc/imza/ca.toml --name anna"
    " --role ca-administrator --csr anna.csr -o anna.pem"
)
@click.option("--name", required=True, help="The operator's name; never used again for another.")
@click.option("--role", required=True, type=click.Choice(ROLES))
@click.option(
    "--csr",
    "csr_path",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="The operator's request (PKCS#10, DER or PEM).",
)
@click.option(
    "--new-key",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Make the key here instead, in this new file, encrypted under a passphrase.",
)
@click.option(
    "--config",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="Add on the CA's own machine, with its keys: needs no operator and no confirmation.",
)
@operator_options.calls_ca(required=False)
@click.option(
    "--new-pin-fd", type=int, metavar="N", help="Read the new key's passphrase from here."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the certificate as PEM; default with --new-key: NAME.pem beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def add(
    name: str,
    role: str,
    csr_path: pathlib.Path | None,
    new_key: pathlib.Path | None,
    config: pathlib.Path | None,
    ca: operator_options.CallingOperator | None,
    new_pin_fd: int | None,
    output: pathlib.Path | None,
    as_json: bool,
) -> int:
    """Add an operator and certify their key.

    An approver or an administrator whom an administrator adds may do nothing until another
    administrator has confirmed them.
    """
    from pki import operator_calls, operator_requests, operator_roles

    if (config is None) == (ca is None):
        raise click.UsageError("expected either --config or --operator")
    if (csr_path is None) == (new_key is None):
        raise click.UsageError("expected either --csr or --new-key")
    if new_key is not None:
        csr_path = new_key.with_suffix(".csr")
        operator_requests.make(
            operator_requests.KeyPlace(new_file=new_key),
            name,
            csr_path,
            server=None if ca is None else ca.server,
            secret_fd=new_pin_fd,
        )
        output = output or new_key.parent / f"{name}.pem"
    assert csr_path is not None  # noqa: S101 - one of the two was given
    csr_der = operator_requests.read(csr_path)
    wanted = operator_roles.Role(role)
    if ca is not None:
        with ca.open() as client:
            commands.print_certified(
                operator_calls.add(client, name, wanted, csr_der), output, as_json
            )
        return 0
    assert config is not None  # noqa: S101 - one of the two was given
    from ca.operators import api
    from imza import config as configs
    from imza.wiring import operators, resources
    from pki import clock

    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        (made,) = operators.add(
            opened, configs.read(config), [operators.Wanted(name, wanted, csr_der)]
        )
    commands.print_certified(api.certified(made), output, as_json)
    return 0
