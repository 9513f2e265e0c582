"""`imza serve`: one trust zone as a process of its own."""

import pathlib
import signal
import threading

import click

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
    _serve(zone, path, upgrade_database)
    return 0


def _serve(zone: str, path: pathlib.Path, upgrade_database: bool) -> None:
    import contextlib

    from imza import config as configs
    from imza import health, http_server, schema, worker
    from imza.wiring import resources, zones
    from pki import clock, database, logs, web

    logs.configure()
    config = configs.read(path)
    if upgrade_database:
        engine = database.connect(configs.require(config.database, "database").url)
        schema.upgrade(engine)
        engine.dispose()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    present = clock.SystemClock()
    with contextlib.ExitStack() as running:
        listener = http_server.listen(config.server.host, config.server.port)
        running.callback(listener.close)
        tls, files = None, None
        if config.server.tls_port is not None:
            files = http_server.TlsFiles(
                configs.require(config.server.tls_certificate, "server.tls_certificate"),
                configs.require(config.server.tls_key, "server.tls_key"),
            )
            tls = http_server.listen(config.server.host, config.server.tls_port)
            running.callback(tls.close)
        opened = running.enter_context(contextlib.closing(resources.Resources(present)))
        built = zones.build(opened, zone, config)
        app = web.application(
            f"imza {zone}", [*built.routers, health.routes(built.probes, built.notes)]
        )
        server = http_server.HttpServer(app, listener, tls=tls, tls_files=files)
        running.callback(server.stop)
        server.start()
        duties = worker.Worker(built.jobs, present)
        running.callback(duties.stop)
        duties.start()
        click.echo(
            f"imza {zone} serves at http://{config.server.host}:{listener.getsockname()[1]}",
            err=True,
        )
        for name, note in built.notes.items():
            click.echo(f"  {name}: {note}", err=True)
        stopping.wait()
        click.echo(f"imza {zone} stops", err=True)
