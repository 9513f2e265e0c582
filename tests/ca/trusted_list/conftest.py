import datetime
import pathlib
from collections.abc import Iterator

import pytest
from sqlalchemy import orm

from ca.operators import gate
from ca.trusted_list import api
from pki import clock, web
from tests.support import operators, servers, trusted_lists


@pytest.fixture
def lists(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> trusted_lists.ListWorld:
    return trusted_lists.make_world(sessions, at)


@pytest.fixture
def office(lists: trusted_lists.ListWorld, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A running CA zone; the file names its address and an operator of each role."""
    present = clock.FixedClock(lists.ca.at)
    gates = gate.SignedRequestGate(lists.ca.sessions, clock.SystemClock())
    routers = [
        api.routes(lists.publisher, gates, present),
        api.public_routes(lists.ca.sessions, present),
    ]
    with servers.serve(web.application("test", routers)) as base_url:
        yield operators.office(lists.ca, tmp_path, base_url)
