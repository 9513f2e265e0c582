"""`imza ca contact` and `imza ca revocation-password`: what an officer sets for a subscriber."""

import json

import click

from pki import operator_options

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_CA = operator_options.calls_ca()


@click.command(
    epilog="Example: imza ca contact ID --email gunay@example.az --language az"
    " --credentials w/sandbox.json"
)
@click.argument("application_id")
@click.option("--email", help="Where notices are sent by e-mail.")
@click.option("--phone", help="Where notices are sent by SMS, such as +994501234567.")
@click.option("--language", required=True, type=click.Choice(["az", "ka", "en"]))
@_CA
@_JSON
def contact(
    application_id: str,
    email: str | None,
    phone: str | None,
    language: str,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Record how the subscriber of an application is told of ends and changes.

    With neither address nor number, what was recorded is removed and nothing is sent.
    """
    from pki import registration_calls

    body = {"email": email, "phone_number": phone, "language": language}
    with ca.open() as client:
        client.call(
            "PUT", f"applications/{registration_calls.segment(application_id)}/contact", body
        )
    if as_json:
        click.echo(json.dumps({"application": application_id, "language": language}))
    else:
        click.echo("recorded" if email or phone else "removed: no notices are sent")


@click.command(
    "revocation-password",
    epilog="Example: imza ca revocation-password ID --credentials w/sandbox.json",
)
@click.argument("application_id")
@_CA
@_JSON
def revocation_password(
    application_id: str, ca: operator_options.CallingOperator, as_json: bool
) -> None:
    """Give the person of an application a new revocation password; it is printed this once.

    With it the person suspends or revokes all of their certificates. Any before it ends.
    """
    from pki import registration_calls

    with ca.open() as client:
        path = f"applications/{registration_calls.segment(application_id)}/revocation-password"
        answer = client.call("POST", path, {}, expect=(201,))
    if as_json:
        click.echo(json.dumps({"application": application_id, "password": answer["password"]}))
    else:
        click.echo(answer["password"])
