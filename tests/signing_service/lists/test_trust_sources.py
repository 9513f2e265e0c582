import dataclasses
import datetime

import click
import pytest
import sqlalchemy
from click.testing import CliRunner

from ca import api as ca_api
from ca import revocation
from ca.crls import api as crls_api
from ca.trusted_list import api as list_api
from ca.trusted_list import publication
from pki import certificates, clock, database, outbound, status, web
from signing_service import trust
from signing_service.command_line import commands
from signing_service.lists import trust_sources, trusted_lists
from tests.support import ca_world, crls, open_gate, servers
from tests.support import trusted_lists as support

DAY = datetime.timedelta(days=1)


@pytest.fixture
def zone(tmp_path, at):
    """A running CA zone whose certificates carry its real address."""
    port = servers.free_port()
    settings = dataclasses.replace(support.SETTINGS, base_url=f"http://127.0.0.1:{port}")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{tmp_path}/ca.sqlite")
    database.Base.metadata.create_all(engine)
    sessions = database.session_factory(engine)
    ca = ca_world.make_world(sessions, at, settings)
    world = support.ListWorld(ca, publication.Publisher(sessions, ca.keys, ca.hierarchy))
    present = clock.FixedClock(at)
    routers = [
        ca_api.public_routes(sessions),
        crls_api.public_routes(sessions, present),
        list_api.routes(world.publisher, open_gate.OpenGate(), present),
        list_api.public_routes(sessions, present),
    ]
    with servers.serve(web.application("test", routers), port=port):
        yield world
    engine.dispose()


@pytest.fixture
def client():
    opened = outbound.Client()
    yield opened
    opened.close()


def pem(folder, name, *found):
    path = folder / f"{name}.pem"
    path.write_text("".join(certificates.to_pem(one) for one in found))
    return path


def test_a_list_at_an_address_is_believed_by_its_root(zone, client, tmp_path, at):
    zone.publish()
    sources = trust_sources.TrustSources(clock.FixedClock(at), client)
    url = f"{zone.ca.settings.base_url}/tl/az.xml"
    root = pem(tmp_path, "root", zone.root)
    anchors = sources.load([str(root), url])
    assert zone.root in anchors
    assert zone.ca.hierarchy.authorities["citizen"].certificate in anchors
    assert len(anchors.certificates) == 5
    with pytest.raises(trusted_lists.UntrustedListError):
        sources.load([url])


def test_a_revoked_signer_is_not_believed_by_its_root(zone, client, tmp_path, at):
    list_xml = zone.publish().list_xml
    with zone.ca.sessions() as session:
        revocation.revoke(
            session,
            zone.signer.serial_number,
            status.RevocationReason.keyCompromise,
            at,
            actor="test",
        )
        session.commit()
    crls.publish(zone.ca, at, name="infrastructure")
    path = tmp_path / "az.xml"
    path.write_bytes(list_xml)
    root = pem(tmp_path, "root", zone.root)
    sources = trust_sources.TrustSources(clock.FixedClock(at), client)
    with pytest.raises(trusted_lists.UntrustedListError, match="revoked"):
        sources.load([str(root), str(path)])


def test_a_file_is_believed_offline_by_its_signers_certificate_alone(zone, tmp_path, at):
    path = tmp_path / "list"
    path.write_bytes(zone.publish().list_xml)
    signer, root = pem(tmp_path, "signer", zone.signer), pem(tmp_path, "root", zone.root)
    present = clock.FixedClock(at)
    anchors = trust_sources.TrustSources(present, signers=(signer,)).load([str(path)])
    assert len(anchors.certificates) == 4
    # The signer of a list is no authority, so it is no anchor.
    assert zone.signer not in anchors
    with pytest.raises(trusted_lists.UntrustedListError):
        trust_sources.TrustSources(present).load([str(path), str(root)])


