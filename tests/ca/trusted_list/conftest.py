import datetime
import json
import pathlib
from collections.abc import Iterator

import pytest
from sqlalchemy import orm

from ca.operators import gate
from ca.trusted_list import api
from pki import access, clock, web
from tests.support import servers, trusted_lists


@pytest.fixture
def lists(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> trusted_lists.ListWorld:
    return trusted_lists.make_world(sessions, at)


@pytest.fixture
def office(lists: trusted_lists.ListWorld, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A running CA zone; the file holds its address and a registration client's credentials."""
    secret = access.new_secret()
    settings = access.Settings(
        clients=(
            access.ApiClient("station", access.hash_secret(secret), ("register",)),
            access.ApiClient("portal", access.hash_secret(secret), ("sign",)),
        )
    )
    tokens = access.AccessTokens(settings, lists.ca.sessions)
    present = clock.FixedClock(lists.ca.at)
    routers = [
        web.token_routes(tokens, present),
        api.routes(lists.publisher, gate.TokenGate(tokens, present), present),
        api.public_routes(lists.ca.sessions, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        file = tmp_path / "credentials.json"
        file.write_text(
            json.dumps({"base_url": base_url, "client_id": "station", "client_secret": secret})
        )
        yield file
