import datetime
import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import api
from ca.applications import api as applications_api
from ca.crls import api as crls_api
from ca.operators import api as operators_api
from ca.operators import gate
from pki import clock, database, web
from tests.support import ca_world, operators, servers


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    return database.session_factory(engine)


@pytest.fixture
def world(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> ca_world.World:
    return ca_world.make_world(sessions, at)


@pytest.fixture
def registration_office(world: ca_world.World, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A running CA zone; the file names its address and an operator of each role."""
    present = clock.FixedClock(world.at)
    # Clients sign by the machine's clock.
    gates = gate.SignedRequestGate(world.sessions, clock.SystemClock())
    routers = [
        api.routes(world.sessions, world.hierarchy, gates, present),
        operators_api.routes(world.sessions, world.hierarchy, gates, present),
        api.public_routes(world.sessions),
        crls_api.routes(world.sessions, world.hierarchy, gates, present),
        crls_api.public_routes(world.sessions, present),
        applications_api.routes(world.desk, gates, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        yield operators.office(world, tmp_path, base_url)