def test_one_bad_list_makes_nothing_trustworthy(zone, tmp_path, at):
    path = tmp_path / "list.xml"
    path.write_bytes(zone.publish().list_xml.replace(b"granted", b"gRanted", 1))
    signer, root = pem(tmp_path, "signer", zone.signer), pem(tmp_path, "root", zone.root)
    with pytest.raises(trusted_lists.UntrustedListError):
        trust_sources.TrustSources(clock.FixedClock(at), signers=(signer,)).load(
            [str(root), str(path)]
        )


def test_an_address_is_not_fetched_offline(at):
    with pytest.raises(trust_sources.OfflineListError):
        trust_sources.TrustSources(clock.FixedClock(at)).load(["http://127.0.0.1:1/tl/az.xml"])


@pytest.mark.clause("TS 119 612", "5.3.2")
def test_an_older_list_than_one_seen_before_is_refused(zone, tmp_path, at):
    older = zone.publish()
    newer = zone.publish()
    signer = pem(tmp_path, "signer", zone.signer)
    sources = trust_sources.TrustSources(
        clock.FixedClock(at), signers=(signer,), memory=tmp_path / "seen.json"
    )
    first, second = tmp_path / "1.xml", tmp_path / "2.xml"
    first.write_bytes(older.list_xml)
    second.write_bytes(newer.list_xml)
    sources.load([str(first)])
    sources.load([str(second)])
    sources.load([str(second)])
    with pytest.raises(trusted_lists.RolledBackListError, match="number 1"):
        sources.load([str(first)])
    # Without a memory nobody can tell.
    assert trust_sources.TrustSources(clock.FixedClock(at), signers=(signer,)).load([str(first)])


def test_two_lists_of_one_number_are_refused(zone, tmp_path, at):
    signer = pem(tmp_path, "signer", zone.signer)
    sources = trust_sources.TrustSources(
        clock.FixedClock(at), signers=(signer,), memory=tmp_path / "seen.json"
    )
    for name, days in (("a", 20), ("b", 21)):
        (tmp_path / name).write_bytes(zone.sign(next_update=at + days * DAY))
    sources.load([str(tmp_path / "a")])
    with pytest.raises(trusted_lists.RolledBackListError, match="two different"):
        sources.load([str(tmp_path / "b")])


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"AZ": 1}', '{"AZ": {"sequence_number": "x"}}']
)
def test_a_broken_memory_lets_no_list_in(zone, tmp_path, at, content):
    memory, path = tmp_path / "seen.json", tmp_path / "list.xml"
    memory.write_text(content)
    path.write_bytes(zone.publish().list_xml)
    signer = pem(tmp_path, "signer", zone.signer)
    with pytest.raises(trust_sources.ListMemoryError):
        trust_sources.TrustSources(clock.FixedClock(at), signers=(signer,), memory=memory).load(
            [str(path)]
        )


def test_a_missing_or_empty_file_is_refused(tmp_path, at):
    sources = trust_sources.TrustSources(clock.FixedClock(at))
    (tmp_path / "empty").write_bytes(b"")
    for name in ("missing", "empty"):
        with pytest.raises(trust.TrustFileError):
            sources.load([str(tmp_path / name)])


def run(*arguments):
    return CliRunner().invoke(
        commands.verify, ["--offline", *map(str, arguments)], standalone_mode=False
    )


def test_the_command_takes_an_authentic_list_and_no_other(zone, tmp_path):
    document, path = tmp_path / "form.xml", tmp_path / "az.xml"
    document.write_text("<form/>")
    path.write_bytes(zone.publish().list_xml)
    signer, root = pem(tmp_path, "signer", zone.signer), pem(tmp_path, "root", zone.root)
    assert run("--trust", path, "--list-signer", signer, document).return_value == 1
    refused = run("--trust", path, "--trust", root, document)
    assert isinstance(refused.exception, trusted_lists.UntrustedListError)
    url = f"{zone.ca.settings.base_url}/tl/az.xml"
    assert isinstance(run("--trust", url, document).exception, trust_sources.OfflineListError)


def test_a_missing_file_of_trust_is_a_usage_error(tmp_path):
    document = tmp_path / "form.xml"
    document.write_text("<form/>")
    missing = run("--trust", tmp_path / "missing.pem", document)
    assert isinstance(missing.exception, click.UsageError)
