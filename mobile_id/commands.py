"""`imza mobile`: subscribers of the gateway, and simulated phones."""

import pathlib
from typing import Any

import click

from pki import operator_options

DIR_HELP = "A sandbox's folder; its station is DIR/mobile/station.toml."


@click.group("mobile", epilog="Example: imza mobile show --dir w --phone +994500000002")
def group() -> None:
    """Phone subscribers and simulated phones."""


def _station_options(command: Any) -> Any:
    command = click.option(
        "--config",
        "config",
        type=click.Path(path_type=pathlib.Path, dir_okay=False),
        help="The station's settings file.",
    )(command)
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=pathlib.Path, file_okay=False),
        help=DIR_HELP,
    )(command)


@group.command(
    epilog="Example: imza mobile enrol --dir w --phone +994501112233 --person 5AB12CE"
    " --surname 'Test' --given-name 'Aytən' --document passport:AZ:AA1234567:2035-01-31"
    ", or: imza mobile enrol --dir w --phone +994501112233 --application ID"
)
@_station_options
@click.option("--phone", required=True, help="Phone number with + and country code.")
@operator_options.application()
@click.option("--person", "person_code", help="The person's number.")
@click.option("--country", help="Whose number it is. Default: AZ.")
@click.option("--surname")
@click.option("--given-name")
@click.option(
    "--category",
    type=click.Choice(["citizen", "business", "official"]),
    help="Default: citizen.",
)
@click.option("--organisation", help="Name of the organisation (business and official).")
@click.option("--organisation-code", help="Its number.")
@click.option("--title", help="The person's position in it.")
@click.option(
    "--document",
    metavar="KIND:COUNTRY:NUMBER:EXPIRES",
    help="The document that was seen, such as passport:AZ:AA1234567:2035-01-31.",
)
@click.option(
    "--behaviour",
    default="MANUAL",
    show_default=True,
    help="How the simulated person answers: MANUAL, OK, or a Mobile-ID result.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def enrol(
    folder: pathlib.Path | None,
    config: pathlib.Path | None,
    phone: str,
    application_id: str | None,
    behaviour: str,
    as_json: bool,
    **applicant: str | None,
) -> None:
    """Enrol a person with a simulated SIM: keys, certificates, subscriber.

    Whom the SIM is for is said by the options of an applicant, who is vetted and approved here, or
    by --application, which another operator approved.
    """
    from mobile_id.simulation import station

    operator_options.check_applicant(
        application_id, applicant, ("person_code", "surname", "given_name", "document")
    )
    with station.open_station(station.settings_path(folder, config)) as opened:
        done = opened.enrol(phone, applicant, behaviour, application_id=application_id)
    _print(
        {
            "subscriber_id": done.subscriber_id,
            "iccid": done.iccid,
            "phone_number": done.person.phone_number,
            "person_file": str(opened.person_file(done.person.phone_number)),
        },
        as_json,
        "enrolled; the PINs are in the person's file",
    )


@group.command(epilog="Example: imza mobile show --dir w --phone +994500000002")
@_station_options
@click.option("--phone", required=True, help="Phone number with + and country code.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(
    folder: pathlib.Path | None, config: pathlib.Path | None, phone: str, as_json: bool
) -> None:
    """Show a subscriber: state, certificates, tries left on the SIM."""
    from mobile_id.simulation import station

    with station.open_station(station.settings_path(folder, config)) as opened:
        _print(opened.show(phone), as_json, "")


@group.command(epilog="Example: imza mobile suspend --dir w --phone +994500000002")
@_station_options
@click.option("--phone", required=True, help="Phone number with + and country code.")
@click.option("--end", is_flag=True, help="End the suspension.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def suspend(
    folder: pathlib.Path | None, config: pathlib.Path | None, phone: str, end: bool, as_json: bool
) -> None:
    """Stop requests from reaching a phone; its certificates are the CA's matter."""
    from mobile_id.simulation import station

    with station.open_station(station.settings_path(folder, config)) as opened:
        _print(opened.suspend(phone, end=end), as_json, "")


@group.command(epilog="Example: imza mobile simulate --dir w --phone +994500000002 --code 1462")
@_station_options
@click.option("--phone", required=True, help="Phone number with + and country code.")
@click.option("--code", required=True, help="The control code on the other screen.")
@click.option(
    "--wait", "wait_s", default=30, show_default=True, type=click.IntRange(0, 60),
    help="Seconds to wait for a request.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def simulate(
    folder: pathlib.Path | None,
    config: pathlib.Path | None,
    phone: str,
    code: str,
    wait_s: int,
    as_json: bool,
) -> None:
    """Hold one simulated phone: show what is asked, confirm only the code of the other screen."""
    from mobile_id import results
    from mobile_id.simulation import station
    from pki import errors

    def told(lines: list[str]) -> None:
        for line in lines:
            click.echo(line, err=True)

    with station.open_station(station.settings_path(folder, config)) as opened:
        answered = opened.simulate(phone, code, wait_s, told)
    if answered.control_code != code:
        raise errors.PolicyError(
            f"refused: the other screen shows {code}, the phone shows {answered.control_code}"
        )
    if answered.result is not results.Result.OK:
        raise errors.PolicyError(f"not confirmed: {answered.result.value}")
    _print(
        {
            "result": answered.result.value,
            "relying_party": answered.relying_party,
            "text": answered.text,
            "control_code": answered.control_code,
            **({"documents": list(answered.documents)} if answered.documents else {}),
        },
        as_json,
        "",
    )


def _print(value: dict[str, object], as_json: bool, sentence: str) -> None:
    import json

    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False))
        return
    for name, one in value.items():
        click.echo(f"{name}: {one}")
    if sentence:
        click.echo(sentence, err=True)
