import dataclasses
import datetime
from collections.abc import Iterator

import pytest

from ocsp import api, responder, responder_key
from pki import clock, status, web
from tests.support import hierarchy as hierarchy_support
from tests.support import servers

GOOD = status.CertificateStatus()


@dataclasses.dataclass
class World:
    """An issuing CA with a responder, and a registry that is a dictionary."""

    hierarchy: hierarchy_support.Hierarchy
    statuses: dict[tuple[str, int], status.CertificateStatus]
    responder: responder.Responder
    clock: clock.FixedClock

    def signer(self, known: status.CertificateStatus | None = GOOD) -> hierarchy_support.Holder:
        """A signer's certificate whose status is known, or one that was never issued."""
        holder = self.hierarchy.signer()
        if known is not None:
            self.statuses["citizen", holder.certificate.serial_number] = known
        return holder


@pytest.fixture
def world(hierarchy: hierarchy_support.Hierarchy, at: datetime.datetime) -> World:
    statuses: dict[tuple[str, int], status.CertificateStatus] = {}
    holder = hierarchy.ocsp_responder()
    issuer = responder_key.StatusIssuer(
        "citizen",
        hierarchy.issuing.certificate,
        (responder_key.ResponderKey(holder.certificate, holder.handle),),
    )
    return World(
        hierarchy,
        statuses,
        responder.Responder((issuer,), lambda name, serial: statuses.get((name, serial))),
        clock.FixedClock(at),
    )


@pytest.fixture
def base_url(world: World) -> Iterator[str]:
    app = web.application("test", [], api.endpoints(world.responder, world.clock))
    with servers.serve(app) as url:
        yield url
