"""`imza card …`: readers, cards, certificates and PINs."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pki import operator_options

if TYPE_CHECKING:
    from pki import approved_applications, registration_calls


@click.group(
    "card",
    epilog="Example: imza card list. PCSCLITE_CSOCK_NAME chooses the PC/SC service, such as that"
    " of a sandbox.",
)
def group() -> None:
    """Readers, cards, certificates and PINs."""


_READER = click.option("--reader", metavar="NAME", help="Default: the first reader with a card.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on the output.")


@group.command("list", epilog="Example: imza card list --json")
@_JSON
def list_cards(as_json: bool) -> None:
    """Show the readers and whether a card is in them."""
    from card_reader import readers

    found = readers.list_readers()
    if as_json:
        _print_json(
            {
                "readers": [
                    {
                        "name": one.name,
                        "card_present": one.card_present,
                        "atr": one.atr.hex() if one.atr else None,
                    }
                    for one in found
                ]
            }
        )
    elif not found:
        click.echo("No card reader is attached.")
    else:
        for one in found:
            what = f"card, ATR {one.atr.hex(' ').upper()}" if one.card_present else "no card"
            click.echo(f"{one.name}: {what}")


@group.command("show", epilog='Example: imza card show --reader "imza virtual reader A 00 00"')
@_READER
@click.option("--module", type=click.Path(path_type=pathlib.Path), help="A PKCS#11 module.")
@_JSON
def show(reader: str | None, module: pathlib.Path | None, as_json: bool) -> None:
    """Show the certificates in a card and the PIN tries that are left."""
    from card_reader import signing_card
    from pki import certificates, clock

    card = signing_card.open_card(reader, module=module)
    tries_left = card.tries_left()
    entries: list[Mapping[str, object]] = []
    for purpose in signing_card.Purpose:
        try:
            facts = certificates.read(card.certificate(purpose))
        except signing_card.CertificateMissingError:
            continue
        entries.append(
            {
                "purpose": purpose.value,
                "holder": facts.name,
                "person_code": facts.person_code,
                "organisation": facts.organisation,
                "serial_number": certificates.serial_text(facts.serial_number),
                "issuer": facts.issuer,
                "not_before": clock.time_text(facts.not_before),
                "not_after": clock.time_text(facts.not_after),
                "sha256": facts.sha256,
            }
        )
    state = "unknown" if tries_left is None else "blocked" if tries_left == 0 else "ready"
    if as_json:
        pin = {"state": state, "tries_left": tries_left}
        _print_json({"reader": card.reader, "pin": pin, "certificates": entries})
        return
    click.echo(f"Reader: {card.reader}")
    told = "the card does not say" if tries_left is None else f"{tries_left} tries left"
    click.echo(f"PIN: {told}{' (blocked: imza card unblock)' if tries_left == 0 else ''}")
    if not entries:
        click.echo("The card holds no certificates: it was never personalised.")
    for entry in entries:
        click.echo(f"Certificate to {entry['purpose']}: {entry['holder']}")
        for name in ("person_code", "organisation", "serial_number", "issuer"):
            if entry[name] is not None:
                click.echo(f"  {name.replace('_', ' ')}: {entry[name]}")
        click.echo(f"  valid: {entry['not_before']} to {entry['not_after']}")


@group.command("watch", epilog="Example: imza card watch --json --timeout 60")
@click.option("--timeout", type=float, metavar="SECONDS", help="End when nothing happens so long.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document a line, an event each.")
def watch(timeout: float | None, count: int | None, as_json: bool) -> None:
    """Tell when readers and cards come and go, until Ctrl-C."""
    from card_reader import readers

    for number, event in enumerate(readers.watch(timeout), start=1):
        if as_json:
            _print_json(
                {
                    "event": event.kind.value,
                    "reader": event.reader,
                    "atr": event.atr.hex() if event.atr else None,
                },
                indent=None,
            )
        else:
            click.echo(f"{event.reader}: {event.kind.value.replace('-', ' ')}")
        if number == count:
            return


@group.command(
    "change-pin",
    epilog="Example: imza card change-pin. With --pin-fd the lines are the old and the new PIN.",
)
@_READER
@click.option("--puk", "is_puk", is_flag=True, help="Change the PUK instead of the PIN.")
@click.option("--pin-fd", type=int, metavar="N", help="Read from a file descriptor, a line each.")
@_JSON
def change_pin(reader: str | None, is_puk: bool, pin_fd: int | None, as_json: bool) -> None:
    """Replace the PIN (or the PUK) by a new one of six to eight digits."""
    from card_reader import pin, piv, piv_session, readers

    what = "PUK" if is_puk else "PIN"
    name = readers.find_card(reader).name
    with (
        pin.read_pin(f"Present {what}", pin_fd) as old,
        pin.read_pin(f"New {what}", pin_fd, confirm=True) as new,
        readers.Connection(name) as connection,
    ):
        session = piv_session.PivSession(connection.transmit)
        session.change(piv.PUK_REFERENCE if is_puk else piv.PIN_REFERENCE, old, new)
    _done({"reader": name, "changed": what}, f"The {what} was changed.", as_json=as_json)


@group.command(
    "unblock",
    epilog="Example: imza card unblock. With --pin-fd the lines are the PUK and the new PIN.",
)
@_READER
@click.option("--pin-fd", type=int, metavar="N", help="Read from a file descriptor, a line each.")
@_JSON
def unblock(reader: str | None, pin_fd: int | None, as_json: bool) -> None:
    """Set a new PIN with the PUK, after too many wrong PINs."""
    from card_reader import pin, piv_session, readers

    name = readers.find_card(reader).name
    with (
        pin.read_pin("PUK", pin_fd) as puk,
        pin.read_pin("New PIN", pin_fd, confirm=True) as new,
        readers.Connection(name) as connection,
    ):
        piv_session.PivSession(connection.transmit).unblock(puk, new)
    _done({"reader": name, "unblocked": True}, "The PIN works again.", as_json=as_json)


@group.command(
    "personalise",
    epilog="""Examples:

    \b
    imza card personalise --credentials w/sandbox.json --person-code 5AB12CD \\
        --surname "Əliyeva TEST" --given-name "Günay TEST" \\
        --document passport:AZ:C0123456:2035-01-31 \\
        --pin-letter letter.json
    imza card personalise --operator officer.toml --application ID --pin-letter letter.json
    """,
)
@_READER
@operator_options.calls_ca(pin_option="--operator-pin-fd")
@operator_options.application()
@click.option(
    "--category",
    type=click.Choice(["citizen", "business", "official"]),
    help="Default: citizen.",
)
@click.option("--country", help="Of the person's number. Default: AZ.")
@click.option("--person-code")
@click.option("--surname")
@click.option("--given-name")
@click.option("--organisation", "organisation_name", help="Name of the organisation signed for.")
@click.option("--organisation-code", help="Its registration or tax number.")
@click.option("--title", help="The person's position there.")
@click.option(
    "--document",
    metavar="KIND:COUNTRY:NUMBER:EXPIRES",
    help="The identity document that was checked, such as passport:AZ:C0123456:2035-01-31.",
)
@click.option(
    "--management-key-file",
    type=click.Path(path_type=pathlib.Path),
    help="The card's present management key in hex; default: a blank card's transport key.",
)
@click.option(
    "--pin-letter",
    type=click.Path(path_type=pathlib.Path),
    help="Choose PIN and PUK at random and write them, with the management key, to this new file.",
)
@click.option("--pin-fd", type=int, metavar="N", help="Read PIN and PUK, a line each.")
@_JSON
def personalise(
    reader: str | None,
    ca: operator_options.CallingOperator,
    application_id: str | None,
    management_key_file: pathlib.Path | None,
    pin_letter: pathlib.Path | None,
    pin_fd: int | None,
    as_json: bool,
    **applicant: str | None,
) -> None:
    """Make keys on a blank card, have them certified, and set PIN and PUK.

    Whom the card is for is said by the options of an applicant, who is vetted and approved here, or
    by --application, which another operator approved.
    """
    from card_reader import personalise as station
    from card_reader import pin, piv, piv_session, readers
    from pki import approved_applications, certificates, clock

    operator_options.check_applicant(
        application_id, applicant, ("person_code", "surname", "given_name", "document")
    )
    if (applicant["organisation_name"] is None) is not (applicant["organisation_code"] is None):
        raise click.UsageError("--organisation and --organisation-code go together")
    if pin_letter is not None and pin_fd is not None:
        raise click.UsageError("choose one of --pin-letter and --pin-fd")
    key = piv.TRANSPORT_MANAGEMENT_KEY
    if management_key_file is not None:
        key = station.read_management_key(management_key_file)
    name = readers.find_card(reader).name
    letter = None if pin_letter is None else station.PinLetter(pin_letter)
    new_pin = new_puk = None
    with contextlib.ExitStack() as secrets:
        if letter is None:
            new_pin = secrets.enter_context(pin.read_pin("New PIN", pin_fd, confirm=True))
            new_puk = secrets.enter_context(pin.read_pin("New PUK", pin_fd, confirm=True))
        registrar = secrets.enter_context(ca.open())
        connection = secrets.enter_context(readers.Connection(name))
        card = piv_session.PivSession(connection.transmit)
        # Before anybody is bothered with an application: is the card blank?
        card.authenticate_manager(key)
        if application_id is None:
            application = _apply(registrar, applicant)
        else:
            application = approved_applications.find(registrar, application_id)
        done = station.personalise(
            card,
            registrar,
            application.id,
            clock.SystemClock().now(),
            pin=new_pin,
            puk=new_puk,
            management_key=key,
            person_code=application.person.person_code,
            letter=letter,
        )
        done.pin.wipe()
        done.puk.wipe()
    serials = {
        "sign": certificates.serial_text(done.sign.serial_number),
        "authenticate": certificates.serial_text(done.authenticate.serial_number),
    }
    _done(
        {
            "reader": name,
            "application": application.id,
            "certificates": serials,
            "pin_letter": None if pin_letter is None else os.fspath(pin_letter.absolute()),
        },
        f"The card in {name} is ready.\n"
        f"  certificate to sign: {serials['sign']}\n"
        f"  certificate to authenticate: {serials['authenticate']}"
        + ("" if pin_letter is None else f"\n  PIN and PUK: {pin_letter}"),
        as_json=as_json,
    )


def _apply(
    registrar: "registration_calls.RegistrationClient", given: Mapping[str, str | None]
) -> "approved_applications.ApprovedApplication":
    """Hand in the application that the options of an applicant describe."""
    from pki import approved_applications, registration
    from pki import vetting as vettings

    country = given["country"] or "AZ"
    organisation = None
    if given["organisation_name"] and given["organisation_code"]:
        organisation = registration.Organisation(
            country, given["organisation_code"], given["organisation_name"]
        )
    return approved_applications.apply(
        registrar,
        registration.Category(given["category"] or "citizen"),
        registration.Person(
            country,
            given["person_code"] or "",
            given["surname"] or "",
            given["given_name"] or "",
        ),
        vettings.Vetting((vettings.Document.parse(given["document"] or ""),)),
        organisation=organisation,
        title=given["title"],
    )


def _done(value: Mapping[str, object], sentence: str, *, as_json: bool) -> None:
    if as_json:
        _print_json(value)
    else:
        click.echo(sentence)


def _print_json(value: Mapping[str, object], *, indent: int | None = 2) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=indent))
