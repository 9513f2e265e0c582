"""`imza ca request`, `vet`, `approve`, `reject`, `issue` and `application`: who applies for what.

Who records, vets and approves is whoever the credentials belong to; no option names an officer.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pki import operator_options

if TYPE_CHECKING:
    from pki import registration

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_CA = operator_options.calls_ca()
_METHODS = ("in_person", "consulate", "qualified_signature")
_PROFILES = (
    "sign",
    "authenticate",
    "seal",
    "xroad-authenticate",
    "xroad-authenticate-acme",
    "xroad-sign",
)
_STATES = ("recorded", "awaiting_approval", "approved", "certified", "rejected")
_DOCUMENT = click.option(
    "--document",
    "documents",
    multiple=True,
    metavar="KIND:COUNTRY:NUMBER:EXPIRES",
    help="A document that was seen, such as passport:AZ:C0123456:2035-01-31; several times.",
)


@click.command(
    epilog="Example: imza ca request --credentials w/sandbox.json --category citizen --country AZ"
    " --person-code 5AB12CD --surname 'TEST Əliyeva' --given-name Günay"
    " --document passport:AZ:C0123456:2035-01-31"
)
@_CA
@click.option(
    "--category",
    required=True,
    type=click.Choice(["citizen", "business", "official", "organisation"]),
)
@click.option("--country", required=True, help="Of the person's number, such as AZ.")
@click.option("--person-code", required=True, help="The person's number.")
@click.option("--surname", required=True)
@click.option("--given-name", required=True)
@click.option("--organisation-country")
@click.option("--organisation-code")
@click.option("--organisation-name")
@click.option("--title", help="The person's position in the organisation.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(_PROFILES),
    help="What certificates are applied for; several times. Default: sign and authenticate.",
)
@click.option("--member-class", help="X-Road's class of the organisation, such as GOV.")
@click.option("--dns-name", help="The X-Road security server's name.")
@_DOCUMENT
@_JSON
def request(
    ca: operator_options.CallingOperator,
    category: str,
    country: str,
    person_code: str,
    surname: str,
    given_name: str,
    organisation_country: str | None,
    organisation_code: str | None,
    organisation_name: str | None,
    title: str | None,
    profiles: tuple[str, ...],
    member_class: str | None,
    dns_name: str | None,
    documents: tuple[str, ...],
    as_json: bool,
) -> None:
    """Hand in an application; with --document the person was here and is vetted at once."""
    from pki import registration
    from pki import vetting as vettings

    organisation = security_server = vetting = None
    if organisation_code or organisation_name:
        organisation = registration.Organisation(
            organisation_country or country, organisation_code or "", organisation_name or ""
        )
    if member_class is not None or dns_name is not None:
        security_server = registration.Server(member_class or "", dns_name)
    if documents:
        vetting = vettings.Vetting(tuple(map(vettings.Document.parse, documents)))
    with ca.open() as client:
        made = client.apply(
            registration.Category(category),
            registration.Person(country, person_code, surname, given_name),
            vetting,
            organisation=organisation,
            title=title,
            profiles=profiles or None,
            server=security_server,
        )
    _print_application(made, as_json)


@click.command(
    epilog="Example: imza ca vet ID --method in_person --document passport:AZ:C0123456:2035-01-31"
    " --credentials w/sandbox.json"
)
@click.argument("application_id")
@click.option("--method", required=True, type=click.Choice(_METHODS))
@_DOCUMENT
@click.option("--consulate", help="Where a consul saw the person.")
@click.option(
    "--signature",
    "signature_path",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="The applicant's detached CMS signature (DER) over `imza ca application text`.",
)
@_CA
@_JSON
def vet(
    application_id: str,
    method: str,
    documents: tuple[str, ...],
    consulate: str | None,
    signature_path: pathlib.Path | None,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Record how an applicant's identity was checked."""
    from pki import vetting as vettings

    vetting = vettings.Vetting(
        tuple(map(vettings.Document.parse, documents)),
        vettings.Method(method),
        consulate,
        None if signature_path is None else signature_path.read_bytes(),
    )
    with ca.open() as client:
        made = client.vet(application_id, vetting)
    _print_application(made, as_json)


