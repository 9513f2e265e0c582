import datetime

import pytest
import sqlalchemy
from sqlalchemy import orm

from pki import database
from tests.support import ca_world


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    return database.session_factory(engine)


@pytest.fixture
def world(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> ca_world.World:
    return ca_world.make_world(sessions, at)
