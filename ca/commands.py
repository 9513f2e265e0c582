"""`imza ca …`: the CA administrator's work, as a client of the registration API.

`imza ca init`, which needs every zone's keys and tables, is added by `imza.ca_commands`.
"""

import datetime
import json
from collections.abc import Mapping

import click

from ca.applications import commands as applications
from ca.bulk import commands as bulk
from ca.crls import commands as crls
from ca.trusted_list import commands as trusted_list
from pki import operator_options

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_CA = operator_options.calls_ca()


@click.group(epilog="Example: imza ca list --credentials w/sandbox.json")
def group() -> None:
    """The CA administrator's work."""


group.add_command(crls.command)
group.add_command(trusted_list.group)
group.add_command(bulk.command)
for _command in applications.COMMANDS:
    group.add_command(_command)


@group.command(epilog="Example: imza ca revoke SERIAL --reason keyCompromise --credentials FILE")
@click.argument("serial")
@click.option("--reason", required=True, help="As RFC 5280 spells it, such as keyCompromise.")
@click.option(
    "--invalidity-date",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Since when the key may be in wrong hands (UTC).",
)
@_CA
@_JSON
def revoke(
    serial: str,
    reason: str,
    invalidity_date: datetime.datetime | None,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Revoke a certificate for good."""
    from pki import status

    since = None if invalidity_date is None else invalidity_date.replace(tzinfo=datetime.UTC)
    with ca.open() as client:
        client.revoke(
            _serial_number(serial),
            status.RevocationReason.from_name(reason),
            invalidity_date=since,
        )
    value = {"serial_number": serial, "status": "revoked", "reason": reason}
    _print(value, as_json, [f"{serial} is revoked ({reason})"])


@group.command(epilog="Example: imza ca hold SERIAL --credentials w/sandbox.json")
@click.argument("serial")
@_CA
@_JSON
def hold(serial: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Suspend a certificate until it is released."""
    with ca.open() as client:
        client.hold(_serial_number(serial))
    _print({"serial_number": serial, "status": "held"}, as_json, [f"{serial} is on hold"])


@group.command(epilog="Example: imza ca release SERIAL --credentials w/sandbox.json")
@click.argument("serial")
@_CA
@_JSON
def release(serial: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """End a suspension."""
    with ca.open() as client:
        client.release(_serial_number(serial))
    _print({"serial_number": serial, "status": "good"}, as_json, [f"{serial} is good again"])


@group.command("list", epilog="Example: imza ca list --credentials w/sandbox.json")
@click.option("--person-code", help="Only of people with this number.")
@_CA
@_JSON
def list_certificates(
    person_code: str | None, ca: operator_options.CallingOperator, as_json: bool
) -> None:
    """List the certificates that were issued."""
    from pki import certificates, registration_answers

    entries: list[registration_answers.ListedCertificate] = []
    with ca.open() as client:
        cursor = None
        while True:
            page = client.list(person_code=person_code, cursor=cursor)
            entries += page.certificates
            cursor = page.next_cursor
            if cursor is None:
                break
    value = [
        {
            "serial_number": certificates.serial_text(one.serial_number),
            "issuer": one.issuer,
            "profile": one.profile,
            "role": one.role,
            "organisation": one.organisation,
            "subject": one.subject,
            "not_before": one.not_before,
            "not_after": one.not_after,
            "status": one.status,
            "reason": one.reason,
        }
        for one in entries
    ]
    lines = [
        f"{one['serial_number']}  {one['status']:<8}{one['issuer']:<16}{one['profile']:<20}"
        f"{one['role'] or '-':<14}"
        f"{one['subject']}"
        for one in value
    ]
    _print({"certificates": value}, as_json, lines)


@group.command(epilog="Example: imza ca show SERIAL --credentials w/sandbox.json")
@click.argument("serial")
@_CA
@_JSON
def show(serial: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Show one certificate."""
    with ca.open() as client:
        found = client.show(_serial_number(serial))
    known = [(name, value) for name, value in found.items() if value is not None]
    _print(found, as_json, [f"{name:<16}{value}" for name, value in known])


@group.group(epilog="Example: imza ca audit verify --credentials w/sandbox.json")
def audit() -> None:
    """The audit log."""


@audit.command(epilog="Example: imza ca audit verify --credentials w/sandbox.json")
@_CA
@_JSON
def verify(ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Recompute the audit log's chain of hashes."""
    with ca.open() as client:
        found = client.verify_audit()
    _print(found, as_json, [f"{found['entries']} entries, unbroken; head {found['head']}"])


def _serial_number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError as error:
        raise click.UsageError("expected a serial number in hex") from error


def _print(value: Mapping[str, object], as_json: bool, lines: list[str]) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
    else:
        for line in lines:
            click.echo(line)
