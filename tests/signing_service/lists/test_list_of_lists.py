"""Lists of lists as an attacker and an operator would make them, served under addresses."""

import base64
import contextlib
import datetime

import fastapi
import pytest
import sqlalchemy
from cryptography import x509
from lxml import etree

from ca.trusted_list import enveloped
from pki import certificates, clock, database, outbound
from signing_service import trust
from signing_service.lists import (
    followed_trust,
    list_of_lists,
    listed_services,
    trust_sources,
    trusted_lists,
)
from tests.support import hierarchy, servers
from tests.support import trusted_lists as support

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
KIND = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUlistofthelists"
OTHER_KIND = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric"
COUNTRY = "http://lists.example/az.xml"
MAIN = "http://lists.example/lotl.xml"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> support.ListWorld:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    return support.make_world_in(engine, AT)


@pytest.fixture(scope="module")
def signers() -> dict[str, hierarchy.Holder]:
    made = hierarchy.make_hierarchy(AT)
    return {name: made.signer() for name in ("first", "second", "third", "stranger")}


class Lists:
    """What lies under which address."""

    def __init__(self, world: support.ListWorld, signers: dict[str, hierarchy.Holder]) -> None:
        self.world = world
        self.signers = signers
        self.contents: dict[str, bytes] = {}

    def fetch(self, url: str) -> bytes:
        if url not in self.contents:
            raise outbound.PeerUnavailableError(f"nothing at {url}")
        return self.contents[url]

    def make(
        self,
        signer: str,
        *,
        names: tuple[str, ...],
        number: int = 5,
        pivots: tuple[str, ...] = (),
        countries: tuple[tuple[str, x509.Certificate], ...] = (),
        next_update: datetime.datetime | None = None,
    ) -> bytes:
        """A list of lists by a signer that names the signers of its successors."""
        root = self.world.unsigned(sequence_number=number, next_update=next_update)
        information = root[0]
        kind = information.find(_tsl("TSLType"))
        assert kind is not None
        kind.text = KIND
        addresses = information.find(_tsl("SchemeInformationURI"))
        assert addresses is not None
        for one in pivots:
            added = etree.SubElement(addresses, _tsl("URI"))
            added.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
            added.text = one
        issued = information.find(_tsl("ListIssueDateTime"))
        assert issued is not None
        pointers = etree.Element(_tsl("PointersToOtherTSL"))
        issued.addprevious(pointers)
        own = [self.signers[one].certificate for one in names]
        _point(pointers, MAIN, KIND, own)
        for address, certificate in countries:
            _point(pointers, address, OTHER_KIND, [certificate])
        root.remove(root[1])
        holder = self.signers[signer]
        return enveloped.sign(root, holder.certificate, holder.handle, AT)

    def follow(self, content: bytes, *known: str, at=AT) -> list_of_lists.FollowedLists:
        authenticator = trusted_lists.Authenticator(
            tuple(self.signers[one].certificate for one in known)
        )
        return list_of_lists.follow(content, authenticator, self.fetch, at)


@pytest.fixture
def lists(world, signers) -> Lists:
    made = Lists(world, signers)
    made.contents[COUNTRY] = world.sign()
    return made


def _tsl(local: str) -> str:
    return f"{{{listed_services.TSL}}}{local}"


def _point(
    pointers: etree._Element, address: str, kind: str, named: list[x509.Certificate]
) -> None:
    pointer = etree.SubElement(pointers, _tsl("OtherTSLPointer"))
    identities = etree.SubElement(pointer, _tsl("ServiceDigitalIdentities"))
    for one in named:
        identity = etree.SubElement(identities, _tsl("ServiceDigitalIdentity"))
        digital = etree.SubElement(identity, _tsl("DigitalId"))
        text = base64.b64encode(certificates.to_der(one)).decode()
        etree.SubElement(digital, _tsl("X509Certificate")).text = text
    etree.SubElement(pointer, _tsl("TSLLocation")).text = address
    more = etree.SubElement(pointer, _tsl("AdditionalInformation"))
    information = etree.SubElement(more, _tsl("OtherInformation"))
    etree.SubElement(information, _tsl("TSLType")).text = kind
    information = etree.SubElement(more, _tsl("OtherInformation"))
    mime = "{http://uri.etsi.org/02231/v2/additionaltypes#}MimeType"
    etree.SubElement(information, mime).text = "application/vnd.etsi.tsl+xml"


def test_lists_that_a_list_of_lists_names_are_believed_by_its_word(lists, world):
    content = lists.make("first", names=("first",), countries=((COUNTRY, world.signer),))
    found = lists.follow(content, "first")
    assert [one.territory for one in found.lists] == ["AZ", "AZ"]
    assert len(found.lists[1].anchors(AT).certificates) == 4
    assert found.problems == ()


