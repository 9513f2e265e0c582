import dataclasses
import datetime
from collections.abc import Iterator

import pytest

from pki import clock, web
from pki.algorithms import HashAlgorithm
from tests.support import hierarchy as hierarchy_support
from tests.support import servers
from tsa import api, authority, messages

POLICY = "1.3.6.1.4.1.99999.7"
OTHER_POLICY = "1.3.6.1.4.1.99999.8"
IMPRINT = messages.MessageImprint(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(b"a contract"))


@dataclasses.dataclass
class World:
    """A time-stamping unit of the infrastructure CA."""

    hierarchy: hierarchy_support.Hierarchy
    unit: hierarchy_support.Holder
    authority: authority.TimeStampAuthority
    clock: clock.FixedClock


@pytest.fixture
def world(hierarchy: hierarchy_support.Hierarchy, at: datetime.datetime) -> World:
    holder = hierarchy.time_stamping_unit()
    unit = authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])
    issuing = authority.TimeStampAuthority(unit, (POLICY, OTHER_POLICY))
    return World(hierarchy, holder, issuing, clock.FixedClock(at))


@pytest.fixture
def base_url(world: World) -> Iterator[str]:
    app = web.application("test", [], api.endpoints(world.authority, world.clock))
    with servers.serve(app) as url:
        yield url
