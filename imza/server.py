"""`imza serve`: one trust zone as a process of its own."""

import pathlib
import typing

import click

if typing.TYPE_CHECKING:
    from imza.serving import zone_process

WITH_WORKERS = ("ocsp", "tsa")
"""Zones whose processes share nothing but what they read; the others keep order within one."""

ZONES = ("signing", "ca", "ocsp", "tsa", "mobile", "portal")


@click.command("serve", epilog="Example: imza serve ocsp --config /etc/imza/ocsp.toml")
@click.argument("zone", type=click.Choice(ZONES))
@click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(path_type=pathlib.Path, exists=True, dir_okay=False),
    help="The zone's settings file.",
)
@click.option(
    "--upgrade-database", is_flag=True, help="Bring the zone's database to this version first."
)
def command(zone: str, path: pathlib.Path, upgrade_database: bool) -> int:
    """Serve one zone until it is stopped (SIGTERM or Ctrl-C); the log goes to standard error.

    Zones may run on different machines: they talk over their protocols. Only `ocsp` reads what
    `ca` writes, the registry in the database.
    """
    from pki import errors

    if zone == "portal":
        raise errors.NotFoundError("the portal's pages are not built yet: run another zone")
    return _serve(zone, path, upgrade_database)


def _serve(zone: str, path: pathlib.Path, upgrade_database: bool) -> int:
    from imza import cli
    from imza import config as configs
    from imza.serving import processes, zone_process
    from pki import logs, settings

    logs.configure()
    config = configs.read(path)
    if upgrade_database:
        zone_process.upgrade_database(config)
    if config.server.workers and zone not in WITH_WORKERS:
        raise settings.SettingsError(
            f"[server] workers: expected 0 in the zone {zone}, got {config.server.workers}:"
            f" only {' and '.join(WITH_WORKERS)} run as several processes"
        )
    with zone_process.Ports(config.server) as ports:
        # While workers are replaced twice as many live, and one that does the duties.
        parts = 2 * config.server.workers + 2
        process = zone_process.ZoneProcess(zone, path, ports, parts)
        if config.server.workers == 0:
            return process.serve_and_work(lambda: _tell_ready(zone, ports))
        roles = [
            processes.Role(f"{zone}-{number}", process.serve)
            for number in range(1, config.server.workers + 1)
        ]
        roles.append(processes.Role(f"{zone}-duties", process.work))
        # Imported once, before the workers part: each then starts in a moment.
        zone_process.preload(zone)
        workers = processes.Workers(roles, cli.leave)
        try:
            return workers.run(lambda: _tell_ready(zone, ports))
        finally:
            click.echo(f"imza {zone} stops", err=True)


def _tell_ready(zone: str, ports: "zone_process.Ports") -> None:
    click.echo(f"imza {zone} serves at {ports.address}", err=True)
