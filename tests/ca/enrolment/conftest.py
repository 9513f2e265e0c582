import datetime
import pathlib
from collections.abc import Iterator

import pytest

from pki import database
from tests.support import ca_world, cmp_office


@pytest.fixture
def office(world: ca_world.World) -> cmp_office.Office:
    return cmp_office.make_office(world)


@pytest.fixture(scope="module")
def lasting_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cmp_office.Office]:
    """An office for tests that send it thousands of messages."""
    folder: pathlib.Path = tmp_path_factory.mktemp("office")
    engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    yield cmp_office.make_office(ca_world.make_world(database.session_factory(engine), at))
    engine.dispose()
