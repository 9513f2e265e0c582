"""`imza ca`: the package's commands, and `init`, which needs every zone's keys and the schema."""

import json
import pathlib

import click

from ca import commands
from ca.bulletin import commands as statistics
from ca.operators import commands as operator_commands
from ca.renewal import commands as renewal_commands
from ca.subscribers import commands as subscriber_commands
from ca.trusted_list import commands as trusted_list
from imza import (
    audit_command,
    backup_commands,
    ceremony_command,
    check_command,
    continuity_commands,
    operator_command,
    register_command,
    status_file_command,
    termination_command,
)

group = commands.group
group.add_command(renewal_commands.renew)
group.add_command(subscriber_commands.contact)
group.add_command(subscriber_commands.revocation_password)
group.add_command(ceremony_command.command)
group.add_command(statistics.group)
operator_commands.group.add_command(operator_command.add)
group.add_command(operator_commands.group)
group.add_command(continuity_commands.compromise)
group.add_command(continuity_commands.rollover)
group.add_command(backup_commands.backup)
group.add_command(check_command.command)
group.add_command(register_command.group)
group.add_command(status_file_command.group)
group.add_command(backup_commands.restore)
group.add_command(termination_command.command)
trusted_list.group.add_command(continuity_commands.service_status)
commands.audit.add_command(audit_command.export)
commands.audit.add_command(audit_command.verify)


@group.command(
    "init",
    epilog="Example: imza ca init --config /etc/imza/ca.toml --out /etc/imza/pki",
)
@click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="The CA zone's settings file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=pathlib.Path, file_okay=False),
    help="Write trust-anchors.pem, authorities.pem, tsu-1.pem and tl-signer.pem here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def init(path: pathlib.Path, out: pathlib.Path | None, as_json: bool) -> int:
    """Make the root, the issuing CAs, their responders and a time-stamping unit.

    Makes the tables, the keys and the certificates that are missing; a second run changes nothing.
    Responders' and the unit's keys go to [keystore_ocsp] and [keystore_tsa] where these are set.
    """
    import contextlib

    from imza import config as configs
    from imza import installation
    from imza.wiring import founding, resources
    from pki import certificates, clock

    with contextlib.closing(resources.Resources(clock.SystemClock())) as opened:
        made = founding.initialise(opened, configs.read(path))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        installation.write_certificates(made, out)
    authorities = [
        {
            "name": one.name,
            "subject": certificates.name_text(one.certificate.subject),
            "sha256": certificates.sha256(one.certificate),
            "not_after": clock.time_text(one.certificate.not_valid_after_utc),
        }
        for one in made.issuers
    ]
    if as_json:
        click.echo(json.dumps({"authorities": authorities}, ensure_ascii=False))
    else:
        for one in authorities:
            click.echo(f"{one['name']:<16}{one['subject']}\n{'':<16}SHA-256 {one['sha256']}")
    return 0