@click.command(epilog="Example: imza ca approve ID --credentials w/sandbox.json")
@click.argument("application_id")
@_CA
@_JSON
def approve(application_id: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Approve an application that another operator vetted."""
    with ca.open() as client:
        made = client.approve(application_id)
    _print_application(made, as_json)


@click.command(
    epilog="Example: imza ca reject ID --reason 'The passport belongs to somebody else.'"
    " --credentials w/sandbox.json"
)
@click.argument("application_id")
@click.option("--reason", required=True, help="Kept with the application; no person's data.")
@_CA
@_JSON
def reject(
    application_id: str,
    reason: str,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Reject an application that is not approved yet."""
    with ca.open() as client:
        made = client.reject(application_id, reason)
    _print_application(made, as_json)


@click.command(
    epilog="Example: imza ca issue ID --profile sign --csr key.csr -o cert.pem"
    " --credentials w/sandbox.json"
)
@click.argument("application_id")
@click.option("--profile", required=True, type=click.Choice(_PROFILES))
@click.option(
    "--csr",
    "csr_path",
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="A PKCS#10 request, DER or PEM.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write the certificate and its chain as PEM.",
)
@click.option(
    "--pkcs12",
    "pkcs12_path",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Make a key here and write it with its certificate to this new file; test CAs alone.",
)
@click.option("--passphrase-fd", type=int, metavar="N", help="Where the file's passphrase is read.")
@_CA
@_JSON
def issue(
    application_id: str,
    profile: str,
    csr_path: pathlib.Path | None,
    output: pathlib.Path | None,
    pkcs12_path: pathlib.Path | None,
    passphrase_fd: int | None,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Get a certificate for an approved application."""
    from ca.applications import software_key
    from pki import certificates

    if (csr_path is None) == (pkcs12_path is None):
        raise click.UsageError("expected one of --csr and --pkcs12")
    if (pkcs12_path is None) != (passphrase_fd is None):
        raise click.UsageError("--pkcs12 and --passphrase-fd go together")
    if pkcs12_path is not None and passphrase_fd is not None:
        passphrase = software_key.read_passphrase(passphrase_fd)
        with ca.open() as client:
            made = software_key.issue(client, application_id, profile, pkcs12_path, passphrase)
    elif csr_path is not None:
        content = csr_path.read_bytes()
        with ca.open() as client:
            made = client.certify(application_id, profile, _csr_der(content))
    chain = [certificates.parse(one) for one in (made.certificate_der, *made.chain_der)]
    pem = "".join(certificates.to_pem(one) for one in chain)
    if output is not None:
        output.write_text(pem, encoding="ascii")
    serial = certificates.serial_text(made.serial_number)
    value = {
        "serial_number": serial,
        "pem": pem,
        "output": str(output) if output else None,
        "pkcs12": str(pkcs12_path) if pkcs12_path else None,
    }
    quiet = output is not None or pkcs12_path is not None
    _print(value, as_json, [f"serial number {serial}", *([] if quiet else [pem.rstrip()])])


@click.group(epilog="Example: imza ca application list --credentials w/sandbox.json")
def application() -> None:
    """Look at applications."""


@application.command(
    "list",
    epilog="Example: imza ca application list --state awaiting_approval"
    " --credentials w/sandbox.json",
)
@click.option("--state", type=click.Choice(_STATES), help="Only those that came so far.")
@click.option("--person-code", help="Only of people with this number.")
@_CA
@_JSON
def list_applications(
    state: str | None,
    person_code: str | None,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """List applications, the oldest first."""
    from pki import registration

    wanted = None if state is None else registration.ApplicationState(state)
    with ca.open() as client:
        found = list(client.list_applications(state=wanted, person_code=person_code))
    lines = [
        f"{one['id']}  {one['state']!s:<18}{one['category']!s:<14}{one['recorded_at']}"
        for one in found
    ]
    _print({"applications": found}, as_json, lines)


@application.command(epilog="Example: imza ca application show ID --credentials w/sandbox.json")
@click.argument("application_id")
@_CA
@_JSON
def show(application_id: str, ca: operator_options.CallingOperator, as_json: bool) -> None:
    """Show one application with its vetting record."""
    with ca.open() as client:
        found = client.show_application(application_id)
    lines = [f"{name:<18}{value}" for name, value in found.items() if name != "text"]
    _print(found, as_json, lines)


@application.command(
    epilog="Example: imza ca application text ID -o text --credentials w/sandbox.json &&"
    " openssl cms -sign -binary -cades -in text -signer me.pem -inkey me.key -outform DER"
)
@click.argument("application_id")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    help="Where to write it.",
)
@_CA
@_JSON
def text(
    application_id: str,
    output: pathlib.Path,
    ca: operator_options.CallingOperator,
    as_json: bool,
) -> None:
    """Write the text that an applicant signs who is vetted by a qualified signature."""
    with ca.open() as client:
        found = client.show_application(application_id)
    output.write_bytes(str(found["text"]).encode())
    _print({"id": application_id, "output": str(output)}, as_json, [str(output)])


COMMANDS = (request, vet, approve, reject, issue, application)
"""What `imza ca` mounts."""


def _csr_der(content: bytes) -> bytes:
    """The DER of a request that may be PEM; the CA judges what is in it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if not content.lstrip().startswith(b"-----BEGIN"):
        return content
    try:
        found = x509.load_pem_x509_csr(content)
    except ValueError as error:
        raise click.UsageError("expected a PKCS#10 request in DER or PEM") from error
    return found.public_bytes(serialization.Encoding.DER)


def _print_application(made: "registration.Application", as_json: bool) -> None:
    value = {"id": made.id, "state": made.state.value, "request_hash": made.request_hash}
    _print(value, as_json, [f"application {made.id}: {made.state.value.replace('_', ' ')}"])


def _print(value: Mapping[str, Any], as_json: bool, lines: list[str]) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
    else:
        for line in lines:
            click.echo(line)
