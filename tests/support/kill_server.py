"""The CA zone without its gate, in a process that is made to be killed and started again.

Importing this module loads what a certification authority needs, linters included, so that a
server that is forked from a process which has it is ready in a fraction of a second. Everything
that a restart must open anew (database, module, signature log) the child opens itself.
"""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from multiprocessing import connection

import imza.wiring.ca_zone  # noqa: F401 - loaded before the fork
from ca import peer_lint
from imza import config as configs
from imza import http_server
from imza.wiring import resources, zones
from pki import clock, web
from tests.support import open_gate

peer_lint.load()


def serve(
    path: pathlib.Path, environment: Mapping[str, str], answers: connection.Connection
) -> None:
    """Start as `imza serve ca` does, say so, and serve until the process dies or is told to end."""
    os.environ.update(environment)
    config = configs.read(path)
    with contextlib.ExitStack() as running:
        listener = http_server.listen(config.server.host, config.server.port)
        opened = running.enter_context(contextlib.closing(resources.Resources(clock.SystemClock())))
        routers = zones.build(opened, "ca", config).routers
        app = web.application("kill server", routers)
        open_gate.open_all(app, routers)
        server = http_server.HttpServer(app, listener)
        running.callback(server.stop)
        server.start()
        answers.send("ready")
        answers.recv()