@pytest.mark.clause("TS 119 612", "5.3.13")
def test_a_list_by_another_signer_than_the_named_one_is_left_out(lists, signers):
    countries = ((COUNTRY, signers["stranger"].certificate), ("http://x.example/", _any(signers)))
    found = lists.follow(lists.make("first", names=("first",), countries=countries), "first")
    assert len(found.lists) == 1
    assert [address for address, _ in found.problems] == [COUNTRY, "http://x.example/"]


@pytest.mark.clause("TS 119 612", "5.3.2")
def test_one_countrys_older_list_keeps_no_other_list_from_being_renewed(lists, world, tmp_path):
    """The list of lists is renewed, the country's newer list stays."""
    server = fastapi.FastAPI()

    @server.get("/{path:path}")
    def give(path: str) -> fastapi.Response:
        return fastapi.Response(lists.contents[path], media_type="application/xml")

    with servers.serve(server) as base_url:
        countries = ((f"{base_url}/az.xml", world.signer),)

        def publish(number: int, country: int, next_update: datetime.datetime) -> None:
            lists.contents["lotl.xml"] = lists.make(
                "first", names=("first",), number=number, countries=countries,
                next_update=next_update,
            )  # fmt: skip
            lists.contents["az.xml"] = world.sign(
                sequence_number=country, next_update=AT + 40 * DAY
            )

        signer = tmp_path / "signer.pem"
        signer.write_text(certificates.to_pem(lists.signers["first"].certificate))
        with contextlib.closing(outbound.Client(max_bytes=10**6)) as client:
            sources = trust_sources.TrustSources(clock.FixedClock(AT), client, (signer,))
            followed = followed_trust.FollowedTrust(
                trust.TrustAnchors(()), sources, [f"{base_url}/lotl.xml"]
            )
            publish(1, 9, AT + 2 * DAY)
            followed.refresh(AT)
            publish(2, 8, AT + 4 * DAY)
            followed.refresh(AT + DAY)
    assert [one.sequence_number for one in followed._in_force(AT + 3 * DAY)] == [2, 9]


def _any(signers: dict[str, hierarchy.Holder]) -> x509.Certificate:
    return signers["third"].certificate


def test_a_stranger_makes_no_list_of_lists(lists):
    with pytest.raises(trusted_lists.UntrustedListError):
        lists.follow(lists.make("stranger", names=("stranger",)), "first")


def test_pivots_lead_from_former_signers_to_those_of_today(lists):
    lists.contents["http://lists.example/pivot-1.xml"] = lists.make(
        "first", names=("second",), number=1, next_update=AT - DAY
    )
    lists.contents["http://lists.example/pivot-2.xml"] = lists.make(
        "second", names=("third",), number=2, next_update=AT - DAY
    )
    pivots = (
        "http://lists.example/pivot-2.xml",
        "http://lists.example/pivot-1.xml",
        "http://lists.example/missing.html",
    )
    content = lists.make("third", names=("third",), pivots=pivots)
    assert len(lists.follow(content, "first").lists) == 1
    assert len(lists.follow(content, "second").lists) == 1
    without = lists.make("third", names=("third",), pivots=pivots[:1])
    with pytest.raises(trusted_lists.UntrustedListError):
        lists.follow(without, "first")


def test_a_strangers_pivot_leads_nowhere(lists):
    lists.contents["http://lists.example/pivot-1.xml"] = lists.make(
        "stranger", names=("stranger",), number=1
    )
    content = lists.make(
        "stranger", names=("stranger",), pivots=("http://lists.example/pivot-1.xml",)
    )
    with pytest.raises(trusted_lists.UntrustedListError):
        lists.follow(content, "first")


def test_pivots_lead_forwards_and_never_back(lists):
    lists.contents["http://lists.example/pivot-1.xml"] = lists.make(
        "first", names=("second",), number=1
    )
    content = lists.make("first", names=("first",), pivots=("http://lists.example/pivot-1.xml",))
    with pytest.raises(trusted_lists.UntrustedListError):
        lists.follow(content, "second")


def test_a_list_of_lists_that_should_have_been_replaced_is_refused(lists):
    content = lists.make("first", names=("first",), next_update=AT + DAY)
    with pytest.raises(trusted_lists.ExpiredListError):
        lists.follow(content, "first", at=AT + 2 * DAY)


def test_a_source_that_is_a_list_of_lists_is_followed(lists, world, signers, tmp_path):
    path, pem = tmp_path / "lotl.xml", tmp_path / "signer.pem"
    path.write_bytes(lists.make("first", names=("first",)))
    pem.write_text(certificates.to_pem(signers["first"].certificate))
    sources = trust_sources.TrustSources(clock.FixedClock(AT), None, (pem,))
    assert sources.load([str(path)]).services == ()
