"""`imza ca register import`: fills the local register, at the CA's own machine."""

import contextlib
import json
import pathlib

import click

from imza import continuity_commands


@click.group(
    "register",
    epilog="Example: imza ca register import people.csv --kind people --config ca.toml"
    " --officer admin-1",
)
def group() -> None:
    """The embedded register of people, organisations and representatives."""


@group.command(
    "import",
    epilog="Example: imza ca register import people.csv --kind people --config ca.toml"
    " --officer admin-1",
)
@click.argument("file", type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False))
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["people", "organisations", "representatives"]),
    help="What the file lists.",
)
@continuity_commands.CONFIG
@continuity_commands.OFFICER
@continuity_commands.JSON
def import_file(
    file: pathlib.Path, kind: str, path: pathlib.Path, officer: str, as_json: bool
) -> int:
    """Import a CSV file: all of it, or nothing where a line is wrong."""
    from ca.registers import importing
    from imza import config as configs
    from imza.wiring import resources
    from pki import clock

    actor = continuity_commands.actor_of(officer)
    present = clock.SystemClock()
    with contextlib.closing(resources.Resources(present)) as opened:
        sessions = opened.sessions(configs.read(path))
        with sessions() as session:
            rows = importing.import_file(
                session, file, importing.Kind(kind), present.now(), actor=actor
            )
            session.commit()
    if as_json:
        click.echo(json.dumps({"kind": kind, "rows": rows}))
    else:
        click.echo(f"{rows} {kind} imported")
    return 0
