"""Who attacks, with what: a signed document, somebody else's certificate, and time."""

import dataclasses
import datetime
from collections.abc import Callable

from tests.support import forged_xml, hierarchy, packed_containers, signed_cms, signed_pdfs
from tests.support.forged_xml import Wanted

CONTENT = b"TEST contract over 100 manat"
REFUSED = "refused"


@dataclasses.dataclass
class Attacker:
    """What an attacker has."""

    world: hierarchy.Hierarchy
    at: datetime.datetime

    def __post_init__(self) -> None:
        self.victim = self.world.signer()
        self.mallory = self.world.signer("9ZZ99ZZ")
        self.unit = self.world.time_stamping_unit()

    def cms(self) -> signed_cms.Cms:
        return signed_cms.sign(CONTENT, self.victim, self.at)

    def container(self) -> dict[str, bytes]:
        return packed_containers.with_cades(self.victim, self.at)

    def xml(self) -> bytes:
        return forged_xml.sign("<f><sum>100</sum></f>", self.victim, Wanted(""))

    def part(self) -> bytes:
        return forged_xml.sign('<f><sum Id="A">100</sum></f>', self.victim, Wanted("#A"))

    def pdf(self) -> bytes:
        return signed_pdfs.PdfMaker(self.world, self.victim, self.at).sign(signed_pdfs.make_pdf())


@dataclasses.dataclass(frozen=True)
class Attack:
    """What is tried, and the words that have to be among what we say."""

    make: Callable[[Attacker], bytes]
    tries: str
    says: str
