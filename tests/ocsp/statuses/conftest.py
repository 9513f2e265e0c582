import datetime

import pytest
import sqlalchemy
from sqlalchemy import orm

from pki import clock, database
from tests.support import histories


@pytest.fixture
def sessions(engine: sqlalchemy.Engine) -> orm.sessionmaker[orm.Session]:
    made = database.session_factory(engine)
    histories.add_issuers(made)
    return made


@pytest.fixture
def history(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> histories.History:
    return histories.History(sessions, at)


@pytest.fixture
def present(at: datetime.datetime) -> clock.FixedClock:
    return clock.FixedClock(at)
