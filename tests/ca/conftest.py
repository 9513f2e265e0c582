import datetime
import json
import pathlib
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import api
from ca.operators import gate
from pki import access, clock, database, web
from tests.support import ca_world, servers


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    return database.session_factory(engine)


@pytest.fixture
def world(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> ca_world.World:
    return ca_world.make_world(sessions, at)


@pytest.fixture
def registration_office(world: ca_world.World, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A running CA zone; the file holds its address and a registration client's credentials."""
    secret = access.new_secret()
    settings = access.Settings(
        clients=(access.ApiClient("station", access.hash_secret(secret), ("register",)),)
    )
    tokens = access.AccessTokens(settings, world.sessions)
    present = clock.FixedClock(world.at)
    routers = [
        web.token_routes(tokens, present),
        api.routes(world.sessions, world.hierarchy, gate.TokenGate(tokens, present), present),
        api.public_routes(world.sessions, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        file = tmp_path / "credentials.json"
        file.write_text(
            json.dumps({"base_url": base_url, "client_id": "station", "client_secret": secret})
        )
        yield file
