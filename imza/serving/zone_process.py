"""One process of a zone: it serves the zone's port, does its regular duties, or both."""

import contextlib
import importlib
import logging
import pathlib
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import click

from imza import config as configs
from imza import health, http_server, worker
from imza.serving import plain_application, service_manager
from imza.wiring import resources, zones
from imza.wiring.zone import Job, Zone
from pki import clock, metrics

log = logging.getLogger(__name__)


class Ports:
    """The listening sockets of a zone; use it in a `with` block."""

    def __init__(self, settings: configs.ServerSettings) -> None:
        """Name the ports; entering opens them."""
        self._settings = settings
        self._held = contextlib.ExitStack()
        self.plain: socket.socket
        self.tls: socket.socket | None = None
        self.tls_files: http_server.TlsFiles | None = None

    def __enter__(self) -> Self:
        """Open the ports.

        Raises:
            PortTakenError: Somebody else has one.
            SettingsError: A TLS port without its files.
        """
        with contextlib.ExitStack() as opened:
            self.plain = http_server.listen(self._settings.host, self._settings.port)
            opened.callback(self.plain.close)
            if self._settings.tls_port is not None:
                self.tls_files = http_server.TlsFiles(
                    configs.require(self._settings.tls_certificate, "server.tls_certificate"),
                    configs.require(self._settings.tls_key, "server.tls_key"),
                )
                self.tls = http_server.listen(self._settings.host, self._settings.tls_port)
                opened.callback(self.tls.close)
            self._held = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them in this process; workers have copies of their own."""
        self._held.close()

    @property
    def address(self) -> str:
        """Where the plain port is."""
        return f"http://{self._settings.host}:{self.plain.getsockname()[1]}"


class ZoneProcess:
    """Builds a zone from its settings file and works until SIGTERM or SIGINT."""

    def __init__(self, zone: str, path: pathlib.Path, ports: Ports, parts: int = 1) -> None:
        """Take the zone's name, its settings file, read by each process anew, and its ports.

        Args:
            zone: One of `ZONES`.
            path: The settings file.
            ports: Already open.
            parts: How many processes may count at once what they do.
        """
        self._zone = zone
        self._path = path
        self._ports = ports
        self._board = metrics.Board(parts)

    def serve(self, when_ready: Callable[[], None]) -> int:
        """Answer requests."""
        return self._run(when_ready, serves=True, works=False)

    def work(self, when_ready: Callable[[], None]) -> int:
        """Do the duties that one process does for all."""
        return self._run(when_ready, serves=False, works=True)

    def serve_and_work(self, when_ready: Callable[[], None]) -> int:
        """Do everything, in a process that the service manager started itself."""
        # There is nobody to replace it: a hang-up must not end it.
        signal.signal(signal.SIGHUP, lambda *_: log.warning("reload_needs_workers"))

        def tell() -> None:
            when_ready()
            service_manager.notify("READY=1")

        code = self._run(tell, serves=True, works=True)
        click.echo(f"imza {self._zone} stops", err=True)
        return code

    def _run(self, when_ready: Callable[[], None], *, serves: bool, works: bool) -> int:
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        present = clock.SystemClock()
        with contextlib.ExitStack() as running:
            opened = running.enter_context(
                contextlib.closing(resources.Resources(present, self._board))
            )
            built = zones.build(opened, self._zone, configs.read(self._path))
            if serves:
                server = http_server.HttpServer(
                    _application(built, opened.metrics),
                    self._ports.plain,
                    tls=self._ports.tls,
                    tls_files=self._ports.tls_files,
                )
                running.callback(server.stop)
                server.start()
            duties = worker.Worker(_duties(built.jobs, serves=serves, works=works), present)
            running.callback(duties.stop)
            duties.start()
            when_ready()
            for name, note in built.notes.items():
                click.echo(f"  {name}: {note}", err=True)
            stopping.wait()
        return 0


def upgrade_database(config: configs.Config) -> None:
    """Bring a zone's database to this version."""
    from imza import schema
    from pki import database

    engine = database.connect(configs.require(config.database, "database").url)
    schema.upgrade(engine)
    engine.dispose()


def preload(zone: str) -> None:
    """Import what building a zone needs."""
    importlib.import_module(f"imza.wiring.{zone}_zone")


def _application(built: Zone, figures: metrics.Metrics) -> object:
    endpoints = {
        **built.endpoints,
        **health.endpoints(built.probes, built.notes),
        **figures.endpoints(),
    }
    if not built.routers:
        return plain_application.PlainApplication(endpoints)
    from pki import web

    return web.application(f"imza {built.name}", built.routers, endpoints)


def _duties(jobs: Sequence[Job], *, serves: bool, works: bool) -> Sequence[Job]:
    return [one for one in jobs if (serves if one.in_each_process else works)]
